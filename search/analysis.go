package search

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// Stage is the part of a search a network belongs to.
type Stage string

const (
	StageBase    Stage = "base"
	StageExplore Stage = "explore"
	StageFinal   Stage = "final"
)

// Role is what a network stands for; most explored ones stand for themselves.
type Role string

const (
	RoleBase       Role = "base"
	RoleDepth      Role = "depth"
	RoleWidth      Role = "width"
	RoleResolution Role = "resolution"
	RoleB0         Role = "b0"
	RoleFast       Role = "fast"     // the ratio that keeps activations low
	RoleCompound   Role = "compound" // explored: the chosen one
	RoleMixed      Role = "mixed"
)

// Stat sums up accuracies of one network over seeds, as shares of one.
type Stat struct {
	N    int
	Mean float64
	SD   float64 // over this network's own seeds; NaN for one
	SE   float64 // of Mean, from the noise pooled over all networks; NaN where there is no estimate
}

// single reports whether the rule grows one dimension alone.
func (r Role) single() bool { return slices.Contains(dimNames[:], string(r)) }

// NetworkResult is one network with its scores.
type NetworkResult struct {
	*Network
	Stage      Stage
	Role       Role
	Seeds      []uint64 // of the finished trials, which the slices below follow
	Accuracies []float64
	Tests      []float64 // empty where the test images were not used
	Validation Stat
	Test       Stat
	// Shrunk is the validation mean of an explored network pulled towards the
	// mean of all, as far as noise explains their spread.
	Shrunk float64
	Failed int // trials that diverged
}

// Analysis is everything derived from a result.
type Analysis struct {
	*Result
	Nets       []NetworkResult
	First      Noise // of the base before everything else, as long as the first rung
	Validation Noise // over all networks and lengths
	Test       Noise // over the networks scored on the test images
	// Pooled is for comparisons on the test images: Test where enough is known
	// of that, else joined with the spread on the validation images.
	Pooled     Noise
	Best       string  // the candidate that is chosen, or ahead so far
	Differ     float64 // p-value of all candidates being equally good; NaN if unknown
	Luck       float64 // by how much the best of as many equal networks as ran in full length would look better than it is
	Flow       []RungFlow
	Surface    *Surface       // nil before the plan
	Saturation [3]*Saturation // of depth, width, resolution; nil before the plan
	Compare    []Comparison
	Across     []Comparison // the same over all factors, one for each rule at two factors or more
	Verdict    Verdict
}

// Analyse derives. It may be called on an unfinished search.
func (r *Result) Analyse() *Analysis { return r.analyse(0, 0) }

// analyse is Analyse with so many bootstrap samples of the curves and surfaces
// and so fine a grid; 0 for the usual ones.
func (r *Result) analyse(draws, steps int) *Analysis {
	a := &Analysis{Result: r, Differ: math.NaN(), Luck: math.NaN()}
	if r.Plan == nil {
		a.Verdict = Verdict{Kind: Unfinished, Text: "The search has not begun its trials yet."}
		return a
	}
	for _, n := range r.Networks() {
		a.Nets = append(a.Nets, r.networkResult(n))
	}
	a.pool()
	a.Flow = a.flow()
	a.explore()
	a.Differ = a.differ()
	a.Surface = a.surface(draws, steps)
	for dim := range a.Saturation {
		a.Saturation[dim] = a.saturation(dim, draws)
	}
	a.compare(draws)
	a.Verdict = a.verdict()
	return a
}

// Net finds a network by name; nil if there is none.
func (a *Analysis) Net(id string) *NetworkResult {
	for i := range a.Nets {
		if a.Nets[i].ID == id {
			return &a.Nets[i]
		}
	}
	return nil
}

// Of lists the networks of a stage.
func (a *Analysis) Of(stage Stage) []*NetworkResult {
	var out []*NetworkResult
	for i := range a.Nets {
		if a.Nets[i].Stage == stage {
			out = append(out, &a.Nets[i])
		}
	}
	return out
}

// Overall is the network to take away: of those compared on the test images
// at the factor validated at the one with the best mean, or, without a
// validation, the explored one that was chosen; nil where there is none yet.
func (a *Analysis) Overall() *NetworkResult {
	var best *NetworkResult
	for _, n := range a.Of(StageFinal) {
		if n.Test.N > 0 && (best == nil || n.Test.Mean > best.Test.Mean) {
			best = n
		}
	}
	if best == nil && a.Choice != nil {
		return a.Net(a.Choice.Winner)
	}
	return best
}

func (r *Result) networkResult(n *Network) NetworkResult {
	res := NetworkResult{Network: n, Stage: r.stage(n.ID), Shrunk: math.NaN()}
	res.Role = r.role(n, res.Stage)
	for _, t := range r.Trials {
		if t.Network == n.ID && t.Error != "" {
			res.Failed++
		}
	}
	for _, t := range r.TrialsOf(n.ID, "") {
		if t.Epochs < r.Plan.Epochs {
			continue
		}
		res.Seeds = append(res.Seeds, t.Seed)
		res.Accuracies = append(res.Accuracies, t.Outcome.Validation.Accuracy())
		if t.Outcome.Test != nil {
			res.Tests = append(res.Tests, t.Outcome.Test.Accuracy())
		}
	}
	return res
}

func (r *Result) stage(id string) Stage {
	is := func(n Network) bool { return n.ID == id }
	switch {
	case id == r.Plan.BaseNet.ID:
		return StageBase
	case slices.ContainsFunc(r.Plan.Networks, is):
		return StageExplore
	}
	return StageFinal
}

func (r *Result) role(n *Network, stage Stage) Role {
	c := r.Choice
	switch {
	case stage == StageBase:
		return RoleBase
	case n.Realised.D == 1:
		return RoleDepth
	case n.Realised.W == 1:
		return RoleWidth
	case n.Realised.R == 1:
		return RoleResolution
	case c != nil && (n.ID == c.Winner || slices.ContainsFunc(c.Compounds, func(x Compound) bool { return x.ID == n.ID })):
		return RoleCompound
	case strings.HasSuffix(n.ID, "-b0"):
		return RoleB0
	case strings.HasSuffix(n.ID, "-fast"):
		return RoleFast
	}
	return RoleMixed
}

// explore says what the candidates' full-length trials are worth, and which is
// ahead.
func (a *Analysis) explore() {
	for _, f := range a.Flow {
		if len(f.Entered) > 0 && f.Entered[0].Seeds > 0 {
			a.Best = f.Entered[0].Network
		}
	}
	if a.Choice != nil {
		a.Best = a.Choice.Winner
	}
	var nets []*NetworkResult
	var means, se2 []float64
	for _, n := range a.Of(StageExplore) {
		if n.Validation.N > 0 {
			nets = append(nets, n)
			means = append(means, n.Validation.Mean)
			se2 = append(se2, n.Validation.SE*n.Validation.SE)
		}
	}
	if len(nets) == 0 {
		return
	}
	shrunk := means
	if a.Validation.DF > 0 {
		shrunk, _ = shrink(means, se2)
		a.Luck = expectedMax(len(nets)) * math.Sqrt(stat.Mean(se2, nil))
	}
	for i, n := range nets {
		n.Shrunk = shrunk[i]
	}
}

// mixed reports whether more than one dimension grew.
func (n *Network) mixed() bool { return max(n.Realised.D, n.Realised.W, n.Realised.R) < mixedShare }

// mixedShare is the share of growth from which on a network counts as grown
// along one dimension.
const mixedShare = 0.9
