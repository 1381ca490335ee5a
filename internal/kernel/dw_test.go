package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// dwOf is the geometry with outputs of the given size and rows and columns
// more of input than they reach.
func dwOf(c, k, stride, outH, outW, more int) DW {
	return DW{C: c, K: k, Stride: stride, InH: (outH-1)*stride + k + more, InW: (outW-1)*stride + k + more, OutH: outH, OutW: outW}
}

// dwCases are layers of our networks.
var dwCases = []DW{
	dwOf(8, 3, 1, 28, 28, 0), dwOf(24, 3, 1, 28, 28, 0), dwOf(48, 3, 2, 14, 14, 1), dwOf(96, 3, 1, 14, 14, 0),
	dwOf(96, 5, 1, 14, 14, 0), dwOf(144, 5, 2, 7, 7, 1), dwOf(240, 5, 1, 4, 4, 0), dwOf(240, 3, 1, 7, 7, 0),
	dwOf(32, 3, 1, 112, 112, 0), dwOf(96, 3, 2, 56, 56, 1), dwOf(144, 3, 1, 56, 56, 0), dwOf(144, 5, 2, 28, 28, 1),
	dwOf(480, 3, 1, 14, 14, 0), dwOf(672, 5, 1, 14, 14, 0), dwOf(672, 5, 2, 7, 7, 1), dwOf(1152, 5, 1, 7, 7, 0),
	dwOf(1152, 3, 1, 7, 7, 0), dwOf(96, 7, 1, 14, 14, 0), dwOf(96, 7, 2, 14, 14, 0),
}

// dwEdges are small maps around the sizes of blocks, and odd kernels, with whole
// vectors of channels and a rest.
func dwEdges() []DW {
	var cases []DW
	for _, k := range []int{1, 2, 3, 4, 5, 6, 7, 9} {
		for _, stride := range []int{1, 2, 3, 5} {
			for i, size := range [][2]int{{1, 1}, {2, 3}, {4, 5}, {3, 8}, {2, 18}} {
				cases = append(cases, dwOf(19, k, stride, size[0], size[1], (k+i)%3))
			}
		}
	}
	for _, c := range []int{0, 1, 4, 7, 8, 9, 15, 16, 24, 31, 40, 48} {
		cases = append(cases, dwOf(c, 3, 1, 3, 6, 0), dwOf(c, 3, 2, 3, 6, 1), dwOf(c, 5, 1, 2, 7, 1))
	}
	return append(cases, DW{C: 5, K: 3, Stride: 1, InH: 2, InW: 4})
}

// products calls f with the index of x, w and y of every product of s.
func products(s DW, f func(x, w, y int)) {
	for oy := range s.OutH {
		for ox := range s.OutW {
			for ky := range s.K {
				for kx := range s.K {
					for c := range s.C {
						f(((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*s.C+c, (ky*s.K+kx)*s.C+c, (oy*s.OutW+ox)*s.C+c)
					}
				}
			}
		}
	}
}

func (s DW) sizes() (x, w, y int) { return s.InH * s.InW * s.C, s.K * s.K * s.C, s.OutH * s.OutW * s.C }

// TestDW holds the three depthwise kernels against sums in float64. A sum of n
// products is off by at most n+1 roundings of the sum of their magnitudes.
func TestDW(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		cases := dwEdges()
		for _, s := range dwCases {
			s.C = min(s.C, 24) // the reference is slow
			s.OutH = min(s.OutH, 10)
			cases = append(cases, s)
		}
		for i, s := range cases {
			testDW(t, impl, s, rand.New(rand.NewPCG(3, uint64(i))))
		}
	})
}

func testDW(t *testing.T, impl *Impl, s DW, rng *rand.Rand) {
	nx, nw, ny := s.sizes()
	in := [3]*block{newBlock(rng, nx, rng.IntN(17), nil), newBlock(rng, nw, rng.IntN(17), nil), newBlock(rng, ny, rng.IntN(17), nil)}
	names := [3]string{"input gradient", "weight gradient", "output"}
	for out, run := range []func(x, w, y []float32){
		func(x, w, y []float32) { impl.DWBackwardInput(s, y, w, x) },
		func(x, w, y []float32) { impl.DWBackwardWeight(s, x, y, w) },
		func(x, w, y []float32) { impl.DWForward(s, x, w, y) },
	} {
		what := fmt.Sprintf("%s of %+v", names[out], s)
		b, b2 := in, in
		for i := range in {
			b[i], b2[i] = in[i].clone(0), in[i].clone(1+i)
		}
		run(b[0].s, b[1].s, b[2].s)
		for i := range b {
			b[i].check(t, what)
		}
		run(b2[0].s, b2[1].s, b2[2].s)
		sameBits(t, what+" at other addresses", b2[out].s, b[out].s)

		want, size := make([]float64, len(b[out].s)), make([]float64, len(b[out].s))
		count := make([]int, len(want))
		if out == 1 { // added to
			for i, v := range in[1].s {
				want[i], size[i] = float64(v), math.Abs(float64(v))
			}
		}
		products(s, func(x, w, y int) {
			at := [3]int{x, w, y}
			p := 1.0
			for i := range at {
				if i != out {
					p *= float64(in[i].s[at[i]])
				}
			}
			want[at[out]] += p
			size[at[out]] += math.Abs(p)
			count[at[out]]++
		})
		for i, v := range b[out].s {
			if tol := float64(count[i]+1) * eps * size[i]; !(math.Abs(float64(v)-want[i]) <= tol) {
				t.Fatalf("%s: element %d is %g, want %g within %g", what, i, v, want[i], tol)
			}
		}
	}
}

// TestDWPlace holds that an output does not depend on where it stands.
func TestDWPlace(t *testing.T) {
	s := dwOf(24, 3, 1, 5, 23, 0)
	nx, nw, ny := s.sizes()
	rng := rand.New(rand.NewPCG(8, 8))
	x, w := randoms(rng, nx), randoms(rng, nw)
	eachImpl(t, func(t *testing.T, impl *Impl) {
		whole := make([]float32, ny)
		impl.DWForward(s, x, w, whole)
		part := s
		part.OutH, part.OutW = 1, 1
		one := make([]float32, s.C)
		for oy := range s.OutH {
			for ox := range s.OutW {
				part.InH, part.InW = s.K, s.InW
				in := append(make([]float32, 0, nx+ox*s.C), x[(oy*s.InW+ox)*s.C:]...)
				impl.DWForward(part, in[:len(in)+ox*s.C], w, one)
				sameBits(t, fmt.Sprintf("output %d,%d", oy, ox), one, whole[(oy*s.OutW+ox)*s.C:][:s.C])
			}
		}
	})
}

// TestDWBounds holds that a call outside its slices panics.
func TestDWBounds(t *testing.T) {
	s := dwOf(4, 3, 1, 5, 5, 0)
	nx, nw, ny := s.sizes()
	bad := s
	bad.InW--
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for _, c := range []struct {
			s          DW
			nx, nw, ny int
		}{{s, nx - 1, nw, ny}, {s, nx, nw - 1, ny}, {s, nx, nw, ny - 1}, {bad, nx, nw, ny}} {
			x, w, y := make([]float32, nx)[:c.nx], make([]float32, nw)[:c.nw], make([]float32, ny)[:c.ny]
			for i, run := range []func(){
				func() { impl.DWForward(c.s, x, w, y) },
				func() { impl.DWBackwardInput(c.s, y, w, x) },
				func() { impl.DWBackwardWeight(c.s, x, y, w) },
			} {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%d of %+v: no panic", i, c)
						}
					}()
					run()
				}()
			}
		}
	})
}

func BenchmarkDW(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range dwCases {
		nx, nw, ny := s.sizes()
		x, w, y := randoms(rng, nx), randoms(rng, nw), randoms(rng, ny)
		work := 2 * float64(ny*s.K*s.K)
		name := fmt.Sprintf("%dx%dx%d-k%ds%d", s.OutH, s.OutW, s.C, s.K, s.Stride)
		benchImpl(b, "forward/"+name, "GFLOP/s", work, func(impl *Impl) { impl.DWForward(s, x, w, y) })
		benchImpl(b, "input/"+name, "GFLOP/s", work, func(impl *Impl) { impl.DWBackwardInput(s, y, w, x) })
		benchImpl(b, "weight/"+name, "GFLOP/s", work, func(impl *Impl) { impl.DWBackwardWeight(s, x, y, w) })
	}
}
