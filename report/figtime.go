package report

import (
	"fmt"
	"math"

	"effnet/search"
)

// timeFigure is what trainings were forecast to take and what they took.
func timeFigure(a *search.Analysis) *figure {
	var ms []mark
	model := &a.Plan.Model
	for _, n := range a.Nets {
		for _, t := range a.TrialsOf(n.ID, "") {
			// What a trial took is known of the attempt that ended it alone.
			if t.Attempts != 1 || t.Outcome.Stopped > 0 || !(t.Seconds > 0) {
				continue
			}
			image := func(mac, act float64) float64 { return mac*float64(n.MACs) + act*float64(n.Activations) }
			train, score := image(model.TrainMAC, model.TrainAct), image(model.ScoreMAC, model.ScoreAct)
			hoped := float64(t.Epochs) * (float64(a.Plan.TrainImages)*train + float64(a.Plan.Validation)*score)
			if t.Outcome.Test != nil {
				hoped += float64(a.Plan.Test) * score
			}
			if !(hoped > 0) {
				continue
			}
			ms = append(ms, mark{net: n.ID, x: hoped, y: t.Seconds, ink: phaseInk(t.Phase), r: 3,
				tip: fmt.Sprintf("%s\nforecast %s, took %s", t.ID, seconds(hoped), seconds(t.Seconds))})
		}
	}
	if len(ms) < 3 {
		return nil
	}
	return &figure{
		name: "time", nav: "Time", title: "Trainings: forecast and spent", half: true,
		see:     "Every training by how long it was forecast to take before the first one began, and how long it took. On the dashed line, the forecast was right.",
		caption: "The forecast is a fit to short measurements of a few networks, as many at a time as the search runs.",
		panels:  []*scene{scatterPanel("time of a training", "time", ms, seconds)},
	}
}

// phaseInk is the colour of a part of the search.
func phaseInk(p search.Phase) ink {
	switch p {
	case search.PhaseRung:
		return inkDepth
	case search.PhaseRerun:
		return inkCompound
	case search.PhaseSweep:
		return inkResolution
	case search.PhaseFinal:
		return inkWidth
	}
	return inkMuted
}


// scatterPanel draws predicted against measured values of one quantity, with
// the line on which both are the same.
func scatterPanel(heading, unit string, ms []mark, text func(float64) string) *scene {
	e := newExtent()
	off := 0.0
	for _, m := range ms {
		e.add(m.x, m.y)
		off += math.Abs(math.Log(m.y / m.x))
	}
	p := newChart(halfWidth, 430, heading+": predicted against measured")
	p.x.b = p.w - 40
	p.y.b = 66
	p.x.a = 66
	xs := p.logs(e, text)
	p.y.lo, p.y.hi, p.y.log = p.x.lo, p.x.hi, true
	p.axes("predicted "+unit, "measured "+unit, xs, xs, text, text)
	p.label(4, 46, fmt.Sprintf("typically %.0f %% apart", 100*(math.Exp(off/float64(len(ms)))-1)), 12, anchorStart, inkMuted)
	p.add(item{kind: shapeLine, pts: []point{{p.x.a, p.y.a}, {p.x.b, p.y.b}}, stroke: inkMuted, width: 1.25, dash: []float64{5, 4}})
	p.marks(ms)
	return p.scene
}
