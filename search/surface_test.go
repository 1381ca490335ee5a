package search

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"effnet/arch"
)

// bowl is a quadratic surface: how far below its best point, in shares of one.
type bowl struct {
	best   arch.Shares
	steep  float64 // loss at unit distance
	narrow float64 // further loss along the share of depth alone
}

func (b bowl) accuracy(s arch.Shares) float64 {
	d := Distance(s, b.best)
	return 0.9 - b.steep*d*d - b.narrow*(s.D-b.best.D)*(s.D-b.best.D)
}

// spots are n well-spread points of the triangle, corners first.
func spots(n int) []arch.Shares {
	t := triangle{12}
	pool := make([]Network, t.size())
	for i := range pool {
		pool[i].Realised, pool[i].CostRatio = t.shares(i), 2
	}
	taken := []arch.Shares{DepthCorner, WidthCorner, ResolutionCorner, B0Shares, Centre}
	for len(taken) < n {
		far, at := -1.0, arch.Shares{}
		for i := range pool {
			d := math.Inf(1)
			for _, s := range taken {
				d = min(d, Distance(s, pool[i].Realised))
			}
			if d > far {
				far, at = d, pool[i].Realised
			}
		}
		taken = append(taken, at)
	}
	return taken[:n]
}

func TestSurfaceExact(t *testing.T) {
	for _, c := range []struct {
		name string
		bowl bowl
		best arch.Shares
	}{
		{"inside", bowl{arch.Shares{D: 0.3, W: 0.4, R: 0.3}, 0.1, 0.05}, arch.Shares{D: 0.3, W: 0.4, R: 0.3}},
		{"on an edge", bowl{arch.Shares{D: -0.2, W: 0.6, R: 0.6}, 0.1, 0}, arch.Shares{W: 0.5, R: 0.5}},
		{"in a corner", bowl{arch.Shares{D: 1.4, W: -0.2, R: -0.2}, 0.1, 0}, DepthCorner},
	} {
		t.Run(c.name, func(t *testing.T) {
			var points []SurfacePoint
			for i, s := range spots(14) {
				log := math.Log(2) + 0.05*math.Sin(float64(7*i))
				for rung := range 2 {
					if rung == 1 && i%3 > 0 {
						continue
					}
					points = append(points, SurfacePoint{
						Network: string(rune('a' + i)), Shares: s, LogCost: log, Rung: rung, Seed: 1,
						Accuracy: c.bowl.accuracy(s) + 0.03*(log-math.Log(2)) + 0.02*float64(rung),
					})
				}
			}
			s := FitSurface(points, SurfaceOptions{LogCost: math.Log(2), Draws: 50})
			if s.Why != "" {
				t.Fatal(s.Why)
			}
			near(t, "distance of the optimum", Distance(s.Optimum, c.best), 0, 1e-5)
			acc, _ := s.At(B0Shares)
			near(t, "accuracy at B0's ratio, full length", acc, c.bowl.accuracy(B0Shares)+0.02, 1e-6)
			near(t, "R2", s.R2, 1, 1e-9)
			if !s.contains(c.best) {
				t.Error("the region misses the optimum")
			}
			if s.contains(arch.Shares{D: 0.6, W: 0.3, R: 0.1}) || s.Area > 0.02 {
				t.Errorf("without noise the region has %v of the triangle", s.Area)
			}
			r := rand.New(rand.NewPCG(1, 1))
			r.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
			again := FitSurface(points, SurfaceOptions{LogCost: math.Log(2), Draws: 50})
			if again.Optimum != s.Optimum || !slices.Equal(again.Grid, s.Grid) || !slices.EqualFunc(again.Region, s.Region, slices.Equal[[]arch.Shares]) {
				t.Error("another order of the points gives another surface")
			}
		})
	}
}

// TestSurfaceHollow: where the surface is lowest its gradient is zero, too.
func TestSurfaceHollow(t *testing.T) {
	hollow := bowl{best: arch.Shares{D: 0.2, W: 0.4, R: 0.4}, steep: -0.04}
	r := rand.New(rand.NewPCG(2, 3))
	var points []SurfacePoint
	for i, s := range spots(20) {
		points = append(points, SurfacePoint{Network: string(rune('a' + i)), Shares: s, Seed: 1, Accuracy: hollow.accuracy(s) + 0.002*r.NormFloat64()})
	}
	s := FitSurface(points, SurfaceOptions{})
	if s.Optimum != DepthCorner {
		t.Fatalf("the optimum is at %+v", s.Optimum)
	}
	for at, want := range map[arch.Shares]bool{DepthCorner: true, hollow.best: false, B0Shares: false, ResolutionCorner: false} {
		if s.contains(at) != want {
			t.Errorf("the region contains %+v: %v", at, !want)
		}
	}
	if s.Area > 0.05 {
		t.Errorf("the region has %v of the triangle", s.Area)
	}
}

func TestSurfaceTooFew(t *testing.T) {
	var points []SurfacePoint
	at := spots(8)
	for i, s := range at {
		for seed := range uint64(4) {
			points = append(points, SurfacePoint{Network: string(rune('a' + i)), Shares: s, LogCost: 0.01 * float64(i%3), Seed: seed, Accuracy: 0.9})
		}
	}
	s := FitSurface(points, SurfaceOptions{})
	if want := "a surface has 7 coefficients and wants at least 9 networks, there are 8"; s.Why != want {
		t.Errorf("it says %q, want %q", s.Why, want)
	}
	if acc, _ := s.At(Centre); !math.IsNaN(acc) {
		t.Errorf("no surface predicts %v", acc)
	}
	points = points[:0]
	for i := range 12 { // on a line
		f := float64(i) / 11
		points = append(points, SurfacePoint{Network: string(rune('a' + i)), Shares: arch.Shares{D: 1 - f, W: f / 2, R: f / 2}, Seed: 1, Accuracy: 0.9 + f/100})
	}
	if s := FitSurface(points, SurfaceOptions{}); s.Why == "" {
		t.Error("networks on a line gave a surface")
	}
}

// TestStationary: the distance to the cone of outward gradients.
func TestStationary(t *testing.T) {
	unit := [3]float64{1, 0, 1}
	for _, c := range []struct {
		name string
		at   arch.Shares
		g    [2]float64
		t    float64
		rank int
	}{
		{"inside", Centre, [2]float64{3, 4}, 25, 2},
		{"depth's corner, falling both ways", DepthCorner, [2]float64{-1, -2}, 0, 0},
		{"depth's corner, width pays", DepthCorner, [2]float64{2, -2}, 4, 1},
		{"depth's corner, both pay", DepthCorner, [2]float64{2, 1}, 5, 2},
		{"no width, falling inwards", arch.Shares{D: 0.5, R: 0.5}, [2]float64{-5, 3}, 9, 1},
		{"no width, width pays", arch.Shares{D: 0.5, R: 0.5}, [2]float64{5, 3}, 34, 2},
		{"no resolution, falling inwards", arch.Shares{D: 0.5, W: 0.5}, [2]float64{3, -5}, 9, 1},
		{"no depth, depth does not pay", arch.Shares{W: 0.5, R: 0.5}, [2]float64{2, 2}, 0, 1},
		{"width's corner, width pays", WidthCorner, [2]float64{2, 0}, 0, 0},
		{"resolution's corner, width pays", ResolutionCorner, [2]float64{2, 0}, 2, 1},
	} {
		got, rank := stationary(c.g, unit, c.at)
		near(t, c.name, got, c.t, 1e-12)
		if rank != c.rank {
			t.Errorf("%s: rank is %d, want %d", c.name, rank, c.rank)
		}
	}
}

func TestTriangleGrid(t *testing.T) {
	g := triangle{5}
	for k := range g.size() {
		if i, j := g.at(k); g.index(i, j) != k {
			t.Fatalf("point %d is at %d, %d, whose index is %d", k, i, j, g.index(i, j))
		}
	}
	all := make([]bool, g.size())
	for i := range all {
		all[i] = true
	}
	loops := g.outline(all)
	if len(loops) != 1 {
		t.Fatalf("the whole triangle has %d outlines", len(loops))
	}
	near(t, "its area", ring(loops[0]), 0.5, 1e-12)
	near(t, "its share", g.area(all), 1, 1e-12)
	// A hole in the middle is a second outline, the other way round.
	all[g.index(1, 1)] = false
	loops = g.outline(all)
	if len(loops) != 2 {
		t.Fatalf("a triangle with a hole has %d outlines", len(loops))
	}
	near(t, "area with a hole", ring(loops[0])+ring(loops[1]), 0.5*g.area(all), 1e-12)
	for k := range all {
		all[k] = false
	}
	if n := len(g.outline(all)); n != 0 {
		t.Errorf("nothing has %d outlines", n)
	}
	for _, k := range []int{g.index(5, 0), g.index(0, 2), g.index(0, 3)} {
		all[k] = true
	}
	loops = g.outline(all)
	if len(loops) != 2 {
		t.Fatalf("a corner and a piece of an edge have %d outlines", len(loops))
	}
	near(t, "their area", ring(loops[0])+ring(loops[1]), 0.5*g.area(all), 1e-12)
}

func TestTriangleClosed(t *testing.T) {
	g := triangle{20}
	set := func(in func(i, j int) bool) []bool {
		out := make([]bool, g.size())
		for k := range out {
			out[k] = in(g.at(k))
		}
		return out
	}
	for _, c := range []struct {
		name         string
		before, want func(i, j int) bool
	}{
		{"a slit along an edge", func(i, j int) bool { return j == 0 || j >= 3 }, func(i, j int) bool { return true }},
		{"a wide gap", func(i, j int) bool { return j == 0 || j >= 7 }, func(i, j int) bool { return j == 0 || j >= 7 }},
		{"a corner", func(i, j int) bool { return i+j == 0 }, func(i, j int) bool { return i+j == 0 }},
		{"an edge", func(i, j int) bool { return j == 0 }, func(i, j int) bool { return j == 0 }},
		{"nothing", func(i, j int) bool { return false }, func(i, j int) bool { return false }},
		{"everything", func(i, j int) bool { return true }, func(i, j int) bool { return true }},
		{"a hole", func(i, j int) bool { return i != 5 || j != 5 }, func(i, j int) bool { return true }},
	} {
		if got, want := g.closed(set(c.before), 2), set(c.want); !slices.Equal(got, want) {
			t.Errorf("%s is closed wrongly", c.name)
		}
	}
	line := set(func(i, j int) bool { return i == 3 })
	if !slices.Equal(g.closed(line, 0), line) {
		t.Error("radius 0 changes something")
	}
}

// ring is the signed area of a polygon in the plane of width and resolution.
func ring(p []arch.Shares) (a float64) {
	for i := range p {
		q := p[(i+1)%len(p)]
		a += (p[i].W*q.R - q.W*p[i].R) / 2
	}
	return a
}

func TestArgmax(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	g := triangle{60}
	for range 200 {
		beta := make([]float64, quadratic)
		for i := range beta {
			beta[i] = r.NormFloat64()
		}
		value := func(s arch.Shares) (y float64) {
			for i, x := range surfaceTerms(s) {
				y += beta[i] * x
			}
			return y
		}
		best := value(argmax(beta))
		for k := range g.size() {
			if v := value(g.shares(k)); v > best+1e-12 {
				t.Fatalf("coefficients %v: %v is %v, the best point is %v with %v", beta, g.shares(k), v, argmax(beta), best)
			}
		}
	}
}

func TestSurfaceString(t *testing.T) {
	s := &Surface{Optimum: arch.Shares{D: 0.25, W: 0.35, R: 0.4}, Area: 0.123, Parallel: math.NaN()}
	if got, want := s.String(), "The response surface is best at 25 % depth, 35 % width, 40 % resolution; the 95 % region of that has 12 % of the triangle."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	s.Parallel = 0.02
	if got, want := s.String(), "do not rely on the region."; !strings.HasSuffix(got, want) {
		t.Errorf("it says %q, want it to end with %q", got, want)
	}
	s.Why = "there is one network"
	if got, want := s.String(), "No response surface: there is one network."; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}
