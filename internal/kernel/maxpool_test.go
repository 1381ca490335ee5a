package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMaxPool looks at every window by itself.
func TestMaxPool(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, s := range []MaxPool{
		{C: 5, K: 3, Stride: 2, Top: 1, Left: 1, InH: 8, InW: 7, OutH: 4, OutW: 4},
		{C: 4, K: 3, Stride: 2, InH: 8, InW: 6, OutH: 4, OutW: 3},
		{C: 3, K: 2, Stride: 2, InH: 4, InW: 6, OutH: 2, OutW: 3},
		{C: 1, K: 5, Stride: 1, Top: 2, Left: 2, InH: 2, InW: 3, OutH: 2, OutW: 3},
	} {
		s.XRow = s.InW*s.C + 3
		x := make([]float32, s.InH*s.XRow)
		for i := range x {
			x[i] = float32(rng.IntN(5)) - 2 // with ties
		}
		for r := range s.InH {
			for i := s.InW * s.C; i < s.XRow; i++ {
				x[r*s.XRow+i] = float32(math.NaN()) // between the rows
			}
		}
		row := s.OutW * s.C
		y, dy := make([]float32, s.OutH*row), make([]float32, s.OutH*row)
		for r := range s.OutH {
			s.Forward(x, y[r*row:], r, r+1)
		}
		whole := make([]float32, len(y))
		if s.Forward(x, whole, 0, s.OutH); !slices.Equal(whole, y) {
			t.Errorf("%+v: rows one by one differ from all at once", s)
		}
		want := make([]float32, s.InH*s.InW*s.C)
		for i := range dy {
			dy[i] = float32(rng.IntN(9) + 1)
			oy, ox, c := i/row, i/s.C%s.OutW, i%s.C
			best, at := math.Inf(-1), -1
			for k := range s.K * s.K {
				iy, ix := oy*s.Stride-s.Top+k/s.K, ox*s.Stride-s.Left+k%s.K
				if iy < 0 || iy >= s.InH || ix < 0 || ix >= s.InW {
					continue
				}
				if v := float64(x[iy*s.XRow+ix*s.C+c]); v > best {
					best, at = v, (iy*s.InW+ix)*s.C+c
				}
			}
			if float64(y[i]) != best {
				t.Errorf("%+v: element %d is %v, want %v", s, i, y[i], best)
			}
			want[at] += dy[i]
		}
		dx := make([]float32, len(want))
		if s.Backward(x, dy, dx); !slices.Equal(dx, want) {
			t.Errorf("%+v: gradient %v, want %v", s, dx, want)
		}
	}
	// A NaN is not lost, wherever in the window it is.
	for i := range 4 {
		x, y, dx := []float32{1, 2, 3, 4}, []float32{0}, make([]float32, 4)
		x[i] = float32(math.NaN())
		s := MaxPool{C: 1, K: 2, Stride: 2, InH: 2, InW: 2, XRow: 2, OutH: 1, OutW: 1}
		s.Forward(x, y, 0, 1)
		if s.Backward(x, []float32{1}, dx); y[0] == y[0] || dx[i] != 1 {
			t.Errorf("NaN at %d: maximum %v, gradient %v", i, y[0], dx)
		}
	}
}

func BenchmarkMaxPool(b *testing.B) {
	s := MaxPool{C: 64, K: 3, Stride: 2, Top: 1, Left: 1, InH: 112, InW: 112, XRow: 112 * 64, OutH: 56, OutW: 56}
	x, y := make([]float32, s.InH*s.XRow), make([]float32, s.OutH*s.OutW*s.C)
	for b.Loop() {
		s.Forward(x, y, 0, s.OutH)
	}
}
