package kernel

import "math"

// The updates of optimisers, over flat arrays of parameters p, their gradients
// g and the optimiser's memory. Decay is that of the L2 penalty, added to the
// gradient as Decay*p, except in AdamW.

// A RMSPropStep is a step of TensorFlow's RMSProp, whose memory square starts
// at 1:
//
//	d = g + Decay*p
//	square += Alpha*(d*d - square)
//	mom = Momentum*mom + LR*d/sqrt(square + Eps)
//	p -= mom
type RMSPropStep struct{ LR, Alpha, Momentum, Eps, Decay float32 }

// A SGDStep is a step of gradient descent with momentum:
//
//	mom = Momentum*mom + g + Decay*p
//	p -= LR*mom
type SGDStep struct{ LR, Momentum, Decay float32 }

// An AdamWStep is a step of Adam with decoupled weight decay; Alpha and Beta
// are the weights of the new value in the averages, Unbias and UnbiasSquare
// undo that these start at 0:
//
//	mean += Alpha*(g - mean)
//	square += Beta*(g*g - square)
//	p -= Decay*p + LR*Unbias*mean/(sqrt(UnbiasSquare*square) + Eps)
type AdamWStep struct{ LR, Alpha, Beta, Eps, Decay, Unbias, UnbiasSquare float32 }

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func rmspropGo(p, g, square, mom []float32, s RMSPropStep) {
	g, square, mom = need(g, len(p)), need(square, len(p)), need(mom, len(p))
	for i, x := range p {
		d := g[i] + s.Decay*x
		square[i] += s.Alpha * (d*d - square[i])
		mom[i] = s.Momentum*mom[i] + s.LR*d/sqrt(square[i]+s.Eps)
		p[i] = x - mom[i]
	}
}

func sgdGo(p, g, mom []float32, s SGDStep) {
	g, mom = need(g, len(p)), need(mom, len(p))
	for i, x := range p {
		mom[i] = s.Momentum*mom[i] + (g[i] + s.Decay*x)
		p[i] = x - s.LR*mom[i]
	}
}

func adamwGo(p, g, mean, square []float32, s AdamWStep) {
	g, mean, square = need(g, len(p)), need(mean, len(p)), need(square, len(p))
	lr := s.LR * s.Unbias
	for i, x := range p {
		d := g[i]
		mean[i] += s.Alpha * (d - mean[i])
		square[i] += s.Beta * (d*d - square[i])
		p[i] = x - s.Decay*x - lr*mean[i]/(sqrt(s.UnbiasSquare*square[i])+s.Eps)
	}
}

func averageGo(avg, p []float32, weight float32) {
	p = need(p, len(avg))
	for i, x := range p {
		avg[i] += weight * (x - avg[i])
	}
}
