package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"effnet/internal/kernel"
)

// TestOrthogonal takes matrices of known singular values, from 1 down to what
// float32 does not tell from 0, and expects the iteration's of each, with the
// same singular vectors.
func TestOrthogonal(t *testing.T) {
	for _, r := range kernel.Table() {
		if !r.Supported {
			continue
		}
		for _, s := range [][2]int{{8, 8}, {5, 40}, {40, 5}, {64, 24}, {24, 216}, {1, 7}, {96, 96}} {
			for _, decades := range []float64{0, 1, 4, 9} {
				t.Run(fmt.Sprintf("%s/%dx%d/%v", r.Impl.Name, s[0], s[1], decades), func(t *testing.T) {
					testOrthogonal(t, r.Impl, s[0], s[1], decades)
				})
			}
		}
	}
}

func testOrthogonal(t *testing.T, k *kernel.Impl, rows, cols int, decades float64) {
	rng := rand.New(rand.NewPCG(6, uint64(rows)))
	n := min(rows, cols)
	left, right := orthonormal(rng, n, rows), orthonormal(rng, n, cols)
	values, norm := make([]float64, n), 0.0
	for i := range values {
		values[i] = math.Pow(10, -decades*float64(i)/float64(max(1, n-1)))
		norm += values[i] * values[i]
	}
	u, want := make([]float32, rows*cols), make([]float64, rows*cols)
	for i, v := range values {
		s := v / math.Sqrt(norm)
		for range 5 {
			s = 3.4445*s - 4.775*s*s*s + 2.0315*s*s*s*s*s
		}
		for r := range rows {
			for c := range cols {
				u[r*cols+c] += float32(1e-3 * v * left[i][r] * right[i][c])
				want[r*cols+c] += s * left[i][r] * right[i][c]
			}
		}
	}
	orthogonal(&worker{k: k}, u, rows, cols)
	// A small value grows by 3.4445^5, and so does what rounds, of the Gram matrix,
	// too, whose smallest values are lost.
	near(t, "the orthogonal matrix", u, want, 0, 1e-3)
}

// orthonormal is n vectors of length m.
func orthonormal(rng *rand.Rand, n, m int) [][]float64 {
	var vs [][]float64
	for range n {
		v := make([]float64, m)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		for range 2 { // once more for what the first time rounds
			for _, q := range vs {
				dot := 0.0
				for i := range v {
					dot += v[i] * q[i]
				}
				for i := range v {
					v[i] -= dot * q[i]
				}
			}
		}
		norm := 0.0
		for _, x := range v {
			norm += x * x
		}
		for i := range v {
			v[i] /= math.Sqrt(norm)
		}
		vs = append(vs, v)
	}
	return vs
}
