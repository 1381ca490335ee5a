//go:build !purego

package kernel

// peakVecs and streamVecs are how many vectors the assembly works on at once.
const (
	peakVecs   = 12
	streamVecs = 8
)

func peakAsm(t isa, x *[PeakFloats]float32, iterations int) int64 {
	iterations = max(iterations, 0)
	if t == avx512 {
		peakAVX512(&x[0], iterations)
	} else {
		peakAVX2(&x[0], iterations)
	}
	return 2 * int64(peakVecs*t.lanes()) * int64(iterations)
}

func streamAsm(t isa, x []float32) float32 {
	checkStream(x)
	if len(x) == 0 {
		return 0
	}
	var sums [16]float32
	blocks := len(x) / (streamVecs * t.lanes())
	if t == avx512 {
		streamAVX512(&x[0], blocks, &sums[0])
	} else {
		streamAVX2(&x[0], blocks, &sums[0])
	}
	var sum float32
	for _, v := range sums[:t.lanes()] {
		sum += v
	}
	return sum
}

//go:noescape
func peakAVX512(x *float32, n int)

//go:noescape
func peakAVX2(x *float32, n int)

//go:noescape
func streamAVX512(x *float32, n int, sums *float32)

//go:noescape
func streamAVX2(x *float32, n int, sums *float32)
