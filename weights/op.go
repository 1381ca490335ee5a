package weights

import (
	"math"
	"slices"

	"effnet/arch"
)

// Of is op's tensor of one of the roles, nil if it has none.
func (s *Set) Of(op *arch.Op, roles ...arch.Role) []float32 {
	for _, p := range op.Params {
		for _, r := range roles {
			if p.Role == r {
				return s.Tensors[p.Name].Data
			}
		}
	}
	return nil
}

// Values is op's tensor of one of the roles from s, nil if it has none.
func Values(s Source, op *arch.Op, roles ...arch.Role) ([]float32, error) {
	for _, p := range op.Params {
		if slices.Contains(roles, p.Role) {
			return s.Tensor(p.Name)
		}
	}
	return nil, nil
}

// Affine is the batch norm bn at inference as y = scale*x + shift, per channel.
func Affine(s Source, bn *arch.Op) (scale, shift []float64, err error) {
	n := bn.Shape.C
	scale, shift = make([]float64, n), make([]float64, n)
	for _, part := range []struct {
		role arch.Role
		use  func(c int, v float64)
	}{
		{arch.BNVar, func(c int, v float64) { scale[c] = 1 / math.Sqrt(v+bn.Eps) }},
		{arch.BNGamma, func(c int, v float64) { scale[c] *= v }},
		{arch.BNMean, func(c int, v float64) { shift[c] = -v * scale[c] }},
		{arch.BNBeta, func(c int, v float64) { shift[c] += v }},
	} {
		values, err := Values(s, bn, part.role)
		if err != nil {
			return nil, nil, err
		}
		for c, v := range values {
			part.use(c, float64(v))
		}
	}
	return scale, shift, nil
}

// Affine is [Affine] of s.
func (s *Set) Affine(bn *arch.Op) (scale, shift []float64) {
	scale, shift, _ = Affine(s, bn) // all is in memory
	return scale, shift
}
