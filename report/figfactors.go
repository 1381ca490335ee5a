package report

import (
	"fmt"

	"effnet/search"
)

// ruleLine is one way to grow, over the factors it was grown to.
type ruleLine struct {
	role  search.Role
	marks []mark // x: cost over the base's, y: accuracy; the base first
}

// factorsFigure is the comparison of the rules over the factors.
func factorsFigure(a *search.Analysis) *figure {
	test := tested(a)
	base := a.Net(a.Plan.BaseNet.ID)
	var lines []ruleLine
	for _, style := range roles {
		l := ruleLine{role: style.role}
		if m, ok := networkMark(a, base, 1, test); ok {
			l.marks = append(l.marks, m)
		}
		for i := range a.Plan.Finals {
			n := contender(a, &a.Plan.Finals[i], style.role)
			if n == nil {
				continue
			}
			if m, ok := networkMark(a, n, n.CostRatio, test); ok {
				m.ink = style.ink
				l.marks = append(l.marks, m)
			}
		}
		if len(l.marks) > 0 && l.marks[len(l.marks)-1].net != base.ID {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	p := rulesChart("Accuracy against cost for each way to grow", "accuracy on "+scoredOn(test), costAxis(a)+", log scale", lines)
	caption := barsText(a) + " Networks of equal cost are drawn slightly apart."
	if _, givenUp := validated(a); len(givenUp) > 0 && a.Done {
		caption += fmt.Sprintf(" The budget left no time for %s.", list(givenUp))
	}
	return &figure{
		name: "compound", nav: "Compound", title: "Compound against single dimensions", half: true,
		see:     fmt.Sprintf("How far each rule carries the base at %s its cost: the higher line at the same cost is the better rule.", factors(a)),
		caption: caption,
		panels:  []*scene{p},
	}
}

// rulesChart draws accuracy against cost with a line a rule.
func rulesChart(title, heading, below string, lines []ruleLine) *scene {
	x, y := newExtent(), newExtent()
	for _, l := range lines {
		x.costs(l.marks)
		y.marks(l.marks)
	}
	p := newChart(halfWidth, 390, title)
	p.x.b = p.w - 132
	ys, yText := p.percents(y, 7)
	xs := p.multiples(x)
	p.axes(heading, below, xs, ys, factor, yText)
	var e ends
	for k, l := range lines {
		if len(l.marks) < 2 {
			continue
		}
		style := roleStyle(l.role)
		// Networks of equal cost are drawn apart, so that bars can be told apart.
		shift := 4.5 * (float64(k) - float64(len(lines)-1)/2)
		at := func(i int) point {
			q := point{p.x.at(l.marks[i].x), p.y.at(l.marks[i].y)}
			if i > 0 {
				q.x += shift
			}
			return q
		}
		var pts []point
		for i := range l.marks {
			pts = append(pts, at(i))
		}
		p.add(item{kind: shapeLine, pts: pts, stroke: style.ink, width: style.wide, dash: style.dash})
		for i := range l.marks {
			if i > 0 {
				p.bar(pts[i].x, &l.marks[i])
			}
		}
		for i, m := range l.marks {
			if i > 0 {
				p.add(item{kind: shapeCircle, pts: []point{pts[i]}, r: 4.5, fill: style.ink, tip: m.tip, net: m.net})
			}
		}
		last := l.marks[len(l.marks)-1]
		e.add(pts[len(pts)-1].y, fmt.Sprintf("%s %.2f", style.name, 100*last.y), style.ink, l.role == search.RoleCompound, last.net)
	}
	for _, l := range lines {
		if len(l.marks) > 0 {
			base := &l.marks[0]
			p.bar(p.x.at(base.x), base)
			p.add(item{kind: shapeCircle, pts: []point{{p.x.at(base.x), p.y.at(base.y)}}, r: 5, fill: base.ink, tip: base.tip, net: base.net})
			break
		}
	}
	e.draw(p)
	return p.scene
}
