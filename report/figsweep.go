package report

import (
	"cmp"
	"fmt"
	"slices"

	"effnet/search"
)

// sweepLine is a width sweep at one depth and resolution.
type sweepLine struct {
	name  string
	ink   ink
	marks []mark // x: cost over the base's, y: accuracy, by rising cost
}

// sweepInks are the colours of the lines, apart for all common kinds of
// colour blindness.
var sweepInks = []ink{inkDepth, inkWidth, inkResolution, inkCompound, inkFast, inkB0}

// sweepFigure is what width buys at several depths and resolutions.
func sweepFigure(a *search.Analysis) *figure {
	type pair struct {
		depth      float64
		resolution int
	}
	var pairs []pair
	lines := map[pair][]mark{}
	for i := range a.Plan.Sweep {
		n := a.Net(a.Plan.Sweep[i].ID)
		if n == nil {
			continue
		}
		m, ok := networkMark(a, n, n.CostRatio, false)
		if !ok {
			continue
		}
		k := pair{n.Depth, n.Resolution}
		if !slices.Contains(pairs, k) {
			pairs = append(pairs, k)
		}
		lines[k] = append(lines[k], m)
	}
	slices.SortFunc(pairs, func(p, q pair) int {
		return cmp.Or(cmp.Compare(p.depth, q.depth), cmp.Compare(p.resolution, q.resolution))
	})
	var drawn []sweepLine
	for k, p := range pairs {
		l := sweepLine{name: fmt.Sprintf("d ×%.2g, %d px", p.depth, p.resolution), ink: sweepInks[k%len(sweepInks)], marks: lines[p]}
		for i := range l.marks {
			l.marks[i].ink = l.ink
		}
		slices.SortFunc(l.marks, func(p, q mark) int { return cmp.Compare(p.x, q.x) })
		drawn = append(drawn, l)
	}
	if len(drawn) == 0 {
		return nil
	}
	return &figure{
		name: "sweeps", nav: "Width sweeps", title: "Width sweeps at several depths and resolutions", half: true,
		see:     "Each line grows width alone, from another depth and resolution. Where a deeper, sharper line lies higher at the same cost, width pays more once the other dimensions have grown.",
		caption: barsText(a),
		panels:  []*scene{sweepChart(drawn, costAxis(a))},
	}
}

// sweepChart draws accuracy against cost with a line a sweep.
func sweepChart(lines []sweepLine, below string) *scene {
	x, y := newExtent(), newExtent()
	for _, l := range lines {
		x.costs(l.marks)
		y.marks(l.marks)
	}
	p := newChart(halfWidth, 440, "Accuracy against cost of width sweeps at several depths and resolutions")
	p.x.b = p.w - 118
	ys, yText := p.percents(y, 7)
	xs := p.multiples(x)
	p.axes("accuracy on validation images", below+", log scale", xs, ys, factor, yText)
	var e ends
	for _, l := range lines {
		var pts []point
		for _, m := range l.marks {
			pts = append(pts, point{m.x, m.y})
		}
		end, _ := p.curve(pts, item{stroke: l.ink, width: 2})
		p.marks(l.marks)
		e.add(end.y, l.name, l.ink, false, "")
	}
	e.draw(p)
	return p.scene
}
