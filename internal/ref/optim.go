package ref

import (
	"math"

	"effnet/arch"
)

// Optimizer moves parameters against their gradients.
type Optimizer interface {
	// Step updates the trainable parameters of g in p, all of them once; lr is
	// the learning rate of this step.
	Step(g *arch.Graph, p, grads Tensors, lr float64)
}

// Decay is weight decay. It never reaches batch norm's gamma and beta. Biases
// of convolutions and of the classifier are decayed as EfficientNet does;
// WeightsOnly leaves them out as EfficientNetV2 does.
type Decay struct {
	Rate        float64
	WeightsOnly bool
}

// of is the rate for one parameter.
func (d Decay) of(q arch.Param) float64 {
	switch q.Role {
	case arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight:
		return d.Rate
	case arch.BiasVector:
		if !d.WeightsOnly {
			return d.Rate
		}
	}
	return 0
}

// eachTrainable calls f with every trainable tensor and its gradient.
func eachTrainable(g *arch.Graph, p, grads Tensors, f func(q arch.Param, w, dw []float64)) {
	for _, q := range g.Params() {
		if q.Role.Trainable() {
			f(q, p.of(q), grads.of(q))
		}
	}
}

// state is a tensor of an optimiser's own, made at its first use.
func (p Tensors) state(q arch.Param, initial float64) []float64 {
	if p[q.Name] == nil {
		s := make([]float64, q.Elems())
		for i := range s {
			s[i] = initial
		}
		p[q.Name] = s
	}
	return p[q.Name]
}

// RMSPropTF is RMSProp as TensorFlow has it: epsilon inside the root, the
// accumulator v starts at 1, the learning rate is part of the momentum buffer.
//
//	g = gradient + decay*w
//	v = v + (1-alpha)*(g^2 - v)
//	m = momentum*m + lr*g/sqrt(v+eps)
//	w = w - m
type RMSPropTF struct {
	Alpha, Eps, Momentum float64
	Decay                Decay
	v, m                 Tensors
}

// Step implements [Optimizer].
func (o *RMSPropTF) Step(g *arch.Graph, p, grads Tensors, lr float64) {
	if o.v == nil {
		o.v, o.m = Tensors{}, Tensors{}
	}
	eachTrainable(g, p, grads, func(q arch.Param, w, dw []float64) {
		v, m := o.v.state(q, 1), o.m.state(q, 0)
		for i := range w {
			g := dw[i] + o.Decay.of(q)*w[i]
			v[i] += (1 - o.Alpha) * (g*g - v[i])
			m[i] = o.Momentum*m[i] + lr*g/math.Sqrt(v[i]+o.Eps)
			w[i] -= m[i]
		}
	})
}

// SGD is gradient descent with momentum (not Nesterov's).
//
//	g = gradient + decay*w
//	m = momentum*m + g
//	w = w - lr*m
type SGD struct {
	Momentum float64
	Decay    Decay
	m        Tensors
}

// Step implements [Optimizer].
func (o *SGD) Step(g *arch.Graph, p, grads Tensors, lr float64) {
	if o.m == nil {
		o.m = Tensors{}
	}
	eachTrainable(g, p, grads, func(q arch.Param, w, dw []float64) {
		m := o.m.state(q, 0)
		for i := range w {
			m[i] = o.Momentum*m[i] + dw[i] + o.Decay.of(q)*w[i]
			w[i] -= lr * m[i]
		}
	})
}

// AdamW is Adam with decoupled weight decay.
//
//	w = w - lr*decay*w
//	m = beta1*m + (1-beta1)*g
//	v = beta2*v + (1-beta2)*g^2
//	w = w - lr * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
type AdamW struct {
	Beta1, Beta2, Eps float64
	Decay             Decay
	t                 int
	m, v              Tensors
}

// Step implements [Optimizer].
func (o *AdamW) Step(g *arch.Graph, p, grads Tensors, lr float64) {
	o.step(g, p, grads, lr, func(arch.Param) bool { return true })
}

// step is that of the parameters that are its.
func (o *AdamW) step(g *arch.Graph, p, grads Tensors, lr float64, its func(arch.Param) bool) {
	if o.m == nil {
		o.m, o.v = Tensors{}, Tensors{}
	}
	o.t++
	c1 := 1 - math.Pow(o.Beta1, float64(o.t))
	c2 := 1 - math.Pow(o.Beta2, float64(o.t))
	eachTrainable(g, p, grads, func(q arch.Param, w, dw []float64) {
		if !its(q) {
			return
		}
		m, v := o.m.state(q, 0), o.v.state(q, 0)
		for i := range w {
			w[i] -= lr * o.Decay.of(q) * w[i]
			m[i] = o.Beta1*m[i] + (1-o.Beta1)*dw[i]
			v[i] = o.Beta2*v[i] + (1-o.Beta2)*dw[i]*dw[i]
			w[i] -= lr * (m[i] / c1) / (math.Sqrt(v[i]/c2) + o.Eps)
		}
	})
}

// Muon moves the weight of a convolution that mixes channels, a row an output
// channel, along the orthogonalised average of its gradients (Jordan et al., "Muon:
// An optimizer for hidden layers in neural networks", 2024), in steps whose root
// mean square is that of AdamW's (Liu et al., "Muon is Scalable for LLM Training",
// 2025). Everything else is AdamW's.
//
//	w = w - lr*decay*w
//	m = momentum*m + (1-momentum)*g
//	w = w - lr * 0.2*sqrt(max(rows, columns)) * orthogonal((1-momentum)*g + momentum*m)
type Muon struct {
	AdamW
	Momentum float64
	m        Tensors
}

// Step implements [Optimizer].
func (o *Muon) Step(g *arch.Graph, p, grads Tensors, lr float64) {
	if o.m == nil {
		o.m = Tensors{}
	}
	for _, q := range g.Params() {
		if q.Role != arch.ConvWeight {
			continue
		}
		w, dw := p.of(q), grads.of(q)
		m, u := o.m.state(q, 0), make([]float64, len(w))
		for i, g := range dw {
			m[i] = o.Momentum*m[i] + (1-o.Momentum)*g
			u[i] = (1-o.Momentum)*g + o.Momentum*m[i]
		}
		rows := q.Shape[0]
		cols := len(w) / rows
		scale := lr * 0.2 * math.Sqrt(float64(max(rows, cols)))
		for i, d := range orthogonal(u, rows, cols) {
			w[i] -= lr*o.Decay.of(q)*w[i] + scale*d
		}
	}
	o.step(g, p, grads, lr, func(q arch.Param) bool { return q.Role != arch.ConvWeight })
}

// orthogonal is what five iterations of x = 3.4445 x - 4.775 (xx')x + 2.0315 (xx')^2 x
// make of u [rows, cols] over its norm.
func orthogonal(u []float64, rows, cols int) []float64 {
	sum := 0.0
	for _, v := range u {
		sum += v * v
	}
	x := make([]float64, len(u))
	for i, v := range u {
		x[i] = v / max(math.Sqrt(sum), 1e-7)
	}
	for range 5 {
		outer := make([]float64, rows*rows)
		for i := range rows {
			for j := range rows {
				for k := range cols {
					outer[i*rows+j] += x[i*cols+k] * x[j*cols+k]
				}
			}
		}
		once := product(outer, x, rows, cols)
		twice := product(outer, once, rows, cols)
		for i := range x {
			x[i] = 3.4445*x[i] - 4.775*once[i] + 2.0315*twice[i]
		}
	}
	return x
}

// product is a [rows, rows] times b [rows, cols].
func product(a, b []float64, rows, cols int) []float64 {
	y := make([]float64, len(b))
	for i := range rows {
		for j := range cols {
			for k := range rows {
				y[i*cols+j] += a[i*rows+k] * b[k*cols+j]
			}
		}
	}
	return y
}

// EMA averages weights and running statistics over the steps of a training
// run: avg = d*avg + (1-d)*p with d = min(Decay, (1+t)/(10+t)) after t earlier
// updates, so that the average forgets the starting weights quickly.
type EMA struct {
	Decay float64
	Avg   Tensors // starts as the weights before training
	t     int
}

// Update takes the parameters and buffers after a step.
func (e *EMA) Update(p Tensors) {
	d := min(e.Decay, float64(1+e.t)/float64(10+e.t))
	e.t++
	for name, avg := range e.Avg {
		for i, v := range p[name] {
			avg[i] = d*avg[i] + (1-d)*v
		}
	}
}
