package ref

import (
	"math"

	"effnet/arch"
)

// kinks are where an activation's slope jumps.
func kinks(a arch.Act) []float64 {
	switch a {
	case arch.ActReLU:
		return []float64{0}
	case arch.ActReLU6:
		return []float64{0, 6}
	case arch.ActHardSwish, arch.ActHardSigmoid:
		return []float64{-3, 3}
	}
	return nil
}

// KinkDistance is how far the nearest input of an activation lies from a jump
// of its slope: rounding of that size and more may change gradients by more
// than rounding. It is infinite where all slopes are continuous.
func (t *Trace) KinkDistance() float64 {
	d := math.Inf(1)
	for i := range t.Graph.Ops {
		op := &t.Graph.Ops[i]
		if op.Kind != arch.OpActivation {
			continue
		}
		for _, k := range kinks(op.Act) {
			for _, x := range t.in(op, 0) {
				d = min(d, math.Abs(x-k))
			}
		}
	}
	return d
}
