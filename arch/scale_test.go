package arch

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustScale(t testing.TB, s Spec, f Factors) Spec {
	t.Helper()
	out, err := s.Scale(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A pure sweep of phi by the paper's formula.
func TestCompoundTable(t *testing.T) {
	for _, c := range []struct {
		phi      float64
		want     string // d w px params GMACs
		measured string
	}{
		{0, "1.000 1.000 224 5288548 0.386", "1.00"},
		{0.5, "1.095 1.049 240 8441486 0.731", "1.90"},
		{1, "1.200 1.100 258 9109994 0.993", "2.57"},
		{2, "1.440 1.210 296 12255408 1.811", "4.69"},
		{3, "1.728 1.331 341 16350296 3.251", "8.43"},
		{4, "2.074 1.464 392 25916448 6.320", "16.38"},
		{5, "2.488 1.611 451 33726740 11.374", "29.48"},
		{6, "2.986 1.772 518 45464648 20.094", "52.08"},
		{7, "3.583 1.949 596 68741810 39.664", "102.81"},
	} {
		b0 := MustLookup("b0")
		f, err := B0Compound.Factors(c.phi, 224)
		if err != nil {
			t.Fatal(err)
		}
		cost := mustCost(t, mustScale(t, b0, f))
		got := fmt.Sprintf("%.3f %.3f %d %d %.3f", f.Depth, f.Width, f.Resolution, cost.Params, float64(cost.MACs)/1e9)
		if got != c.want {
			t.Errorf("phi %v: got %s, want %s", c.phi, got, c.want)
		}
		if got := fmt.Sprintf("%.2f", float64(cost.MACs)/385814752); got != c.measured {
			t.Errorf("phi %v: %s times the MACs, want %s", c.phi, got, c.measured)
		}
		if got, want := f.Nominal(224), math.Pow(B0Compound.Cost(), c.phi); math.Abs(got/want-1) > 0.02 {
			t.Errorf("phi %v: nominal factor %v, want about %v", c.phi, got, want)
		}
	}
}

// Points of the paper's Table 7 and Figures 3, 4 as the rounding rules give them.
func TestSingleDimensions(t *testing.T) {
	for _, c := range []struct {
		f    Factors
		want string // GMACs, params in M
	}{
		{Factors{4, 1, 0}, "1.575 20.09"},
		{Factors{1, 2, 0}, "1.450 18.12"},
		{Factors{1, 1, 448}, "1.538 5.29"},
		{Factors{1.4, 1.2, 291}, "1.800 12.23"},

		{Factors{1, 1, 0}, "0.386 5.29"},
		{Factors{1, 1.4, 0}, "0.744 9.67"},
		{Factors{1, 1.8, 0}, "1.176 14.85"},
		{Factors{1, 2.6, 0}, "2.391 29.17"},
		{Factors{1, 3.8, 0}, "5.060 60.02"},
		{Factors{1, 5, 0}, "8.712 101.90"},
		{Factors{2, 1, 0}, "0.782 10.22"},
		{Factors{3, 1, 0}, "1.179 15.16"},
		{Factors{6, 1, 0}, "2.368 29.96"},
		{Factors{8, 1, 0}, "3.161 39.83"},
		{Factors{1, 1, 291}, "0.718 5.29"},
		{Factors{1, 1, 336}, "0.893 5.29"},
		{Factors{1, 1, 381}, "1.129 5.29"},
		{Factors{1, 1, 426}, "1.458 5.29"},
		{Factors{1, 1, 493}, "1.923 5.29"},
		{Factors{1, 1, 560}, "2.447 5.29"},

		{Factors{1, 1, 299}, "0.730 5.29"},
		{Factors{2, 1, 299}, "1.487 10.22"},
		// the largest published EfficientNet, L2
		{Factors{5.3, 4.3, 800}, "475.704 480.31"},
		{Factors{5.3, 4.3, 475}, "170.893 480.31"},
	} {
		cost := mustCost(t, mustScale(t, MustLookup("b0"), c.f))
		if got := fmt.Sprintf("%.3f %.2f", float64(cost.MACs)/1e9, float64(cost.Params)/1e6); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.f, got, c.want)
		}
	}
	// The paper's compound point is B3's network at 291 pixels.
	b3 := mustScale(t, MustLookup("b0"), Factors{1.4, 1.2, 291})
	if blocks(b3) != blocks(MustLookup("b3")) {
		t.Errorf("got\n%swant\n%s", blocks(b3), blocks(MustLookup("b3")))
	}
}

// TinyNet shrinks B0 with repeats rounded to nearest, a fixed stem and a head
// that never gets narrower.
func TestShrink(t *testing.T) {
	base := MustLookup("b0")
	base.Rule.Depth, base.Rule.FixStem, base.Rule.MinHead = RoundNearest, true, 1280
	for _, c := range []struct {
		name   string
		f      Factors
		params int64
		want   string // GMACs, activations in M, the 1000 logits among them
	}{
		{"A", Factors{1.2, 1.0, 192}, 6187972, "0.3369 5.41"},
		{"B", Factors{1.1, 0.75, 188}, 3730562, "0.2007 4.44"},
		{"C", Factors{0.85, 0.54, 184}, 2457234, "0.0995 2.87"},
		{"D", Factors{0.695, 0.54, 152}, 2338446, "0.0516 1.42"},
		{"E", Factors{0.60, 0.51, 106}, 2042972, "0.0244 0.69"},
	} {
		cost := mustCost(t, mustScale(t, base, c.f))
		if got := fmt.Sprintf("%.4f %.2f", float64(cost.MACs)/1e9, float64(cost.Activations+1000)/1e6); cost.Params != c.params || got != c.want {
			t.Errorf("TinyNet-%s: got %d %s, want %d %s", c.name, cost.Params, got, c.params, c.want)
		}
	}
	// Inverse compound scaling of B0, ceil against round.
	for _, c := range []struct {
		phi         float64
		ceil, round string
	}{
		{-1, "195 301.6 4.55", "246.2 3.79"},
		{-2, "169 176.8", "131.8"},
		{-3, "147 106.8", "82.6"},
		{-4, "128 46.4", "38.1"},
	} {
		b0 := MustLookup("b0")
		// The sheet's own widths and depths: w 1.1^phi, d 1.2^phi.
		f, err := B0Compound.Factors(c.phi, 224)
		if err != nil {
			t.Fatal(err)
		}
		up := mustCost(t, mustScale(t, b0, f))
		b0.Rule.Depth = RoundNearest
		near := mustCost(t, mustScale(t, b0, f))
		gotUp := fmt.Sprintf("%d %.1f %.2f", f.Resolution, float64(up.MACs)/1e6, float64(up.Params)/1e6)
		gotNear := fmt.Sprintf("%.1f %.2f", float64(near.MACs)/1e6, float64(near.Params)/1e6)
		if !strings.HasPrefix(gotUp, c.ceil) || !strings.HasPrefix(gotNear, c.round) {
			t.Errorf("phi %v: got %s and %s, want %s and %s", c.phi, gotUp, gotNear, c.ceil, c.round)
		}
	}
}

func TestRounding(t *testing.T) {
	v1 := Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: RoundUp}
	v2 := Rule{WidthDivisor: 8, Depth: RoundNearest}
	for _, c := range []struct {
		channels     int
		factor       float64
		want1, want2 int
	}{
		{16, 1.2, 24, 16}, // the guard's one appearance in the family
		{32, 1.1, 32, 32},
		{40, 1.1, 48, 48},
		{1280, 1.1, 1408, 1408},
		{16, 0.5, 8, 8},
		{16, 0.1, 8, 8},
		{24, 0.75, 24, 16}, // 18 to 16 loses more than a tenth
		{7, 1, 7, 7},       // a factor of 1 changes nothing
		{7, 1.01, 8, 8},
	} {
		if got := v1.width(c.channels, c.factor); got != c.want1 {
			t.Errorf("with guard, %d x %v: got %d, want %d", c.channels, c.factor, got, c.want1)
		}
		if got := v2.width(c.channels, c.factor); got != c.want2 {
			t.Errorf("no guard, %d x %v: got %d, want %d", c.channels, c.factor, got, c.want2)
		}
	}
	for _, c := range []struct {
		n        int
		factor   float64
		up, near int
	}{
		{5, 1.4, 7, 7}, // exactly 7 in float64
		{1, 1.0001, 2, 1},
		{1, 1.5, 2, 2},
		{3, 1.5, 5, 4}, // half to even
		{5, 1.5, 8, 8},
		{4, 0.1, 1, 1},
		{1, 0.01, 1, 1},
		{3, 0.5, 2, 2},
		{5, 0.5, 3, 2},
	} {
		if got := v1.repeats(c.n, c.factor); got != c.up {
			t.Errorf("ceil %d x %v: got %d, want %d", c.n, c.factor, got, c.up)
		}
		if got := v2.repeats(c.n, c.factor); got != c.near {
			t.Errorf("round %d x %v: got %d, want %d", c.n, c.factor, got, c.near)
		}
	}
}

func TestScaleNames(t *testing.T) {
	b0 := MustLookup("b0")
	for _, c := range []struct {
		f    Factors
		want string
	}{
		{Factors{1, 1, 0}, "efficientnet_b0"},
		{Factors{1.2, 1.1, 260}, "efficientnet_b0_d1.2_w1.1_r260"},
		{Factors{1, 1, 224}, "efficientnet_b0"},
		{Factors{math.Pow(1.2, 0.5), 1, 0}, "efficientnet_b0_d1.095"},
	} {
		if got := mustScale(t, b0, c.f).Name; got != c.want {
			t.Errorf("%+v: got %s, want %s", c.f, got, c.want)
		}
	}
	s := b0
	for range 20 {
		s = mustScale(t, s, Factors{1, 1.01, 0})
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScaleErrors(t *testing.T) {
	b0 := MustLookup("b0")
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		f    Factors
		want string
	}{
		{Factors{0, 1, 0}, "the depth factor is 0, want a number above 0, at most 1000"},
		{Factors{-1, 1, 0}, "the depth factor is -1"},
		{Factors{nan, 1, 0}, "the depth factor is NaN"},
		{Factors{1, inf, 0}, "the width factor is +Inf"},
		{Factors{1, 0, 0}, "the width factor is 0"},
		{Factors{1, 1, -1}, "the resolution is -1 pixels, want 1 to 16384"},
		{Factors{1, 1, 20000}, "the resolution is 20000 pixels"},
		{Factors{500, 1, 0}, "stage 4 would have 1500 repeats, at most 1000 are allowed"},
		{Factors{900, 1, 0}, "stage 2 would have 1800 repeats"},
		{Factors{1, 300, 0}, "stage 7 would have 96000 channels, at most 65536 are allowed"},
		{Factors{1, 52, 0}, "the head would have 66560 channels"},
	} {
		_, err := b0.Scale(c.f)
		if err == nil || !strings.Contains(err.Error(), "arch: scaling efficientnet_b0: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: got %v, want %s", c.f, err, c.want)
		}
	}
	for _, f := range []func() error{
		func() error { _, err := MustLookup("b7").Scale(Factors{76, 1, 0}); return err }, // 4180 blocks
		func() error { _, err := B0Compound.Factors(nan, 224); return err },
		func() error { _, err := B0Compound.Factors(1e9, 224); return err },
		func() error { _, err := B0Compound.Factors(100, 224); return err },
		func() error { _, err := B0Compound.Factors(-100, 224); return err },
		func() error { _, err := Compound{0, 1, 1}.Factors(1, 224); return err },
		func() error { _, err := Compound{1, nan, 1}.Factors(1, 224); return err },
		func() error { _, err := Compound{1, 1, 1}.Shares(); return err },
		func() error { _, err := Compound{0.5, 2, 1}.Shares(); return err },
		func() error { _, err := Shares{1, 1, 1}.Factors(0, 224); return err },
		func() error { _, err := Shares{1, 1, 1}.Factors(nan, 224); return err },
		func() error { _, err := Shares{0, 0, 1}.Factors(1e9, 224); return err },
		func() error { _, err := Shares{}.Factors(2, 224); return err },
		func() error { _, err := ParseShares("1:1"); return err },
		func() error { _, err := ParseShares("1:1:x"); return err },
		func() error { _, err := ParseShares("1:-1:1"); return err },
		func() error { _, err := ParseShares("0:0:0"); return err },
		func() error { _, err := ParseShares("1:inf:0"); return err },
		func() error { _, err := ParseShares("1e308:1e308:1e308"); return err },
	} {
		if err := f(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want a one-line error", err)
		}
	}
}

func TestShares(t *testing.T) {
	sh, err := B0Compound.Shares()
	if err != nil {
		t.Fatal(err)
	}
	if got := sh.String(); got != "0.279:0.292:0.428" {
		t.Errorf("B0's shares are %s, want 0.279:0.292:0.428", got)
	}
	f, err := sh.Factors(B0Compound.Cost(), 224)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(f.Depth-1.2) > 1e-12 || math.Abs(f.Width-1.1) > 1e-12 || f.Resolution != 258 {
		t.Errorf("got %+v, want depth 1.2 width 1.1 resolution 258", f)
	}
	// Only pixels round: the nominal cost is s but for half a pixel.
	rapid.Check(t, func(t *rapid.T) {
		sh := Shares{rapid.Float64Range(0, 1).Draw(t, "d"), rapid.Float64Range(0, 1).Draw(t, "w"), rapid.Float64Range(0.01, 1).Draw(t, "r")}
		s := rapid.Float64Range(0.3, 20).Draw(t, "s")
		f, err := sh.Factors(s, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if r := f.Nominal(1000) / s; math.Abs(r-1) > 2.0/float64(f.Resolution) {
			t.Errorf("nominal cost is %v, want %v", f.Nominal(1000), s)
		}
	})
}

// Growing a factor never shrinks a number, and what scaling makes is a valid
// network that scales again.
func TestScaleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSpec(t)
		if s.MinResolution() > s.Resolution {
			s.Resolution = s.MinResolution()
		}
		lo := Factors{rapid.Float64Range(0.05, 4).Draw(t, "d"), rapid.Float64Range(0.05, 4).Draw(t, "w"), s.MinResolution() + rapid.IntRange(0, 50).Draw(t, "r")}
		hi := Factors{lo.Depth * rapid.Float64Range(1, 2).Draw(t, "dd"), lo.Width * rapid.Float64Range(1, 2).Draw(t, "ww"), lo.Resolution + rapid.IntRange(0, 9).Draw(t, "rr")}
		if lo.Width == 1 || hi.Width == 1 {
			return // leaves channel counts that are no multiples as they are
		}
		a, err := s.Scale(lo)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Scale(hi)
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Stages {
			if a.Stages[i].Repeats > b.Stages[i].Repeats || a.Stages[i].Width > b.Stages[i].Width {
				t.Fatalf("stage %d: %s at %+v, %s at %+v", i+1, &a.Stages[i], lo, &b.Stages[i], hi)
			}
			if w := a.Stages[i].Width; w%s.Rule.WidthDivisor != 0 {
				t.Fatalf("stage %d has %d channels, want a multiple of %d", i+1, w, s.Rule.WidthDivisor)
			}
		}
		ca, err := a.CostAt(a.Resolution)
		if err != nil {
			t.Fatal(err)
		}
		cb, err := b.CostAt(b.Resolution)
		if err != nil {
			t.Fatal(err)
		}
		if ca.MACs > cb.MACs || ca.Params > cb.Params || ca.Activations > cb.Activations || ca.PeakBytes > 2*cb.PeakBytes {
			t.Fatalf("%v at %+v, %v at %+v", &ca, lo, &cb, hi)
		}
		same, err := a.Scale(Factors{1, 1, 0})
		if err != nil {
			t.Fatal(err)
		}
		if blocks(same) != blocks(a) || same.Stem != a.Stem || same.Head != a.Head || same.Resolution != a.Resolution {
			t.Fatalf("factors of 1 changed\n%+v to\n%+v", a, same)
		}
	})
}
