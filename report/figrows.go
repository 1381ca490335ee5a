package report

import (
	"fmt"
	"math"
	"slices"

	"effnet/search"
)

// exploredFigure ranks the explored networks: every seed, the mean and its
// interval.
func exploredFigure(a *search.Analysis) *scene {
	nets := ranked(a)
	const row = 21.0
	s := &scene{w: 1000, h: 76 + row*float64(max(len(nets), 4)), title: "Explored networks by validation accuracy, every seed shown"}
	if len(nets) == 0 {
		return empty(s)
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	half := 0.0
	for _, n := range nets {
		if h := a.Validation.Half(n.Validation.N); !math.IsNaN(h) {
			half = h
			lo, hi = min(lo, n.Validation.Mean-h), max(hi, n.Validation.Mean+h)
		}
		lo, hi = min(lo, slices.Min(n.Accuracies)), max(hi, slices.Max(n.Accuracies))
	}
	lo, hi = pad(lo, hi, 0.03)
	top, bottom := 34.0, 34+row*float64(len(nets))
	x := scale{lo: lo, hi: hi, a: 382, b: 976}
	ticks, decimals := linearTicks(100*lo, 100*hi, 8)
	for _, v := range ticks {
		s.line(x.at(v/100), top, x.at(v/100), bottom, inkGrid, 1)
		s.label(x.at(v/100), bottom+18, fmt.Sprintf("%.*f %%", decimals, v), 12, anchorMiddle, inkMuted)
	}
	for _, h := range []struct {
		x    float64
		text string
		a    anchor
	}{{8, "network", anchorStart}, {170, "depth", anchorEnd}, {232, "width", anchorEnd}, {298, "pixels", anchorEnd}, {362, "cost", anchorEnd}, {x.a, "accuracy on validation images", anchorStart}} {
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
		s.add(item{kind: shapeText, pts: []point{{8, y + 4}}, text: text, size: 13, fill: name, bold: n.Role == search.RoleCompound})
		s.label(170, y+4, fmt.Sprintf("%.2f", n.Depth), 12, anchorEnd, inkMuted)
		s.label(232, y+4, fmt.Sprintf("%.2f", n.Width), 12, anchorEnd, inkMuted)
		s.label(298, y+4, fmt.Sprintf("%d", n.Resolution), 12, anchorEnd, inkMuted)
		s.label(362, y+4, fmt.Sprintf("%.2f×", n.CostRatio), 12, anchorEnd, inkMuted)
		if half > 0 {
			h := a.Validation.Half(n.Validation.N)
			s.add(item{kind: shapeLine, pts: []point{{x.at(n.Validation.Mean - h), y}, {x.at(n.Validation.Mean + h), y}}, stroke: c, width: 1.5, alpha: 0.6})
		}
		for k, acc := range n.Accuracies {
			s.add(item{kind: shapeCircle, pts: []point{{x.at(acc), y}}, r: 3, fill: inkPaper, stroke: c, width: 1.25,
				tip: fmt.Sprintf("%s, seed %d: %s", n.ID, n.Seeds[k], pct(acc))})
		}
		s.circle(x.at(n.Validation.Mean), y, 4.5, c, tip(a, n))
	}
	return s
}

// finalFigure is the comparison on the test images: the chosen ratio's lead
// over every other rule with its interval.
func finalFigure(a *search.Analysis) *scene {
	const row = 34.0
	s := &scene{w: 1000, h: 86 + row*float64(max(len(a.Compare), 3)), title: "Test accuracy of the compound network less that of every other rule, with 95 % intervals"}
	if len(a.Compare) == 0 {
		s.label(s.w/2, s.h/2, "the comparison on the test images is still to come", 14, anchorMiddle, inkMuted)
		return s
	}
	last := a.Plan.Finals[len(a.Plan.Finals)-1].Factor
	cmp := slices.DeleteFunc(slices.Clone(a.Compare), func(c search.Comparison) bool { return c.Factor != last })
	slices.SortStableFunc(cmp, func(p, q search.Comparison) int {
		switch {
		case p.Diff < q.Diff:
			return -1
		case p.Diff > q.Diff:
			return 1
		}
		return 0
	})
	lo, hi := 0.0, 0.0
	for _, c := range cmp {
		lo, hi = min(lo, c.Lo), max(hi, c.Hi)
	}
	lo, hi = pad(lo, hi, 0.06)
	top, bottom := 40.0, 40+row*float64(len(cmp))
	x := scale{lo: lo, hi: hi, a: 340, b: 860}
	ticks, decimals := linearTicks(100*lo, 100*hi, 7)
	for _, v := range ticks {
		s.line(x.at(v/100), top, x.at(v/100), bottom, inkGrid, 1)
		s.label(x.at(v/100), bottom+18, signed(v, decimals), 12, anchorMiddle, inkMuted)
	}
	s.line(x.at(0), top-6, x.at(0), bottom, inkText, 1.25)
	s.label((x.a+x.b)/2, bottom+36, "compound ahead by, percentage points of test accuracy", 12, anchorMiddle, inkMuted)
	comp := a.Net(largest(a))
	s.label(8, 20, "compared with", 12, anchorStart, inkMuted)
	s.label(200, 20, "its test accuracy", 12, anchorMiddle, inkMuted)
	s.label(300, 20, "cost", 12, anchorEnd, inkMuted)
	s.add(item{kind: shapeText, pts: []point{{x.a, 20}}, text: fmt.Sprintf("compound: %s at %.2f× the base's cost", pct(comp.Test.Mean), comp.CostRatio), size: 13, bold: true, fill: inkCompound})
	s.label(992, 20, "95 % interval", 12, anchorEnd, inkMuted)
	for i, c := range cmp {
		n := a.Net(c.Second)
		y := top + row*(float64(i)+0.5)
		col := roleInk(n.Role)
		s.boldLabel(8, y+4, roleName(n.Role), 13, anchorStart, col)
		s.label(200, y+4, pct(n.Test.Mean), 13, anchorMiddle, inkText)
		s.label(300, y+4, fmt.Sprintf("%.2f×", n.CostRatio), 13, anchorEnd, inkMuted)
		s.add(item{kind: shapeLine, pts: []point{{x.at(c.Lo), y}, {x.at(c.Hi), y}}, stroke: col, width: 2})
		for _, e := range []float64{c.Lo, c.Hi} {
			s.line(x.at(e), y-4, x.at(e), y+4, col, 2)
		}
		s.circle(x.at(c.Diff), y, 5.5, col, fmt.Sprintf("compound less %s: %s points, 95 %% interval %s to %s, p = %.2g",
			roleName(n.Role), signed(100*c.Diff, 2), signed(100*c.Lo, 2), signed(100*c.Hi, 2), c.P))
		s.label(992, y+4, fmt.Sprintf("%s … %s", signed(100*c.Lo, 2), signed(100*c.Hi, 2)), 13, anchorEnd, inkText)
	}
	return s
}

// signed writes a number with its sign, a true minus among them.
func signed(x float64, decimals int) string {
	t := fmt.Sprintf("%.*f", decimals, math.Abs(x))
	switch {
	case x > 0 && t != fmt.Sprintf("%.*f", decimals, 0.0):
		return "+" + t
	case x < 0 && t != fmt.Sprintf("%.*f", decimals, 0.0):
		return "−" + t
	}
	return t
}

// overview is the picture that tells the search in one: cost and triangle.
func overview(a *search.Analysis) *scene {
	left, right := costFigure(a), triangleFigure(a)
	s := &scene{w: left.w + right.w + 28, h: max(left.h, right.h) + 8, title: "A search: " + a.Verdict.Text}
	s.place(left, 8, (right.h-left.h)/2+8)
	s.place(right, left.w+20, 8)
	return s
}
