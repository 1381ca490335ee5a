package weights

import (
	"math"

	"effnet/arch"
)

// Random makes the weights of a network that nobody trained but that behaves as
// if: [Init], then batch norms with scales, shifts and statistics of the order
// of the values that they meet. With those of Init, many deep networks forget
// the image, or blow up the last digit of a rounding.
//
// The values that an op meets are estimated from the weights before it, for an
// image of noise; see moments.
func Random(g *arch.Graph, seed uint64) *Set {
	s := Init(g, seed)
	values := make([]moments, len(g.Ops))
	for i := range g.Ops {
		op := &g.Ops[i]
		var in moments
		if len(op.In) > 0 {
			in = values[op.In[0]]
		}
		switch op.Kind {
		case arch.OpInput:
			values[i] = newMoments(op.Shape.C)
			for c := range values[i].variance {
				values[i].variance[c] = 1
			}
		case arch.OpConv, arch.OpLinear:
			values[i] = s.product(op, in)
		case arch.OpBatchNorm:
			s.fitNorm(op, in, seed)
			scale, shift := s.Affine(op)
			values[i] = in.each(func(c int, m, v float64) (float64, float64) { return scale[c]*m + shift[c], scale[c] * scale[c] * v })
		case arch.OpActivation:
			values[i] = in.each(func(_ int, m, v float64) (float64, float64) { return through(op.Act, m, v) })
		case arch.OpGlobalPool:
			values[i] = in.each(func(_ int, m, _ float64) (float64, float64) { return m, 0 })
		case arch.OpGate:
			gate := values[op.In[1]]
			values[i] = in.each(func(c int, m, v float64) (float64, float64) { return m * gate.mean[c], v * gate.mean[c] * gate.mean[c] })
		case arch.OpAdd:
			other := values[op.In[1]]
			values[i] = in.each(func(c int, m, v float64) (float64, float64) { return m + other.mean[c], v + other.variance[c] })
		default: // max pools and dropout change little
			values[i] = in
		}
	}
	return s
}

// moments are the mean and the variance of a value's channels, over pixels and
// images, as if elements were independent. Random weights let that come out
// right on average even where they are not.
type moments struct{ mean, variance []float64 }

func newMoments(channels int) moments {
	return moments{make([]float64, channels), make([]float64, channels)}
}

func (m moments) each(f func(c int, mean, variance float64) (float64, float64)) moments {
	out := newMoments(len(m.mean))
	for c := range m.mean {
		out.mean[c], out.variance[c] = f(c, m.mean[c], m.variance[c])
	}
	return out
}

// product is what a convolution or linear layer makes of in.
func (s *Set) product(op *arch.Op, in moments) moments {
	w, bias := s.Of(op, arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight), s.Of(op, arch.BiasVector)
	out := newMoments(op.Shape.C)
	taps := max(1, op.Kernel*op.Kernel)
	per := len(w) / op.Shape.C / taps // input channels of one output
	for o := range out.mean {
		first := 0
		if per < len(in.mean) {
			first = o / (op.Shape.C / op.Groups) * per
		}
		for i := range per {
			m, v := in.mean[first+i], in.variance[first+i]
			for _, x := range w[(o*per+i)*taps:][:taps] {
				out.mean[o] += float64(x) * m
				out.variance[o] += float64(x) * float64(x) * v
			}
		}
		if bias != nil {
			out.mean[o] += float64(bias[o])
		}
	}
	return out
}

// fitNorm gives a batch norm random parameters, and statistics about the size
// of in. That is one number, not one a channel, so that no channel's noise
// becomes signal; and a power of two, so that it is the same on every machine.
func (s *Set) fitNorm(bn *arch.Op, in moments, seed uint64) {
	sum := 0.0
	for c, m := range in.mean {
		sum += m*m + in.variance[c]
	}
	size := math.Exp2(math.Round(math.Log2(max(sum/float64(len(in.mean)), 1e-30)) / 2))
	for _, p := range bn.Params {
		data, r := s.Tensors[p.Name].Data, newSource(seed, p.Name)
		for c := range data {
			u := r.symmetric()
			switch p.Role {
			case arch.BNGamma:
				data[c] = float32(1 + 0.25*u)
			case arch.BNBeta:
				data[c] = float32(0.25 * u)
			case arch.BNMean:
				data[c] = float32(size * 0.25 * u)
			case arch.BNVar:
				data[c] = float32(size * size * (1 + 0.5*u))
			}
		}
	}
}

// through is the moments of an activation's value where its input is normal,
// by the trapezoidal rule.
func through(a arch.Act, mean, variance float64) (float64, float64) {
	const step, most = 0.25, 5
	std := math.Sqrt(variance)
	weight, sum, square := 0.0, 0.0, 0.0
	for z := -most * 1.0; z <= most; z += step {
		p := math.Exp(-z * z / 2)
		y := apply(a, mean+std*z)
		weight += p
		sum += p * y
		square += p * y * y
	}
	m := sum / weight
	return m, max(square/weight-m*m, 0)
}

func apply(a arch.Act, x float64) float64 {
	switch a {
	case arch.ActReLU:
		return max(x, 0)
	case arch.ActReLU6:
		return min(max(x, 0), 6)
	case arch.ActSwish:
		return x / (1 + math.Exp(-x))
	case arch.ActSigmoid:
		return 1 / (1 + math.Exp(-x))
	case arch.ActHardSigmoid:
		return min(max(x+3, 0), 6) / 6
	case arch.ActHardSwish:
		return x * min(max(x+3, 0), 6) / 6
	}
	return x
}
