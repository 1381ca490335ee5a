package infer

import (
	"unsafe"

	"effnet/arch"
	"effnet/weights"
)

// fold reads the weight of a convolution or linear layer as the kernels have it,
// output channel innermost ([k*k*Cin, Cout], [k*k, C] of a depthwise one), and
// multiplies the batch norm that follows into it. Everything is float64 until
// one rounding at the end. The weight is made in dst, if that is large enough.
// shift is nil if there is neither bias nor batch norm.
func fold(op, bn *arch.Op, w weights.Source, dst []float32) (weight, shift []float32, err error) {
	cout := op.Shape.C
	scale, sum := make([]float64, cout), make([]float64, cout)
	for c := range scale {
		scale[c] = 1
	}
	if bn != nil {
		if scale, sum, err = weights.Affine(w, bn); err != nil {
			return nil, nil, err
		}
	}
	bias, err := weights.Values(w, op, arch.BiasVector)
	if err != nil {
		return nil, nil, err
	}
	for c, b := range bias {
		sum[c] += float64(b) * scale[c]
	}
	if bn != nil || op.Bias {
		shift = round(sum)
	}
	from, err := weights.Values(w, op, arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight) // [Cout, Cin, k, k]
	if err != nil {
		return nil, nil, err
	}
	taps := max(1, op.Kernel*op.Kernel)
	cin := len(from) / cout / taps
	if weight = dst; len(dst) < len(from) {
		weight = make([]float32, len(from))
	}
	weight = weight[:len(from)]
	// Some output channels at a time, so that what is written to stays in a cache.
	const block = 16
	for first := 0; first < cout; first += block {
		end := min(first+block, cout)
		for i := range cin {
			for t := range taps {
				row := weight[(t*cin+i)*cout:][:cout]
				for o := first; o < end; o++ {
					row[o] = float32(float64(from[(o*cin+i)*taps+t]) * scale[o])
				}
			}
		}
	}
	return weight, shift, nil
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
