package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A gemmCase is a product as the engine asks for it.
type gemmCase struct {
	m, n, k int
	trans   bool // ars = 1: A is stored [k,m]
	pad     int  // elements between the rows of every matrix
	acc     bool
}

func (c gemmCase) String() string {
	s := fmt.Sprintf("%dx%dx%d", c.m, c.n, c.k)
	if c.trans {
		s += "t"
	}
	if c.acc {
		s += "+"
	}
	if c.pad > 0 {
		s += fmt.Sprintf("/%d", c.pad)
	}
	return s
}

// strides are ars, acs, ldb, ldc and the sizes of A, B and C in memory.
func (c gemmCase) strides() (ars, acs, ldb, ldc, na, nb, nc int) {
	ldb, ldc = c.n+c.pad, c.n+c.pad
	if c.trans {
		return 1, c.m + c.pad, ldb, ldc, c.k * (c.m + c.pad), c.k * ldb, c.m * ldc
	}
	return c.k + c.pad, 1, ldb, ldc, c.m * (c.k + c.pad), c.k * ldb, c.m * ldc
}

// gemmCases are shapes of our networks: expansion, projection, their
// gradients, squeeze-excite and classifier.
var gemmCases = []gemmCase{
	{m: 16, n: 8, k: 32}, {m: 49, n: 8, k: 64}, {m: 784, n: 8, k: 8}, {m: 784, n: 48, k: 8}, {m: 196, n: 16, k: 48},
	{m: 6272, n: 16, k: 96}, {m: 6272, n: 96, k: 16}, {m: 6272, n: 24, k: 72}, {m: 6272, n: 144, k: 24},
	{m: 1568, n: 40, k: 144}, {m: 1568, n: 240, k: 40}, {m: 6272, n: 40, k: 240}, {m: 196, n: 112, k: 480},
	{m: 196, n: 672, k: 112}, {m: 49, n: 192, k: 1152}, {m: 49, n: 1152, k: 192}, {m: 49, n: 1280, k: 320},
	{m: 1568, n: 192, k: 672}, {m: 1568, n: 1280, k: 320}, {m: 50176, n: 96, k: 16}, {m: 50176, n: 16, k: 32},
	{m: 1, n: 1000, k: 1280}, {m: 1, n: 8, k: 96}, {m: 1, n: 96, k: 4}, {m: 32, n: 8, k: 96}, {m: 32, n: 96, k: 8}, {m: 128, n: 10, k: 256},
	{m: 16, n: 96, k: 6272, trans: true, acc: true}, {m: 96, n: 16, k: 6272, trans: true}, {m: 24, n: 144, k: 6272, trans: true},
	{m: 40, n: 240, k: 1568, trans: true, acc: true}, {m: 240, n: 40, k: 1568, trans: true},
	{m: 8, n: 8, k: 12544, trans: true}, {m: 112, n: 672, k: 196, trans: true}, {m: 1152, n: 192, k: 49, trans: true},
	{m: 192, n: 1152, k: 392, trans: true, acc: true}, {m: 16, n: 32, k: 100352, trans: true},
}

// edgeCases are small products around the sizes of tiles and vectors.
func edgeCases() []gemmCase {
	var cases []gemmCase
	for m := 1; m <= 13; m++ {
		for j, n := range []int{1, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 25, 31, 32, 33, 40} {
			k := []int{1, 2, 3, 7, 16, 40}[(m+j)%6]
			c := gemmCase{m, n, k, (m+2*j)%3 == 0, (m * j) % 4, (m+j)%2 == 0}
			cases = append(cases, c)
			c.acc = !c.acc
			cases = append(cases, c)
		}
	}
	for _, m := range []int{17, 24, 25, 31, 35, 49} {
		cases = append(cases, gemmCase{m: m, n: m, k: m}, gemmCase{m: m, n: 50 - m, k: 5, trans: true, pad: 2, acc: true})
	}
	for _, k := range []int{0, 255, 256, 257, 512, 700} {
		cases = append(cases, gemmCase{m: 13, n: 19, k: k}, gemmCase{m: 5, n: 37, k: k, acc: true, trans: true, pad: 3})
	}
	return append(cases, gemmCase{m: 0, n: 3, k: 3}, gemmCase{m: 3, n: 0, k: 3}, gemmCase{m: 505, n: 33, k: 3}, gemmCase{m: 1021, n: 8, k: 5, trans: true, acc: true})
}

// TestGemm holds every implementation against sums in float64. A sum of s
// products may be off by s roundings of the sum of their magnitudes, where s is
// gemmK at most within a block, and one more a block.
func TestGemm(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		cases := edgeCases()
		edges := len(cases)
		for i, c := range append(cases, gemmCases...) {
			if i >= edges { // the reference is slow
				c.m, c.n, c.k = min(c.m, 70), min(c.n, 150), min(c.k, 600)
			}
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			testGemm(t, impl, c, rng)
		}
	})
}

func testGemm(t *testing.T, impl *Impl, s gemmCase, rng *rand.Rand) {
	ars, acs, ldb, ldc, na, nb, nc := s.strides()
	inRow := func(width, ld int) func(int) bool { return func(i int) bool { return i%ld < width } }
	wa := s.k
	if s.trans {
		wa = s.m
	}
	a := newBlock(rng, na, rng.IntN(17), inRow(wa, max(1, ars, acs)))
	b := newBlock(rng, nb, rng.IntN(17), inRow(s.n, max(1, ldb)))
	c := newBlock(rng, nc, rng.IntN(17), inRow(s.n, max(1, ldc)))
	before := c.clone(0)
	again := c.clone(5)
	impl.Gemm(s.m, s.n, s.k, a.s, ars, acs, b.s, ldb, c.s, ldc, s.acc, nil)
	c.check(t, s.String())
	a2, b2 := a.clone(1), b.clone(3)
	impl.Gemm(s.m, s.n, s.k, a2.s, ars, acs, b2.s, ldb, again.s, ldc, s.acc, nil)
	sameBits(t, s.String()+" at other addresses", again.s, c.s)

	third := before.clone(2)
	impl.Gemm(s.m, s.n, s.k, a.s, ars, acs, panels(b.s, s.k, s.n, ldb), InPanels, third.s, ldc, s.acc, nil)
	sameBits(t, s.String()+" with B in panels", third.s, c.s)

	roundings := float64(min(s.k, gemmK) + s.k/gemmK + 2)
	for i := range s.m {
		for j := range s.n {
			var want, size float64
			if s.acc {
				want = float64(before.s[i*ldc+j])
				size = math.Abs(want)
			}
			for p := range s.k {
				v := float64(a.s[i*ars+p*acs]) * float64(b.s[p*ldb+j])
				want += v
				size += math.Abs(v)
			}
			if got := float64(c.s[i*ldc+j]); !(math.Abs(got-want) <= roundings*0x1p-24*size) {
				t.Fatalf("%v: C[%d,%d] = %g, want %g within %g", s, i, j, got, want, roundings*0x1p-24*size)
			}
		}
	}
}

// panels is B [k,n], rows ldb apart, in panels; nothing lies behind them.
func panels(b []float32, k, n, ldb int) []float32 {
	var out []float32
	for j := 0; j < n; j += PanelCols {
		for p := range k {
			out = append(out, b[p*ldb+j:p*ldb+min(j+PanelCols, n)]...)
		}
	}
	return slices.Clip(out)
}

// TestGemmPlace holds that an element of C does not depend on where it stands:
// so a batch and its parts give the same bits.
func TestGemmPlace(t *testing.T) {
	const m, n, k = 29, 41, 300
	rng := rand.New(rand.NewPCG(7, 7))
	a, b, old := randoms(rng, m*k), randoms(rng, k*n), randoms(rng, m*n)
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for _, acc := range []bool{false, true} {
			whole := append([]float32{}, old...)
			impl.Gemm(m, n, k, a, k, 1, b, n, whole, n, acc, nil)
			for range 200 {
				i, j := rng.IntN(m), rng.IntN(n)
				h, w := 1+rng.IntN(m-i), 1+rng.IntN(n-j)
				part := append([]float32{}, old...)
				impl.Gemm(h, w, k, a[i*k:], k, 1, b[j:], n, part[i*n+j:], n, acc, nil)
				for y := range h {
					at := (i+y)*n + j
					sameBits(t, fmt.Sprintf("rows %d+%d, columns %d+%d", i, h, j, w), part[at:at+w], whole[at:at+w])
				}
			}
		}
	})
}

// TestGemmBounds holds that a call outside its slices panics.
func TestGemmBounds(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		ok := make([]float32, 12)
		for name, call := range map[string]func(){
			"a":       func() { impl.Gemm(3, 4, 4, ok[:11], 4, 1, make([]float32, 16), 4, ok, 4, false, nil) },
			"a trans": func() { impl.Gemm(4, 4, 3, ok[:11], 1, 4, ok, 4, make([]float32, 16), 4, false, nil) },
			"b":       func() { impl.Gemm(3, 4, 3, ok, 3, 1, ok[:11], 4, ok, 4, false, nil) },
			"panels":  func() { impl.Gemm(3, 4, 3, ok, 3, 1, ok[:11], InPanels, ok, 4, false, nil) },
			"ldb":     func() { impl.Gemm(3, 4, 3, ok, 3, 1, ok, InPanels-1, ok, 4, false, nil) },
			"c":       func() { impl.Gemm(3, 4, 3, ok, 3, 1, ok, 4, ok[:11], 4, false, nil) },
			"m":       func() { impl.Gemm(-1, 4, 3, ok, 3, 1, ok, 4, ok, 4, false, nil) },
			"ars":     func() { impl.Gemm(2, 4, 3, ok, -3, 1, ok, 4, ok, 4, false, nil) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				call()
			}()
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range gemmCases {
		ars, acs, ldb, ldc, na, nb, nc := s.strides()
		x, y, z := randoms(rng, na), randoms(rng, nb), make([]float32, nc)
		benchImpl(b, s.String(), "GFLOP/s", 2*float64(s.m)*float64(s.n)*float64(s.k), func(impl *Impl) {
			impl.Gemm(s.m, s.n, s.k, x, ars, acs, y, ldb, z, ldc, s.acc, nil)
		})
	}
}
