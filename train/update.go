package train

import (
	"math"

	"effnet/arch"
	"effnet/internal/kernel"
)

// updateRule is the optimiser with the constants of one step.
type updateRule struct {
	kind    OptimizerKind
	rmsprop kernel.RMSPropStep
	sgd     kernel.SGDStep
	adamw   kernel.AdamWStep
	muon    muonRule
	ema     float32 // weight of the new value in the moving average; 0 for none
}

// rule is the one of the step that follows step updates.
func (o *Optimizer) rule(lr float64, step int64, ema float64) updateRule {
	r := updateRule{kind: o.Kind}
	switch o.Kind {
	case RMSPropTF:
		r.rmsprop = kernel.RMSPropStep{
			LR: float32(lr), Alpha: float32(1 - o.Alpha), Momentum: float32(o.Momentum),
			Eps: float32(o.Eps), Decay: float32(o.WeightDecay),
		}
	case SGD:
		r.sgd = kernel.SGDStep{LR: float32(lr), Momentum: float32(o.Momentum), Decay: float32(o.WeightDecay)}
	case AdamW, Muon:
		t := float64(step + 1)
		r.muon = muonRule{float32(lr), float32(o.Momentum), float32(lr * o.WeightDecay)}
		r.adamw = kernel.AdamWStep{
			LR: float32(lr), Alpha: float32(1 - o.Beta1), Beta: float32(1 - o.Beta2), Eps: float32(o.Eps),
			Decay:  float32(lr * o.WeightDecay),
			Unbias: float32(1 / (1 - math.Pow(o.Beta1, t))), UnbiasSquare: float32(1 / (1 - math.Pow(o.Beta2, t))),
		}
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
	rows, cols   int // of a weight that Muon updates whole; else 0
}

// chunkElems bounds an update chunk; short tensors are a chunk of their own.
const chunkElems = 1 << 14

func (t *Trainer) initUpdate(g *arch.Graph) {
	p := t.params
	names, start := t.cfg.Optimizer.slots()
	p.names = names
	for i := range names {
		p.slots[i] = floats(len(p.values))
		for j := range p.slots[i] {
			p.slots[i][j] = start[i]
		}
	}
	if t.cfg.EMADecay > 0 {
		p.ema = append([]float32{}, p.values...)
	}
	frozen := map[string]bool{}
	for i := range g.Ops {
		for _, q := range g.Ops[i].Params {
			frozen[q.Name] = t.cfg.frozen(&g.Ops[i])
		}
	}
	for _, q := range p.list {
		s := p.at[q.Name]
		train, decay := q.Role.Trainable() && !frozen[q.Name], t.cfg.Optimizer.Decay.reaches(q.Role)
		if rows, cols, ok := t.cfg.Optimizer.matrix(q); ok && train {
			t.chunks = append(t.chunks, updateChunk{s, train, decay, rows, cols})
			continue
		}
		for lo := s.lo; lo < s.hi; lo += chunkElems {
			t.chunks = append(t.chunks, updateChunk{
				span{lo, min(lo+chunkElems, s.hi)}, train, decay, 0, 0,
			})
		}
	}
	t.updateLoop = func(w, i int) { t.rule.apply(&t.workers[w], t.params, &t.chunks[i]) }
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

func (r *updateRule) apply(w *worker, p *params, c *updateChunk) {
	k := w.k
	v, g := p.values[c.lo:c.hi], p.grads[c.lo:c.hi]
	slot := func(i int) []float32 { return p.slots[i][c.lo:c.hi] }
	switch {
	case !c.train: // running statistics, frozen parameters
	case r.kind == RMSPropTF:
		s := r.rmsprop
		if !c.decay {
			s.Decay = 0
		}
		k.RMSProp(v, g, slot(0), slot(1), s)
	case r.kind == SGD:
		s := r.sgd
		if !c.decay {
			s.Decay = 0
		}
		k.SGD(v, g, slot(0), s)
	case c.rows > 0:
		r.muon.apply(w, c, v, g, slot(0))
	case r.kind == AdamW || r.kind == Muon:
		s := r.adamw
		if !c.decay {
			s.Decay = 0
		}
		k.AdamW(v, g, slot(0), slot(1), s)
	}
	if r.ema > 0 {
		k.Average(p.ema[c.lo:c.hi], v, r.ema)
	}
}
