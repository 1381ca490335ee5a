package search

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// along1 makes trainings at the costs: error by curve, with noise.
func along1(curve func(c float64) float64, noise float64, seed uint64, costs ...float64) []SaturationPoint {
	r := rand.New(rand.NewPCG(seed, 3))
	var out []SaturationPoint
	for _, c := range costs {
		for s := range uint64(3) {
			out = append(out, SaturationPoint{Network: formatFactor(c), Cost: c, Seed: s, Accuracy: 1 - curve(c) - noise*r.NormFloat64()})
		}
	}
	return out
}

func TestSaturation(t *testing.T) {
	saturating := func(c float64) float64 { return 0.06 + 0.04*math.Pow(c, -1.5) }
	power := func(c float64) float64 { return 0.1 * math.Pow(c, -0.3) }
	line := func(c float64) float64 { return 0.1 - 0.012*math.Log2(c) }
	costs := []float64{1, 2, 4, 8}
	for _, c := range []struct {
		name      string
		curve     func(float64) float64
		best      Curve
		saturates bool
		text      string
	}{
		{"saturating", saturating, Saturating, true, "Width alone saturates: from 1.6 times"},
		{"power law", power, PowerLaw, false, "The data show no saturation of width alone"},
		{"log-linear", line, LogLinear, false, "The data show no saturation of width alone"},
		{"getting worse", func(c float64) float64 { return 0.1 + 0.01*math.Log2(c) }, LogLinear, false, "Width alone does not pay: the first doubling of cost adds 1.00 points of error, the last 1.00."},
	} {
		s := FitSaturation("width", along1(c.curve, 1e-5, 1, costs...), 0, 1)
		if s.Best != c.best || s.Saturates != c.saturates || !strings.HasPrefix(s.Text, c.text) {
			t.Errorf("%s: best is %s, saturates %v, %q", c.name, s.Best, s.Saturates, s.Text)
		}
		if s.Saturates == math.IsNaN(s.Knee) {
			t.Errorf("%s: saturates %v, knee at %v", c.name, s.Saturates, s.Knee)
		}
	}
	for _, c := range []struct {
		name  string
		curve func(float64) float64
		text  string
	}{
		{"harm", line, "Shrinking width alone: the first halving of cost adds 1.20 points of error, the last 1.20."},
		{"none", func(c float64) float64 { return 0.1 + 0.01*math.Log2(c) }, "Shrinking width alone costs no accuracy: the first halving of cost removes 1.00 points of error, the last 1.00."},
		{"a floor", saturating, "Shrinking width alone: the first halving of cost adds 7.31 points of error, the last 58.5"},
	} {
		s := FitSaturation("width", along1(c.curve, 1e-6, 1, 1, 0.5, 0.25, 0.125), 0, 1)
		if s.Saturates || !math.IsNaN(s.Knee) || !strings.HasPrefix(s.Text, c.text) {
			t.Errorf("shrinking, %s: knee at %v, %q", c.name, s.Knee, s.Text)
		}
	}
	s := FitSaturation("depth", along1(saturating, 1e-6, 1, costs...), 0, 1)
	near(t, "floor", s.Fits[0].EInf, 0.06, 1e-4)
	near(t, "power", s.Fits[0].B, 1.5, 1e-2)
	near(t, "knee", s.Knee, math.Pow(2, 1/1.5), 1e-2)
	if s := FitSaturation("depth", along1(saturating, 0, 1, 1, 2), 0, 1); s.Why == "" || s.Text != "Depth alone was trained in full at 2 costs, a curve wants 3." {
		t.Errorf("two costs: %q", s.Text)
	}
}

// TestSaturationChance: a curve without an end is seldom said to saturate, and
// the interval of a knee covers it.
func TestSaturationChance(t *testing.T) {
	const sims = 80
	claims, covered, seen := 0, 0, 0
	for i := range sims {
		power := func(c float64) float64 { return 0.1 * math.Pow(c, -0.2) }
		if FitSaturation("width", along1(power, 0.002, uint64(i), 1, 2, 4, 8), 100, 1).Saturates {
			claims++
		}
		s := FitSaturation("width", along1(func(c float64) float64 { return 0.06 + 0.04*math.Pow(c, -1) }, 0.001, uint64(i), 1, 2, 4, 8), 100, 1)
		if s.Saturates {
			seen++
			if s.KneeLo <= 2 && 2 <= s.KneeHi {
				covered++
			}
		}
	}
	if claims > 6 {
		t.Errorf("a power law is said to saturate in %d of %d", claims, sims)
	}
	if seen < 64 || float64(covered) < 0.88*float64(seen) {
		t.Errorf("saturation is seen in %d of %d, the knee's interval covers it in %d", seen, sims, covered)
	}
	t.Logf("claims %d, seen %d, covered %d", claims, seen, covered)
}

// TestSaturationBand: the band holds the curve, spans the costs, and is the
// wider the noisier the trainings.
func TestSaturationBand(t *testing.T) {
	width := func(noise float64) (w float64) {
		s := FitSaturation("width", along1(func(c float64) float64 { return 0.06 + 0.04*math.Pow(c, -1) }, noise, 3, 1, 2, 4, 8), 0, 1)
		if len(s.Band) != bandPoints || s.Band[0].Cost != 1 || math.Abs(s.Band[bandPoints-1].Cost-8) > 1e-9 {
			t.Fatalf("the band is %+v", s.Band)
		}
		for _, b := range s.Band {
			if !(b.Lo <= b.Accuracy && b.Accuracy <= b.Hi) {
				t.Errorf("noise %v: at %v the curve has %v, the band goes from %v to %v", noise, b.Cost, b.Accuracy, b.Lo, b.Hi)
			}
			w += b.Hi - b.Lo
		}
		return w
	}
	if calm, rough := width(0.0005), width(0.005); !(calm > 0 && rough > 3*calm) {
		t.Errorf("bands of width %v for little noise and %v for ten times that", calm, rough)
	}
}
