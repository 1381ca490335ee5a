package search

import (
	"context"
	"fmt"
	"math"

	"effnet/arch"
)

// Meter finds out what the rows of a network do not say: the memory of its
// inference plan and its latency.
type Meter struct {
	// Measure measures networks by turns: bytes or seconds, in their order.
	Measure func(ctx context.Context, m Measure, specs []arch.Spec) ([]float64, error)
	// Model predicts m of a network from measurements of others, scalings of
	// the same base. It must not fall as the resolution grows. Where there is
	// none, or it gives none, memory is a sum of weights and activations,
	// latency of MACs and activations, each times a constant.
	Model func(m Measure, specs []arch.Spec, values []float64) (func(*arch.Spec) (float64, error), error)
}

// gauge tells what networks cost in one measure, as a multiple of the base's.
type gauge struct {
	measure Measure
	most    float64 // of a limit
	base    float64 // the base's cost

	// What follows is of measures that are not counted. Values are in units of
	// one measurement of the base: a machine that is slower for a while is so
	// for the base, too, which is measured along.
	predict func(*arch.Spec) (float64, error)
	specs   []arch.Spec
	values  []float64
	known   map[place]measured
}

// measured is a network's own cost and that over the base's, measured by turns,
// and the cost that was predicted before.
type measured struct{ value, ratio, predicted float64 }

func (g *gauge) knows(at place) bool { _, ok := g.known[at]; return ok }

// guess is the counted or predicted cost over the base's.
func (g *gauge) guess(s *arch.Spec, t *arch.Totals) (float64, error) {
	if g.predict == nil {
		c := countedCosts(t)
		return c.Of(g.measure) / g.base, nil
	}
	x, err := g.predict(s)
	return x / g.base, err
}

// ratio is the measured cost over the base's, else the guess.
func (g *gauge) ratio(at place, s *arch.Spec, t *arch.Totals) (float64, error) {
	if m, ok := g.known[at]; ok {
		return m.ratio, nil
	}
	return g.guess(s, t)
}

// gauges readies the budget's measures.
func (sp *Space) gauges(ctx context.Context) error {
	add := func(m Measure, most float64) (*gauge, error) {
		m, err := ParseMeasure(string(m))
		if err != nil {
			return nil, err
		}
		g := &gauge{measure: m, most: most, known: map[place]measured{}}
		if m.counted() {
			t, err := sp.Base.CostAt(sp.Base.Resolution)
			c := countedCosts(&t)
			g.base = c.Of(m)
			return g, err
		}
		if sp.meter == nil {
			return nil, fmt.Errorf("search: a budget in %s needs a way to measure it", m)
		}
		return g, nil
	}
	var err error
	if sp.cost, err = add(sp.Cost, 0); err != nil {
		return err
	}
	for _, l := range sp.Limits {
		g, err := add(l.Measure, l.Factor)
		if err != nil {
			return err
		}
		sp.limits = append(sp.limits, g)
	}
	return sp.calibrate(ctx)
}

// measured are the gauges whose costs are measured.
func (sp *Space) measured() (out []*gauge) {
	for _, g := range append([]*gauge{sp.cost}, sp.limits...) {
		if !g.measure.counted() {
			out = append(out, g)
		}
	}
	return out
}

// predicts reports whether costs are predicted.
func (sp *Space) predicts() bool { return len(sp.measured()) > 0 }

// calibrationNetworks are measured, besides the base, before the first
// prediction.
const calibrationNetworks = 8

// calibrate measures the base and networks spread around the factor, by MACs.
func (sp *Space) calibrate(ctx context.Context) error {
	gauges := sp.measured()
	if len(gauges) == 0 {
		return nil
	}
	macs, err := Enumerate(sp.Base, sp.Factor, cornerTolerance)
	if err != nil {
		return err
	}
	var specs []arch.Spec
	for _, n := range macs.Spread(calibrationNetworks, "") {
		s, err := n.Spec(&sp.Base)
		if err != nil {
			return err
		}
		specs = append(specs, s)
	}
	for _, g := range gauges {
		if _, err := g.measureAll(ctx, sp.meter, &sp.Base, specs); err != nil {
			return err
		}
		if err := g.learn(sp.meter); err != nil {
			return err
		}
	}
	return nil
}

// measureAll measures specs along with the base and keeps the results to learn
// from.
func (g *gauge) measureAll(ctx context.Context, m *Meter, base *arch.Spec, specs []arch.Spec) ([]measured, error) {
	values, err := m.Measure(ctx, g.measure, append([]arch.Spec{*base}, specs...))
	if err != nil {
		return nil, fmt.Errorf("search: measuring %s: %w", g.measure, err)
	}
	for i, x := range values {
		if !(x > 0) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("search: measuring %s: network %d of %d gave %v, want a number above 0", g.measure, i+1, len(values), x)
		}
	}
	if g.base == 0 {
		g.base = values[0]
		g.specs, g.values = append(g.specs, *base), append(g.values, g.base)
	}
	out := make([]measured, len(specs))
	for i := range specs {
		out[i] = measured{value: values[i+1], ratio: values[i+1] / values[0]}
		g.specs, g.values = append(g.specs, specs[i]), append(g.values, out[i].ratio*g.base)
	}
	return out, nil
}

// learn makes the predictions follow from all that has been measured.
func (g *gauge) learn(m *Meter) error {
	if m.Model != nil {
		predict, err := m.Model(g.measure, g.specs, g.values)
		if g.predict = predict; err != nil || predict != nil {
			return err
		}
	}
	features := func(s *arch.Spec) (u, v float64, err error) {
		t, err := s.CostAt(s.Resolution)
		if g.measure == MeasureMemory {
			return float64(t.WeightBytes()), float64(t.PeakBytes), err
		}
		return float64(t.MACs), float64(t.Activations), err
	}
	u, v := make([]float64, len(g.specs)), make([]float64, len(g.specs))
	for i := range g.specs {
		var err error
		if u[i], v[i], err = features(&g.specs[i]); err != nil {
			return err
		}
	}
	a, b := fitTwo(u, v, g.values)
	g.predict = func(s *arch.Spec) (float64, error) {
		u, v, err := features(s)
		return a*u + b*v, err
	}
	return nil
}

// measureRounds is how often picks are made and measured: each round the
// predictions are better, and measured networks that missed the budget gone.
const measureRounds = 6

// Measured is what pick picks from the space, all of it with costs that were
// counted or measured. Networks that turn out to be outside the budget are
// replaced by others; where predictions stay too poor for that, they are left
// out.
func (sp *Space) Measured(ctx context.Context, pick func() []Network) ([]Network, error) {
	gauges := sp.measured()
	for round := 0; ; round++ {
		nets := pick()
		var places []place
		var specs []arch.Spec
		var kept []Network
		for i := range nets {
			at, ok := sp.places[nets[i].key()]
			if !ok {
				return nil, fmt.Errorf("search: network %s is not of this space", nets[i].ID)
			}
			known := true
			for _, g := range gauges {
				known = known && g.knows(at)
			}
			if known {
				kept = append(kept, nets[i])
				continue
			}
			s, err := nets[i].Spec(&sp.Base)
			if err != nil {
				return nil, err
			}
			places, specs = append(places, at), append(specs, s)
		}
		if len(places) == 0 || round == measureRounds {
			return kept, nil
		}
		for _, g := range gauges {
			guesses := make([]float64, len(specs))
			for i := range specs {
				var err error
				if guesses[i], err = g.predict(&specs[i]); err != nil {
					return nil, err
				}
			}
			values, err := g.measureAll(ctx, sp.meter, &sp.Base, specs)
			if err != nil {
				return nil, err
			}
			for i, at := range places {
				// At the pace that the machine had while it measured.
				values[i].predicted = guesses[i] / g.base * values[i].value / values[i].ratio
				g.known[at] = values[i]
			}
			if err := g.learn(sp.meter); err != nil {
				return nil, err
			}
		}
		if err := sp.fill(); err != nil {
			return nil, err
		}
	}
}
