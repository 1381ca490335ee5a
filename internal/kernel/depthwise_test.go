package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// depthwiseEdges are small depthwise convolutions on some of the channels of
// their tensors, with every part of the epilogue.
func depthwiseEdges() []Depthwise {
	var cases []Depthwise
	for i, c := range []int{1, 4, 7, 8, 9, 16, 17, 24, 32, 40, 48} {
		for _, k := range []int{1, 2, 3, 5, 7, 9} {
			for stride := 1; stride <= 3; stride++ {
				s := Depthwise{
					C: c, K: k, Stride: stride, Rows: 1 + (i+k)%3, Cols: 1 + (5*i+3*k+stride)%29,
					XCol: c + i%3, YCol: c + (i+k)%2*5, WTap: c + (i+stride)%2*3, Act: Act((i + k + stride) % int(numActs)),
				}
				s.XRow = ((s.Cols-1)*stride+k)*s.XCol + i%2*7
				s.YRow = s.Cols*s.YCol + k%2*3
				if (i+k)%3 > 0 {
					s.Shift = []float32{}
				}
				cases = append(cases, s)
			}
		}
	}
	return append(cases, Depthwise{K: 3, Stride: 1, Rows: 2, Cols: 2}, Depthwise{C: 3, K: 3, Stride: 1, Cols: 2, XCol: 3, WTap: 3})
}

// TestDepthwise holds every implementation against sums in float64.
func TestDepthwise(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for i, s := range depthwiseEdges() {
			testDepthwise(t, impl, s, i%2 == 0, rand.New(rand.NewPCG(9, uint64(i))))
		}
	})
}

func testDepthwise(t *testing.T, impl *Impl, s Depthwise, summed bool, rng *rand.Rand) {
	what := fmt.Sprintf("%+v", s)
	size := func(rows, row, cols, col int) int {
		if s.Rows*s.Cols*s.C == 0 {
			return 0
		}
		return (rows-1)*row + (cols-1)*col + s.C
	}
	inX := (s.Cols-1)*s.Stride + s.K
	pixels := func(row, cols, col int) func(int) bool {
		return func(i int) bool { return i%row < cols*col && i%row%col < s.C }
	}
	x := newBlock(rng, size((s.Rows-1)*s.Stride+s.K, s.XRow, inX, s.XCol), rng.IntN(17), pixels(max(1, s.XRow), inX, max(1, s.XCol)))
	y := newBlock(rng, size(s.Rows, s.YRow, s.Cols, s.YCol), rng.IntN(17), pixels(max(1, s.YRow), s.Cols, max(1, s.YCol)))
	w := newBlock(rng, size(1, 0, s.K*s.K, s.WTap), rng.IntN(17), func(i int) bool { return i%s.WTap < s.C })
	sums := newBlock(rng, s.C, rng.IntN(17), nil)
	before := sums.clone(0)
	if s.Shift != nil {
		s.Shift = newBlock(rng, s.C, rng.IntN(17), nil).s
	}
	again, more := y.clone(3), sums.clone(5)
	if !summed {
		sums.s, more.s = nil, nil
	}
	impl.Depthwise(s, x.s, w.s, y.s, sums.s)
	y.check(t, what)
	if summed {
		sums.check(t, what)
	}
	impl.Depthwise(s, x.clone(1).s, w.clone(5).s, again.s, more.s)
	sameBits(t, what+" at other addresses", again.s, y.s)
	sameBits(t, "sums of "+what+" at other addresses", more.s, sums.s)
	if s.Rows*s.Cols*s.C == 0 {
		return
	}

	// Any part alone gives the same bits, and sums are not needed.
	part := s
	r, c, j := rng.IntN(s.Rows), rng.IntN(s.Cols), rng.IntN(s.C)
	part.Rows, part.Cols, part.C = 1, 1+rng.IntN(s.Cols-c), s.C-j
	if s.Shift != nil {
		part.Shift = s.Shift[j:]
	}
	impl.Depthwise(part, x.s[r*s.Stride*s.XRow+c*s.Stride*s.XCol+j:], w.s[j:], again.s[r*s.YRow+c*s.YCol+j:], nil)
	again.check(t, what)
	sameBits(t, what+" in parts", again.s, y.s)

	for j := range s.C {
		sum, sumTol := float64(before.s[j]), 0.0
		size := math.Abs(sum)
		for r := range s.Rows {
			for c := range s.Cols {
				z, of := 0.0, 0.0
				if s.Shift != nil {
					z = float64(s.Shift[j])
					of = math.Abs(z)
				}
				for ky := range s.K {
					for kx := range s.K {
						v := float64(x.s[(r*s.Stride+ky)*s.XRow+(c*s.Stride+kx)*s.XCol+j]) * float64(w.s[(ky*s.K+kx)*s.WTap+j])
						z += v
						of += math.Abs(v)
					}
				}
				want := actRef(s.Act, z)
				tol := 1.2*float64(s.K*s.K+2)*eps*of + 2*actUnits(z)*eps*math.Abs(want) + 4*eps // no activation is steeper
				got := float64(y.s[r*s.YRow+c*s.YCol+j])
				if !(math.Abs(got-want) <= tol) {
					t.Fatalf("%s: element %d,%d,%d is %v, want %v within %v", what, r, c, j, got, want, tol)
				}
				sum += want
				sumTol += tol
				size += math.Abs(want)
			}
		}
		if !summed {
			continue
		}
		if got, tol := float64(sums.s[j]), sumTol+float64(s.Rows*s.Cols+1)*eps*size; !(math.Abs(got-sum) <= tol) {
			t.Fatalf("%s: the sum of channel %d is %v, want %v within %v", what, j, got, sum, tol)
		}
	}
}
