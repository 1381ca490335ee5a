package search

import (
	"math"
	"testing"
)

func TestNoise(t *testing.T) {
	n := Noise{SD: 0.002, DF: 3}
	// Quantiles of chi-squared with 3 degrees: 0.2158 and 9.3484.
	lo, hi := n.Interval()
	near(t, "lower end", lo, 0.002*math.Sqrt(3/9.3484), 1e-7)
	near(t, "upper end", hi, 0.002*math.Sqrt(3/0.2158), 1e-6)
	near(t, "half an interval", n.Half(4), 3.1824463*0.001, 1e-9)
	want := "Trainings that differ in nothing but the seed vary by 0.20 points (standard deviation; 95 % interval 0.11 to 0.75, 3 degrees of freedom). " +
		"To see a difference of 0.20 points takes 16 seeds, 0.50 points takes 3 seeds or 1.00 points takes 2 seeds (80 % power)."
	if s := n.String(); s != want {
		t.Errorf("it says\n%s, want\n%s", s, want)
	}
	if s := (Noise{}).String(); s != "The noise of a training is not known yet." {
		t.Errorf("unknown noise says %q", s)
	}
	if n := (Noise{SD: math.NaN()}); n.ss() != 0 || n.Seeds(0.01) != 0 {
		t.Errorf("unknown noise has squares %v and wants %d seeds", n.ss(), n.Seeds(0.01))
	}
}

// TestFTest against a one-way analysis of variance done by hand: groups 6 8 4
// 5 3 4, 8 12 9 11 6 8 and 13 9 11 8 7 12 have F(2, 15) = 9.26, p = 0.0024.
func TestFTest(t *testing.T) {
	y := []float64{6, 8, 4, 5, 3, 4, 8, 12, 9, 11, 6, 8, 13, 9, 11, 8, 7, 12}
	group, all, weight := make([]int, len(y)), make([]int, len(y)), make([]float64, len(y))
	for i := range y {
		group[i], weight[i] = i/6, 1
	}
	part := newResidual(y, weight)
	part.remove(indicator(all, 0))
	full := part.clone()
	for g := range 3 {
		full.remove(indicator(group, g))
	}
	if full.rank != 3 || part.rank != 1 {
		t.Errorf("ranks are %d and %d, want 3 and 1", full.rank, part.rank)
	}
	near(t, "left inside groups", full.ss, 68, 1e-9)
	near(t, "left in all", part.ss, 152, 1e-9)
	near(t, "p", fTest(part, full, 0, 0), 0.0024, 5e-5)
	// The same noise from elsewhere, 15 more degrees of it.
	near(t, "p with more noise known", fTest(part, full, 68, 15), math.Pow(1+2*42/4.5333333/30, -15), 1e-8) // two degrees above: in closed form
	if p := fTest(part, part, 0, 0); !math.IsNaN(p) {
		t.Errorf("nothing to test has p %v", p)
	}
}
