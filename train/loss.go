package train

import "math"

// crossEntropy ends the network: softmax cross-entropy with label smoothing,
//
//	loss = -sum_k t_k log p_k,  t_k = s/classes + (1-s) [k = label]
//
// whose gradient at the logits is (p - t)/n for a mean over n images.
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
	classes := c.logits.c
	s := &e.losses[t.lane]
	even := e.smoothing / float64(classes)
	for i := t.i0; i < t.i1; i++ {
		x, g := c.logits.at(i, i+1), c.logits.gradAt(i, i+1)
		label := int(e.labels[i])
		top, best := math.Inf(-1), -1
		for k, v := range x {
			if float64(v) > top {
				top, best = float64(v), k
			}
		}
		if best == label {
			s.correct++
		}
		sum := 0.0
		for _, v := range x {
			sum += math.Exp(float64(v) - top)
		}
		lse := top + math.Log(sum)
		for k, v := range x {
			target := even
			if k == label {
				target += 1 - e.smoothing
			}
			logp := float64(v) - lse
			if target > 0 {
				s.loss -= target * logp
			}
			g[k] = float32((math.Exp(logp) - target) / float64(e.n))
		}
	}
}

func (c *crossEntropy) backward(e *engine, w *worker, t *tile) {}
