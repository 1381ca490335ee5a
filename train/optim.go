package train

import (
	"cmp"
	"fmt"
	"math"

	"effnet/arch"
)

// OptimizerKind names an update rule.
type OptimizerKind string

const (
	// RMSPropTF is TensorFlow's RMSProp: v += (1-alpha)(g^2 - v) from v = 1,
	// m = momentum*m + lr*g/sqrt(v+eps), p -= m.
	RMSPropTF OptimizerKind = "rmsprop-tf"
	// SGD is PyTorch's: m = momentum*m + g, p -= lr*m.
	SGD OptimizerKind = "sgd"
	// AdamW decays weights apart from the gradient: p -= lr*decay*p.
	AdamW OptimizerKind = "adamw"
)

// DecayRule says which parameters weight decay reaches.
type DecayRule string

const (
	// DecayAll is EfficientNet V1's: everything trainable except batch-norm
	// gamma and beta, biases included.
	DecayAll DecayRule = "all"
	// DecayWeights is V2's: weights of convolutions and linear layers only.
	DecayWeights DecayRule = "weights"
)

// Optimizer is an update rule with its constants. Those that do not apply to
// Kind are ignored.
type Optimizer struct {
	Kind        OptimizerKind
	Alpha       float64 // RMSPropTF: decay of the squared gradients
	Momentum    float64 // RMSPropTF, SGD
	Eps         float64 // RMSPropTF, AdamW
	Beta1       float64 // AdamW
	Beta2       float64
	WeightDecay float64 // of sum(p^2)/2 in the loss; AdamW: decoupled
	Decay       DecayRule
}

// DefaultOptimizer has the usual constants of a kind; for RMSPropTF those of
// EfficientNet.
func DefaultOptimizer(kind OptimizerKind) (Optimizer, error) {
	o := Optimizer{Kind: kind, Decay: DecayAll}
	switch kind {
	case RMSPropTF:
		o.Alpha, o.Momentum, o.Eps, o.WeightDecay = 0.9, 0.9, 1e-3, 1e-5
	case SGD:
		o.Momentum, o.WeightDecay = 0.9, 1e-4
	case AdamW:
		o.Beta1, o.Beta2, o.Eps, o.WeightDecay = 0.9, 0.999, 1e-8, 0.01
	default:
		return o, fmt.Errorf("train: unknown optimizer %q, have %q, %q and %q", kind, RMSPropTF, SGD, AdamW)
	}
	return o, nil
}

func (o *Optimizer) check() error {
	unit := func(name string, v float64) error {
		if !(v >= 0 && v < 1) {
			return fmt.Errorf("train: %s: %s is %v, want 0 to below 1", o.Kind, name, v)
		}
		return nil
	}
	var err error
	switch o.Kind {
	case RMSPropTF:
		err = cmp.Or(unit("alpha", o.Alpha), unit("momentum", o.Momentum))
	case SGD:
		err = unit("momentum", o.Momentum)
	case AdamW:
		err = cmp.Or(unit("beta1", o.Beta1), unit("beta2", o.Beta2))
	default:
		_, err = DefaultOptimizer(o.Kind)
	}
	switch {
	case err != nil:
		return err
	case o.Kind != SGD && !(o.Eps > 0 && o.Eps < 1):
		return fmt.Errorf("train: %s: eps is %v, want above 0, below 1", o.Kind, o.Eps)
	case !(o.WeightDecay >= 0 && o.WeightDecay < 1):
		return fmt.Errorf("train: %s: weight decay is %v, want 0 to below 1", o.Kind, o.WeightDecay)
	case o.Decay != DecayAll && o.Decay != DecayWeights:
		return fmt.Errorf("train: %s: unknown decay rule %q, have %q and %q", o.Kind, o.Decay, DecayAll, DecayWeights)
	}
	return nil
}

// slots names the optimiser's memory per parameter, and what it starts at.
func (o *Optimizer) slots() (names []string, start []float32) {
	switch o.Kind {
	case RMSPropTF:
		return []string{"square", "momentum"}, []float32{1, 0}
	case SGD:
		return []string{"momentum"}, []float32{0}
	case AdamW:
		return []string{"mean", "square"}, []float32{0, 0}
	}
	return nil, nil
}

// reaches reports whether weight decay applies to a parameter.
func (d DecayRule) reaches(r arch.Role) bool {
	switch r {
	case arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight:
		return true
	case arch.BiasVector:
		return d == DecayAll
	}
	return false
}

// updateRule is the optimiser with the constants of one step.
type updateRule struct {
	kind                 OptimizerKind
	lr, eps              float32
	alpha, beta          float32 // weights of the new value: 1-alpha, or 1-beta1 and 1-beta2
	momentum             float32
	decay                float32 // L2: added to the gradient; AdamW: lr*decay
	unbias, unbiasSquare float32 // AdamW: 1/(1-beta^t)
	ema                  float32 // weight of the new value; 0 for no average
}

func (o *Optimizer) rule(lr float64, step int64, ema float64) updateRule {
	r := updateRule{
		kind: o.Kind, lr: float32(lr), eps: float32(o.Eps), momentum: float32(o.Momentum),
		decay: float32(o.WeightDecay), alpha: float32(1 - o.Alpha),
	}
	if o.Kind == AdamW {
		t := float64(step + 1)
		r.alpha, r.beta = float32(1-o.Beta1), float32(1-o.Beta2)
		r.unbias = float32(1 / (1 - math.Pow(o.Beta1, t)))
		r.unbiasSquare = float32(1 / (1 - math.Pow(o.Beta2, t)))
		r.decay = float32(lr * o.WeightDecay)
	}
	if ema > 0 {
		r.ema = float32(1 - emaDecay(ema, step))
	}
	return r
}

// emaDecay is how much of the average a step keeps that follows step updates:
// TensorFlow's ramp-up with num_updates.
func emaDecay(decay float64, step int64) float64 {
	return min(decay, float64(1+step)/float64(10+step))
}

// updateChunk is a part of one tensor.
type updateChunk struct {
	span
	train, decay bool
}

// chunkElems bounds an update chunk; short tensors are a chunk of their own.
const chunkElems = 1 << 13

func (t *Trainer) initUpdate() {
	p := t.params
	names, start := t.cfg.Optimizer.slots()
	p.names = names
	for i := range names {
		p.slots[i] = make([]float32, len(p.values))
		for j := range p.slots[i] {
			p.slots[i][j] = start[i]
		}
	}
	if t.cfg.EMADecay > 0 {
		p.ema = append([]float32{}, p.values...)
	}
	for _, q := range p.list {
		s := p.at[q.Name]
		for lo := s.lo; lo < s.hi; lo += chunkElems {
			t.chunks = append(t.chunks, updateChunk{
				span{lo, min(lo+chunkElems, s.hi)}, q.Role.Trainable(), t.cfg.Optimizer.Decay.reaches(q.Role),
			})
		}
	}
	t.updateLoop = func(_, i int) { t.rule.apply(t.params, t.chunks[i]) }
}

// update ends a step whose gradients are known.
func (t *Trainer) update(lr float64) {
	for _, b := range t.norms {
		b.updateRunning()
	}
	t.rule = t.cfg.Optimizer.rule(lr, t.step, t.cfg.EMADecay)
	t.pool.Do(len(t.chunks), t.updateLoop)
	t.step++
}

func (r *updateRule) apply(p *params, c updateChunk) {
	v := p.values[c.lo:c.hi]
	if c.train {
		g := p.grads[c.lo:c.hi]
		switch r.kind {
		case RMSPropTF:
			r.rmsprop(v, g, p.slots[0][c.lo:c.hi], p.slots[1][c.lo:c.hi], c.decay)
		case SGD:
			r.sgd(v, g, p.slots[0][c.lo:c.hi], c.decay)
		case AdamW:
			r.adamw(v, g, p.slots[0][c.lo:c.hi], p.slots[1][c.lo:c.hi], c.decay)
		}
	}
	if r.ema > 0 {
		e := p.ema[c.lo:c.hi]
		for i, x := range v {
			e[i] += r.ema * (x - e[i])
		}
	}
}

func (r *updateRule) rmsprop(p, g, square, mom []float32, decay bool) {
	var l2 float32
	if decay {
		l2 = r.decay
	}
	g, square, mom = g[:len(p)], square[:len(p)], mom[:len(p)]
	for i, x := range p {
		d := g[i] + l2*x
		s := square[i] + r.alpha*(d*d-square[i])
		m := r.momentum*mom[i] + r.lr*d/sqrt(s+r.eps)
		square[i], mom[i], p[i] = s, m, x-m
	}
}

func (r *updateRule) sgd(p, g, mom []float32, decay bool) {
	var l2 float32
	if decay {
		l2 = r.decay
	}
	g, mom = g[:len(p)], mom[:len(p)]
	for i, x := range p {
		m := r.momentum*mom[i] + (g[i] + l2*x)
		mom[i], p[i] = m, x-r.lr*m
	}
}

func (r *updateRule) adamw(p, g, mean, square []float32, decay bool) {
	var wd float32
	if decay {
		wd = r.decay
	}
	g, mean, square = g[:len(p)], mean[:len(p)], square[:len(p)]
	for i, x := range p {
		d := g[i]
		m := mean[i] + r.alpha*(d-mean[i])
		s := square[i] + r.beta*(d*d-square[i])
		mean[i], square[i] = m, s
		x -= wd * x
		p[i] = x - r.lr*(m*r.unbias)/(sqrt(s*r.unbiasSquare)+r.eps)
	}
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
