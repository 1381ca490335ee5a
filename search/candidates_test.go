package search

import (
	"math"
	"reflect"
	"testing"

	"effnet/arch"

	"pgregory.net/rapid"
)

// lookup finds a base by name.
func lookup(name string) arch.Spec {
	if name == "test" {
		return testBase()
	}
	return arch.MustLookup(name)
}

func enumerate(t testing.TB, name string, factor, tolerance float64) *Space {
	t.Helper()
	sp, err := Enumerate(lookup(name), factor, tolerance)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// all makes every network of a space.
func all(sp *Space) []Network {
	nets := make([]Network, sp.Len())
	for i := range nets {
		nets[i] = sp.network(&sp.points[i])
	}
	return nets
}

// TestEnumerate checks what a space promises of each of its networks.
func TestEnumerate(t *testing.T) {
	for _, c := range []struct {
		base              string
		factor, tolerance float64
		least             int
	}{
		{"test", 2, 0.06, 50},
		{"test", 4, 0.06, 150},
		{"small_300k", 2, 0.08, 12},
		{"small_1m", 3.3, 0.05, 50},
		{"small_5m", 1.5, 0.08, 20},
		{"efficientnet_b0", 2, 0.02, 500},
	} {
		sp := enumerate(t, c.base, c.factor, c.tolerance)
		if sp.Len() < c.least {
			t.Errorf("%s x%v: %d networks, want at least %d", c.base, c.factor, sp.Len(), c.least)
		}
		base := lookup(c.base)
		cost, err := base.CostAt(base.Resolution)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, n := range all(sp) {
			if key := n.key(); seen[key] {
				t.Errorf("%s x%v: network twice: %s", c.base, c.factor, key)
			} else {
				seen[key] = true
			}
			if math.Abs(n.CostRatio/c.factor-1) > c.tolerance {
				t.Errorf("%s x%v: d%v w%v r%d costs %v", c.base, c.factor, n.Depth, n.Width, n.Resolution, n.CostRatio)
			}
			if i%37 != 0 {
				continue
			}
			// The factors give the network, and its graph costs what it says.
			spec, err := n.Spec(&base)
			if err != nil {
				t.Fatal(err)
			}
			g, err := spec.Graph()
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Cost(); got.MACs != n.MACs || got.Params != n.Params || got.Activations != n.Activations {
				t.Errorf("%s: graph costs %v, network says %d params, %d MACs, %d activations", spec.Name, got, n.Params, n.MACs, n.Activations)
			}
			if ratio := float64(n.MACs) / float64(cost.MACs); ratio != n.CostRatio {
				t.Errorf("%s: cost ratio %v, want %v", spec.Name, n.CostRatio, ratio)
			}
			for _, s := range []arch.Shares{n.Nominal, n.Realised} {
				if min(s.D, s.W, s.R) < 0 || math.Abs(s.D+s.W+s.R-1) > 1e-12 {
					t.Errorf("%s: shares %v are not on the triangle", spec.Name, s)
				}
			}
		}
	}
}

// TestEnumerateComplete compares with a plain grid of factors.
func TestEnumerateComplete(t *testing.T) {
	holdsGrid(t, "test", 2, 0.06, 100, 1.9, 2, 2.1)
}

// holdsGrid wants every network in the space that a plain grid of shares, at
// each nominal cost, finds within the tolerance, and the grid to find so many
// at least.
func holdsGrid(t *testing.T, name string, factor, tolerance float64, least int, nominals ...float64) {
	t.Helper()
	sp := enumerate(t, name, factor, tolerance)
	have := map[string]bool{}
	for _, n := range all(sp) {
		have[n.key()] = true
	}
	base := lookup(name)
	found := 0
	for d := 0.0; d <= 1; d += 0.02 {
		for w := 0.0; w <= 1-d; w += 0.02 {
			for _, s := range nominals {
				f, err := arch.Shares{D: d, W: w, R: 1 - d - w}.Factors(s, base.Resolution)
				if err != nil {
					t.Fatal(err)
				}
				spec, err := base.Scale(f)
				if err != nil {
					t.Fatal(err)
				}
				var n Network
				if err := n.resolve(&spec, sp.baseMACs); err != nil {
					t.Fatal(err)
				}
				if math.Abs(n.CostRatio/factor-1) > tolerance {
					continue
				}
				found++
				if !have[n.key()] {
					t.Errorf("shares %.2f:%.2f:%.2f at %v give %s (%.3f times the base), which is missing", d, w, 1-d-w, s, n.key(), n.CostRatio)
				}
			}
		}
	}
	if found < least {
		t.Fatalf("the grid found %d networks, too few to tell", found)
	}
}

func TestSpread(t *testing.T) {
	for _, base := range []string{"test", "small_1m", "small_5m"} {
		sp := enumerate(t, base, 2, 0.08)
		nets := sp.Spread(16, "x2-")
		if len(nets) != 16 {
			t.Fatalf("%s: %d networks, want 16", base, len(nets))
		}
		for dim, want := range []arch.Shares{DepthCorner, WidthCorner, ResolutionCorner} {
			if n := nets[dim]; n.Realised != want || n.ID != "x2-"+dimNames[dim] {
				t.Errorf("%s: network %d is %s at %v, want the %s corner", base, dim, n.ID, n.Realised, dimNames[dim])
			}
		}
		ids, keys := map[string]bool{}, map[string]bool{}
		for i := range nets {
			ids[nets[i].ID], keys[nets[i].key()] = true, true
		}
		if len(ids) != 16 || len(keys) != 16 {
			t.Errorf("%s: %d names and %d distinct networks, want 16", base, len(ids), len(keys))
		}
		if again := enumerate(t, base, 2, 0.08).Spread(16, "x2-"); !reflect.DeepEqual(nets, again) {
			t.Errorf("%s: a second enumeration gives other networks", base)
		}
		// A smaller choice is the beginning of a larger one.
		if few := sp.Spread(7, "x2-"); !reflect.DeepEqual(few, nets[:7]) {
			t.Errorf("%s: the first seven of sixteen are not the seven", base)
		}
	}
}

// TestCorners covers a base whose single dimensions come in coarse steps: they
// stay in the search although none is within the tolerance.
func TestCorners(t *testing.T) {
	base := testBase()
	base.Rule.WidthDivisor = 32
	sp, err := Enumerate(base, 2, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	for dim := range dimNames {
		n, ok := sp.Corner(dim, 2)
		if dim == dimWidth {
			if ok && math.Abs(n.CostRatio/2-1) > cornerTolerance {
				t.Errorf("width corner costs %v", n.CostRatio)
			}
			continue
		}
		if !ok || math.Abs(n.CostRatio/2-1) > cornerTolerance {
			t.Errorf("%s corner: found %v at %v", dimNames[dim], ok, n.CostRatio)
		}
	}
}

func TestTarget(t *testing.T) {
	sp := enumerate(t, "test", 4, 0.06)
	target := sp.Target(0.06)
	if math.Abs(target/4-1) > 0.06+1e-9 {
		t.Fatalf("target %v is outside the tolerance", target)
	}
	worst := func(at float64) float64 {
		var w float64
		for dim := range dimNames {
			n, ok := sp.Corner(dim, at)
			if !ok {
				t.Fatalf("no %s corner", dimNames[dim])
			}
			w = max(w, math.Abs(math.Log(n.CostRatio/at)))
		}
		return w + 0.2*math.Abs(math.Log(at/4))
	}
	for at := 3.77; at < 4.23; at += 0.013 {
		if worst(at) < worst(target)-1e-3 {
			t.Errorf("%v is a better target (%v) than %v (%v)", at, worst(at), target, worst(target))
		}
	}
}

func TestTriangle(t *testing.T) {
	if d := Distance(DepthCorner, WidthCorner); math.Abs(d-1) > 1e-12 {
		t.Errorf("depth to width is %v, want 1", d)
	}
	if d := Distance(Centre, ResolutionCorner); math.Abs(d-1/math.Sqrt(3)) > 1e-12 {
		t.Errorf("centre to resolution is %v, want %v", d, 1/math.Sqrt(3))
	}
	// SEARCH.md: B0's coefficients are (.28, .29, .43).
	for i, got := range []float64{B0Shares.D, B0Shares.W, B0Shares.R} {
		if want := []float64{0.28, 0.29, 0.43}[i]; math.Abs(got-want) > 0.005 {
			t.Errorf("B0's share %d is %.3f, want %.2f", i, got, want)
		}
	}
}

// TestRandomBases enumerates over bases nobody chose.
func TestRandomBases(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := testBase()
		base.Stem.Width = rapid.IntRange(3, 40).Draw(t, "stem")
		base.Head = rapid.SampledFrom([]int{0, 17, 64}).Draw(t, "head")
		base.Resolution = rapid.IntRange(16, 64).Draw(t, "resolution")
		base.Rule.WidthDivisor = rapid.SampledFrom([]int{1, 4, 8}).Draw(t, "divisor")
		base.Rule.Depth = rapid.SampledFrom([]arch.Rounding{arch.RoundUp, arch.RoundNearest}).Draw(t, "rounding")
		for i := range base.Stages {
			base.Stages[i].Width = rapid.IntRange(4, 48).Draw(t, "width")
			base.Stages[i].Repeats = rapid.IntRange(1, 3).Draw(t, "repeats")
		}
		factor := rapid.Float64Range(1.3, 5).Draw(t, "factor")
		tol := 0.05 // a variable, so that the bounds below round as the search's do
		sp, err := Enumerate(base, factor, tol)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, n := range all(sp) {
			if seen[n.key()] || n.CostRatio < factor*(1-tol) || n.CostRatio > factor*(1+tol) {
				t.Fatalf("network %d: repeated or costing %v, wanted %v", i, n.CostRatio, factor)
			}
			seen[n.key()] = true
			if i%50 == 0 {
				if _, err := n.Spec(&base); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
