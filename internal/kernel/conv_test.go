package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// convOf is a convolution of kernel k and a stride on an image that holds its
// padding, with gaps floats between the rows of everything.
func convOf(rows, cols, cin, cout, k, stride, gap int) Conv {
	w := (cols-1)*stride + k
	row := w*cin + gap
	return Conv{
		Rows: rows, Cols: cols, N: cout, Segs: k, K: k * cin,
		XRow: stride * row, XCol: stride * cin, XSeg: row,
		YRow: cols*cout + gap, YCol: cout, RRow: cols*cout + 2*gap,
	}
}

// convCases are layers of our networks.
func convCases() []Conv {
	point := func(rows, cols, cin, cout int) Conv { return convOf(rows, cols, cin, cout, 1, 1, 0) }
	return []Conv{
		point(112, 112, 32, 16), point(112, 112, 16, 96), point(56, 56, 96, 24), point(56, 56, 24, 144), point(28, 28, 144, 40),
		point(28, 28, 40, 240), point(14, 14, 240, 80), point(14, 14, 80, 480), point(14, 14, 480, 112), point(14, 14, 112, 672),
		point(7, 7, 672, 192), point(7, 7, 192, 1152), point(7, 7, 1152, 320), point(7, 7, 320, 1280),
		point(1, 1, 1280, 1000), point(1, 1, 1152, 48), point(1, 1, 48, 1152),
		convOf(112, 112, 3, 32, 3, 2, 0), convOf(56, 56, 24, 96, 3, 1, 8), convOf(28, 28, 48, 192, 3, 2, 0), convOf(7, 7, 64, 64, 3, 1, 0),
	}
}

// convEdges are small convolutions around the sizes of tiles and vectors, with
// every part of the epilogue.
func convEdges() []Conv {
	var cases []Conv
	for m := 1; m <= 16; m++ {
		for j, n := range []int{1, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 25, 31, 32, 33, 40} {
			s := convOf(1+m%3, m, []int{1, 2, 3, 5, 8, 9}[(m+j)%6], n, 1+(m+2*j)%3, 1+(m+j)%2, []int{0, 0, 5}[(m+j)%3])
			s.Act, s.Last = Act((m+j)%int(numActs)), Act((m+2*j)%int(numActs))
			if (m+j/2)%2 == 0 {
				s.Shift = []float32{}
			}
			if (m+j/4)%3 == 0 {
				s.Residual = []float32{}
			}
			cases = append(cases, s)
		}
	}
	wide := convOf(2, 3, 7, 20, 1, 1, 0) // into some of the channels of y
	wide.YCol, wide.YRow, wide.RRow = 50, 150, 150
	wide.Residual = []float32{}
	return append(cases, convOf(0, 3, 3, 3, 1, 1, 0), convOf(3, 0, 3, 3, 1, 1, 0), convOf(3, 3, 3, 0, 1, 1, 0), wide,
		convOf(1, 49, 300, 70, 1, 1, 0), convOf(1, 131, 3, 100, 1, 1, 0))
}

// TestConv holds every implementation against sums in float64.
func TestConv(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		cases := convEdges()
		for _, s := range convCases() { // the reference is slow
			s.Rows, s.N = min(s.Rows, 2), min(s.N, 100)
			s.Act = Swish
			cases = append(cases, s)
		}
		for i, s := range cases {
			testConv(t, impl, s, rand.New(rand.NewPCG(7, uint64(i))))
		}
	})
}

func testConv(t *testing.T, impl *Impl, s Conv, rng *rand.Rand) {
	what := fmt.Sprintf("%+v", s)
	patch := s.Segs * s.K
	size := func(row, col, in int) int {
		if s.Rows == 0 || s.Cols == 0 || s.N == 0 {
			return 0
		}
		return (s.Rows-1)*row + (s.Cols-1)*col + in
	}
	pixels := func(row int) func(int) bool {
		return func(i int) bool { return i%row < s.Cols*s.YCol && i%row%s.YCol < s.N }
	}
	x := newBlock(rng, size(s.XRow, s.XCol, (s.Segs-1)*s.XSeg+s.K), rng.IntN(17), nil)
	y := newBlock(rng, size(s.YRow, s.YCol, s.N), rng.IntN(17), pixels(max(1, s.YRow)))
	var shift, residual *block
	if s.Shift != nil {
		shift = newBlock(rng, s.N, rng.IntN(17), nil)
		s.Shift = shift.s
	}
	if s.Residual != nil {
		residual = newBlock(rng, size(s.RRow, s.YCol, s.N), rng.IntN(17), pixels(max(1, s.RRow)))
		s.Residual = residual.s
	}
	w := make([]float32, patch*s.N)
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	packed := newBlock(rng, impl.PackedSize(patch, s.N), 0, nil)
	impl.Pack(packed.s, patch, s.N, w)
	again := y.clone(3)
	impl.Conv(s, x.s, packed.s, y.s)
	y.check(t, what)
	impl.Conv(s, x.clone(1).s, packed.clone(5).s, again.s)
	sameBits(t, what+" at other addresses", again.s, y.s)
	if s.Rows*s.Cols*s.N == 0 {
		return
	}

	// Any panel, row or pixel alone gives the same bits.
	part := s
	j := rng.IntN((s.N+impl.Panel-1)/impl.Panel) * impl.Panel
	part.N -= j
	r, c := rng.IntN(s.Rows), rng.IntN(s.Cols)
	part.Rows, part.Cols = 1, 1+rng.IntN(s.Cols-c)
	if s.Shift != nil {
		part.Shift = s.Shift[j:]
	}
	if s.Residual != nil {
		part.Residual = s.Residual[r*s.RRow+c*s.YCol+j:]
	}
	impl.Conv(part, x.s[r*s.XRow+c*s.XCol:], packed.s[patch*j:], again.s[r*s.YRow+c*s.YCol+j:])
	again.check(t, what)
	sameBits(t, what+" in parts", again.s, y.s)

	for r := range s.Rows {
		for c := range s.Cols {
			for j := range s.N {
				var want, size float64
				if s.Shift != nil {
					want = float64(s.Shift[j])
					size = math.Abs(want)
				}
				for q := range s.Segs {
					for p := range s.K {
						v := float64(x.s[r*s.XRow+c*s.XCol+q*s.XSeg+p]) * float64(w[(q*s.K+p)*s.N+j])
						want += v
						size += math.Abs(v)
					}
				}
				tol := float64(patch+2)*eps*size*1.2 + 4*eps // no activation is steeper than 1.2
				want = actRef(s.Act, want)
				tol += 4 * eps * math.Abs(want)
				if s.Residual != nil {
					want += float64(s.Residual[r*s.RRow+c*s.YCol+j])
				}
				want = actRef(s.Last, want)
				tol = 1.2*tol + 8*eps*math.Abs(want)
				if got := float64(y.s[r*s.YRow+c*s.YCol+j]); !(math.Abs(got-want) <= tol) {
					t.Fatalf("%s: element %d,%d,%d is %v, want %v within %v", what, r, c, j, got, want, tol)
				}
			}
		}
	}
}

func TestScalePacked(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		rng := rand.New(rand.NewPCG(2, 2))
		for _, k := range []int{1, 3, 40} {
			for _, n := range []int{1, 8, 16, 17, 40, 100} {
				w, scale := newBlock(rng, k*n, 0, nil), newBlock(rng, k, 3, nil)
				scaled := make([]float32, k*n)
				for i := range scaled {
					scaled[i] = w.s[i] * scale.s[i/n]
				}
				size := impl.PackedSize(k, n)
				src, dst, want := newBlock(rng, size, 1, nil), newBlock(rng, size, 2, nil), make([]float32, size)
				impl.Pack(src.s, k, n, w.s)
				impl.Pack(want, k, n, scaled)
				impl.ScalePacked(dst.s, src.s, k, n, scale.s)
				dst.check(t, "scaled weight")
				if !slices.Equal(dst.s, want) {
					t.Errorf("scaled weight %dx%d is %v, want %v", k, n, dst.s, want)
				}
			}
		}
	})
}

func BenchmarkConv(b *testing.B) {
	for _, r := range Table() {
		for _, s := range convCases() {
			for _, act := range []Act{Identity, Swish} {
				s.Act = act
				s.Shift = make([]float32, s.N)
				patch := s.Segs * s.K
				b.Run(fmt.Sprintf("%s/%dx%dx%dx%d_k%d/%s", r.Impl.Name, s.Rows, s.Cols, s.K, s.N, s.Segs, actNames[act]), func(b *testing.B) {
					if !r.Supported {
						b.Skip("not supported by this CPU")
					}
					x, w, y := make([]float32, s.Rows*s.XRow+s.Segs*s.XSeg+s.K), make([]float32, r.Impl.PackedSize(patch, s.N)), make([]float32, s.Rows*s.YRow)
					for i := range x {
						x[i] = float32(i%7) - 3
					}
					for i := range w {
						w[i] = float32(i%5)/8 - 0.25
					}
					for b.Loop() {
						r.Impl.Conv(s, x, w, y)
					}
					b.ReportMetric(2*float64(s.Rows*s.Cols*s.N*patch)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	}
}
