//go:build !purego

package kernel

// peakVecs is how many vectors the assembly works on at once.
const peakVecs = 12

func peakAsm(t isa, x *[PeakFloats]float32, iterations int) int64 {
	iterations = max(iterations, 0)
	if t == avx512 {
		peakAVX512(&x[0], iterations)
	} else {
		peakAVX2(&x[0], iterations)
	}
	return 2 * int64(peakVecs*t.lanes()) * int64(iterations)
}

func (t isa) stream(x *float32, n int, sums *float32) {
	if t == avx512 {
		streamAVX512(x, n, sums)
	} else {
		streamAVX2(x, n, sums)
	}
}

//go:noescape
func peakAVX512(x *float32, n int)

//go:noescape
func peakAVX2(x *float32, n int)

//go:noescape
func streamAVX512(x *float32, n int, sums *float32)

//go:noescape
func streamAVX2(x *float32, n int, sums *float32)
