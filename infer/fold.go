package infer

import (
	"math"

	"effnet/arch"
	"effnet/weights"
)

// affine is a batch norm at inference as y = scale*x + shift, per channel.
func affine(bn *arch.Op, w *weights.Set) (scale, shift []float64) {
	gamma, beta := tensor(bn, w, arch.BNGamma), tensor(bn, w, arch.BNBeta)
	mean, variance := tensor(bn, w, arch.BNMean), tensor(bn, w, arch.BNVar)
	scale, shift = make([]float64, len(gamma)), make([]float64, len(gamma))
	for c := range scale {
		scale[c] = float64(gamma[c]) / math.Sqrt(float64(variance[c])+bn.Eps)
		shift[c] = float64(beta[c]) - float64(mean[c])*scale[c]
	}
	return scale, shift
}

// fold lays out the weight of a convolution or linear layer for the kernels,
// output channel innermost ([k*k*Cin, Cout], [k*k, C] of a depthwise one), and
// multiplies the batch norm that follows into it. Everything is float64 until
// one rounding at the end. shift is nil if there is neither bias nor batch norm.
func fold(op, bn *arch.Op, w *weights.Set) (weight, shift []float32) {
	cout := op.Shape.C
	scale, sum := make([]float64, cout), make([]float64, cout)
	for c := range scale {
		scale[c] = 1
	}
	if bn != nil {
		scale, sum = affine(bn, w)
	}
	for c, b := range tensor(op, w, arch.BiasVector) {
		sum[c] += float64(b) * scale[c]
	}
	if bn != nil || op.Bias {
		shift = round(sum)
	}
	from := tensor(op, w, arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight) // [Cout, Cin, k, k]
	taps := max(1, op.Kernel*op.Kernel)
	cin := len(from) / cout / taps
	weight = make([]float32, len(from))
	for o := range cout {
		for i := range cin {
			for t := range taps {
				weight[(t*cin+i)*cout+o] = float32(float64(from[(o*cin+i)*taps+t]) * scale[o])
			}
		}
	}
	return weight, shift
}

// tensor is op's parameter of one of the roles, nil if it has none.
func tensor(op *arch.Op, w *weights.Set, roles ...arch.Role) []float32 {
	for _, p := range op.Params {
		for _, r := range roles {
			if p.Role == r {
				return w.Tensors[p.Name].Data
			}
		}
	}
	return nil
}

func round(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func filled(n int, v float32) []float32 {
	y := make([]float32, n)
	for i := range y {
		y[i] = v
	}
	return y
}
