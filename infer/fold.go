package infer

import (
	"effnet/arch"
	"effnet/weights"
)

// folded is a convolution or linear layer with the batch norm that follows
// multiplied into it. Everything is float64 until one rounding at the end.
type folded struct {
	weight []float32 // of the file, [Cout, Cin, k, k]
	taps   int       // k*k
	scale  []float64 // [Cout], to be multiplied with the weight
	shift  []float32 // [Cout]; nil if there is neither bias nor batch norm
}

func fold(op, bn *arch.Op, w weights.Source) (f folded, err error) {
	cout := op.Shape.C
	f.taps = max(1, op.Kernel*op.Kernel)
	sum := make([]float64, cout)
	f.scale = make([]float64, cout)
	for c := range f.scale {
		f.scale[c] = 1
	}
	if bn != nil {
		if f.scale, sum, err = weights.Affine(w, bn); err != nil {
			return f, err
		}
	}
	bias, err := weights.Values(w, op, arch.BiasVector)
	if err != nil {
		return f, err
	}
	for c, b := range bias {
		sum[c] += float64(b) * f.scale[c]
	}
	if bn != nil || op.Bias {
		f.shift = round(sum)
	}
	f.weight, err = weights.Values(w, op, arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight)
	return f, err
}

// columns writes output channels [j,j+n) as the kernels have them, output
// channel innermost: [k*k*Cin, n], [k*k, n] of a depthwise convolution.
func (f *folded) columns(dst []float32, j, n int) {
	patch := len(f.weight) / len(f.scale)
	cin := patch / f.taps
	for i := range cin {
		for t := range f.taps {
			row := dst[(t*cin+i)*n:][:n]
			for o := range row {
				row[o] = float32(float64(f.weight[(j+o)*patch+i*f.taps+t]) * f.scale[j+o])
			}
		}
	}
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
