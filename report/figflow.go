package report

import (
	"fmt"
	"math"
	"slices"

	"effnet/search"
)

// flowFigure is the candidates' way through the rungs.
func flowFigure(a *search.Analysis) *figure {
	var cols []flowColumn
	for i := range a.Flow {
		if c := rungColumn(a, &a.Flow[i]); len(c.seats) > 0 {
			cols = append(cols, c)
		}
	}
	if c := rerunColumn(a); len(c.seats) > 0 {
		cols = append(cols, c)
	}
	// One rung alone is a ranking, which there is another figure of.
	if len(cols) < 2 {
		return nil
	}
	inks := map[ink]bool{}
	for _, c := range cols {
		for _, seat := range c.seats {
			inks[seat.ink] = true
		}
	}
	return &figure{
		keys: legend(inks),
		name: "flow", nav: "Rungs", title: "From all candidates to one",
		see:     "Every candidate's way through the rungs, ranked by accuracy in each. Lines that cross are networks that changed places when they were trained for longer.",
		caption: "Numbers are accuracies on the validation images, per cent. In each rung all networks are trained from the start with a finished schedule; the best go on. Single dimensions are compared at the end in any case. Crosses ended before their time.",
		panels:  []*scene{flowChart(cols)},
	}
}

// rungColumn is who trained in a rung and what became of them.
func rungColumn(a *search.Analysis, r *search.RungFlow) flowColumn {
	c := flowColumn{name: fmt.Sprintf("rung %d: %s", r.Rung+1, several(r.Epochs, "epoch"))}
	for _, e := range r.Entered {
		n := a.Net(e.Network)
		seat := flowSeat{net: n.ID, name: n.ID, ink: seatInk(n.Role), accuracy: e.Accuracy, fate: fates[e.Fate]}
		seat.tip = tip(a, n) + fmt.Sprintf("\n%s: %s", c.name, fateTexts[seat.fate])
		if e.Seeds > 0 {
			seat.tip += ", " + pm(e.Accuracy, e.Half)
		}
		if e.Stopped > 0 {
			seat.tip += fmt.Sprintf(" after epoch %d", e.Stopped)
		}
		c.seats = append(c.seats, seat)
	}
	c.sub = several(len(c.seats), "network")
	if n := len(a.Plan.Rungs[r.Rung].Seeds); n > 1 {
		c.sub += fmt.Sprintf(", %d seeds", n)
	}
	return c
}

// rerunColumn is the finalists on fresh seeds.
func rerunColumn(a *search.Analysis) flowColumn {
	c := flowColumn{name: "fresh seeds"}
	for _, n := range a.Of(search.StageExplore) {
		mean, done := trialsMean(a.TrialsOf(n.ID, search.PhaseRerun))
		if done == 0 {
			continue
		}
		seat := flowSeat{net: n.ID, name: n.ID, ink: seatInk(n.Role), accuracy: mean, fate: fateKept}
		if a.Choice != nil && a.Choice.Winner == n.ID {
			seat.name += ", chosen"
		}
		seat.tip = tip(a, n) + fmt.Sprintf("\nfresh seeds: %s", pct(mean))
		c.seats = append(c.seats, seat)
	}
	sortSeats(c.seats)
	c.sub = fmt.Sprintf("%s, %s", several(len(c.seats), "network"), several(len(a.Plan.FreshSeeds), "seed"))
	return c
}

// seatInk is the colour of a network that stands for something.
func seatInk(r search.Role) ink {
	if r == search.RoleMixed {
		return inkNone
	}
	return roleInk(r)
}

var fates = map[search.Fate]fate{
	search.FatePromoted: fatePromoted, search.FateDropped: fateDropped, search.FateStopped: fateStopped,
	search.FateFailed: fateFailed, search.FateSingle: fateKept,
}

var fateTexts = [...]string{"not decided yet", "promoted", "dropped", "stopped early", "failed", "kept for the comparison"}

// flowColumn is a rung of the search, or its reruns: who trained there, best
// first.
type flowColumn struct {
	name, sub string
	seats     []flowSeat
}

// flowSeat is one network in a rung.
type flowSeat struct {
	net      string
	accuracy float64 // NaN: no trial of it has ended with an accuracy
	ink      ink     // of networks that stand for something; inkNone: of the others
	name     string  // shown where there is room
	fate     fate
	tip      string
}

// fate is what became of a network after a rung.
type fate uint8

const (
	fateOpen     fate = iota // not known yet
	fatePromoted             // trains longer
	fateDropped              // not among the best
	fateStopped              // hopeless, stopped before its end
	fateFailed               // its training diverged
	fateKept                 // the end of its way, not a defeat
)

// flowChart draws every network's way through the rungs, ranked in each.
func flowChart(cols []flowColumn) *scene {
	most := 0
	for _, c := range cols {
		most = max(most, len(c.seats))
	}
	if most == 0 {
		return nil
	}
	const labels = 150.0
	s := &scene{w: 1190, h: 120 + min(max(float64(most)*13.5, 230), 640), title: "The ways of the candidates through the rungs, ranked by accuracy in each"}
	top, bottom := 62.0, s.h-44
	left, right := 18.0, s.w-labels-30
	step := 0.0
	if len(cols) > 1 {
		step = (right - left - 70) / float64(len(cols)-1)
	}
	x := func(k int) float64 { return left + step*float64(k) }
	// A column is as high as its seats need, at most all there is: the ways
	// narrow as the field does.
	y := func(k, i int) float64 {
		n := len(cols[k].seats)
		gap := min((bottom-top)/float64(max(n, 1)), 30)
		return top + gap*(float64(i)+0.5)
	}
	seat := make([]map[string]int, len(cols))
	for k, c := range cols {
		seat[k] = map[string]int{}
		for i, st := range c.seats {
			seat[k][st.net] = i
		}
	}
	// texted reports whether there is room for the accuracy of seat i of k; the
	// last seat always has it.
	texted := func(k, i int) bool {
		n := len(cols[k].seats)
		gap := min((bottom-top)/float64(max(n, 1)), 30)
		every := max(1, int(math.Ceil(13/gap)))
		return i == n-1 || i%every == 0 && float64(n-1-i)*gap >= 12.9
	}
	var crowded []int // columns in which accuracies stand beside other seats, too
	for k, c := range cols {
		if (bottom-top)/float64(max(len(c.seats), 1)) < 13 {
			crowded = append(crowded, k)
		}
	}
	arm := func(k, i int) float64 {
		if every := slices.Contains(crowded, k); every || texted(k, i) {
			return 50
		}
		return 9
	}
	// Ways first, faint ones below.
	for pass := range 2 {
		for k := 0; k+1 < len(cols); k++ {
			for i, st := range cols[k].seats {
				strong := st.ink != inkNone
				if strong != (pass == 1) {
					continue
				}
				c, width := st.ink, 2.5
				if !strong {
					c, width = inkFaint, 1.5
				}
				if j, ok := seat[k+1][st.net]; ok {
					s.add(item{kind: shapeLine, pts: sigmoid(point{x(k) + arm(k, i), y(k, i)}, point{x(k + 1), y(k+1, j)}), stroke: c, width: width, net: st.net, tip: st.tip})
				}
			}
		}
	}
	for k, c := range cols {
		s.boldLabel(x(k), 20, c.name, 13, anchorStart, inkText)
		s.label(x(k), 38, c.sub, 12, anchorStart, inkMuted)
		n := len(c.seats)
		gap := min((bottom-top)/float64(max(n, 1)), 30)
		dropped, stopped, failed := 0, 0, 0
		for i, st := range c.seats {
			at := point{x(k), y(k, i)}
			col := st.ink
			if col == inkNone {
				col = inkMuted
				if st.fate == fateDropped || st.fate == fateStopped || st.fate == fateFailed {
					col = inkFaint
				}
			}
			r := min(4.5, max(1.5, gap*0.42))
			switch st.fate {
			case fateStopped, fateFailed:
				s.cross(at, r, col, st.tip, st.net)
			default:
				s.add(item{kind: shapeCircle, pts: []point{at}, r: r, fill: col, tip: st.tip, net: st.net})
			}
			switch st.fate {
			case fateDropped:
				dropped++
			case fateStopped:
				stopped++
			case fateFailed:
				failed++
			}
			if !texted(k, i) {
				continue
			}
			text := "–"
			if !math.IsNaN(st.accuracy) {
				text = fmt.Sprintf("%.2f", 100*st.accuracy)
			}
			last := k == len(cols)-1
			ic := inkMuted
			if st.ink != inkNone {
				ic = st.ink
			}
			s.add(item{kind: shapeText, pts: []point{{at.x + 10, at.y + 4}}, text: text, size: 12, fill: ic, bold: last && i == 0, net: st.net})
			if last {
				s.add(item{kind: shapeText, pts: []point{{at.x + 56, at.y + 4}}, text: clipText(st.name, 12, i == 0, s.w-at.x-60), size: 12, fill: ic, bold: i == 0, net: st.net})
			}
		}
		var parts []string
		for _, p := range []struct {
			n    int
			what string
		}{{dropped, "dropped"}, {stopped, "stopped early"}, {failed, "failed"}} {
			if p.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
			}
		}
		for i, t := range parts {
			s.label(x(k), min(y(k, n-1)+26, bottom+12)+14*float64(i), t, 12, anchorStart, inkMuted)
		}
	}
	return s
}

// cross is the mark of a trial that was stopped.
func (s *scene) cross(p point, r float64, c ink, tip, net string) {
	for _, d := range [][2]point{{{-r, -r}, {r, r}}, {{-r, r}, {r, -r}}} {
		s.add(item{kind: shapeLine, pts: []point{{p.x + d[0].x, p.y + d[0].y}, {p.x + d[1].x, p.y + d[1].y}}, stroke: c, width: 1.75, tip: tip, net: net})
	}
}

// sigmoid is a way from p to q that leaves and arrives level.
func sigmoid(p, q point) []point {
	const steps = 16
	pts := make([]point, steps+1)
	for i := range pts {
		t := float64(i) / steps
		e := t * t * (3 - 2*t)
		pts[i] = point{p.x + t*(q.x-p.x), p.y + e*(q.y-p.y)}
	}
	return pts
}

// sortSeats puts the best first, those without an accuracy last.
func sortSeats(seats []flowSeat) {
	slices.SortStableFunc(seats, func(a, b flowSeat) int {
		x, y := a.accuracy, b.accuracy
		switch {
		case x > y || !math.IsNaN(x) && math.IsNaN(y):
			return -1
		case x < y || math.IsNaN(x) && !math.IsNaN(y):
			return 1
		}
		return 0
	})
}
