package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"effnet/arch"
)

// bases are networks of every family, and how their repeats round.
// Large growth of large bases takes long, so that few of them do it.
var bases = []struct {
	name    string
	factors []float64
}{
	{"efficientnet_b0", []float64{2, 8, 0.5}},
	{"efficientnet_lite0", []float64{2, 0.5}},
	{"mobilenetv1_100", []float64{2, 0.5}},
	{"mobilenetv2_100", []float64{2, 0.5}},
	{"resnet50", []float64{2, 0.5}},
	{"tinynet_a", []float64{4, 0.5}},
	{"tinynet_e", []float64{2, 0.5}},
	{"small_300k", []float64{2, 4, 8, 0.5}},
	{"small_1m", []float64{2, 4, 8, 0.5}},
	{"small_5m", []float64{2, 4, 8, 0.5}},
	{"test", []float64{2, 4, 8, 0.5}},
}

// TestBases enumerates whatever the base, growing and shrinking, and spreads
// over it with every corner that rounding leaves.
func TestBases(t *testing.T) {
	for _, b := range bases {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			base := lookup(b.name)
			for _, factor := range b.factors {
				sp := enumerate(t, b.name, factor, 0.08)
				nets := sp.Spread(16, "")
				if len(nets) < 8 {
					t.Errorf("x%v: %d networks, want at least 8", factor, len(nets))
				}
				for dim, corner := range []arch.Shares{DepthCorner, WidthCorner, ResolutionCorner} {
					n, ok := sp.Corner(dim, factor)
					if !ok {
						if p, err := furthest(sp, dim); err != nil || math.Abs(p/factor-1) <= cornerTolerance {
							t.Errorf("x%v: no %s corner, though %s alone gives %.3f (%v)", factor, dimNames[dim], dimNames[dim], p, err)
						}
						continue
					}
					if n.Realised != corner {
						t.Errorf("x%v: the %s corner lies at %v", factor, dimNames[dim], n.Realised)
					}
				}
				for i := range nets {
					n := &nets[i]
					spec, err := n.Spec(&base)
					if err != nil {
						t.Fatal(err)
					}
					g, err := spec.Graph()
					if err != nil {
						t.Fatal(err)
					}
					if got := g.Cost(); got.MACs != n.MACs {
						t.Errorf("x%v: %s costs %d MACs, recorded are %d", factor, n.ID, got.MACs, n.MACs)
					}
					if s := n.Realised; min(s.D, s.W, s.R) < 0 || math.Abs(s.D+s.W+s.R-1) > 1e-9 {
						t.Errorf("x%v: %s lies at %v", factor, n.ID, s)
					}
					if (n.Depth > 1 || n.Width > 1 || n.Resolution > base.Resolution) == (factor < 1) {
						t.Errorf("x%v: %s has depth %v, width %v, resolution %d from %d", factor, n.ID, n.Depth, n.Width, n.Resolution, base.Resolution)
					}
					for j, st := range spec.Stages {
						if st.Repeats < 1 || (st.Repeats > base.Stages[j].Repeats) != (st.Repeats != base.Stages[j].Repeats && factor > 1) {
							t.Errorf("x%v: %s has %d repeats in stage %d, the base %d", factor, n.ID, st.Repeats, j+1, base.Stages[j].Repeats)
						}
					}
				}
			}
		})
	}
}

// furthest is the cost that a dimension alone reaches nearest to a factor, as
// a multiple of the base's.
func furthest(sp *Space, dim int) (float64, error) {
	base, factor := &sp.Base, sp.Factor
	own, err := base.CostAt(base.Resolution)
	best := math.Inf(1)
	for share := 0.0; share <= maxShare; share += 0.002 {
		var at [3]float64
		at[dim] = share
		s, err := Scale(base, sp.growth(at))
		if err != nil {
			break
		}
		c, err := s.CostAt(s.Resolution)
		if err != nil {
			break
		}
		if x := float64(c.MACs) / float64(own.MACs); math.Abs(math.Log(x/factor)) < math.Abs(math.Log(best/factor)) {
			best = x
		}
	}
	return best, err
}

// TestShrinkComplete compares with a plain grid of factors below 1.
func TestShrinkComplete(t *testing.T) {
	holdsGrid(t, "tinynet_a", 0.5, 0.08, 20, 0.5)
}

// A factor that is none is refused.
func TestFactor(t *testing.T) {
	for _, f := range []float64{0, -1, 1, math.NaN(), math.Inf(1)} {
		if _, err := Enumerate(testBase(), f, 0.1); err == nil {
			t.Errorf("factor %v was taken", f)
		}
	}
}

// slow is a machine whose latency is no multiple of MACs, and whose speed
// changes from one measurement to the next.
type slow struct {
	calls, networks int
	drift           float64
}

func (m *slow) latency(s *arch.Spec) float64 {
	c, err := s.CostAt(s.Resolution)
	if err != nil {
		panic(err)
	}
	return 1e-4 + 1e-9*float64(c.MACs-c.DepthwiseMACs) + 6e-9*float64(c.DepthwiseMACs) + 2e-9*float64(c.Activations)
}

func (m *slow) meter() *Meter {
	return &Meter{Measure: func(_ context.Context, what Measure, specs []arch.Spec) ([]float64, error) {
		m.calls++
		m.networks += len(specs)
		var out []float64
		for i := range specs {
			switch what {
			case MeasureLatency:
				out = append(out, m.latency(&specs[i])*(1+m.drift*float64(m.calls)))
			case MeasureMemory:
				c, err := specs[i].CostAt(specs[i].Resolution)
				if err != nil {
					return nil, err
				}
				out = append(out, 0.9*float64(c.WeightBytes())+0.6*float64(c.PeakBytes)+5e4)
			default:
				return nil, fmt.Errorf("%s is counted", what)
			}
		}
		return out, nil
	}}
}

// Whatever the measure and the limits, what is picked has a measured cost
// within the budget.
func TestMeasured(t *testing.T) {
	for _, name := range []string{"test", "small_1m"} {
		for _, b := range []Budget{
			{Cost: MeasureLatency, Factor: 2, Tolerance: 0.08},
			{Cost: MeasureLatency, Factor: 0.6, Tolerance: 0.08},
			{Cost: MeasureMemory, Factor: 1.5, Tolerance: 0.05, Limits: []Limit{{MeasureMACs, 3}}},
			{Factor: 3, Tolerance: 0.08, Limits: []Limit{{MeasureParams, 2.5}, {MeasureLatency, 2.75}}},
			{Cost: MeasureParams, Factor: 2, Tolerance: 0.08},
			{Cost: MeasureActivations, Factor: 2, Tolerance: 0.08, Limits: []Limit{{MeasureMemory, 1.6}}},
		} {
			t.Run(fmt.Sprintf("%s/%s%v%v", name, b.Cost, b.Factor, b.Limits), func(t *testing.T) {
				t.Parallel()
				base, m := lookup(name), &slow{drift: 0.05}
				sp, err := NewSpace(t.Context(), base, b, m.meter())
				if err != nil {
					t.Fatal(err)
				}
				nets, err := sp.Measured(t.Context(), func() []Network { return sp.Spread(12, "") })
				if err != nil {
					t.Fatal(err)
				}
				if len(nets) < 8 {
					t.Fatalf("%d networks of %d", len(nets), sp.Len())
				}
				real := func(what Measure, s *arch.Spec) float64 {
					c, err := s.CostAt(s.Resolution)
					if err != nil {
						t.Fatal(err)
					}
					counted := countedCosts(&c)
					switch what {
					case MeasureLatency:
						return m.latency(s)
					case MeasureMemory:
						return 0.9*float64(c.WeightBytes()) + 0.6*float64(c.PeakBytes) + 5e4
					}
					return counted.Of(what)
				}
				for i := range nets {
					n := &nets[i]
					s, err := n.Spec(&base)
					if err != nil {
						t.Fatal(err)
					}
					what, err := ParseMeasure(string(b.Cost))
					if err != nil {
						t.Fatal(err)
					}
					ratio := real(what, &s) / real(what, &base)
					if math.Abs(ratio/n.CostRatio-1) > 1e-9 {
						t.Errorf("%s costs %v times the base, recorded is %v", n.ID, ratio, n.CostRatio)
					}
					tolerance := b.Tolerance
					if max(n.Realised.D, n.Realised.W, n.Realised.R) == 1 {
						tolerance = cornerTolerance
					}
					if math.Abs(ratio/b.Factor-1) > tolerance+1e-9 {
						t.Errorf("%s costs %v times the base, want %v", n.ID, ratio, b.Factor)
					}
					for _, l := range b.Limits {
						if x := real(l.Measure, &s) / real(l.Measure, &base); x > l.Factor+1e-9 {
							t.Errorf("%s has %v of the base's %s, the limit is %v", n.ID, x, l.Measure, l.Factor)
						}
					}
					if !what.counted() && n.Costs.Of(what) == 0 {
						t.Errorf("%s has no %s", n.ID, what)
					}
					for _, measure := range []Measure{MeasureMemory, MeasureLatency} {
						cost, guess := n.Costs.Of(measure), 0.0
						if n.Predicted != nil {
							guess = n.Predicted.Of(measure)
						}
						// The machine's pace, which drifts, is in both.
						if cost == 0 != (guess == 0) || cost > 0 && math.Abs(guess/cost-1) > 0.5 {
							t.Errorf("%s has %v %s, predicted were %v", n.ID, cost, measure, guess)
						}
					}
				}
			})
		}
	}
}

// A meter's failure ends the enumeration, and a measure without a meter is named.
func TestMeterErrors(t *testing.T) {
	b := Budget{Cost: MeasureLatency, Factor: 2, Tolerance: 0.08}
	if _, err := NewSpace(t.Context(), testBase(), b, nil); err == nil || !strings.Contains(err.Error(), "latency") {
		t.Errorf("without a meter: %v", err)
	}
	broken := errors.New("broken")
	m := &Meter{Measure: func(context.Context, Measure, []arch.Spec) ([]float64, error) { return nil, broken }}
	if _, err := NewSpace(t.Context(), testBase(), b, m); !errors.Is(err, broken) {
		t.Errorf("got %v, want the meter's error", err)
	}
	m.Measure = func(_ context.Context, _ Measure, s []arch.Spec) ([]float64, error) {
		return make([]float64, len(s)), nil
	}
	if _, err := NewSpace(t.Context(), testBase(), b, m); err == nil || !strings.Contains(err.Error(), "gave 0") {
		t.Errorf("zero seconds: %v", err)
	}
}

// TestRules: every rule has a network of its own, at nearly one cost.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		base   string
		factor float64
		want   int
	}{{"small_300k", 2, 5}, {"small_300k", 4, 5}, {"small_1m", 8, 5}, {"small_1m", 0.5, 4}, {"efficientnet_b0", 2, 5}, {"mobilenetv2_100", 0.5, 5}} {
		sp := enumerate(t, c.base, c.factor, 0.08)
		target := sp.Target(0.08)
		nets := sp.rules(target)
		if len(nets) != c.want {
			t.Errorf("%s x%v: %d rules, want %d", c.base, c.factor, len(nets), c.want)
		}
		keys := map[string]bool{}
		for _, n := range nets {
			if keys[n.key()] || math.Abs(n.CostRatio/target-1) > 0.08 {
				t.Errorf("%s x%v: %s is another rule's network or costs %v, the target is %v", c.base, c.factor, n.ID, n.CostRatio, target)
			}
			keys[n.key()] = true
			rule := n.ID[strings.IndexByte(n.ID, '-')+1:]
			if ratio, ok := map[string]arch.Shares{"b0": B0Shares, "fast": FastShares}[rule]; ok && (Distance(n.Realised, ratio) > ruleDistance || max(n.Realised.D, n.Realised.W, n.Realised.R) == 1) {
				t.Errorf("%s x%v: %s lies at %v", c.base, c.factor, n.ID, n.Realised)
			}
		}
	}
}
