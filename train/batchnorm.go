package train

import (
	"fmt"
	"math"

	"effnet/arch"
	"effnet/internal/kernel"
)

// batchNorm is the state of one batch norm over a convolution's output
// y [M,c], M pixels of all images. It is never a pass of its own:
//
//	forward   z = act(gamma*(y-mean)/sqrt(var+eps) + beta) = act(scale*y + shift)
//	          where z is read; the moments of y are summed where y is made.
//	backward  with g the gradient before act, S1 = sum g, S2 = sum g*(y-mean):
//	          dgamma = S2*invstd, dbeta = S1,
//	          dy = gamma*invstd*(g - S1/M - (y-mean)*invstd^2*S2/M) = a*g + b*y + c
//	          where dy is read; S1 and S2 are summed where g is made.
//
// With running statistics mean and var do not depend on y: dy = gamma*invstd*g.
//
// Each lane sums a tile in float32 and its tiles in float64, around a centre
// near the mean, so that a large mean costs no accuracy; lanes are combined in
// their order.
type batchNorm struct {
	op           *arch.Op
	out          *value // act(bn(y))
	gamma, beta  []float32
	dgamma       []float32
	dbeta        []float32
	runMean      []float32
	runVar       []float32
	scale, shift []float32
	mean         []float32
	mean64       []float64
	variance     []float64 // biased
	invstd       []float64
	a, b, c      []float32
	count        int // rows of the micro-batch
	batch        struct {
		count          int
		mean, variance []float64 // of all micro-batches so far
	}
	lanes   []moments
	running bool // normalises with the running statistics and keeps them
	frozen  bool // gamma and beta are
}

// moments are one lane's sums: in forward around center, in backward of g and
// of g times the distance from the mean.
type moments struct {
	rows   int
	center []float32
	s1, s2 []float64
}

func newBatchNorm(op *arch.Op, p *params) *batchNorm {
	c := op.Shape.C
	b := &batchNorm{op: op}
	b.gamma, b.dgamma = p.get(op, arch.BNGamma)
	b.beta, b.dbeta = p.get(op, arch.BNBeta)
	b.runMean, _ = p.get(op, arch.BNMean)
	b.runVar, _ = p.get(op, arch.BNVar)
	for _, s := range []*[]float32{&b.scale, &b.shift, &b.mean, &b.a, &b.b, &b.c} {
		*s = make([]float32, c)
	}
	for _, s := range []*[]float64{&b.mean64, &b.variance, &b.invstd, &b.batch.mean, &b.batch.variance} {
		*s = make([]float64, c)
	}
	for range maxLanes {
		// Lanes are written by different threads: a cache line of their own each.
		b.lanes = append(b.lanes, moments{
			center: make([]float32, align(c))[:c],
			s1:     make([]float64, align(c))[:c],
			s2:     make([]float64, align(c))[:c],
		})
	}
	return b
}

func (m *moments) reset() {
	m.rows = 0
	clear(m.s1)
	clear(m.s2)
}

func (m *moments) add(s1, s2 []float32) {
	for i, s := range s1 {
		m.s1[i] += float64(s)
		m.s2[i] += float64(s2[i])
	}
}

// sumRows bounds the rows summed in float32 at a time.
const sumRows = 1024

// observe adds rows y [m,c] of a lane to its sums.
func (b *batchNorm) observe(w *worker, lane int, y []float32) {
	if b.running || w.tile.again {
		return
	}
	c := len(b.gamma)
	l := &b.lanes[lane]
	if l.rows == 0 {
		copy(l.center, y[:c])
	}
	l.rows += len(y) / c
	mark := w.used
	s := w.take(2 * c)
	for len(y) > 0 {
		part := y[:min(len(y), sumRows*c)]
		clear(s)
		w.k.Moments(part, l.center, s[:c], s[c:])
		l.add(s[:c], s[c:])
		y = y[len(part):]
	}
	w.used = mark
}

// Each micro-batch is normalised by its own moments, as GPipe does; the running
// statistics follow those of the whole batch.

// finishForward combines the lanes. The moments of two parts with means m1, m2
// and sums of squares around them q1, q2 combine to q1 + q2 + (m2-m1)^2*n1*n2/(n1+n2).
func (b *batchNorm) finishForward(lanes int) error {
	if b.running {
		for i := range b.gamma {
			b.normalise(i, float64(b.runMean[i]), float64(b.runVar[i]))
		}
		return nil
	}
	b.count = 0
	for l := range lanes {
		b.count += b.lanes[l].rows
	}
	if b.count < 2 {
		return fmt.Errorf("train: %s: one value per channel has no variance; use more than one image, or a higher resolution", b.op.Name)
	}
	for i := range b.gamma {
		n, mean, q := 0.0, 0.0, 0.0
		for l := range lanes {
			m := &b.lanes[l]
			if m.rows == 0 {
				continue
			}
			r := float64(m.rows)
			d := float64(m.center[i]) + m.s1[i]/r - mean
			q += max(0, m.s2[i]-m.s1[i]*m.s1[i]/r) + d*d*n*r/(n+r)
			n += r
			mean += d * r / n
		}
		b.normalise(i, mean, q/n)
	}
	return nil
}

// normalise settles how channel i is normalised.
func (b *batchNorm) normalise(i int, mean, variance float64) {
	b.mean64[i], b.variance[i] = mean, variance
	b.invstd[i] = 1 / math.Sqrt(variance+b.op.Eps)
	scale := float64(b.gamma[i]) * b.invstd[i]
	b.mean[i] = float32(mean)
	b.scale[i] = float32(scale)
	b.shift[i] = float32(float64(b.beta[i]) - mean*scale)
}

// gather adds the moments of a micro-batch to those of the batch.
func (b *batchNorm) gather(first bool) {
	t := &b.batch
	switch {
	case b.running:
	case first:
		t.count = b.count
		copy(t.mean, b.mean64)
		copy(t.variance, b.variance)
	default:
		n, r := float64(t.count), float64(b.count)
		for i, mean := range b.mean64 {
			d := mean - t.mean[i]
			t.variance[i] = (t.variance[i]*n + b.variance[i]*r + d*d*n*r/(n+r)) / (n + r)
			t.mean[i] += d * r / (n + r)
		}
		t.count += b.count
	}
}

// finishBackward turns the lanes' sums into the coefficients of dy and the
// gradients of gamma and beta, or adds to these.
func (b *batchNorm) finishBackward(lanes int, add bool) {
	n := float64(b.count)
	for i := range b.gamma {
		s1, s2 := 0.0, 0.0
		for l := range lanes {
			s1 += b.lanes[l].s1[i]
			s2 += b.lanes[l].s2[i]
		}
		s2 -= s1 * (b.mean64[i] - float64(b.mean[i])) // the kernel's centre is the rounded mean
		if !b.frozen {
			if !add {
				b.dgamma[i], b.dbeta[i] = 0, 0
			}
			b.dgamma[i] += float32(s2 * b.invstd[i])
			b.dbeta[i] += float32(s1)
		}
		ga := float64(b.gamma[i]) * b.invstd[i]
		if b.running {
			b.a[i] = float32(ga)
			continue // b and c are 0
		}
		gb := -ga * b.invstd[i] * b.invstd[i] * s2 / n
		b.a[i] = float32(ga)
		b.b[i] = float32(gb)
		b.c[i] = float32(-ga*s1/n - gb*b.mean64[i])
	}
}

// updateRunning moves the running statistics: the unbiased variance, as PyTorch.
func (b *batchNorm) updateRunning() {
	if b.running {
		return
	}
	m := b.op.Momentum
	t := &b.batch
	unbias := float64(t.count) / float64(t.count-1)
	for i := range b.gamma {
		b.runMean[i] = float32((1-m)*float64(b.runMean[i]) + m*t.mean[i])
		b.runVar[i] = float32((1-m)*float64(b.runVar[i]) + m*unbias*t.variance[i])
	}
}

// actBackward goes back through act(bn(y)): from dz, rows [r0,r1) of the
// gradient after the activation, to the same rows of out.grad, which may be dz.
// slopes are the activation's there, or nil.
func (b *batchNorm) actBackward(w *worker, dz, slopes []float32, r0, r1 int, sums []float32) {
	v := b.out
	if slopes != nil {
		w.k.SlopeBackward(v.gradAt(r0, r1), dz, slopes, v.src.at(r0, r1), b.mean, sums[:v.c], sums[v.c:])
		return
	}
	w.k.ActBackward(v.gradAt(r0, r1), dz, v.src.at(r0, r1), b.scale, b.shift, b.mean, v.act, sums[:v.c], sums[v.c:])
}

// gradRows is the gradient of rows [r0,r1) of y, a convolution's output, in
// scratch where a batch norm follows.
func gradRows(w *worker, y *value, bn *batchNorm, r0, r1 int) []float32 {
	if bn == nil {
		return y.gradAt(r0, r1)
	}
	dy := w.take((r1 - r0) * y.c)
	bn.backward(w, dy, r0, r1)
	return dy
}

// backward makes rows [r0,r1) of dy from those of the gradient after the norm.
func (b *batchNorm) backward(w *worker, dy []float32, r0, r1 int) {
	w.k.Affine2(dy, b.out.gradAt(r0, r1), b.out.src.at(r0, r1), b.a, b.b, b.c)
}

func kernelAct(a arch.Act) (kernel.Act, error) {
	switch a {
	case arch.ActIdentity:
		return kernel.Identity, nil
	case arch.ActReLU:
		return kernel.ReLU, nil
	case arch.ActReLU6:
		return kernel.ReLU6, nil
	case arch.ActSwish:
		return kernel.Swish, nil
	case arch.ActSigmoid:
		return kernel.Sigmoid, nil
	case arch.ActHardSwish:
		return kernel.HardSwish, nil
	case arch.ActHardSigmoid:
		return kernel.HardSigmoid, nil
	}
	return 0, fmt.Errorf("training does not know the activation %s", a)
}
