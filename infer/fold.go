package infer

import (
	"unsafe"

	"effnet/arch"
	"effnet/weights"
)

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
		scale, sum = w.Affine(bn)
	}
	for c, b := range w.Of(op, arch.BiasVector) {
		sum[c] += float64(b) * scale[c]
	}
	if bn != nil || op.Bias {
		shift = round(sum)
	}
	from := w.Of(op, arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight) // [Cout, Cin, k, k]
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

// aligned makes room for n floats that begins at a cache line.
func aligned(n int) []float32 {
	const line = 64
	x := make([]float32, n+line/4-1)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(x))) % line / 4
	return x[skip:][:n]
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
