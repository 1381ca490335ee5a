package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/search"
)

// colours of the roles, in the order they are drawn: the chosen ratio on top.
var roles = []struct {
	role search.Role
	name string
	ink  ink
	wide float64
	dash []float64
}{
	{search.RoleB0, "B0's ratio", inkB0, 1.5, []float64{4, 3}},
	{search.RoleResolution, "resolution", inkResolution, 1.75, nil},
	{search.RoleDepth, "depth", inkDepth, 1.75, nil},
	{search.RoleWidth, "width", inkWidth, 1.75, nil},
	{search.RoleCompound, "compound", inkCompound, 2.75, nil},
}

func roleInk(r search.Role) ink {
	for _, x := range roles {
		if x.role == r {
			return x.ink
		}
	}
	if r == search.RoleBase {
		return inkText
	}
	return inkFaint
}

func roleName(r search.Role) string {
	for _, x := range roles {
		if x.role == r {
			return x.name
		}
	}
	return string(r)
}

// pct writes an accuracy as a percentage with two decimals.
func pct(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// network finds the one of a stage that stands for a role and has a score.
func network(a *search.Analysis, stage search.Stage, role search.Role) *search.NetworkResult {
	for _, n := range a.Of(stage) {
		if n.Role == role && n.Validation.N > 0 {
			return n
		}
	}
	// Where B0's ratio was chosen, its network stands for both.
	if role == search.RoleB0 {
		for _, n := range a.Of(stage) {
			if n.Role == search.RoleCompound && strings.HasSuffix(n.ID, "-b0") && n.Validation.N > 0 {
				return n
			}
		}
	}
	return nil
}

// tip is the hover text of a network.
func tip(a *search.Analysis, n *search.NetworkResult) string {
	t := fmt.Sprintf("%s\ndepth ×%.2f, width ×%.2f, %d px\n%s MACs (%.2f× base), %s parameters",
		n.ID, n.Depth, n.Width, n.Resolution, count(float64(n.MACs)), n.CostRatio, count(float64(n.Params)))
	if n.Validation.N > 0 {
		t += fmt.Sprintf("\nvalidation %s (%s)", pct(n.Validation.Mean), seedCount(n.Validation.N))
	}
	if n.Test.N > 0 {
		t += fmt.Sprintf("\ntest %s", pct(n.Test.Mean))
	}
	return t
}

func seedCount(n int) string {
	if n == 1 {
		return "1 seed"
	}
	return fmt.Sprintf("%d seeds", n)
}

// frame is the area of a plot with axes.
type frame struct {
	x, y scale
}

// axisY draws horizontal grid lines with percent labels.
func (f *frame) axisY(s *scene, n int, unit float64, suffix string) {
	ticks, decimals := linearTicks(f.y.lo*unit, f.y.hi*unit, n)
	for _, v := range ticks {
		y := f.y.at(v / unit)
		s.line(f.x.a, y, f.x.b, y, inkGrid, 1)
		s.label(f.x.a-8, y+4, fmt.Sprintf("%.*f", decimals, v)+suffix, 12, anchorEnd, inkMuted)
	}
}

// costFigure is accuracy on the validation images against cost: one line for
// each way to grow, from the base over the searched factor to the validated.
func costFigure(a *search.Analysis) *scene {
	s := &scene{w: 660, h: 436, title: "Validation accuracy against multiply-accumulates for depth, width, resolution and compound scaling"}
	base := a.Net(a.Plan.BaseNet.ID)
	var shown []*search.NetworkResult
	for i := range a.Nets {
		if a.Nets[i].Validation.N > 0 {
			shown = append(shown, &a.Nets[i])
		}
	}
	if len(shown) == 0 {
		return empty(s)
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	left, right := math.Inf(1), 0.0
	for _, n := range shown {
		h := a.Validation.Half(n.Validation.N)
		if math.IsNaN(h) || n.Role == search.RoleMixed {
			h = 0
		}
		lo, hi = min(lo, n.Validation.Mean-h), max(hi, n.Validation.Mean+h)
		left, right = min(left, float64(n.MACs)), max(right, float64(n.MACs))
	}
	lo, hi = pad(lo, hi, 0.06)
	f := frame{
		x: scale{lo: left / 1.18, hi: right * 1.12, a: 62, b: 532, log: true},
		y: scale{lo: lo, hi: hi, a: 372, b: 54},
	}
	f.axisY(s, 6, 100, " %")
	s.line(f.x.a, f.y.a, f.x.b, f.y.a, inkMuted, 1)
	for _, v := range logTicks(f.x.lo, f.x.hi) {
		x := f.x.at(v)
		s.line(x, f.y.a, x, f.y.a+5, inkMuted, 1)
		s.label(x, f.y.a+19, count(v), 12, anchorMiddle, inkMuted)
	}
	s.label((f.x.a+f.x.b)/2, f.y.a+42, "multiply-accumulates per image, log scale", 12, anchorMiddle, inkMuted)
	s.label(8, 16, "accuracy on validation images", 12, anchorStart, inkMuted)
	type mark struct {
		factor float64
		text   string
	}
	marks := []mark{{1, "base"}, {a.Config.Factor, factor(a.Config.Factor)}}
	for _, v := range a.Config.ValidateFactors {
		marks = append(marks, mark{v, factor(v)})
	}
	for _, m := range marks {
		x := f.x.at(m.factor * float64(a.Plan.BaseNet.MACs))
		if x > f.x.b {
			continue
		}
		s.add(item{kind: shapeLine, pts: []point{{x, f.y.b}, {x, f.y.a}}, stroke: inkGrid, width: 1, dash: []float64{2, 3}})
		s.label(x, f.y.b-8, m.text, 12, anchorMiddle, inkMuted)
	}
	// The other explored networks stay in the background.
	for _, n := range shown {
		if n.Stage == search.StageExplore && n.Role == search.RoleMixed {
			s.add(item{kind: shapeCircle, pts: []point{{f.x.at(float64(n.MACs)), f.y.at(n.Validation.Mean)}}, r: 3, fill: inkFaint, alpha: 0.8, tip: tip(a, n)})
		}
	}
	type end struct {
		y    float64
		text string
		ink  ink
		bold bool
	}
	var ends []end
	for k, r := range roles {
		var pts []point
		var nets []*search.NetworkResult
		for _, n := range []*search.NetworkResult{base, network(a, search.StageExplore, r.role), network(a, search.StageFinal, r.role)} {
			if n == nil || n.Validation.N == 0 {
				continue
			}
			x := f.x.at(float64(n.MACs))
			if n.Stage != search.StageBase {
				x += 5 * (float64(k) - 2) // apart, so that bars can be told apart
			}
			pts = append(pts, point{x, f.y.at(n.Validation.Mean)})
			nets = append(nets, n)
		}
		if len(pts) < 2 {
			continue
		}
		s.add(item{kind: shapeLine, pts: pts, stroke: r.ink, width: r.wide, dash: r.dash})
		for i, p := range pts {
			n := nets[i]
			if n.Stage == search.StageBase {
				continue
			}
			f.bar(s, p, n.Validation.Mean, a.Validation.Half(n.Validation.N), r.ink)
			s.circle(p.x, p.y, 4.5, r.ink, tip(a, n))
		}
		last := nets[len(nets)-1]
		ends = append(ends, end{pts[len(pts)-1].y, fmt.Sprintf("%s %.2f", r.name, 100*last.Validation.Mean), r.ink, r.role == search.RoleCompound})
	}
	if base.Validation.N > 0 {
		p := point{f.x.at(float64(base.MACs)), f.y.at(base.Validation.Mean)}
		f.bar(s, p, base.Validation.Mean, a.Validation.Half(base.Validation.N), inkText)
		s.circle(p.x, p.y, 5, inkText, tip(a, base))
	}
	var ys []float64
	for _, e := range ends {
		ys = append(ys, e.y)
	}
	for i, y := range spreadLabels(ys, 17, f.y.b+4, f.y.a-4) {
		s.add(item{kind: shapeText, pts: []point{{f.x.b + 8, y + 4}}, text: ends[i].text, size: 13, fill: ends[i].ink, bold: ends[i].bold})
	}
	return s
}

// bar is an interval around a mean.
func (f *frame) bar(s *scene, p point, mean, half float64, c ink) {
	if math.IsNaN(half) {
		return
	}
	s.add(item{kind: shapeLine, pts: []point{{p.x, f.y.at(mean - half)}, {p.x, f.y.at(mean + half)}}, stroke: c, width: 1.5, alpha: 0.75})
}

// factor writes a multiple of the base's cost.
func factor(x float64) string { return trim(x) + "×" }

// empty says that there is nothing to show yet.
func empty(s *scene) *scene {
	s.label(s.w/2, s.h/2, "no trial has ended yet", 14, anchorMiddle, inkMuted)
	return s
}

// ranked lists the explored networks with a score, best first.
func ranked(a *search.Analysis) []*search.NetworkResult {
	var nets []*search.NetworkResult
	for _, n := range a.Of(search.StageExplore) {
		if n.Validation.N > 0 {
			nets = append(nets, n)
		}
	}
	slices.SortStableFunc(nets, func(x, y *search.NetworkResult) int {
		switch {
		case x.Validation.Mean > y.Validation.Mean:
			return -1
		case x.Validation.Mean < y.Validation.Mean:
			return 1
		}
		return 0
	})
	return nets
}
