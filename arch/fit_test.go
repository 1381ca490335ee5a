package arch

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func b0Shares(t testing.TB) Shares {
	sh, err := B0Compound.Shares()
	if err != nil {
		t.Fatal(err)
	}
	return sh
}

// Nothing on a fine grid of the line that fits is larger than what Fit found.
func TestFitAgainstGrid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSpec(t)
		s.Resolution = max(s.Resolution, s.MinResolution())
		sh, err := Shares{
			rapid.SampledFrom([]float64{0, 0.2, 1}).Draw(t, "d"),
			rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "w"),
			rapid.SampledFrom([]float64{0.5, 0, 1}).Draw(t, "r"),
		}.normal()
		if err != nil {
			return
		}
		base, err := s.CostAt(s.Resolution)
		if err != nil {
			t.Fatal(err)
		}
		limit := func(label string, x int64) int64 {
			return int64(float64(x) * rapid.SampledFrom([]float64{0, 0.3, 0.9, 1, 1.5, 3, 8}).Draw(t, label))
		}
		b := Budget{MACs: limit("macs", base.MACs), Params: limit("params", base.Params), Memory: limit("memory", base.InferenceBytes())}
		if rapid.Bool().Draw(t, "as a function") { // the limits' own numbers, by the other way
			counted := b
			b = Budget{MACs: b.MACs, Memory: b.Memory, Within: func(s *Spec) bool {
				c, err := s.CostAt(s.Resolution)
				return err == nil && within(c.Params, counted.Params)
			}}
			if counted.Params == 0 {
				b.Within = nil
			}
		}
		if !b.limited() {
			return
		}
		got, fitErr := Fit(s, b, sh)
		if fitErr == nil {
			again, err := s.Scale(got.Factors)
			if err != nil {
				t.Fatal(err)
			}
			c, err := again.CostAt(again.Resolution)
			if err != nil {
				t.Fatal(err)
			}
			if !b.fits(&Fitted{Spec: again, Totals: c}) || c != got.Totals || blocks(again) != blocks(got.Spec) || again.Name != got.Spec.Name {
				t.Fatalf("%+v gives %v, Fit says %v within %+v", got.Factors, &c, &got.Totals, b)
			}
		}
		l := line{&s, sh, s.MinResolution()}
		check := func(cost float64) {
			f, err := l.at(cost)
			if err != nil || !b.fits(&f) {
				return
			}
			if fitErr != nil {
				if strings.Contains(fitErr.Error(), "never reached") {
					return
				}
				t.Fatalf("cost factor %v fits with %v, Fit says %v", cost, &f.Totals, fitErr)
			}
			if f.Totals.MACs > got.Totals.MACs {
				t.Fatalf("cost factor %v fits %+v with %v, Fit found %v at %v", cost, b, &f.Totals, &got.Totals, got.Cost)
			}
		}
		check(1)
		if fitErr != nil {
			for x := -12.0; x < 12; x += 0.05 {
				check(math.Pow(2, x))
			}
			return
		}
		for x := 0.9; x < 1.5; x += 0.002 {
			check(got.Cost * x)
		}
		for x := 1.5; x < 4; x *= 1.02 {
			check(got.Cost * x)
		}
	})
}

func TestFit(t *testing.T) {
	b0 := MustLookup("b0")
	base, _ := b0.CostAt(224)
	for _, c := range []struct {
		name string
		b    Budget
		sh   Shares
		fill float64 // of the first limit given
	}{
		{"growing", Budget{MACs: 1.5e9}, b0Shares(t), 0.95},
		{"shrinking", Budget{MACs: 1e8}, b0Shares(t), 0.85},
		{"itself", Budget{MACs: base.MACs}, b0Shares(t), 1},
		{"depth", Budget{MACs: 1.5e9}, Shares{D: 1}, 0.85},
		{"width", Budget{Params: 20e6}, Shares{W: 1}, 0.9},
		{"resolution", Budget{MACs: 1.5e9}, Shares{R: 1}, 0.97},
		{"memory", Budget{Memory: 64 << 20}, b0Shares(t), 0.95},
		{"depth by memory", Budget{Memory: 64 << 20}, Shares{D: 1}, 0.9},
		{"all", Budget{MACs: 4e9, Params: 10e6, Memory: 1 << 30}, b0Shares(t), 0.2},
	} {
		f, err := Fit(b0, c.b, c.sh)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		fill := float64(f.Totals.MACs) / float64(c.b.MACs)
		if c.b.MACs == 0 {
			fill = float64(f.Totals.Params) / float64(c.b.Params)
		}
		if c.b.MACs == 0 && c.b.Params == 0 {
			fill = float64(f.Totals.InferenceBytes()) / float64(c.b.Memory)
		}
		if !c.b.Fits(&f.Totals) || fill < c.fill {
			t.Errorf("%s: %v at %+v fills %.3f of the budget, want %v", c.name, &f.Totals, f.Factors, fill, c.fill)
		}
		if err := f.Spec.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestFitErrors(t *testing.T) {
	b0 := MustLookup("b0")
	small := MustLookup("small_1m")
	small.Resolution = 2
	for _, c := range []struct {
		base Spec
		b    Budget
		sh   Shares
		want string
	}{
		{b0, Budget{}, Shares{D: 1}, "want at least one limit above 0"},
		{b0, Budget{MACs: -1}, Shares{D: 1}, "want at least one limit above 0"},
		{b0, Budget{MACs: 1000}, Shares{D: 1, W: 1, R: 1}, "fits: the smallest has"},
		{b0, Budget{MACs: 1000}, Shares{D: 1}, "fits: the smallest has 173212384 MACs where 1000 are allowed"},
		{b0, Budget{Params: 5e6}, Shares{R: 1}, "fits: the smallest has 5288548 parameters where 5000000 are allowed"},
		{b0, Budget{Params: 6e6}, Shares{R: 1}, "never reached on the ratio 0:0:1: blocks.1.0.conv_pw: the tensor would be"},
		{b0, Budget{MACs: 1e18}, Shares{D: 1}, "never reached on the ratio 1:0:0: stage 6 would have 1001 repeats"},
		{b0, Budget{MACs: 1e9}, Shares{}, "want numbers of 0 or more, not all 0"},
		{b0, Budget{MACs: 1e9}, Shares{D: math.NaN()}, "want numbers of 0 or more, not all 0"},
		{small, Budget{MACs: 1e9}, Shares{D: 1}, "resolution 2 is too small for the strides"},
	} {
		_, err := Fit(c.base, c.b, c.sh)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v on %v: got %v, want %s", c.b, c.sh, err, c.want)
		}
	}
}

// A budget that nothing keeps names the smallest network, as far as that is asked for.
func TestNoFit(t *testing.T) {
	b0 := MustLookup("b0")
	_, err := Fit(b0, Budget{MACs: 1 << 30, Within: func(*Spec) bool { return false }}, Shares{D: 1, W: 1, R: 1})
	var e *NoFitError
	if !errors.As(err, &e) || e.Smallest == nil {
		t.Fatalf("got %v, want a NoFitError with the smallest network", err)
	}
	if got := e.Smallest.Totals.MACs; got < 100_000 || got > 1_000_000 || e.Smallest.Spec.Name == b0.Name {
		t.Errorf("the smallest network is %s with %d MACs", e.Smallest.Spec.Name, got)
	}
	if want := "arch: fitting efficientnet_b0: no network on the ratio 0.333:0.333:0.333 fits"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func BenchmarkFit(b *testing.B) {
	s, sh := MustLookup("b0"), b0Shares(b)
	for b.Loop() {
		if _, err := Fit(s, Budget{MACs: 4e9, Memory: 128 << 20}, sh); err != nil {
			b.Fatal(err)
		}
	}
}
