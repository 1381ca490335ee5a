package report

import (
	"fmt"
	"math"

	"effnet/search"
)

// curve is a network's validation accuracy by epoch, the mean over seeds.
func curve(a *search.Analysis, n *search.NetworkResult) (epochs, accuracy []float64) {
	trials := a.TrialsOf(n.ID, search.PhaseFinal)
	if n.Stage == search.StageExplore {
		trials = a.TrialsOf(n.ID, search.PhaseRung)
	}
	if len(trials) == 0 {
		return nil, nil
	}
	for i, p := range trials[0].Outcome.Curve {
		var sum float64
		for _, t := range trials {
			if len(t.Outcome.Curve) != len(trials[0].Outcome.Curve) {
				return nil, nil
			}
			sum += t.Outcome.Curve[i].Accuracy
		}
		epochs = append(epochs, float64(p.Epoch))
		accuracy = append(accuracy, sum/float64(len(trials)))
	}
	return epochs, accuracy
}

// curvesFigure has a panel for each part of the search: every network's
// learning curve, those that stand for a rule in colour.
func curvesFigure(a *search.Analysis) *scene {
	s := &scene{w: 1000, h: 360, title: "Learning curves: validation accuracy by epoch, mean over seeds"}
	panels := []search.Stage{search.StageExplore}
	if len(a.Plan.Finals) > 0 {
		panels = append(panels, search.StageFinal)
	}
	// One scale for all panels. The first epochs, far below, would flatten
	// what is to be seen: the scale starts where the slowest network is after
	// half its training, or at the lowest end.
	lo, hi := math.Inf(1), math.Inf(-1)
	last := 0.0
	for i := range a.Nets {
		e, acc := curve(a, &a.Nets[i])
		for k := range acc {
			hi = max(hi, acc[k])
			last = max(last, e[k])
			if k >= (len(acc)-1)/3 {
				lo = min(lo, acc[k])
			}
		}
	}
	if hi < lo {
		return empty(s)
	}
	lo, hi = pad(lo, hi, 0.05)
	width := 1000.0 / float64(len(panels))
	for i, stage := range panels {
		left := width * float64(i)
		f := frame{
			x: scale{lo: min(1, last-0.5), hi: last, a: left + 56, b: left + width - 104},
			y: scale{lo: lo, hi: hi, a: 304, b: 40},
		}
		at := fmt.Sprintf("explored at %s the base's cost", factor(a.Config.Factor))
		if stage == search.StageFinal {
			at = fmt.Sprintf("validated at %s the base's cost", factors(a))
		}
		s.boldLabel(left+8, 20, at, 13, anchorStart, inkText)
		f.axisY(s, 6, 100, " %")
		s.line(f.x.a, f.y.a, f.x.b, f.y.a, inkMuted, 1)
		step := max(1, niceStep(last, 6))
		for e := step; e <= last; e += step {
			x := f.x.at(e)
			s.line(x, f.y.a, x, f.y.a+5, inkMuted, 1)
			s.label(x, f.y.a+19, fmt.Sprintf("%.0f", e), 12, anchorMiddle, inkMuted)
		}
		s.label((f.x.a+f.x.b)/2, f.y.a+42, "epoch", 12, anchorMiddle, inkMuted)
		f.curves(s, a, stage)
	}
	return s
}

func (f *frame) curves(s *scene, a *search.Analysis, stage search.Stage) {
	draw := func(n *search.NetworkResult, c ink, width, alpha float64, dash []float64) (y float64, ok bool) {
		e, acc := curve(a, n)
		var pts []point
		for k := range acc {
			p := point{f.x.at(e[k]), f.y.at(acc[k])}
			// A line from below the panel starts at its edge.
			if acc[k] < f.y.lo {
				if k+1 < len(acc) && acc[k+1] > f.y.lo {
					u := (f.y.lo - acc[k]) / (acc[k+1] - acc[k])
					pts = []point{{p.x + u*(f.x.at(e[k+1])-p.x), f.y.a}}
				}
				continue
			}
			pts = append(pts, p)
		}
		if len(pts) == 0 {
			return 0, false
		}
		s.add(item{kind: shapeLine, pts: pts, stroke: c, width: width, alpha: alpha, dash: dash, tip: tip(a, n)})
		end := pts[len(pts)-1]
		if len(pts) == 1 {
			s.circle(end.x, end.y, 3, c, tip(a, n))
		}
		return end.y, true
	}
	var ys []float64
	var names []string
	var inks []ink
	for _, n := range a.Of(stage) {
		if n.Role == search.RoleMixed {
			draw(n, inkFaint, 1, 0.7, nil)
		}
	}
	for _, r := range roles {
		n := network(a, stage, r.role)
		if n == nil {
			continue
		}
		if y, ok := draw(n, r.ink, r.wide, 0, r.dash); ok {
			ys = append(ys, y)
			names = append(names, r.name)
			inks = append(inks, r.ink)
		}
	}
	for i, y := range spreadLabels(ys, 16, f.y.b, f.y.a) {
		s.add(item{kind: shapeText, pts: []point{{f.x.b + 8, y + 4}}, text: names[i], size: 12, fill: inks[i], bold: inks[i] == inkCompound})
	}
}
