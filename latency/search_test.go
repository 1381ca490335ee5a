package latency

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"effnet/arch"
)

// meter measures networks on m, and counts.
func (m *machine) meter(t testing.TB, count *int) Meter {
	return func(ctx context.Context, specs []arch.Spec, done func(float64)) ([]Sample, error) {
		var list []Sample
		for i := range specs {
			g, err := specs[i].Graph()
			if err != nil {
				t.Fatalf("measuring %s: %v", specs[i].Name, err)
			}
			*count++
			list = append(list, m.sample(FeaturesOf(g)))
			done(float64(i+1) / float64(len(specs)))
		}
		return list, ctx.Err()
	}
}

const mostMeasurements = maxProbes + maxArms + maxWalk + maxMore + 1

// best is the largest network that holds all limits by the machine's own cost
// function.
func (m *machine) best(base arch.Spec, b arch.Budget, limit time.Duration, sh arch.Shares) (arch.Fitted, error) {
	b.Within = func(s *arch.Spec) bool {
		g, err := s.Graph()
		return err == nil && m.seconds(FeaturesOf(g)) <= limit.Seconds()
	}
	return arch.Fit(base, b, sh)
}

var ratios = []arch.Shares{{D: 0.28, W: 0.29, R: 0.43}, {D: 1, W: 1, R: 1}, {D: 0.1, W: 0.8, R: 0.1}, {D: 1}, {W: 1}, {R: 1}}

// On a machine without noise the search finds the largest network, or one as
// fast within what it takes for equal, and measures few.
func TestSearch(t *testing.T) {
	for _, name := range []string{"b0", "small_300k"} {
		base := arch.MustLookup(name)
		for _, limit := range []time.Duration{time.Millisecond / 2, 12 * time.Millisecond, 150 * time.Millisecond} {
			for _, sh := range ratios {
				m := plain()
				m.curve = func(x Features) float64 { return math.Pow(x.macs()/1e8, 0.05) }
				want, err := m.best(base, arch.Budget{}, limit, sh)
				if err != nil {
					continue // the ratio leads to no network that fast
				}
				count, last := 0, 0.0
				s := Search{Base: base, Shares: sh, Max: limit, Meter: m.meter(t, &count), Progress: func(p Progress) {
					if p.Done < last || p.Done > float64(p.Most) || p.Left < 0 {
						t.Errorf("progress %+v after %v", p, last)
					}
					last = p.Done
				}}
				got, err := s.Run(t.Context())
				if err != nil {
					t.Errorf("%s, %v, %v: %v", name, limit, sh, err)
					continue
				}
				g, _ := got.Spec.Graph()
				took := m.seconds(FeaturesOf(g))
				g, _ = want.Spec.Graph()
				most := m.seconds(FeaturesOf(g))
				if got.Measured.Median > limit || took > limit.Seconds() || took < most*(1-3*resolution) {
					t.Errorf("%s, %v, %v: found %v of the best %.6gs", name, limit, sh, got.Measured.Median, most)
				}
				if count > maxProbes+maxArms+maxWalk+1 || got.Networks > count || got.Networks < 5 {
					t.Errorf("%s, %v, %v: %d measurements, said %d networks", name, limit, sh, count, got.Networks)
				}
				if got.Above != nil && got.Above.Totals.MACs <= got.Totals.MACs {
					t.Errorf("%s, %v, %v: the network above has %d MACs, the answer %d", name, limit, sh, got.Above.Totals.MACs, got.Totals.MACs)
				}
			}
		}
	}
}

// With noise, the answer's own measurement holds the budget, its true latency
// is near, and the number of measurements stays bounded.
func TestSearchNoisy(t *testing.T) {
	base := arch.MustLookup("b0")
	for _, noise := range []float64{0.01, 0.03, 0.1, 0.3} {
		short := 0
		for seed := range uint64(8) {
			m := plain()
			m.noise, m.rng = noise, rand.New(rand.NewPCG(seed, 2))
			count := 0
			limit := 12 * time.Millisecond
			s := Search{Base: base, Shares: ratios[0], Max: limit, Meter: m.meter(t, &count)}
			got, err := s.Run(t.Context())
			if err != nil {
				t.Errorf("noise %v: %v", noise, err)
				continue
			}
			g, _ := got.Spec.Graph()
			took := m.seconds(FeaturesOf(g)) / limit.Seconds()
			if got.Measured.Median > limit || took > 1+4*noise {
				t.Errorf("noise %v: measured %v, truly %.3f of the budget", noise, got.Measured.Median, took)
			}
			if took < 1-3*noise-0.05 {
				short++
			}
			if count > mostMeasurements {
				t.Errorf("noise %v: %d measurements", noise, count)
			}
		}
		if short > 2 {
			t.Errorf("noise %v: %d of 8 answers are far smaller than they could be", noise, short)
		}
	}
}

// In a machine that is busy every other time, a search measures again and finds
// what it finds on a quiet one.
func TestSearchBusy(t *testing.T) {
	base := arch.MustLookup("b0")
	limit := 12 * time.Millisecond
	m := plain()
	want, err := m.best(base, arch.Budget{}, limit, ratios[0])
	if err != nil {
		t.Fatal(err)
	}
	count, calls := 0, 0
	quiet := m.meter(t, &count)
	s := Search{Base: base, Shares: ratios[0], Max: limit, Meter: func(ctx context.Context, specs []arch.Spec, done func(float64)) ([]Sample, error) {
		samples, err := quiet(ctx, specs, done)
		if calls++; calls%2 == 1 {
			for i := range samples {
				samples[i].Median *= 3
				samples[i].P90 *= 6
			}
		}
		return samples, err
	}}
	got, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Measured.Busy() || got.Measured.Median > limit || float64(got.Totals.MACs) < 0.9*float64(want.Totals.MACs) {
		t.Errorf("found %v with %v, want about %v", &got.Totals, got.Measured.Median, &want.Totals)
	}
	if count > 2*mostMeasurements {
		t.Errorf("%d measurements", count)
	}
}

// All budgets hold at once.
func TestSearchBudgets(t *testing.T) {
	base := arch.MustLookup("b0")
	for _, b := range []arch.Budget{
		{MACs: 150e6}, {Params: 3e6}, {Memory: 16 << 20}, {MACs: 10e9, Params: 6e6},
		{Within: func(s *arch.Spec) bool { return s.Resolution <= 200 }},
	} {
		for _, limit := range []time.Duration{2 * time.Millisecond, 50 * time.Millisecond} {
			m := plain()
			want, err := m.best(base, b, limit, ratios[0])
			if b.Within != nil {
				want, err = arch.Fit(base, b, ratios[0])
			}
			if err != nil {
				t.Fatal(err)
			}
			count := 0
			s := Search{Base: base, Shares: ratios[0], Budget: b, Max: limit, Meter: m.meter(t, &count)}
			got, err := s.Run(t.Context())
			if err != nil {
				t.Errorf("%+v: %v", b, err)
				continue
			}
			if !b.Fits(&got.Totals) || b.Within != nil && !b.Within(&got.Spec) || got.Measured.Median > limit {
				t.Errorf("%+v, %v: found %v, %v", b, limit, &got.Totals, got.Measured.Median)
			}
			if limit > 10*time.Millisecond && got.Totals.MACs < want.Totals.MACs {
				t.Errorf("%+v, %v: found %v, the largest is %v", b, limit, &got.Totals, &want.Totals)
			}
		}
	}
}

// What is known from before is not measured again, and new samples are handed out.
func TestSearchKnown(t *testing.T) {
	base := arch.MustLookup("b0")
	m := plain()
	var kept []Sample
	first, second := 0, 0
	s := Search{Base: base, Shares: ratios[0], Max: 12 * time.Millisecond, Meter: m.meter(t, &first), Keep: func(l []Sample) { kept = l }}
	a, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Samples, s.Meter, s.Shares = kept, m.meter(t, &second), arch.Shares{W: 1}
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first < maxArms || second > maxWalk {
		t.Errorf("%d measurements at first and %d with those known", first, second)
	}
	g, _ := a.Spec.Graph()
	x := FeaturesOf(g)
	n := 0
	for i := range kept {
		if kept[i].Features == x {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the answer is %d times among the samples", n)
	}
}

func TestSearchErrors(t *testing.T) {
	base := arch.MustLookup("b0")
	count := 0
	m := plain()
	s := Search{Base: base, Shares: ratios[0], Max: 50 * time.Microsecond, Meter: m.meter(t, &count)}
	_, err := s.Run(t.Context())
	var slow *TooSlowError
	if !errors.As(err, &slow) || slow.Smallest.Median <= s.Max || slow.Smallest.Totals.MACs > 1e6 || count > maxProbes {
		t.Errorf("got %v after %d measurements, want the smallest network and its time", err, count)
	}
	// Found by a search that knows samples.
	s.Max, s.Samples = 12*time.Millisecond, nil
	s.Keep = func(l []Sample) { s.Samples = l }
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Max = 50 * time.Microsecond
	if _, err := s.Run(t.Context()); !errors.As(err, &slow) {
		t.Errorf("got %v, want the smallest network and its time", err)
	}

	s.Max = 0
	if _, err := s.Run(t.Context()); err == nil {
		t.Error("no budget at all was taken")
	}
	s.Max, count = time.Second, 0
	s.Budget = arch.Budget{MACs: 1000}
	if _, err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the smallest has 420464 MACs where 1000 are allowed") || count > 0 {
		t.Errorf("got %v after %d measurements", err, count)
	}

	// An error of the measurement, such as the end of ctx, ends the search.
	s.Budget = arch.Budget{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
