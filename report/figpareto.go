package report

import (
	"cmp"
	"slices"

	"effnet/search"
)

// paretoFigure is accuracy against each measure of cost, with the front.
func paretoFigure(a *search.Analysis) *figure {
	f := &figure{
		name: "pareto", nav: "Pareto", title: "Pareto fronts",
		see:     "Every network trained in full length, by what it costs in each measure. Those on the step line are on the front: none is cheaper and at least as accurate.",
		caption: "Accuracy on the validation images. " + barsText(a) + " Bars are drawn for networks on the front; the front is that of the means, and neighbours within each other's bars may change places.",
	}
	var draw []func() *scene
	y := newExtent() // of all panels, so that heights compare
	inks := map[ink]bool{}
	for i := range a.Nets {
		if m, ok := networkMark(a, &a.Nets[i], 1, false); ok {
			y.add(m.y)
		}
	}
	for _, m := range []struct {
		heading, below string
		measure        search.Measure
		text           func(float64) string
	}{
		{"multiply-accumulates", "MACs an image, log scale", search.MeasureMACs, count},
		{"parameters", "parameters, log scale", search.MeasureParams, count},
		{"latency", "time an image on this machine, log scale", search.MeasureLatency, seconds},
		{"memory", "bytes at the peak, log scale", search.MeasureMemory, count},
		{"activations", "activations an image, log scale", search.MeasureActivations, count},
	} {
		if len(draw) == 3 {
			break
		}
		var ms []mark
		for i := range a.Nets {
			n := &a.Nets[i]
			cost := n.Costs.Of(m.measure)
			p, ok := networkMark(a, n, cost, false)
			if !ok || !(cost > 0) {
				continue
			}
			if n.Role == search.RoleMixed {
				p.ink = inkFaint
			}
			ms = append(ms, p)
		}
		if len(ms) < 3 {
			continue
		}
		for _, m := range ms {
			inks[m.ink] = true
		}
		y.marks(front(ms))
		draw = append(draw, func() *scene { return paretoPanel(m.heading, m.below, ms, m.text, y) })
	}
	f.keys = legend(inks, dotKey{roleInk(search.RoleBase), "base"}, dotKey{inkFaint, "other candidates"})
	for _, d := range draw {
		f.panels = append(f.panels, d())
	}
	return f
}

// paretoPanel draws accuracy against one measure of cost, and the front: the
// networks that none is both cheaper than and at least as accurate as.
func paretoPanel(heading, below string, ms []mark, text func(float64) string, y extent) *scene {
	x := newExtent()
	x.costs(ms)
	f := front(ms)
	p := newChart(thirdWidth, 330, "Accuracy by "+heading+", and the Pareto front")
	ys, yText := p.percents(y, 6)
	xs := p.logs(x, text)
	p.axes(heading, below, xs, ys, text, yText)
	var pts []point
	for i, m := range f {
		if i > 0 {
			pts = append(pts, point{m.x, f[i-1].y})
		}
		pts = append(pts, point{m.x, m.y})
	}
	if n := len(f); n > 0 {
		pts = append(pts, point{p.x.hi, f[n-1].y})
	}
	p.curve(pts, item{stroke: inkText, width: 1.5, alpha: 0.55})
	// Those behind the front are rings without a bar, which would hide it.
	on := map[string]bool{}
	for _, m := range f {
		on[m.net] = true
	}
	var behind, ahead []mark
	for _, m := range ms {
		if on[m.net] {
			m.r = 5
			ahead = append(ahead, m)
			continue
		}
		m.r, m.open, m.half = 3.5, true, 0
		behind = append(behind, m)
	}
	p.marks(behind)
	p.marks(ahead)
	return p.scene
}

// front is the Pareto front of cost x against accuracy y, by rising cost.
func front(ms []mark) []mark {
	sorted := slices.Clone(ms)
	slices.SortStableFunc(sorted, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(b.y, a.y), cmp.Compare(a.net, b.net))
	})
	var out []mark
	for _, m := range sorted {
		if len(out) == 0 || m.y > out[len(out)-1].y {
			out = append(out, m)
		}
	}
	return out
}
