package search

import (
	"cmp"
	"math"
	"slices"

	"effnet/arch"
)

// arm is what scaling one dimension alone gained: accuracies less the base's,
// by the log of what the MACs were multiplied by.
type arm []armPoint

type armPoint struct{ log, gain float64 }

// at interpolates the gain between the points and the base, and keeps the last
// beyond them. Both logs have the sign of the way that the search goes.
func (a arm) at(log float64) float64 {
	last := armPoint{}
	for _, p := range a {
		if math.Abs(log) <= math.Abs(p.log) {
			return last.gain + (p.gain-last.gain)*(log-last.log)/(p.log-last.log)
		}
		last = p
	}
	return last.gain
}

// starSteps is how finely the triangle is looked through.
const starSteps = 20

// balance is the ratio with the largest sum of gains at a factor, as if the
// dimensions did not need one another: what a star can tell. Of equal ones it
// is the nearest to the centre.
func balance(arms *[3]arm, factor float64) arch.Shares {
	way := math.Log(factor)
	best, most := Centre, math.Inf(-1)
	for i := range starSteps + 1 {
		for j := range starSteps + 1 - i {
			s := sharesOf(float64(i), float64(j), float64(starSteps-i-j))
			sum := arms[dimDepth].at(s.D*way) + arms[dimWidth].at(s.W*way) + arms[dimResolution].at(s.R*way)
			if sum > most+1e-12 || sum > most-1e-12 && Distance(s, Centre) < Distance(best, Centre) {
				best, most = s, sum
			}
		}
	}
	return best
}

// star reads the arms from the first rung, which all networks of a star were
// trained in, and the base's noise trials of the same length. ok is false where
// the base or every arm lacks a result.
func (r *Result) star() (ratio arch.Shares, ok bool) {
	epochs := r.Plan.Rungs[0].Epochs
	mean := func(id string, seeds []uint64) float64 {
		var sum float64
		trials := r.outcomes(id, epochs, seeds)
		for _, o := range trials {
			sum += o.Validation.Accuracy()
		}
		return sum / float64(len(trials)) // NaN for none
	}
	base := mean(r.Plan.BaseNet.ID, r.Plan.NoiseSeeds)
	var arms [3]arm
	for i := range r.Plan.Networks {
		n := &r.Plan.Networks[i]
		gain := mean(n.ID, r.Plan.Rungs[0].Seeds) - base
		dim := slices.Index(corners[:], n.Realised)
		if math.IsNaN(gain) || dim < 0 {
			continue
		}
		arms[dim] = append(arms[dim], armPoint{math.Log(float64(n.MACs) / float64(r.Plan.BaseNet.MACs)), gain})
		ok = true
	}
	for dim := range arms {
		slices.SortFunc(arms[dim], func(p, q armPoint) int { return cmp.Compare(math.Abs(p.log), math.Abs(q.log)) })
	}
	if !ok {
		return arch.Shares{}, false
	}
	return balance(&arms, r.Config.Factor), true
}
