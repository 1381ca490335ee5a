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
	if o.m == nil {
		o.m, o.v = Tensors{}, Tensors{}
	}
	o.t++
	c1 := 1 - math.Pow(o.Beta1, float64(o.t))
	c2 := 1 - math.Pow(o.Beta2, float64(o.t))
	eachTrainable(g, p, grads, func(q arch.Param, w, dw []float64) {
		m, v := o.m.state(q, 0), o.v.state(q, 0)
		for i := range w {
			w[i] -= lr * o.Decay.of(q) * w[i]
			m[i] = o.Beta1*m[i] + (1-o.Beta1)*dw[i]
			v[i] = o.Beta2*v[i] + (1-o.Beta2)*dw[i]*dw[i]
			w[i] -= lr * (m[i] / c1) / (math.Sqrt(v[i]/c2) + o.Eps)
		}
	})
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
