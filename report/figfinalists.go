package report

import (
	"fmt"
	"math"

	"effnet/search"
)

// mostRows is how many networks the ranking shows.
const mostRows = 30

// finalistsFigure ranks the candidates trained in full length: every seed, the
// mean and its interval.
func finalistsFigure(a *search.Analysis) *figure {
	nets := explored(a)
	all := len(nets)
	if all == 0 {
		return nil
	}
	f := &figure{
		name: "finalists", nav: "Finalists", title: "Candidates in full length",
		see:     "The networks at " + factor(a.Config.Factor) + " the base's cost that got a full-length training, best first. Open circles are single trainings, filled ones their mean.",
		caption: finalistsCaption(a, all),
		panels:  []*scene{finalistsChart(a, nets[:min(all, mostRows)])},
	}
	return f
}

func finalistsCaption(a *search.Analysis, all int) string {
	t := barsText(a)
	if all > mostRows {
		t = fmt.Sprintf("The best %d of %d. %s", mostRows, all, t)
	}
	if math.IsNaN(a.Luck) || math.IsNaN(a.Differ) {
		return t
	}
	t += fmt.Sprintf(" The best of %d equal networks would look %s points better than it is by luck alone;", all, search.Points(a.Luck))
	if a.Differing() {
		return t + fmt.Sprintf(" these differ by more than that kind of luck (p\u00a0%s).", pValue(a.Differ))
	}
	return t + fmt.Sprintf(" the spread seen here is what equal networks could show too (p\u00a0%s).", pValue(a.Differ))
}

func finalistsChart(a *search.Analysis, nets []*search.NetworkResult) *scene {
	const row = 21.0
	s := &scene{w: 1180, h: 76 + row*float64(max(len(nets), 2)), title: "Candidates trained in full length by validation accuracy, every seed shown"}
	e := newExtent()
	for _, n := range nets {
		h := a.Validation.Half(n.Validation.N)
		e.add(n.Validation.Mean, n.Validation.Mean-h, n.Validation.Mean+h)
		e.add(n.Accuracies...)
	}
	if e.hi <= e.lo {
		e.add(e.lo-0.001, e.lo+0.001)
	}
	lo, hi := pad(e.lo, e.hi, 0.03)
	top, bottom := 34.0, 34+row*float64(len(nets))
	x := scale{lo: lo, hi: hi, a: 430, b: 1150}
	ticks, decimals := linearTicks(100*lo, 100*hi, 8)
	for _, v := range ticks {
		s.line(x.at(v/100), top, x.at(v/100), bottom, inkGrid, 1)
		s.label(x.at(v/100), bottom+18, fmt.Sprintf("%.*f %%", decimals, v), 12, anchorMiddle, inkMuted)
	}
	for _, h := range []struct {
		x    float64
		text string
		a    anchor
	}{{8, "network", anchorStart}, {218, "depth", anchorEnd}, {280, "width", anchorEnd}, {346, "pixels", anchorEnd}, {410, "cost", anchorEnd}, {x.a, "accuracy on validation images", anchorStart}} {
		s.label(h.x, 18, h.text, 12, h.a, inkMuted)
	}
	for i, n := range nets {
		y := top + row*(float64(i)+0.5)
		c := roleInk(n.Role)
		name := c
		if n.Role == search.RoleMixed {
			c, name = inkMuted, inkText
		}
		text := n.ID
		if n.Role == search.RoleCompound {
			text += ", chosen"
		}
		s.add(item{kind: shapeText, pts: []point{{8, y + 4}}, text: clipText(text, 13, true, 168), size: 13, fill: name, bold: n.Role == search.RoleCompound, net: n.ID})
		s.label(218, y+4, fmt.Sprintf("%.2f", n.Depth), 12, anchorEnd, inkMuted)
		s.label(280, y+4, fmt.Sprintf("%.2f", n.Width), 12, anchorEnd, inkMuted)
		s.label(346, y+4, fmt.Sprintf("%d", n.Resolution), 12, anchorEnd, inkMuted)
		s.label(410, y+4, fmt.Sprintf("%.2f×", n.CostRatio), 12, anchorEnd, inkMuted)
		if h := a.Validation.Half(n.Validation.N); h > 0 {
			s.add(item{kind: shapeLine, pts: []point{{x.at(n.Validation.Mean - h), y}, {x.at(n.Validation.Mean + h), y}}, stroke: c, width: 1.5, alpha: 0.6, net: n.ID})
		}
		for k, acc := range n.Accuracies {
			s.add(item{kind: shapeCircle, pts: []point{{x.at(acc), y}}, r: 3, fill: inkPaper, stroke: c, width: 1.25, net: n.ID,
				tip: fmt.Sprintf("%s, seed %d: %s", n.ID, n.Seeds[k], pct(acc))})
		}
		s.add(item{kind: shapeCircle, pts: []point{{x.at(n.Validation.Mean), y}}, r: 4.5, fill: c, net: n.ID, tip: tip(a, n)})
	}
	return s
}
