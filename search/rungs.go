package search

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Successive halving (Jamieson and Talwalkar, "Non-stochastic Best Arm
// Identification and Hyperparameter Optimization", 2016): many networks train
// briefly, the best of them again for longer, and so on. Asynchronous
// (Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020)
// without its dependence on who ends first: a network is promoted as soon as
// no outcome still to come can take its place, never on the strength of the
// outcomes so far alone.

// standing is what the outcomes so far say of a rung.
type standing struct {
	entered []*Network // as far as known, in plan order
	settled bool       // every trial has ended, and those that enter are all known
	cut     Cut        // certain so far; whole when settled
}

// entrant is a network of a rung.
type entrant struct {
	net   *Network
	order int // in the plan: the earlier of equals ranks first
	state entrantState
	// correct counts validation images over the rung's seeds: all networks are
	// scored on the same ones, so sums compare exactly.
	correct int
}

type entrantState uint8

// In the order that they are ranked in.
const (
	entrantScored entrantState = iota // all have an outcome in full length
	entrantOut                        // one has none: it diverged, or was stopped
	entrantOpen                       // a trial has not ended
)

// standings ranks every rung.
func (r *Result) standings() []standing {
	p := r.Plan
	chosen := p.choosable()
	out := make([]standing, len(p.Rungs))
	entered := make([]*Network, len(p.Networks))
	order := map[*Network]int{}
	for i := range p.Networks {
		entered[i] = &p.Networks[i]
		order[entered[i]] = i
	}
	known := true // all that enter are known
	for k := range p.Rungs {
		rung := &p.Rungs[k]
		out[k].entered, out[k].cut.Rung = entered, k
		var ranked, singles []entrant
		for _, n := range entered {
			e := r.entrant(rung, n, order[n])
			if chosen(n) {
				ranked = append(ranked, e)
			} else {
				singles = append(singles, e)
			}
		}
		quota := p.Finalists
		if k+1 < len(p.Rungs) {
			quota = p.Rungs[k+1].Networks
		}
		unknown := 0
		if !known {
			unknown = max(0, rung.Networks-len(entered))
		}
		known = promote(&out[k].cut, ranked, unknown, quota) && known
		out[k].settled = known
		slices.SortFunc(singles, compareEntrants)
		for _, e := range singles {
			out[k].settled = out[k].settled && e.state != entrantOpen
			if e.state != entrantOpen {
				out[k].cut.Singles = append(out[k].cut.Singles, e.net.ID)
			}
		}
		entered = nil
		for i := range p.Networks {
			if slices.Contains(out[k].cut.Promoted, p.Networks[i].ID) {
				entered = append(entered, &p.Networks[i])
			}
		}
	}
	return out
}

// promote fills in what is certain: of the ranked, and of as many more that
// are not known yet, the best quota are promoted. It reports whether that is
// all there will be.
func promote(c *Cut, ranked []entrant, unknown, quota int) (settled bool) {
	slices.SortFunc(ranked, compareEntrants)
	open := unknown
	for _, e := range ranked {
		if e.state == entrantOpen {
			open++
		}
	}
	c.Promoted, c.Dropped = []string{}, []string{}
	for i, e := range ranked {
		switch {
		case e.state == entrantOpen:
		case e.state == entrantScored && i+open < quota: // though all those open should pass it
			c.Promoted = append(c.Promoted, e.net.ID)
		case e.state == entrantOut || i >= quota:
			c.Dropped = append(c.Dropped, e.net.ID)
		}
	}
	return open == 0
}

// compareEntrants orders the scored, best first, then the others.
func compareEntrants(a, b entrant) int {
	return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(b.correct, a.correct), cmp.Compare(a.order, b.order))
}

// entrant reads a network's outcomes in a rung.
func (r *Result) entrant(rung *Rung, n *Network, order int) entrant {
	e := entrant{net: n, order: order, state: entrantScored}
	for _, seed := range rung.Seeds {
		t := r.Trials[TrialID(n.ID, rung.Epochs, seed)]
		switch {
		case !t.Ended():
			e.state = entrantOpen
		case t.Outcome == nil || t.Outcome.Stopped > 0:
			e.state, e.correct = entrantOut, 0
			return e
		default:
			e.correct += t.Outcome.Validation.Correct
		}
	}
	if e.state == entrantOpen {
		e.correct = 0
	}
	return e
}

// choosable tells the candidates whose ratio may be chosen: those that grew
// along more than one dimension, or all where there is none of that kind.
func (p *Plan) choosable() func(*Network) bool {
	if slices.ContainsFunc(p.Networks, func(n Network) bool { return n.mixed() }) {
		return (*Network).mixed
	}
	return func(*Network) bool { return true }
}

// choices counts the candidates whose ratio may be chosen.
func (p *Plan) choices() int {
	k, chosen := 0, p.choosable()
	for i := range p.Networks {
		if chosen(&p.Networks[i]) {
			k++
		}
	}
	return k
}

// floorSigmas is how many standard deviations of the noise a trial may lie
// below the worst of the scouts.
const floorSigmas = 3

// scouts are the candidates that the first rung's floor is taken from: of each
// single dimension the one whose cost is nearest to the factor.
func (r *Result) scouts() []*Network {
	var out []*Network
	off := func(n *Network) float64 { return math.Abs(math.Log(n.CostRatio / r.Config.Factor)) }
	for dim := range dimNames {
		var best *Network
		for i := range r.Plan.Networks {
			n := &r.Plan.Networks[i]
			if share := [3]float64{n.Realised.D, n.Realised.W, n.Realised.R}[dim]; share >= mixedShare && (best == nil || off(n) < off(best)) {
				best = n
			}
		}
		if best != nil {
			out = append(out, best)
		}
	}
	return out
}

// isScout reports whether n is one of the scouts.
func (r *Result) isScout(n *Network) bool { return slices.Contains(r.scouts(), n) }

// floor is the first rung's [Trial.Floor] for all but the scouts, once those
// and the noise's trials have ended. It is set for the second half of the
// epochs: the worst scout after that epoch, less three standard deviations
// between the trials of the noise. Empty where there is nothing to take it
// from.
func (r *Result) floor() (floor []float64, settled bool) {
	p := r.Plan
	rung := &p.Rungs[0]
	var noise, scouts [][]Point
	add := func(to *[][]Point, n *Network, seeds []uint64) bool {
		for _, seed := range seeds {
			t := r.Trials[TrialID(n.ID, rung.Epochs, seed)]
			if !t.Ended() {
				return false
			}
			if t.Outcome != nil && len(t.Outcome.Curve) == rung.Epochs {
				*to = append(*to, t.Outcome.Curve)
			}
		}
		return true
	}
	if !add(&noise, &p.BaseNet, p.NoiseSeeds) {
		return nil, false
	}
	for _, n := range r.scouts() {
		if !add(&scouts, n, rung.Seeds) {
			return nil, false
		}
	}
	first := rung.Epochs/2 + 1
	if len(noise) < 2 || len(scouts) == 0 || first >= rung.Epochs {
		return nil, true
	}
	// Few trials say little about an epoch's spread: it counts as no smaller
	// than that of all these epochs together.
	sds := make([]float64, rung.Epochs)
	var sum float64
	for e := first; e < rung.Epochs; e++ {
		sds[e] = stat.StdDev(accuraciesAt(noise, e), nil)
		sum += sds[e] * sds[e]
	}
	pooled := math.Sqrt(sum / float64(rung.Epochs-first))
	floor = make([]float64, rung.Epochs-1)
	for e := first; e < rung.Epochs; e++ {
		floor[e-1] = max(0, slices.Min(accuraciesAt(scouts, e))-floorSigmas*max(sds[e], pooled))
	}
	return floor, true
}

// accuraciesAt is every curve's accuracy after epoch e.
func accuraciesAt(curves [][]Point, e int) []float64 {
	var out []float64
	for _, c := range curves {
		out = append(out, c[e-1].Accuracy)
	}
	return out
}
