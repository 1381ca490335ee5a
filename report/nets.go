package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/search"
)

// tip is the hover text of a network.
func tip(a *search.Analysis, n *search.NetworkResult) string {
	t := fmt.Sprintf("%s\ndepth ×%.2f, width ×%.2f, %d px\n%s MACs (%s the base's cost), %s parameters",
		n.ID, n.Depth, n.Width, n.Resolution, count(float64(n.MACs)), factor(n.CostRatio), count(float64(n.Params)))
	if n.Latency > 0 {
		t += ", " + seconds(n.Latency) + " an image"
	}
	if n.Validation.N > 0 {
		t += fmt.Sprintf("\nvalidation %s (%s)", pm(n.Validation.Mean, a.Validation.Half(n.Validation.N)), several(n.Validation.N, "seed"))
	}
	if n.Test.N > 0 {
		t += fmt.Sprintf("\ntest %s (%s)", pm(n.Test.Mean, a.Pooled.Half(n.Test.N)), several(n.Test.N, "seed"))
	}
	return t
}

// pm writes an accuracy with half its interval's width, where that is known:
// 93.41 ± 0.21 %.
func pm(mean, half float64) string {
	if math.IsNaN(half) {
		return pct(mean)
	}
	return fmt.Sprintf("%.2f ± %.2f %%", 100*mean, 100*half)
}

// costName says what a cost is in this search.
func costName(a *search.Analysis) string {
	switch a.Config.Cost {
	case search.MeasureParams:
		return "parameters"
	case search.MeasureActivations:
		return "activations"
	case search.MeasureMemory:
		return "memory"
	case search.MeasureLatency:
		return "latency"
	}
	return "multiply-accumulates"
}

// costAxis names an axis of costs over the base's.
func costAxis(a *search.Analysis) string { return costName(a) + " over the base's" }

// validated are the factors that the search validates at, and those that it
// has given up, as there was no time for them.
func validated(a *search.Analysis) (finals []*search.Final, givenUp []string) {
	for i := range a.Plan.Finals {
		if f := &a.Plan.Finals[i]; len(f.Seeds) > 0 {
			finals = append(finals, f)
		} else {
			givenUp = append(givenUp, factor(f.Factor))
		}
	}
	return finals, givenUp
}

// factors lists those that the search validates at: "2×, 4× and 8×".
func factors(a *search.Analysis) string {
	var names []string
	finals, _ := validated(a)
	for _, f := range finals {
		names = append(names, factor(f.Factor))
	}
	return list(names)
}

// contender finds the network that stands for a rule in the comparison at one
// factor; nil where there is none. Where B0's or the fast ratio was chosen,
// its network stands for both.
func contender(a *search.Analysis, f *search.Final, r search.Role) *search.NetworkResult {
	if r == search.RoleCompound {
		if a.Choice == nil {
			return nil
		}
		return a.Net(a.Choice.Compound(f.Factor))
	}
	for i := range f.Networks {
		n := a.Net(f.Networks[i].ID)
		if n != nil && (n.Role == r || strings.HasSuffix(n.ID, "-"+string(r))) {
			return n
		}
	}
	return nil
}

// score is a network's accuracy: on the test images where test is set, else on
// the validation images.
func score(a *search.Analysis, n *search.NetworkResult, test bool) (mean, half float64, ok bool) {
	s, noise := n.Validation, a.Validation
	if test {
		s, noise = n.Test, a.Pooled
	}
	return s.Mean, noise.Half(s.N), s.N > 0
}

// tested reports whether any network was scored on the test images.
func tested(a *search.Analysis) bool {
	return slices.ContainsFunc(a.Nets, func(n search.NetworkResult) bool { return n.Test.N > 0 })
}

// scoredOn names the images.
func scoredOn(test bool) string {
	if test {
		return "test images"
	}
	return "validation images"
}

// networkMark is the mark of a network that has the score.
func networkMark(a *search.Analysis, n *search.NetworkResult, x float64, test bool) (m mark, ok bool) {
	mean, half, ok := score(a, n, test)
	return mark{net: n.ID, x: x, y: mean, half: half, ink: roleInk(n.Role), r: 4.5, tip: tip(a, n)}, ok
}

// explored lists the candidates with a training of full length, best first.
func explored(a *search.Analysis) []*search.NetworkResult {
	var nets []*search.NetworkResult
	for _, n := range a.Of(search.StageExplore) {
		if n.Validation.N > 0 {
			nets = append(nets, n)
		}
	}
	slices.SortStableFunc(nets, func(x, y *search.NetworkResult) int {
		return cmp.Compare(y.Validation.Mean, x.Validation.Mean)
	})
	return nets
}

// barsText says what bars around means are.
func barsText(a *search.Analysis) string {
	if a.Validation.DF == 0 && a.Pooled.DF == 0 {
		return "With one seed there is no estimate of the noise and no interval."
	}
	return "Bars are 95 % intervals of the mean over seeds, from the noise pooled over all networks."
}

// trialsWhere lists the trials that keep holds for by their networks' names,
// each network's by seed.
func trialsWhere(a *search.Analysis, keep func(*search.TrialResult) bool) map[string][]*search.TrialResult {
	out := map[string][]*search.TrialResult{}
	for _, t := range a.Trials {
		if keep(t) {
			out[t.Network] = append(out[t.Network], t)
		}
	}
	for _, ts := range out {
		slices.SortFunc(ts, func(x, y *search.TrialResult) int {
			return cmp.Or(cmp.Compare(x.Epochs, y.Epochs), cmp.Compare(x.Seed, y.Seed))
		})
	}
	return out
}

// trialsMean is the mean accuracy of the finished trials; NaN
// without any.
func trialsMean(trials []*search.TrialResult) (mean float64, n int) {
	for _, t := range trials {
		if t.Outcome != nil {
			mean += t.Outcome.Validation.Accuracy()
			n++
		}
	}
	return mean / float64(n), n
}
