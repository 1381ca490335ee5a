package search

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"effnet/internal/words"
)

// Noise is how much a training of the same network varies with its seed.
type Noise struct {
	SD float64
	DF int
}

// Half is half the width of the 95 % interval of a mean over so many seeds;
// NaN where there is no estimate.
func (n Noise) Half(seeds int) float64 {
	if n.DF == 0 || seeds == 0 {
		return math.NaN()
	}
	return tQuantile(1-(1-level)/2, float64(n.DF)) * n.SD / math.Sqrt(float64(seeds))
}

// Interval is the 95 % interval of the standard deviation.
func (n Noise) Interval() (lo, hi float64) {
	if n.DF == 0 {
		return 0, math.Inf(1)
	}
	chi := distuv.ChiSquared{K: float64(n.DF)}
	at := func(p float64) float64 { return n.SD * math.Sqrt(float64(n.DF)/chi.Quantile(p)) }
	return at((1 + level) / 2), at((1 - level) / 2)
}

// Seeds is how many seeds a network it takes to see a true difference d
// between two networks with 80 % power at the 5 % level; 0 where no number
// known to be enough exists.
func (n Noise) Seeds(d float64) int {
	if n.DF == 0 {
		return 0
	}
	return seedsNeeded(d, n.SD, 0)
}

// powerDifferences are those that [Noise.String] gives the seeds for.
var powerDifferences = []float64{0.002, 0.005, 0.01}

// String says it in a sentence.
func (n Noise) String() string {
	if n.DF == 0 {
		return "The noise of a training is not known yet."
	}
	lo, hi := n.Interval()
	s := fmt.Sprintf("Trainings that differ in nothing but the seed vary by %s points (standard deviation; 95 %% interval %s to %s, %s of freedom).",
		Points(n.SD), Points(lo), Points(hi), words.Plural(n.DF, "degree"))
	for i, d := range powerDifferences {
		switch {
		case i == 0:
			s += " To see a difference of "
		case i == len(powerDifferences)-1:
			s += " or "
		default:
			s += ", "
		}
		s += fmt.Sprintf("%s points takes %s", Points(d), words.Plural(n.Seeds(d), "seed"))
	}
	return s + " (80 % power)."
}

// ss is the sum of squares behind the estimate.
func (n Noise) ss() float64 {
	if n.DF == 0 {
		return 0
	}
	return n.SD * n.SD * float64(n.DF)
}

// firstNoise is the spread of the base's trials before everything else, and
// whether all of them have ended.
func (r *Result) firstNoise() (n Noise, settled bool) {
	settled = true
	var accs []float64
	for _, seed := range r.Plan.NoiseSeeds {
		t := r.Trials[TrialID(r.Plan.BaseNet.ID, r.Plan.Rungs[0].Epochs, seed)]
		switch {
		case !t.Ended():
			settled = false
		case t.Outcome != nil && t.Outcome.Stopped == 0:
			accs = append(accs, t.Outcome.Validation.Accuracy())
		}
	}
	n.SD, n.DF = pooledSD([][]float64{accs})
	return n, settled
}

// enoughTests is from how many degrees of freedom on the noise on the test
// images is known by itself.
const enoughTests = 10

// pool estimates the noise and with it every mean's standard error. Trials of
// one network count as alike when they are as long and of one phase: in the
// last rung, only what was good so far is left, on fresh seeds it is as it is.
func (a *Analysis) pool() {
	type alike struct {
		network string
		epochs  int
		phase   Phase
	}
	groups := map[alike][]float64{}
	var order []alike
	for i := range a.Nets {
		for _, t := range a.TrialsOf(a.Nets[i].ID, "") {
			if t.Outcome.Stopped > 0 {
				continue
			}
			k := alike{t.Network, t.Epochs, t.Phase}
			if groups[k] == nil {
				order = append(order, k)
			}
			groups[k] = append(groups[k], t.Outcome.Validation.Accuracy())
		}
	}
	var vals, tests, all [][]float64
	for _, k := range order {
		vals = append(vals, groups[k])
		if k.phase != PhaseFinal {
			all = append(all, groups[k])
		}
	}
	for i := range a.Nets {
		tests = append(tests, a.Nets[i].Tests)
	}
	all = append(all, tests...)
	a.First, _ = a.firstNoise()
	a.Validation.SD, a.Validation.DF = pooledSD(vals)
	a.Test.SD, a.Test.DF = pooledSD(tests)
	a.Pooled.SD, a.Pooled.DF = pooledSD(all)
	if a.Test.DF >= enoughTests {
		a.Pooled = a.Test
	}
	of := func(xs []float64, noise Noise) Stat {
		s := Stat{N: len(xs)}
		s.Mean, s.SD = meanSD(xs)
		s.SE = noise.SD / math.Sqrt(float64(len(xs)))
		return s
	}
	for i := range a.Nets {
		a.Nets[i].Validation = of(a.Nets[i].Accuracies, a.Validation)
		a.Nets[i].Test = of(a.Nets[i].Tests, a.Pooled)
	}
}
