package search

import (
	"math"
	"testing"

	"effnet/arch"
)

// TestBalance: of gains that saturate, the ratio is where none can gain by
// taking from another.
func TestBalance(t *testing.T) {
	// Gains of k * sqrt(log) have shares as the squares of k.
	root := func(k, way float64) arm {
		var a arm
		for i := 1; i <= 64; i++ {
			x := way * float64(i) / 64
			a = append(a, armPoint{x, k * math.Sqrt(math.Abs(x))})
		}
		return a
	}
	for _, c := range []struct {
		d, w, r, factor float64
		want            arch.Shares
	}{
		{1, 1, 1, 8, Centre},
		{1, 2, math.Sqrt(3), 4, sharesOf(1, 4, 3)},
		{1, 2, math.Sqrt(3), 0.25, sharesOf(1, 4, 3)},
		{0, 1, 0, 4, WidthCorner},
		{-1, -2, 1, 4, ResolutionCorner},
	} {
		way := math.Log(c.factor)
		arms := [3]arm{root(c.d, way), root(c.w, way), root(c.r, way)}
		if got := balance(&arms, c.factor); Distance(got, c.want) > 0.06 {
			t.Errorf("gains %v, %v, %v at %v: ratio %v, want %v", c.d, c.w, c.r, c.factor, got, c.want)
		}
	}
	// Without any points nothing is better than anything.
	if got := balance(&[3]arm{}, 2); Distance(got, Centre) > 0.06 {
		t.Errorf("nothing known: %v", got)
	}
	a := arm{{1, 2}, {3, 3}}
	for x, want := range map[float64]float64{0: 0, 0.5: 1, 1: 2, 2: 2.5, 3: 3, 9: 3} {
		if got := a.at(x); got != want {
			t.Errorf("at %v: %v, want %v", x, got, want)
		}
	}
}

// A star's search ends with the ratio of its gains, and validates it.
func TestStarSearch(t *testing.T) {
	res := runFake(t, t.TempDir(), testFake(), func(c *Config) { c.Candidates, c.Networks = "star steps=3", 0 })
	ratio, ok := res.star()
	if !ok || res.Choice == nil || res.Choice.Ratio != ratio {
		t.Fatalf("choice %+v, the star says %v, %v", res.Choice, ratio, ok)
	}
	if len(res.Choice.Compounds) != len(res.Plan.Finals) || len(res.Plan.Networks) < 6 {
		t.Errorf("%d networks, %d compounds", len(res.Plan.Networks), len(res.Choice.Compounds))
	}
}
