package report

import "effnet/search"

// figure is one drawing of the report, or a few side by side.
type figure struct {
	name    string // of its files, and of its element on the page
	nav     string // in the page's navigation
	title   string
	see     string // what there is to be seen
	caption string // how it is drawn
	half    bool   // takes half the page's width
	columns int    // panels in a row of its file; 0: three
	panels  []*scene
	keys    []dotKey // what the colours of all panels mean; nil: they say so themselves
	table   *table
	images  []picture
}

// sheet is the figure as one drawing.
func (f *figure) sheet() *scene {
	s := sheet(f.title, f.panels, max(1, f.columns))
	if len(f.keys) == 0 {
		return s
	}
	keyed := &scene{w: s.w, h: s.h + 28, title: s.title}
	keyed.place(s, 0, 0)
	keyed.dots(keyed.h-10, f.keys)
	return keyed
}

// figures in the order of the page. One that has nothing to show yet is left
// out.
func figures(a *search.Analysis) []*figure {
	var out []*figure
	for _, build := range []func(*search.Analysis) *figure{
		factorsFigure, familyFigure,
		leadFigure,
		triangleFigure, sweepFigure,
		saturationFigure,
		paretoFigure,
		flowFigure,
		finalistsFigure,
		curvesFigure,
		computeFigure, timeFigure, latencyFigure,
	} {
		if f := build(a); f != nil && len(f.panels) > 0 {
			if f.columns == 0 {
				f.columns = min(3, len(f.panels))
			}
			out = append(out, f)
		}
	}
	return out
}

// overview is the picture that tells the search in one: the rules by cost,
// and the triangle.
func overview(a *search.Analysis, figs []*figure) *scene {
	var panels []*scene
	for _, f := range figs {
		if f.name == "compound" || f.name == "triangle" {
			panels = append(panels, f.panels...)
		}
	}
	if len(panels) == 0 {
		return nil
	}
	return sheet("A search: "+a.Verdict.Text, panels, len(panels))
}
