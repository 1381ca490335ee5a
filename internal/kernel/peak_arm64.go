//go:build !purego

package kernel

// peakVecs is how many vectors the assembly works on at once.
const peakVecs = 24

// peakAsm works on what is left to 1, in calls that end before that is slow to
// compute with.
func peakAsm(t isa, x *[PeakFloats]float32, iterations int) int64 {
	iterations = max(iterations, 0)
	for left := iterations; left > 0; left -= 256 {
		peakNEON(&x[0], min(left, 256))
	}
	return 2 * int64(peakVecs*t.lanes()) * int64(iterations)
}

func (t isa) stream(x *float32, n int, sums *float32) { streamNEON(x, n, sums) }

//go:noescape
func peakNEON(x *float32, n int)

//go:noescape
func streamNEON(x *float32, n int, sums *float32)
