package ref

import (
	"math"

	"effnet/arch"
)

// moments are the statistics of one batch per channel, over all pixels of all
// images: the mean and the biased variance (divided by Count).
type moments struct {
	mean, variance []float64
	count          int
}

func momentsOf(x []float64, c int) moments {
	m := moments{make([]float64, c), make([]float64, c), len(x) / c}
	for i, v := range x {
		m.mean[i%c] += v / float64(m.count)
	}
	for i, v := range x {
		d := v - m.mean[i%c]
		m.variance[i%c] += d * d / float64(m.count)
	}
	return m
}

// batchNorm is y = gamma*xhat + beta with xhat = (x-mean)/sqrt(variance+eps),
// the statistics those of the batch in training, the running ones otherwise.
func (t *Trace) batchNorm(i int, x, y []float64) {
	op := &t.Graph.Ops[i]
	m := moments{mean: t.param(op, arch.BNMean), variance: t.param(op, arch.BNVar)}
	if t.mode.Train && (t.mode.Running == nil || !t.mode.Running(op)) {
		m = momentsOf(x, op.Shape.C)
	}
	t.stats[i] = m
	gamma, beta := t.param(op, arch.BNGamma), t.param(op, arch.BNBeta)
	for j := range x {
		c := j % op.Shape.C
		y[j] = gamma[c]*(x[j]-m.mean[c])/math.Sqrt(m.variance[c]+op.Eps) + beta[c]
	}
}

// batchNormBackward: in training the statistics depend on x, which gives
//
//	dx = gamma/sqrt(variance+eps) * (dy - mean(dy) - xhat*mean(dy*xhat))
//
// with means over the batch per channel; with running statistics only the
// first term is there.
func (t *Trace) batchNormBackward(i int, x, dy, dx []float64, grads Tensors) {
	op := &t.Graph.Ops[i]
	m, gamma := t.stats[i], t.param(op, arch.BNGamma)
	dgamma, dbeta := grads.of(param(op, arch.BNGamma)), grads.of(param(op, arch.BNBeta))
	xhat := make([]float64, len(x))
	for j := range x {
		c := j % op.Shape.C
		xhat[j] = (x[j] - m.mean[c]) / math.Sqrt(m.variance[c]+op.Eps)
		dgamma[c] += dy[j] * xhat[j]
		dbeta[c] += dy[j]
	}
	for j := range x {
		c := j % op.Shape.C
		g := dy[j]
		if m.count > 0 { // the statistics are the batch's
			g -= (dbeta[c] + xhat[j]*dgamma[c]) / float64(m.count)
		}
		dx[j] += g * gamma[c] / math.Sqrt(m.variance[c]+op.Eps)
	}
}

// UpdateRunning moves the running statistics in p towards those of the batch
// that t saw in training: running = (1-momentum)*running + momentum*batch,
// where the variance is the unbiased one, divided by count-1.
func (t *Trace) UpdateRunning(p Tensors) {
	for i, m := range t.stats {
		if m.count < 2 {
			continue // not a training run, or no unbiased variance
		}
		op := &t.Graph.Ops[i]
		mean, variance := p.of(param(op, arch.BNMean)), p.of(param(op, arch.BNVar))
		unbias := float64(m.count) / float64(m.count-1)
		for c := range mean {
			mean[c] += op.Momentum * (m.mean[c] - mean[c])
			variance[c] += op.Momentum * (m.variance[c]*unbias - variance[c])
		}
	}
}
