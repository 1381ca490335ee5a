package train

import "math"

// crossEntropy ends the network: softmax cross-entropy with label smoothing,
//
//	loss = -sum_k t_k log p_k,  t_k = s/classes + (1-s) y_k
//
// whose gradient at the logits is (p - t)/n for a mean over n images. y is 1 at
// the label, or where images were mixed share at the label and 1-share at the
// other one, which is the same as mixing the two smoothed targets (timm).
type crossEntropy struct {
	logits *value
}

// lossSum is one lane's part, on a cache line of its own.
type lossSum struct {
	loss    float64
	correct int
	_       [6]uint64
}

func (c *crossEntropy) forward(e *engine, w *worker, t *tile) {
	s := &e.losses[t.lane]
	for i := t.i0; i < t.i1; i++ {
		loss, correct := e.imageLoss(c.logits.at(i, i+1), c.logits.gradAt(i, i+1), e.first+i)
		s.loss += loss
		if correct {
			s.correct++
		}
	}
}

// imageLoss is the loss of image i of the batch with logits x [classes], and
// whether the label with the larger share has the largest of them. It writes
// the gradient to g [classes].
func (e *engine) imageLoss(x, g []float32, i int) (loss float64, correct bool) {
	label, other, share := e.targets.of(i)
	even := e.smoothing / float64(len(x))
	top, best := math.Inf(-1), -1
	for k, v := range x {
		if float64(v) > top {
			top, best = float64(v), k
		}
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	lse := top + math.Log(sum)
	for k, v := range x {
		target := even
		if k == label {
			target += share * (1 - e.smoothing)
		}
		if k == other {
			target += (1 - share) * (1 - e.smoothing)
		}
		logp := float64(v) - lse
		if target > 0 {
			loss -= target * logp
		}
		g[k] = float32((math.Exp(logp) - target) / float64(e.n))
	}
	if share < 0.5 {
		label = other
	}
	return loss, best == label
}

func (c *crossEntropy) backward(e *engine, w *worker, t *tile) {}
