package search

import "math"

// surfacePoints are the trials that the response surface is fitted to: those
// of candidates in full length of their rung. Trials on fresh seeds are as
// long as the last rung's.
func (r *Result) surfacePoints() (points []SurfacePoint) {
	for i := range r.Plan.Networks {
		n := &r.Plan.Networks[i]
		for _, t := range r.TrialsOf(n.ID, "") {
			if t.Outcome.Stopped > 0 || t.Phase != PhaseRung && t.Phase != PhaseRerun {
				continue
			}
			rung := t.Rung
			if t.Phase == PhaseRerun {
				rung = len(r.Plan.Rungs) - 1
			}
			points = append(points, SurfacePoint{
				Network: n.ID, Shares: n.Realised, LogCost: math.Log(n.CostRatio),
				Rung: rung, Seed: t.Seed, Accuracy: t.Outcome.Validation.Accuracy(),
			})
		}
	}
	return points
}

// surface fits the response surface to what there is.
func (a *Analysis) surface(draws, steps int) *Surface {
	return FitSurface(a.surfacePoints(), SurfaceOptions{
		LogCost: math.Log(a.Config.Factor), NoiseSS: a.First.ss(), NoiseDF: a.First.DF,
		Seed: a.Config.Seed, Draws: draws, Steps: steps,
	})
}

// saturation fits each dimension's curve to the full-length trials of the base
// and of the networks that grew along that dimension alone.
func (a *Analysis) saturation(dim, draws int) *Saturation {
	var points []SaturationPoint
	for _, n := range a.Networks() {
		if n.ID != a.Plan.BaseNet.ID && n.Realised != corners[dim] {
			continue
		}
		for _, t := range a.TrialsOf(n.ID, "") {
			if t.Epochs == a.Plan.Epochs && t.Outcome.Stopped == 0 {
				points = append(points, SaturationPoint{Network: n.ID, Cost: n.CostRatio, Seed: t.Seed, Accuracy: t.Outcome.Validation.Accuracy()})
			}
		}
	}
	return FitSaturation(dimNames[dim], points, draws, a.Config.Seed)
}

// callLevel is the p-value at which networks are said to differ. The tests keep
// their level on normal noise; the margin below 5 % is for noise that is not
// quite normal.
const callLevel = 0.04

// Differing reports whether the candidates are said to differ.
func (a *Analysis) Differing() bool { return a.Differ <= callLevel }

// differ is the p-value of all candidates being equally good: a two-way
// analysis of variance, by network and seed, of the first rung, which all of
// them run. Later rungs have those that were good or lucky, and would need the
// selection to be accounted for. What is left inside is joined with the noise
// measured before. NaN where nothing tells the noise.
func (a *Analysis) differ() float64 {
	var y, weight []float64
	var network, seed []int
	seeds := map[uint64]int{}
	networks := 0
	for i := range a.Plan.Networks {
		some := false
		for _, t := range a.TrialsOf(a.Plan.Networks[i].ID, PhaseRung) {
			if t.Rung > 0 || t.Outcome.Stopped > 0 {
				continue
			}
			if _, ok := seeds[t.Seed]; !ok {
				seeds[t.Seed] = len(seeds)
			}
			some = true
			y, weight = append(y, t.Outcome.Validation.Accuracy()), append(weight, 1)
			network, seed = append(network, i), append(seed, seeds[t.Seed])
		}
		if some {
			networks++
		}
	}
	if networks < 2 {
		return math.NaN()
	}
	part := newResidual(y, weight)
	for s := range len(seeds) {
		part.remove(indicator(seed, s))
	}
	full := part.clone()
	for i := range a.Plan.Networks {
		full.remove(indicator(network, i))
	}
	return fTest(part, full, a.First.ss(), a.First.DF)
}
