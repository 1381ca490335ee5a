package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// An update is an optimiser's kernel: run changes data[0] and the memory after
// the gradient data[1]; ref is the same for one element in float64.
type update struct {
	name   string
	arrays int
	run    func(impl *Impl, d [][]float32)
	ref    func(x []float64)
}

var (
	rmspropStep = RMSPropStep{LR: 0.016, Alpha: 0.1, Momentum: 0.9, Eps: 1e-3, Decay: 1e-2}
	sgdStep     = SGDStep{LR: 0.1, Momentum: 0.9, Decay: 1e-2}
	adamwStep   = AdamWStep{LR: 1e-2, Alpha: 0.1, Beta: 1e-3, Eps: 1e-8, Decay: 1e-3, Unbias: 10, UnbiasSquare: 1000}
)

var updates = []update{
	{"rmsprop", 4, func(impl *Impl, d [][]float32) { impl.RMSProp(d[0], d[1], d[2], d[3], rmspropStep) }, func(x []float64) {
		d := x[1] + float64(rmspropStep.Decay)*x[0]
		x[2] += float64(rmspropStep.Alpha) * (d*d - x[2])
		x[3] = float64(rmspropStep.Momentum)*x[3] + float64(rmspropStep.LR)*d/math.Sqrt(x[2]+float64(rmspropStep.Eps))
		x[0] -= x[3]
	}},
	{"sgd", 3, func(impl *Impl, d [][]float32) { impl.SGD(d[0], d[1], d[2], sgdStep) }, func(x []float64) {
		x[2] = float64(sgdStep.Momentum)*x[2] + x[1] + float64(sgdStep.Decay)*x[0]
		x[0] -= float64(sgdStep.LR) * x[2]
	}},
	{"adamw", 4, func(impl *Impl, d [][]float32) { impl.AdamW(d[0], d[1], d[2], d[3], adamwStep) }, func(x []float64) {
		x[2] += float64(adamwStep.Alpha) * (x[1] - x[2])
		x[3] += float64(adamwStep.Beta) * (x[1]*x[1] - x[3])
		x[0] -= float64(adamwStep.Decay)*x[0] + float64(adamwStep.LR)*float64(adamwStep.Unbias)*x[2]/(math.Sqrt(float64(adamwStep.UnbiasSquare)*x[3])+float64(adamwStep.Eps))
	}},
	{"average", 2, func(impl *Impl, d [][]float32) { impl.Average(d[0], d[1], 0.3) }, func(x []float64) {
		x[0] += float64(float32(0.3)) * (x[1] - x[0])
	}},
}

// TestUpdates holds the steps of optimisers against float64. Their values are
// about 1, and no step has more than eight roundings that count.
func TestUpdates(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for _, u := range updates {
			for _, n := range []int{0, 1, 7, 8, 15, 16, 17, 100, 255, 256, 257, 1024, 1300} {
				rng := rand.New(rand.NewPCG(4, uint64(n)))
				bs, data := blocks(rng, u.arrays, n)
				for _, d := range data[2:] { // averages of squares are positive
					for i := range d {
						d[i] = 0.1 + d[i]*d[i]
					}
				}
				_, before := clones(bs, 0)
				_, again := clones(bs, 5)
				u.run(impl, data)
				u.run(impl, again)
				for i, b := range bs {
					what := fmt.Sprintf("%s of %d: array %d", u.name, n, i)
					b.check(t, what)
					sameBits(t, what+" at other addresses", again[i], data[i])
				}
				sameBits(t, u.name+": the second argument", data[1], before[1])
				for i := range n {
					var x []float64
					for _, d := range before {
						x = append(x, float64(d[i]))
					}
					size := 0.0
					for _, v := range x {
						size = max(size, math.Abs(v), v*v)
					}
					u.ref(x)
					for j := range x {
						if got := float64(data[j][i]); !(math.Abs(got-x[j]) <= 8*eps*size) {
							t.Fatalf("%s of %d: array %d at %d is %g, want %g", u.name, n, j, i, got, x[j])
						}
					}
				}
			}
		}
	})
}

func BenchmarkUpdates(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 100_000
	for _, u := range updates {
		_, data := blocks(rng, u.arrays, n)
		for _, d := range data[2:] {
			for i := range d {
				d[i] = 0.1 + d[i]*d[i]
			}
		}
		// All but the gradient are read and written; the average's source is read.
		benchImpl(b, u.name, "GB/s", 4*n*float64(2*u.arrays-1), func(impl *Impl) { u.run(impl, data) })
	}
}
