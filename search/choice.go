package search

import (
	"context"
	"errors"
	"fmt"

	"effnet/arch"
)

// winner is the finalist with the best mean accuracy over the fresh seeds on
// the validation images; of equals, the cheaper, then the first. It is nil
// where no finalist finished a training.
func (r *Result) winner() *Network {
	var best *Network
	var bestMean float64
	for _, n := range r.finalists(r.standings()) {
		var mean float64
		trials := r.outcomes(n.ID, r.Plan.Epochs, r.Plan.FreshSeeds)
		for _, o := range trials {
			mean += o.Validation.Accuracy() / float64(len(trials))
		}
		if len(trials) > 0 && (best == nil || mean > bestMean || mean == bestMean && n.MACs < best.MACs) {
			best, bestMean = n, mean
		}
	}
	return best
}

// outcomes are those that a network's trials of so many epochs have so far.
func (r *Result) outcomes(network string, epochs int, seeds []uint64) (out []*Outcome) {
	for _, seed := range seeds {
		if t := r.Trials[TrialID(network, epochs, seed)]; t != nil && t.Outcome != nil {
			out = append(out, t.Outcome)
		}
	}
	return out
}

// choose settles the ratio that is validated and finds the network that has
// it at every factor.
func (r *Result) choose(ctx context.Context, base arch.Spec, m *Meter) (*Choice, error) {
	best := r.winner()
	if best == nil {
		return nil, errors.New("search: no candidate finished its training up to the end: there is no ratio to choose")
	}
	c := &Choice{Winner: best.ID, Ratio: best.Realised}
	if src, err := ParseSource(r.Config.Candidates); err == nil && src.Kind == SourceStar {
		if ratio, ok := r.star(); ok {
			c.Ratio = ratio
		}
	}
	for i := range r.Plan.Finals {
		n, err := r.compound(ctx, &r.Plan.Finals[i], base, c.Ratio, m)
		if err != nil {
			return nil, err
		}
		c.Compounds = append(c.Compounds, n)
	}
	return c, nil
}

// compound finds the network of a ratio at a final's cost.
func (r *Result) compound(ctx context.Context, f *Final, base arch.Spec, ratio arch.Shares, m *Meter) (Compound, error) {
	c := Compound{Factor: f.Factor}
	space, err := NewSpace(ctx, base, r.Config.finalBudget(f.Factor), m)
	if err != nil {
		return c, err
	}
	found, err := space.Measured(ctx, func() []Network {
		if n, ok := space.Near(ratio, f.Target, validateWeight); ok {
			return []Network{n}
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	if len(found) == 0 {
		return c, fmt.Errorf("search: no network near the chosen ratio costs %v times the base", f.Factor)
	}
	n := found[0]
	for i := range f.Networks {
		if f.Networks[i].key() == n.key() {
			c.ID = f.Networks[i].ID
			return c, nil
		}
	}
	n.ID = finalPrefix(f.Factor) + "compound"
	c.ID, c.Network = n.ID, &n
	return c, nil
}
