package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/search"
)

// curvesFigure has a panel for each length of training: every network's
// learning curve, those that stand for a rule in colour.
func curvesFigure(a *search.Analysis) *figure {
	type part struct {
		heading string
		lines   []trialLine
	}
	var parts []part
	for k, r := range a.Plan.Rungs {
		parts = append(parts, part{fmt.Sprintf("rung %d: %s", k+1, several(r.Epochs, "epoch")),
			trialLines(a, func(t *search.TrialResult) bool { return t.Phase == search.PhaseRung && t.Rung == k }, nil)})
	}
	parts = append(parts, part{"finalists on fresh seeds", trialLines(a, func(t *search.TrialResult) bool { return t.Phase == search.PhaseRerun }, nil)})
	for i := range a.Plan.Finals {
		f := &a.Plan.Finals[i]
		parts = append(parts, part{fmt.Sprintf("compared at %s", factor(f.Factor)),
			trialLines(a, func(t *search.TrialResult) bool { return t.Phase == search.PhaseFinal }, f)})
	}
	// Of one epoch there is no curve: the way through the rungs shows where it ended.
	parts = slices.DeleteFunc(parts, func(p part) bool {
		return !slices.ContainsFunc(p.lines, func(l trialLine) bool { return len(l.pts) > 1 })
	})
	if len(parts) == 0 {
		return nil
	}
	var panels [][]trialLine
	for _, p := range parts {
		panels = append(panels, p.lines)
	}
	e := curvesExtent(panels)
	f := &figure{
		name: "curves", nav: "Curves", title: "Learning curves",
		see:     "Accuracy on the validation images after every epoch, mean over seeds, of trainings of two epochs or more. Grey lines are the other candidates; a cross is where a hopeless training was stopped.",
		caption: "All panels have one scale of accuracy, which may leave out the first epochs. Every length has its own finished schedule, so a longer training is not a shorter one gone on.",
	}
	for _, p := range parts {
		f.panels = append(f.panels, trialsPanel(p.heading, curvesText(p.lines), p.lines, e))
	}
	return f
}

func curvesText(lines []trialLine) string {
	stopped := 0
	for _, l := range lines {
		if l.stopped {
			stopped++
		}
	}
	t := several(len(lines), "network")
	if stopped > 0 {
		t += fmt.Sprintf(", %d stopped early", stopped)
	}
	return t
}

// trialLines are the curves of the trials that keep holds for, by network;
// with a final, of its networks only. Those in colour come last, on top,
// the better ones of a rule after the others.
func trialLines(a *search.Analysis, keep func(*search.TrialResult) bool, final *search.Final) []trialLine {
	of := trialsWhere(a, func(t *search.TrialResult) bool {
		return t.Outcome != nil && len(t.Outcome.Curve) > 0 && keep(t)
	})
	var lines []trialLine
	for i := range a.Nets {
		n := &a.Nets[i]
		role := n.Role
		if final != nil {
			role = ruleOf(a, final.Factor, n)
			if m := contender(a, final, role); m == nil || m.ID != n.ID {
				continue
			}
		}
		l := trialLine{net: n.ID, style: roleStyle(role), tip: tip(a, n)}
		if role != search.RoleMixed && role != search.RoleBase {
			l.name = strings.TrimSuffix(l.style.name, " ratio")
		}
		l.pts, l.stopped = meanCurve(of[n.ID])
		if len(l.pts) > 0 {
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(p, q trialLine) int {
		order := func(l trialLine) int {
			return slices.IndexFunc(roles, func(s lineStyle) bool { return s.role == l.style.role })
		}
		return cmp.Or(cmp.Compare(order(p), order(q)), cmp.Compare(p.pts[len(p.pts)-1].y, q.pts[len(q.pts)-1].y))
	})
	return lines
}

// meanCurve averages over seeds, as far as all of them went. stopped reports
// whether one of them ended there before its time.
func meanCurve(trials []*search.TrialResult) (pts []point, stopped bool) {
	for i := 0; len(trials) > 0; i++ {
		var q point
		for _, t := range trials {
			if i == len(t.Outcome.Curve) {
				return pts, slices.ContainsFunc(trials, func(t *search.TrialResult) bool { return t.Outcome.Stopped > 0 })
			}
			q.x = float64(t.Outcome.Curve[i].Epoch)
			q.y += t.Outcome.Curve[i].Accuracy / float64(len(trials))
		}
		pts = append(pts, q)
	}
	return nil, false
}

// trialLine is the learning curve of one network, the mean over its seeds.
type trialLine struct {
	net     string
	pts     []point // x: epoch, y: accuracy
	style   lineStyle
	name    string // behind the line's end; "": none
	stopped bool   // at the last point, before its time
	tip     string
}

// trialsPanel draws learning curves of one length.
func trialsPanel(heading, sub string, lines []trialLine, y extent) *scene {
	last, first := 0.0, math.Inf(1)
	for _, l := range lines {
		for _, q := range l.pts {
			last, first = max(last, q.x), min(first, q.x)
		}
	}
	p := newChart(thirdWidth, 330, "Learning curves: "+heading)
	p.y.b, p.x.b = 60, p.w-82
	p.x.lo, p.x.hi = min(first, last-0.5), last
	ys, yText := p.percents(y, 6)
	var xs []float64
	step := max(1, niceStep(last, 6))
	for e := step; e <= last; e += step {
		if e >= p.x.lo {
			xs = append(xs, e)
		}
	}
	p.axes("", "epoch", xs, ys, func(v float64) string { return fmt.Sprintf("%.0f", v) }, yText)
	p.boldLabel(4, 18, heading, 13, anchorStart, inkText)
	p.label(4, 36, sub, 12, anchorStart, inkMuted)
	named := map[string]int{}
	for i, l := range lines {
		named[l.name] = i
	}
	var e ends
	for i, l := range lines {
		if end := l.pts[len(l.pts)-1]; l.stopped && end.y < p.y.lo {
			p.cross(point{p.x.at(end.x), p.y.a - 4}, 3.5, inkStop, l.tip, l.net)
		}
		end, ok := p.curve(l.pts, item{stroke: l.style.ink, width: l.style.wide, dash: l.style.dash, tip: l.tip, net: l.net})
		if !ok {
			continue
		}
		if l.stopped {
			p.cross(end, 3.5, inkStop, l.tip, l.net)
		}
		// Of several networks along one dimension, the last is drawn on top.
		if l.name != "" && named[l.name] == i {
			e.add(end.y, l.name, l.style.ink, l.style.ink == inkCompound, l.net)
		}
	}
	e.draw(p)
	return p.scene
}

// curvesExtent is the range of accuracies that learning curves are shown in.
// The first epochs, and the few networks that are far behind, would flatten
// what is to be seen.
func curvesExtent(panels [][]trialLine) extent {
	var late []float64
	for _, lines := range panels {
		for _, l := range lines {
			for i, q := range l.pts {
				if 2*i >= len(l.pts)-1 && !l.stopped {
					late = append(late, q.y)
				}
			}
		}
	}
	e := newExtent()
	if len(late) == 0 { // every one was stopped
		for _, lines := range panels {
			for _, l := range lines {
				e.add(l.pts[len(l.pts)-1].y)
			}
		}
		return e
	}
	slices.Sort(late)
	quarter, most := late[len(late)/4], late[len(late)*3/4]
	e.add(max(late[0], quarter-3*(most-quarter)), late[len(late)-1])
	return e
}
