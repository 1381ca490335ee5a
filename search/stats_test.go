package search

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s is %.8g, want %.8g", what, got, want)
	}
}

func TestMeanSD(t *testing.T) {
	m, sd := meanSD([]float64{2, 4, 4, 4, 5, 5, 7, 9})
	near(t, "mean", m, 5, 0)
	near(t, "sd", sd, 2.13808993529940, 1e-12) // sqrt(32/7)
	if m, sd := meanSD([]float64{3}); m != 3 || !math.IsNaN(sd) {
		t.Errorf("one value gives %v and %v", m, sd)
	}
	if m, _ := meanSD(nil); !math.IsNaN(m) {
		t.Errorf("no values give %v", m)
	}
}

func TestPooledSD(t *testing.T) {
	sd, df := pooledSD([][]float64{{1, 3}, {10, 10, 13}, {7}, nil})
	// squares 2 and 6, degrees 1 and 2
	near(t, "pooled sd", sd, math.Sqrt(8./3), 1e-12)
	if df != 3 {
		t.Errorf("df is %d, want 3", df)
	}
	if sd, df := pooledSD([][]float64{{1}, {2}}); !math.IsNaN(sd) || df != 0 {
		t.Errorf("single values give %v with %d degrees", sd, df)
	}
}

func TestTQuantile(t *testing.T) {
	// Tables of Student's t.
	for _, c := range []struct{ p, df, want float64 }{
		{0.975, 1, 12.7062047}, {0.975, 2, 4.3026527}, {0.975, 5, 2.5705818}, {0.975, 10, 2.2281389},
		{0.95, 30, 1.6972609}, {0.975, math.Inf(1), 1.9599640}, {0.995, 8, 3.3553873},
	} {
		near(t, "t quantile", tQuantile(c.p, c.df), c.want, 1e-6)
	}
	near(t, "two-sided p of t=2.228, df 10", twoSided(2.2281389, 1, 10), 0.05, 1e-7)
	near(t, "two-sided p of z=1.96", twoSided(-1.9599640, 1, math.Inf(1)), 0.05, 1e-7)
	near(t, "p of no difference and no noise", twoSided(0, 0, 3), 1, 0)
	near(t, "p of a difference without noise", twoSided(1, 0, 3), 0, 0)
}

func TestSamplingError(t *testing.T) {
	// SEARCH.md: 93.5 % on 10,000 images is known to 0.25 points.
	near(t, "sampling error", samplingError(0.935, 10000), 0.0024653, 1e-6)
}

func TestSignFlip(t *testing.T) {
	for _, c := range []struct {
		diffs []float64
		want  float64
	}{
		{nil, 1},
		{[]float64{1}, 1},
		{[]float64{1, 1}, 0.5},
		{[]float64{0.1, 0.2, 0.3, 0.4, 0.5}, 2. / 32},
		{[]float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, 2. / 64},
		{[]float64{1, 2, -3}, 1},             // sums to 0
		{[]float64{3, 1, -1}, 6. / 8},        // 3: of 5,3,3,1 and their opposites those from 3 up
		{[]float64{-2, -2, -2, -2}, 2. / 16}, // all the other way
	} {
		near(t, "sign-flip p", signFlip(c.diffs, 100, 1), c.want, 1e-12)
	}
	// Monte Carlo agrees with the exact count beyond exactFlips values.
	r := rand.New(rand.NewPCG(3, 4))
	diffs := make([]float64, exactFlips+4)
	for i := range diffs {
		diffs[i] = r.NormFloat64() + 0.4
	}
	var sum, ss float64
	for _, d := range diffs {
		sum += d
		ss += d * d
	}
	near(t, "Monte Carlo p", signFlip(diffs, 20000, 7), twoSided(sum, math.Sqrt(ss), math.Inf(1)), 0.02)
	if signFlip(diffs, 500, 7) != signFlip(diffs, 500, 7) {
		t.Error("two runs differ")
	}
}

func TestHitDifference(t *testing.T) {
	// Ten images; a gets 0-6 right, b 0-4 and 7.
	a, b := [][]byte{{0b01111111, 0}}, [][]byte{{0b10011111, 0}}
	d, se := hitDifference(a, b, 10)
	near(t, "difference", d, 0.1, 1e-12)
	// Differences: +1 twice, -1 once: variance (3/10 - 1/100) * 10/9, over 10.
	near(t, "standard error", se, math.Sqrt(0.29/9), 1e-12)
	d, se = hitDifference(a, a, 10)
	near(t, "difference to itself", d, 0, 0)
	near(t, "its standard error", se, 0, 0)
	// Two seeds count half each.
	d, _ = hitDifference([][]byte{{0xff, 3}, {0, 0}}, b, 10)
	near(t, "difference over two seeds", d, 0.5-0.6, 1e-12)
}

func TestShrink(t *testing.T) {
	// No noise: nothing moves. All noise: everything falls together.
	means := []float64{1, 2, 3, 6}
	same, tau2 := shrink(means, []float64{0, 0, 0, 0})
	near(t, "spread without noise", tau2, 14./3, 1e-12)
	for i := range means {
		near(t, "mean without noise", same[i], means[i], 1e-12)
	}
	flat, tau2 := shrink(means, []float64{9, 9, 9, 9})
	near(t, "spread in noise", tau2, 0, 0)
	for i := range means {
		near(t, "mean in noise", flat[i], 3, 1e-12)
	}
	// Half and half: variance 14/3, noise 7/3, so each goes half the way.
	half, _ := shrink(means, []float64{7. / 3, 7. / 3, 7. / 3, 7. / 3})
	near(t, "best, half the way", half[3], 4.5, 1e-12)
}

func TestExpectedMax(t *testing.T) {
	// Order statistics of the normal; SEARCH.md: the best of 20 equal networks
	// looks 1.9 sigma better.
	for n, want := range map[int]float64{1: 0, 2: 0.56418958, 3: 0.84628438, 10: 1.53875273, 20: 1.86747506} {
		near(t, "expected maximum", expectedMax(n), want, 1e-5)
	}
}

// TestLuck: the best of equal networks looks better than it is by what
// expectedMax says, and shrinking takes most of that back.
func TestLuck(t *testing.T) {
	const sims, nets, sd = 400, 12, 0.002
	r := rand.New(rand.NewPCG(7, 7))
	means, se2 := make([]float64, nets), make([]float64, nets)
	var above, left float64
	for range sims {
		best := 0
		for i := range means {
			means[i], se2[i] = 0.9+sd*r.NormFloat64(), sd*sd
			if means[i] > means[best] {
				best = i
			}
		}
		shrunk, _ := shrink(means, se2)
		above += (means[best] - 0.9) / sims
		left += (shrunk[best] - 0.9) / sims
	}
	near(t, "mean excess of the best", above, expectedMax(nets)*sd, 0.1*sd)
	if left > 0.35*above {
		t.Errorf("shrinking leaves %.0f %% of the luck", 100*left/above)
	}
}

func TestSeedsNeeded(t *testing.T) {
	// SEARCH.md: with sigma 0.2 points, 7 seeds see 0.3 and 3 see 0.5.
	if n := seedsNeeded(0.3, 0.2, 0); n != 7 {
		t.Errorf("a difference of 0.3 needs %d seeds, want 7", n)
	}
	if n := seedsNeeded(0.5, 0.2, 0); n != 3 {
		t.Errorf("a difference of 0.5 needs %d seeds, want 3", n)
	}
	if n := seedsNeeded(0.3, 0.2, 0.2); n != 0 {
		t.Errorf("a difference within the images' own error needs %d seeds, want 0 for never", n)
	}
}

func TestFitTwo(t *testing.T) {
	u, v := []float64{1, 2, 3, 4}, []float64{5, 1, 2, 8}
	y := make([]float64, 4)
	for i := range y {
		y[i] = 3*u[i] + 0.5*v[i]
	}
	a, b := fitTwo(u, v, y)
	near(t, "a", a, 3, 1e-9)
	near(t, "b", b, 0.5, 1e-9)
	for i := range y {
		y[i] = 2 * u[i]
	}
	y[1] -= 0.3 // would want b below zero or tiny
	if a, b := fitTwo(u, v, y); a < 0 || b < 0 {
		t.Errorf("fit gives %v and %v, want neither negative", a, b)
	}
	a, b = fitTwo(u, u, y)
	if a < 0 || b < 0 || a+b < 1.5 || a+b > 2.1 {
		t.Errorf("collinear fit gives %v and %v", a, b)
	}
}
