package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/internal/ref/golden"
)

// TestLargeMean: a mean far above the spread costs the statistics and the
// gradients no more than the rounding of y itself.
func TestLargeMean(t *testing.T) {
	const rows, c, mean, spread = 6000, 3, 1000, 1
	o := newOps(1, 1, c)
	o.norm(o.conv(0, "conv", c, 1, 1, false, false), "bn")
	g := &o.g
	p := newParams(g)
	p.copyFrom(golden.Weights(g))
	b := newBatchNorm(&g.Ops[2], p)
	r := rand.New(rand.NewPCG(1, 2))
	y, dz := make([]float32, rows*c), make([]float32, rows*c)
	for i := range y {
		y[i] = float32(mean + spread*r.NormFloat64())
		dz[i] = float32(0.5 + r.NormFloat64())
	}
	w := &worker{k: kernel.Best()}
	v := &value{op: &arch.Op{}, h: 1, w: 1, c: c, bn: b, act: kernel.Identity}
	v.src = &value{h: 1, w: 1, c: c, store: &buffer{data: y}}
	v.grad = &buffer{data: dz}
	b.out = v
	third := rows / 3 * c
	for lane := range 3 {
		b.lanes[lane].reset()
		b.observe(w, lane, y[lane*third:(lane+1)*third])
	}
	if err := b.finishForward(3); err != nil {
		t.Fatal(err)
	}
	for lane := range 3 {
		b.lanes[lane].reset()
		(&activation{v: v}).backward(nil, w, &tile{lane: lane, i0: lane * rows / 3, i1: (lane + 1) * rows / 3})
	}
	b.finishBackward(3, false)
	for i := range c {
		var m, q, s1, s2 float64
		for j := i; j < len(y); j += c {
			m += float64(y[j]) / rows
		}
		for j := i; j < len(y); j += c {
			d := float64(y[j]) - m
			q += d * d / rows
			s1 += float64(dz[j])
			s2 += float64(dz[j]) * d
		}
		near(t, "mean", b.mean64[i:i+1], []float64{m}, 1e-8, 0)
		near(t, "variance", b.variance[i:i+1], []float64{q}, 1e-5, 0)
		near(t, "dbeta", b.dbeta[i:i+1], []float64{s1}, 1e-6, 0)
		near(t, "dgamma", b.dgamma[i:i+1], []float64{s2 / math.Sqrt(q+1e-3)}, 0, 0.01)
	}
}
