package report

import (
	"effnet/search"
)

// familyFigure is accuracy against parameters: the scaled family as one line,
// the networks of the other rules as points.
func familyFigure(a *search.Analysis) *figure {
	test := tested(a)
	var line, others []mark
	if m, ok := networkMark(a, a.Net(a.Plan.BaseNet.ID), float64(a.Plan.BaseNet.Params), test); ok {
		m.ink = inkCompound
		line = append(line, m)
	}
	names := []string{"base"}
	for i := range a.Plan.Finals {
		f := &a.Plan.Finals[i]
		for _, style := range roles {
			n := contender(a, f, style.role)
			if n == nil {
				continue
			}
			m, ok := networkMark(a, n, float64(n.Params), test)
			m.ink = style.ink
			switch {
			case !ok:
			case style.role == search.RoleCompound:
				line = append(line, m)
				names = append(names, factor(f.Factor))
			default:
				m.half, m.r = 0, 4
				others = append(others, m)
			}
		}
	}
	if len(line) < 2 {
		return nil
	}
	return &figure{
		name: "family", nav: "Family", title: "The scaled family", half: true,
		see:     "Accuracy against parameters: the family grown by the chosen ratio is the line, networks of the other rules are points. A rule above the line gets more out of each parameter.",
		caption: barsText(a),
		panels:  []*scene{familyChart(line, names, others, "accuracy on "+scoredOn(test))},
	}
}

// familyChart draws one family as a line whose members have names.
func familyChart(line []mark, names []string, others []mark, heading string) *scene {
	x, y := newExtent(), newExtent()
	y.marks(line)
	y.marks(others)
	x.costs(line)
	x.costs(others)
	p := newChart(halfWidth, 390, "Accuracy against parameters of the scaled family and of the other rules")
	p.x.b, p.y.a = p.w-40, p.h-76
	ys, yText := p.percents(y, 7)
	xs := p.logs(x, count)
	p.axes(heading, "parameters, log scale", xs, ys, count, yText)
	p.marks(others)
	var pts []point
	for _, m := range line {
		pts = append(pts, point{m.x, m.y})
	}
	p.curve(pts, item{stroke: inkCompound, width: 2.75})
	p.marks(line)
	for i, m := range line {
		at, an := point{p.x.at(m.x) - 8, p.y.at(m.y) - 9}, anchorEnd
		if at.x < p.x.a+30 {
			at, an = point{p.x.at(m.x) + 9, p.y.at(m.y) + 16}, anchorStart
		}
		p.add(item{kind: shapeText, pts: []point{at}, text: names[i], size: 12, bold: true, anchor: an, fill: inkCompound, halo: true})
	}
	inks := map[ink]bool{inkCompound: true}
	for _, m := range others {
		inks[m.ink] = true
	}
	keys := legend(inks)
	p.dots(p.h-10, keys)
	return p.scene
}
