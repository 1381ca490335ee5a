package report

import (
	"fmt"

	"effnet/search"
)

// computeBar is a part of the search and what it took.
type computeBar struct {
	name    string
	flops   float64
	ink     ink
	instead bool // what was not done
	tip     string
}

// computeFigure is where the compute went, beside that of training every
// candidate in full length.
func computeFigure(a *search.Analysis) *figure {
	var bars []computeBar
	add := func(name string, p search.Phase, keep func(*search.TrialResult) bool) {
		trials, epochs, flops := 0, 0, 0.0
		of := trialsWhere(a, func(t *search.TrialResult) bool { return t.Outcome != nil && t.Phase == p && keep(t) })
		for i := range a.Nets {
			for _, t := range of[a.Nets[i].ID] {
				e := trained(t)
				trials++
				epochs += e
				flops += trainingFLOPs(a, a.Nets[i].MACs, e)
			}
		}
		if trials > 0 {
			bars = append(bars, computeBar{name: name, flops: flops, ink: phaseInk(p),
				tip: fmt.Sprintf("%s: %s in %s, %s in all", name, flopsText(flops), several(trials, "training"), several(epochs, "epoch"))})
		}
	}
	any := func(*search.TrialResult) bool { return true }
	add(search.PhaseNoise.Title(), search.PhaseNoise, any)
	for k, r := range a.Plan.Rungs {
		add(fmt.Sprintf("%s: %s", search.RungTitle(k), several(r.Epochs, "epoch")), search.PhaseRung, func(t *search.TrialResult) bool { return t.Rung == k })
	}
	add(search.PhaseRerun.Title(), search.PhaseRerun, any)
	add(search.PhaseSweep.Title(), search.PhaseSweep, any)
	add(search.FinalTitle(1), search.PhaseFinal, func(t *search.TrialResult) bool { return t.Network == a.Plan.BaseNet.ID })
	for i := range a.Plan.Finals {
		f := &a.Plan.Finals[i]
		own := map[string]bool{}
		for _, n := range f.Networks {
			own[n.ID] = true
		}
		if a.Choice != nil {
			own[a.Choice.Compound(f.Factor)] = true
		}
		add(search.FinalTitle(f.Factor), search.PhaseFinal, func(t *search.TrialResult) bool { return own[t.Network] })
	}
	if len(bars) < 2 {
		return nil
	}
	f := &figure{
		name: "compute", nav: "Compute", title: "Where the compute went", half: true,
		see:     "Training operations of each part of the search.",
		caption: "Six operations a multiply-accumulate and training image: forwards, and backwards twice.",
	}
	if s := sums(a); len(a.Plan.Rungs) > 1 {
		bars = append(bars, computeBar{name: "exhaustive grid", flops: s.exhaustive, ink: inkMuted, instead: true,
			tip: fmt.Sprintf("every candidate in full length, %s each: %s", several(s.seeds, "seed"), flopsText(s.exhaustive))})
		f.see += " The dashed bar is what a grid would have taken in place of noise, rungs and re-runs: every candidate in full length on as many seeds as the re-runs."
	}
	f.panels = []*scene{computeChart(bars)}
	return f
}

// computeChart draws a bar a part.
func computeChart(bars []computeBar) *scene {
	const row, top, left = 34.0, 16.0, 148.0
	s := &scene{w: halfWidth, h: top + row*float64(len(bars)) + 40, title: "Training operations of each part of the search"}
	most := 0.0
	for _, b := range bars {
		most = max(most, b.flops)
	}
	x := scale{hi: most, a: left, b: s.w - 92}
	bottom := top + row*float64(len(bars))
	ticks, _ := linearTicks(0, most, 4)
	for _, v := range ticks {
		s.line(x.at(v), top, x.at(v), bottom, inkGrid, 1)
		s.label(x.at(v), bottom+18, flopsText(v), 12, anchorMiddle, inkMuted)
	}
	for i, b := range bars {
		y := top + row*float64(i)
		s.label(4, y+21, clipText(b.name, 12, false, left-12), 12, anchorStart, inkText)
		it := item{kind: shapeArea, pts: []point{{x.a, y + 7}, {x.at(b.flops), y + 7}, {x.at(b.flops), y + row - 7}, {x.a, y + row - 7}}, fill: b.ink, tip: b.tip}
		if b.instead {
			it.fill, it.stroke, it.width, it.dash = inkPaper, b.ink, 1.5, []float64{4, 3}
		}
		s.add(it)
		s.label(x.at(b.flops)+7, y+21, flopsText(b.flops), 12, anchorStart, inkText)
	}
	return s
}
