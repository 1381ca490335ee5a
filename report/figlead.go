package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/search"
)

// leadRow is by how much the chosen ratio is ahead of another rule, in shares
// of one.
type leadRow struct {
	role         search.Role
	net          string
	diff, lo, hi float64
	tip          string
}

// clear reports whether the interval leaves out zero.
func (r *leadRow) clear() bool { return r.lo > 0 || r.hi < 0 }

// leadFigure is the comparison on the test images: the chosen ratio's lead
// over every other rule, factor by factor, and the table behind it.
func leadFigure(a *search.Analysis) *figure {
	if len(a.Compare) == 0 {
		return nil
	}
	e := newExtent()
	rows := map[float64][]leadRow{}
	mixed := 0
	for _, c := range a.Compare {
		n := a.Net(c.Second)
		if n.Stage == search.StageBase {
			continue
		}
		e.add(c.Lo, c.Hi)
		r := ruleOf(a, c.Factor, n)
		tip := fmt.Sprintf("compound less %s at %s\n%s points, 95 %% interval %s to %s\np %s, %s",
			roleName(r), factor(c.Factor), signed(100*c.Diff, 2), signed(100*c.Lo, 2), signed(100*c.Hi, 2), pValue(c.P), several(c.Seeds, "seed"))
		if text := c.MixedText(); text != "" {
			mixed++
			tip += "\n" + text
		}
		rows[c.Factor] = append(rows[c.Factor], leadRow{r, n.ID, c.Diff, c.Lo, c.Hi, tip})
	}
	f := &figure{
		name: "lead", nav: "Test images", title: "The comparison on test images",
		see:     "By how many points the chosen ratio is ahead of every other rule, grown to the same cost. Right of zero it wins; a filled dot is a difference that chance does not explain.",
		caption: "Lines are 95 % intervals: of the training noise and of the draw of test images together. The test images were used once, here." + baseText(a),
		table:   rulesTable(a),
	}
	if mixed > 0 {
		f.caption += fmt.Sprintf(" Of %s, %d are of networks that were trained with unlike kernels, which round differently: hover for which.", several(len(a.Compare), "comparison"), mixed)
	}
	for i := range a.Plan.Finals {
		final := &a.Plan.Finals[i]
		rs := rows[final.Factor]
		comp := contender(a, final, search.RoleCompound)
		if len(rs) == 0 || comp == nil {
			continue
		}
		slices.SortStableFunc(rs, func(p, q leadRow) int { return cmp.Compare(p.diff, q.diff) })
		sub := fmt.Sprintf("compound %s at %s", pct(comp.Test.Mean), factor(comp.CostRatio))
		f.panels = append(f.panels, leadPanel(fmt.Sprintf("grown to %s the base's cost", factor(final.Factor)), sub, rs, e))
	}
	return f
}

// baseText says how the network that was not grown does.
func baseText(a *search.Analysis) string {
	n := a.Net(a.Plan.BaseNet.ID)
	if n.Test.N == 0 {
		return ""
	}
	return fmt.Sprintf(" The base itself has %s.", pm(n.Test.Mean, a.Pooled.Half(n.Test.N)))
}

// ruleOf is the rule that a network of the comparison at a factor stands for.
func ruleOf(a *search.Analysis, f float64, n *search.NetworkResult) search.Role {
	for i := range a.Plan.Finals {
		if a.Plan.Finals[i].Factor != f {
			continue
		}
		// Of two rules that one network stands for, the chosen ratio comes first.
		for k := len(roles) - 1; k >= 0; k-- {
			if m := contender(a, &a.Plan.Finals[i], roles[k].role); m != nil && m.ID == n.ID {
				return roles[k].role
			}
		}
	}
	return n.Role
}

// leadPanel draws the leads at one factor; all panels span e.
func leadPanel(heading, sub string, rows []leadRow, e extent) *scene {
	const row, top = 30.0, 58.0
	bottom := top + row*float64(len(rows))
	s := &scene{w: thirdWidth, h: bottom + 46, title: "Lead of the chosen ratio over the other rules on test images, " + heading}
	s.boldLabel(4, 18, heading, 13, anchorStart, inkText)
	s.boldLabel(4, 37, sub, 12, anchorStart, inkCompound)
	e.add(0)
	lo, hi := pad(e.lo, e.hi, 0.06)
	x := scale{lo: lo, hi: hi, a: 84, b: s.w - 100}
	ticks, decimals := linearTicks(100*lo, 100*hi, 4)
	for _, v := range ticks {
		s.line(x.at(v/100), top, x.at(v/100), bottom, inkGrid, 1)
		s.label(x.at(v/100), bottom+17, signed(v, decimals), 12, anchorMiddle, inkMuted)
	}
	s.line(x.at(0), top-4, x.at(0), bottom, inkText, 1.25)
	s.label((x.a+x.b)/2, bottom+36, "points of test accuracy", 12, anchorMiddle, inkMuted)
	for i, r := range rows {
		y := top + row*(float64(i)+0.5)
		c := roleInk(r.role)
		s.add(item{kind: shapeText, pts: []point{{4, y + 4}}, text: roleName(r.role), size: 12, bold: true, fill: c, net: r.net})
		s.add(item{kind: shapeLine, pts: []point{{x.at(r.lo), y}, {x.at(r.hi), y}}, stroke: c, width: 2, net: r.net, tip: r.tip})
		for _, at := range []float64{r.lo, r.hi} {
			s.add(item{kind: shapeLine, pts: []point{{x.at(at), y - 4}, {x.at(at), y + 4}}, stroke: c, width: 2, net: r.net})
		}
		it := item{kind: shapeCircle, pts: []point{{x.at(r.diff), y}}, r: 5, fill: c, tip: r.tip, net: r.net}
		if !r.clear() {
			it.fill, it.stroke, it.width = inkPaper, c, 2
		}
		s.add(it)
		s.add(item{kind: shapeText, pts: []point{{s.w - 4, y + 4}}, text: fmt.Sprintf("%s ± %.2f", signed(100*r.diff, 2), 100*math.Abs(r.hi-r.lo)/2),
			size: 12, anchor: anchorEnd, fill: inkText, bold: r.clear(), net: r.net})
	}
	return s
}

// rulesTable has a row a rule and three columns a factor.
func rulesTable(a *search.Analysis) *table {
	t := &table{Columns: []column{{"rule", "how the base was grown", false}}}
	finals, _ := validated(a)
	for _, f := range finals {
		at := factor(f.Factor)
		t.Columns = append(t.Columns,
			column{"cost at " + at, "realised " + costAxis(a), true},
			column{"accuracy at " + at, "on the test images, mean over seeds, per cent, with half its 95 % interval", true},
			column{"lead at " + at, "by how many points of test accuracy compound is ahead, with half the 95 % interval; bold where it leaves out zero", true})
	}
	for k := len(roles) - 1; k >= 0; k-- {
		row := tableRow{Cells: []cell{{Text: roles[k].name, Ink: string(roles[k].ink)}}}
		some := false
		for _, f := range finals {
			cost, acc, lead := number("", math.NaN()), number("", math.NaN()), number("", math.NaN())
			if n := contender(a, f, roles[k].role); n != nil && n.Test.N > 0 {
				some = true
				cost = number("%.2f×", n.CostRatio)
				acc = cell{Text: strings.TrimSuffix(pm(n.Test.Mean, a.Pooled.Half(n.Test.N)), " %"), Sort: fmt.Sprint(n.Test.Mean), Tip: n.ID}
				lead = leadCell(a, f.Factor, n.ID)
			}
			row.Cells = append(row.Cells, cost, acc, lead)
		}
		if some {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// leadCell is by how much compound is ahead of a network.
func leadCell(a *search.Analysis, f float64, id string) cell {
	for i := range a.Compare {
		if c := &a.Compare[i]; c.Second == id && c.Factor == f {
			l := leadRow{lo: c.Lo, hi: c.Hi}
			return cell{Text: fmt.Sprintf("%s ± %.2f", signed(100*c.Diff, 2), 100*c.Half()), Sort: fmt.Sprint(c.Diff), Strong: l.clear(), Tip: strings.TrimSpace("p " + pValue(c.P) + "\n" + c.MixedText())}
		}
	}
	return number("", math.NaN())
}
