package ref

import (
	"fmt"
	"math"

	"effnet/arch"
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// act is the activation's value and slope at x. At a kink the slope is the one
// of the flat side, as in PyTorch.
func act(a arch.Act, x float64) (y, slope float64) {
	switch a {
	case arch.ActIdentity:
		return x, 1
	case arch.ActReLU:
		if x > 0 {
			return x, 1
		}
		return 0, 0
	case arch.ActReLU6:
		if x > 0 && x < 6 {
			return x, 1
		}
		return min(max(x, 0), 6), 0
	case arch.ActSwish:
		s := sigmoid(x)
		return x * s, s * (1 + x*(1-s))
	case arch.ActSigmoid:
		s := sigmoid(x)
		return s, s * (1 - s)
	case arch.ActHardSwish:
		h, _ := act(arch.ActHardSigmoid, x)
		switch {
		case x <= -3:
			return 0, 0
		case x < 3:
			return x * h, x/3 + 0.5
		}
		return x, 1
	case arch.ActHardSigmoid:
		if x > -3 && x < 3 {
			return (x + 3) / 6, 1. / 6
		}
		return min(max(x+3, 0), 6) / 6, 0
	}
	panic(fmt.Sprintf("ref: no rule for activation %v", a))
}

func activation(a arch.Act, x, y []float64) {
	for i := range x {
		y[i], _ = act(a, x[i])
	}
}

func activationBackward(a arch.Act, x, dy, dx []float64) {
	for i := range x {
		_, slope := act(a, x[i])
		dx[i] += dy[i] * slope
	}
}

// globalPool is the mean over H and W: x [n, H, W, C] to y [n, C].
func globalPool(n int, s arch.Shape, x, y []float64) {
	area := s.H * s.W
	for i := range x {
		image, c := i/(area*s.C), i%s.C
		y[image*s.C+c] += x[i] / float64(area)
	}
}

func globalPoolBackward(n int, s arch.Shape, dy, dx []float64) {
	area := s.H * s.W
	for i := range dx {
		image, c := i/(area*s.C), i%s.C
		dx[i] += dy[image*s.C+c] / float64(area)
	}
}

// gate is y = x * e with x [n, H, W, C] and e [n, C].
func gate(n int, s arch.Shape, x, e, y []float64) {
	for i := range y {
		image, c := i/s.Elems(), i%s.C
		y[i] = x[i] * e[image*s.C+c]
	}
}

func gateBackward(n int, s arch.Shape, x, e, dy, dx, de []float64) {
	for i := range dy {
		j := i/s.Elems()*s.C + i%s.C
		dx[i] += dy[i] * e[j]
		de[j] += dy[i] * x[i]
	}
}

// add is y = mask*branch + shortcut, the mask a factor per image.
func (t *Trace) add(op *arch.Op, branch, shortcut, y []float64) {
	m := t.mask(op, t.N)
	for i := range y {
		y[i] = factor(m, i/op.Shape.Elems())*branch[i] + shortcut[i]
	}
}

func (t *Trace) addBackward(op *arch.Op, dy, dbranch, dshortcut []float64) {
	m := t.mask(op, t.N)
	for i := range dy {
		dbranch[i] += factor(m, i/op.Shape.Elems()) * dy[i]
		dshortcut[i] += dy[i]
	}
}

// dropout is y = mask*x, the mask a factor per element.
func (t *Trace) dropout(op *arch.Op, x, y []float64) {
	m := t.mask(op, len(x))
	for i := range x {
		y[i] = factor(m, i) * x[i]
	}
}

func (t *Trace) dropoutBackward(op *arch.Op, dy, dx []float64) {
	m := t.mask(op, len(dy))
	for i := range dy {
		dx[i] += factor(m, i) * dy[i]
	}
}

// factor is element i of a mask; no mask is all ones.
func factor(mask []float64, i int) float64 {
	if mask == nil {
		return 1
	}
	return mask[i]
}
