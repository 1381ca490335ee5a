package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestWinograd holds the transforms around products in float64 against the
// convolution itself.
func TestWinograd(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for i := range 120 {
			rng := rand.New(rand.NewPCG(4, uint64(i)))
			pick := func(n ...int) int { return n[rng.IntN(len(n))] }
			testWinograd(t, impl, pick(8, 16, 24, 3, 40), pick(8, 16, 24, 5, 48), 1+i%2, 1+rng.IntN(9), Act(i%int(numActs)), i%3 > 0, pick(0, 3), rng)
		}
	})
}

func testWinograd(t *testing.T, impl *Impl, cin, cout, rows, cols int, act Act, shifted bool, gap int, rng *rand.Rand) {
	tiles := (cols + 1) / 2
	s := Winograd{
		Tiles: tiles, C: cin, XCol: cin + gap, XRow: (2*tiles+2)*(cin+gap) + gap,
		Rows: rows, Cols: cols, YCol: cout + gap, YRow: cols*(cout+gap) + gap, Act: act,
	}
	what := fmt.Sprintf("%+v to %d channels", s, cout)
	x := newBlock(rng, 3*s.XRow+(2*tiles+1)*s.XCol+cin, rng.IntN(17), func(i int) bool {
		return i%s.XRow < (2*tiles+2)*s.XCol && i%s.XRow%s.XCol < cin
	})
	// Points lie apart by what other tiles take.
	between := rng.IntN(3) * 7
	s.Point = tiles*cin + between
	v := newBlock(rng, 15*s.Point+tiles*cin, rng.IntN(17), func(i int) bool { return i%s.Point < tiles*cin })
	m := newBlock(rng, 16*tiles*cout, rng.IntN(17), nil)
	y := newBlock(rng, (rows-1)*s.YRow+(cols-1)*s.YCol+cout, rng.IntN(17), func(i int) bool {
		return i%s.YRow < cols*s.YCol && i%s.YRow%s.YCol < cout
	})
	w, u := make([]float32, 9*cin*cout), make([]float32, 16*cin*cout)
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	WinogradWeight(u, w)
	impl.WinogradInput(s, x.s, v.s)
	v.check(t, what)
	v2 := v.clone(3)
	impl.WinogradInput(s, x.clone(1).s, v2.s)
	sameBits(t, what+" at other addresses", v2.s, v.s)
	for p := range 16 {
		for tile := range tiles {
			for j := range cout {
				sum := 0.0
				for c := range cin {
					sum += float64(v.s[p*s.Point+tile*cin+c]) * float64(u[(p*cin+c)*cout+j])
				}
				m.s[(p*tiles+tile)*cout+j] = float32(sum)
			}
		}
	}
	s.C, s.Point = cout, 0
	if shifted {
		s.Shift = newBlock(rng, cout, rng.IntN(17), nil).s
	}
	impl.WinogradOutput(s, m.s, y.s)
	y.check(t, what)
	y2 := y.clone(5)
	impl.WinogradOutput(s, m.clone(1).s, y2.s)
	sameBits(t, what+" at other addresses", y2.s, y.s)

	for r := range rows {
		for c := range cols {
			for j := range cout {
				z, size := 0.0, 0.0
				if shifted {
					z = float64(s.Shift[j])
				}
				for ky := range 3 {
					for kx := range 3 {
						for i := range cin {
							p := float64(x.s[(r+ky)*s.XRow+(c+kx)*(cin+gap)+i]) * float64(w[((3*ky+kx)*cin+i)*cout+j])
							z += p
							size += math.Abs(p)
						}
					}
				}
				want := actRef(act, z)
				if got := float64(y.s[r*s.YRow+c*s.YCol+j]); !(math.Abs(got-want) <= 32*eps*(size+1)+2*actUnits(z)*eps*math.Abs(want)) {
					t.Fatalf("%s: element %d,%d,%d is %v, want %v", what, r, c, j, got, want)
				}
			}
		}
	}
}

// TestWinogradGradient holds the gradient of the weight by way of the transforms,
// with products in float64, against its definition.
func TestWinogradGradient(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for i := range 60 {
			rng := rand.New(rand.NewPCG(5, uint64(i)))
			pick := func(n ...int) int { return n[rng.IntN(len(n))] }
			testWinogradGradient(t, impl, pick(8, 16, 24, 3), pick(8, 16, 24, 5, 40), 1+rng.IntN(5), pick(0, 3), rng)
		}
	})
}

func testWinogradGradient(t *testing.T, impl *Impl, cin, cout, tiles, gap int, rng *rand.Rand) {
	in := Winograd{Tiles: tiles, C: cin, XCol: cin, XRow: (2*tiles + 2) * cin}
	x, v := newBlock(rng, 4*in.XRow, 0, nil), make([]float32, 16*tiles*cin)
	impl.WinogradInput(in, x.s, v)

	s := Winograd{Tiles: tiles, C: cout, Point: tiles*cout + gap, XCol: cout + gap, XRow: 2*tiles*(cout+gap) + gap}
	what := fmt.Sprintf("%+v from %d channels", s, cin)
	dy := newBlock(rng, s.XRow+(2*tiles-1)*s.XCol+cout, rng.IntN(17), func(i int) bool {
		return i%s.XRow < 2*tiles*s.XCol && i%s.XRow%s.XCol < cout
	})
	e := newBlock(rng, 15*s.Point+tiles*cout, rng.IntN(17), func(i int) bool { return i%s.Point < tiles*cout })
	impl.WinogradGradient(s, dy.s, e.s)
	e.check(t, what)
	e2 := e.clone(3)
	impl.WinogradGradient(s, dy.clone(1).s, e2.s)
	sameBits(t, what+" at other addresses", e2.s, e.s)

	for c := range cin {
		for j := range cout {
			var du [16]float32
			for p := range du {
				sum := 0.0
				for tile := range tiles {
					sum += float64(v[(p*tiles+tile)*cin+c]) * float64(e.s[p*s.Point+tile*cout+j])
				}
				du[p] = float32(sum)
			}
			for k, got := range WinogradTaps(&du) {
				want, size := 0.0, 0.0
				for r := range 2 {
					for col := range 2 * tiles {
						p := float64(x.s[(r+k/3)*in.XRow+(col+k%3)*cin+c]) * float64(dy.s[r*s.XRow+col*s.XCol+j])
						want += p
						size += math.Abs(p)
					}
				}
				if !(math.Abs(float64(got)-want) <= 32*eps*(size+1)) {
					t.Fatalf("%s: tap %d of %d to %d is %v, want %v", what, k, c, j, got, want)
				}
			}
		}
	}
}

// TestWinogradFlipped: a weight turned by half a turn has the same points in
// another order.
func TestWinogradFlipped(t *testing.T) {
	w, turned := make([]float32, 9), make([]float32, 9)
	for i := range w {
		w[i] = float32(i*i + 1)
		turned[8-i] = w[i]
	}
	u, want := make([]float32, 16), make([]float32, 16)
	WinogradWeight(u, w)
	WinogradWeight(want, turned)
	for p := range want {
		if got := u[WinogradFlipped(p)]; got != want[p] {
			t.Errorf("point %d of the turned weight is %v, the weight has %v at %d", p, want[p], got, WinogradFlipped(p))
		}
	}
}
