//go:build (amd64 || arm64) && !purego

package kernel

// streamVecs is how many vectors the assembly works on at once.
const streamVecs = 8

func streamAsm(t isa, x []float32) float32 {
	checkStream(x)
	if len(x) == 0 {
		return 0
	}
	var sums [16]float32
	t.stream(&x[0], len(x)/(streamVecs*t.lanes()), &sums[0])
	var sum float32
	for _, v := range sums[:t.lanes()] {
		sum += v
	}
	return sum
}
