package report

import (
	"fmt"
	"math"
	"slices"

	"effnet/search"
)

// timeFigure is what trainings were forecast to take and what they took.
func timeFigure(a *search.Analysis) *figure {
	var ms []mark
	seen := map[search.Phase]bool{}
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
			seen[t.Phase] = true
			ms = append(ms, mark{net: n.ID, x: hoped, y: t.Seconds, ink: phaseInk(t.Phase), r: 3,
				tip: fmt.Sprintf("%s\nforecast %s, took %s", t.ID, seconds(hoped), seconds(t.Seconds))})
		}
	}
	if len(ms) < 3 {
		return nil
	}
	var keys []dotKey
	for _, p := range phases {
		if seen[p.phase] {
			keys = append(keys, dotKey{p.ink, p.phase.Title()})
		}
	}
	return &figure{
		name: "time", nav: "Time", title: "Trainings: forecast and spent", half: true,
		see:     "Every training by how long it was forecast to take before the first one began, and how long it took. On the dashed line, the forecast was right.",
		caption: "The forecast is a fit to short measurements of a few networks, as many at a time as the search runs.",
		panels:  []*scene{scatterPanel("Time of each training: taken against forecast", "time taken, log scale", "time forecast, log scale", ms, keys, seconds)},
	}
}

// latencyFigure is predicted against measured latency of networks; nil where
// none was measured.
func latencyFigure(a *search.Analysis) *figure {
	var ms []mark
	var keys []dotKey
	for _, key := range []struct {
		stage search.Stage
		dotKey
	}{{search.StageExplore, dotKey{inkDepth, "candidates"}}, {search.StageFinal, dotKey{inkWidth, "comparison"}}} {
		some := false
		for _, n := range a.Of(key.stage) {
			if n.Predicted == nil || !(n.Latency > 0 && n.Predicted.Latency > 0) {
				continue
			}
			some = true
			ms = append(ms, mark{net: n.ID, x: n.Predicted.Latency, y: n.Latency, ink: key.ink, r: 4,
				tip: tip(a, n) + fmt.Sprintf("\npredicted %s, measured %s", seconds(n.Predicted.Latency), seconds(n.Latency))})
		}
		if some {
			keys = append(keys, key.dotKey)
		}
	}
	if len(ms) < 3 {
		return nil
	}
	return &figure{
		name: "latency", nav: "Latency", title: "Latency: predicted and measured", half: true,
		see:     "Time of one image through every network, as it was predicted and as it was then measured on this machine. On the dashed line, the prediction was right.",
		caption: "The search predicts latencies to know which networks are near the budget; those it takes are measured, and the next predictions learn from it.",
		panels:  []*scene{scatterPanel("Latency of each network: measured against predicted", "measured, log scale", "predicted, log scale", ms, keys, seconds)},
	}
}

// phases are the parts of a search, in the order in which it goes through them.
var phases = []struct {
	phase search.Phase
	ink   ink
}{
	{search.PhaseNoise, inkMuted},
	{search.PhaseRung, inkDepth},
	{search.PhaseRerun, inkCompound},
	{search.PhaseSweep, inkResolution},
	{search.PhaseFinal, inkWidth},
}

// phaseInk is the colour of a part of the search.
func phaseInk(p search.Phase) ink {
	for _, x := range phases {
		if x.phase == p {
			return x.ink
		}
	}
	return inkMuted
}

// dotKey is an entry of a legend.
type dotKey struct {
	ink  ink
	text string
}

// dots draws a legend in one line whose base is y.
func (s *scene) dots(y float64, keys []dotKey) {
	x := 4.0
	for _, k := range keys {
		s.circle(x+5, y-4, 4, k.ink, "")
		s.label(x+13, y, k.text, 12, anchorStart, inkMuted)
		x += 13 + textWidth(k.text, 12, false) + 16
	}
}

// scatterPanel draws measured against predicted values of one quantity, with
// the line on which both are the same.
func scatterPanel(title, heading, below string, ms []mark, keys []dotKey, text func(float64) string) *scene {
	e := newExtent()
	var off []float64
	for _, m := range ms {
		e.add(m.x, m.y)
		off = append(off, math.Abs(math.Log(m.y/m.x)))
	}
	slices.Sort(off)
	p := newChart(halfWidth, 410, title)
	p.x.a, p.x.b, p.y.a, p.y.b = 70, p.w-30, p.h-76, 56
	p.logs(e, text)
	xs := p.roomy(timeTicks(p.x.lo, p.x.hi), text)
	p.y.lo, p.y.hi, p.y.log = p.x.lo, p.x.hi, true
	p.axes("", below, xs, xs, text, text)
	p.boldLabel(4, 18, heading, 13, anchorStart, inkText)
	p.label(4, 36, fmt.Sprintf("half of them within %.0f %% of what was predicted", 100*(math.Exp(off[len(off)/2])-1)), 12, anchorStart, inkMuted)
	p.add(item{kind: shapeLine, pts: []point{{p.x.a, p.y.a}, {p.x.b, p.y.b}}, stroke: inkMuted, width: 1.25, dash: []float64{5, 4}})
	p.marks(ms)
	p.dots(p.h-10, keys)
	return p.scene
}
