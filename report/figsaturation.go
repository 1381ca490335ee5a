package report

import (
	"effnet/search"
)

const (
	thirdWidth = 384.0 // of a panel of which three stand side by side
	halfWidth  = 456.0 // of one of two
)

// saturation is how accuracy follows cost when one dimension alone grows.
type saturation struct {
	role  search.Role
	marks []mark     // x: cost over the base's, y: accuracy
	fit   []point    // the fitted curve by rising cost; empty: no fit
	lo    []point    // its band, over the same costs
	hi    []point    //
	knee  [3]float64 // estimate and ends of its interval, as costs over the base's; 0: none
	note  string     // what the comparison of fits says
}

// saturationFigure has a panel a dimension: accuracy against cost.
func saturationFigure(a *search.Analysis) *figure {
	var ds []saturation
	costs, fits, knees := 0, 0, 0
	for dim, r := range []search.Role{search.RoleDepth, search.RoleWidth, search.RoleResolution} {
		fit := a.Saturation[dim]
		if fit == nil {
			continue
		}
		d := saturationOf(a, r, fit)
		costs = max(costs, len(d.marks))
		if len(d.fit) > 0 {
			fits++
		}
		if d.knee[0] > 0 {
			knees++
		}
		ds = append(ds, d)
	}
	if costs < 2 {
		return nil
	}
	f := &figure{
		name: "saturation", nav: "Saturation", title: "Where single dimensions saturate",
		see:     "Accuracy on the validation images when one dimension alone takes all the cost. A curve that flattens has saturated.",
		caption: barsText(a),
		panels:  saturationPanels(ds, costAxis(a)+", log scale"),
	}
	if fits > 0 {
		f.caption += " Curves are the best of three by AICc, one that ends and two that never do; the shaded band is their bootstrapped 95 % interval."
	}
	if knees > 0 {
		f.see += " Beyond the knee, a doubling of cost gains less than half of what the first one did; its 95 % interval is shaded."
	}
	return f
}

// saturationOf is what was measured and fitted along one dimension.
func saturationOf(a *search.Analysis, r search.Role, fit *search.Saturation) saturation {
	d := saturation{role: r}
	type group struct {
		cost, sum float64
		n         int
	}
	// The trainings of a network, in the order of their costs.
	groups := map[string]*group{}
	var order []string
	for _, p := range fit.Points {
		g := groups[p.Network]
		if g == nil {
			g = &group{cost: p.Cost}
			groups[p.Network] = g
			order = append(order, p.Network)
		}
		g.sum += p.Accuracy
		g.n++
	}
	for _, id := range order {
		g := groups[id]
		m := mark{net: id, x: g.cost, y: g.sum / float64(g.n), half: a.Validation.Half(g.n), ink: roleInk(r), r: 4.5}
		if n := a.Net(id); n != nil {
			m.tip = tip(a, n)
			if n.Stage == search.StageBase {
				m.ink = roleInk(search.RoleBase)
			}
		}
		d.marks = append(d.marks, m)
	}
	for _, b := range fit.Band {
		d.fit = append(d.fit, point{b.Cost, b.Accuracy})
		d.lo = append(d.lo, point{b.Cost, b.Lo})
		d.hi = append(d.hi, point{b.Cost, b.Hi})
	}
	d.note = fit.Text
	if fit.Knee > 0 {
		d.knee = [3]float64{fit.Knee, fit.KneeLo, fit.KneeHi}
	}
	return d
}

// saturationPanels draws one panel a dimension, all on the same axes.
func saturationPanels(ds []saturation, below string) []*scene {
	x, y := newExtent(), newExtent()
	for _, d := range ds {
		x.costs(d.marks)
		y.marks(d.marks)
		for _, q := range d.fit {
			y.add(q.y)
		}
	}
	room := 0.0 // for the notes
	for _, d := range ds {
		if d.note != "" {
			room = max(room, 8+15*float64(len(wrap(d.note, 12, thirdWidth-12))))
		}
	}
	var out []*scene
	for _, d := range ds {
		p := newChart(thirdWidth, 306+room, "Accuracy against cost when "+roleName(d.role)+" alone grows")
		p.y.b += room
		ys, yText := p.percents(y, 6)
		xs := p.multiples(x)
		p.axes("", below, xs, ys, factor, yText)
		c := roleInk(d.role)
		p.boldLabel(4, 20, roleName(d.role)+" alone", 13, anchorStart, c)
		if d.note != "" {
			for i, line := range wrap(d.note, 12, p.w-12) {
				p.label(4, 38+15*float64(i), line, 12, anchorStart, inkMuted)
			}
		}
		if k := d.knee; k[0] > 0 {
			lo, hi := max(k[1], p.x.lo), min(k[2], p.x.hi)
			if k[1] > 0 && lo < hi {
				p.add(item{kind: shapeArea, pts: []point{{p.x.at(lo), p.y.b}, {p.x.at(hi), p.y.b}, {p.x.at(hi), p.y.a}, {p.x.at(lo), p.y.a}}, fill: inkFaint, alpha: 0.22})
			}
			if k[0] >= p.x.lo && k[0] <= p.x.hi {
				kx := p.x.at(k[0])
				p.add(item{kind: shapeLine, pts: []point{{kx, p.y.b}, {kx, p.y.a}}, stroke: inkText, width: 1.25, dash: []float64{5, 3}})
				an, dx := anchorStart, 6.0
				if kx > (p.x.a+p.x.b)/2 {
					an, dx = anchorEnd, -6
				}
				p.add(item{kind: shapeText, pts: []point{{kx + dx, p.y.a - 8}}, text: "knee at " + factor(k[0]), size: 12, bold: true, anchor: an, fill: inkText, halo: true})
			}
		}
		p.band(d.lo, d.hi, c)
		p.curve(d.fit, item{stroke: c, width: 2.25})
		p.marks(d.marks)
		out = append(out, p.scene)
	}
	return out
}
