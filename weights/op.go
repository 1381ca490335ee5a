package weights

import (
	"math"

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

// Affine is the batch norm bn at inference as y = scale*x + shift, per channel.
func (s *Set) Affine(bn *arch.Op) (scale, shift []float64) {
	gamma, beta := s.Of(bn, arch.BNGamma), s.Of(bn, arch.BNBeta)
	mean, variance := s.Of(bn, arch.BNMean), s.Of(bn, arch.BNVar)
	scale, shift = make([]float64, len(gamma)), make([]float64, len(gamma))
	for c := range scale {
		scale[c] = float64(gamma[c]) / math.Sqrt(float64(variance[c])+bn.Eps)
		shift[c] = float64(beta[c]) - float64(mean[c])*scale[c]
	}
	return scale, shift
}
