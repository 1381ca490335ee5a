package kernel

import "fmt"

// The loops below do nothing for a network. They measure what the machine
// could do at best, which a network's speed is compared with.

const (
	// PeakFloats is the most values that Peak works on.
	PeakFloats = 192
	// PeakScale and PeakShift are what Peak computes with. They take any value
	// towards 1, away from what is slow to compute with.
	PeakScale, PeakShift = 0.75, 0.25
	// StreamBlock divides the length of what Stream reads.
	StreamBlock = 128
)

// peakChains is how many values peakGo works on.
const peakChains = 8

func peakGo(x *[PeakFloats]float32, iterations int) int64 {
	a, b, c, d, e, f, g, h := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
	for range iterations {
		a = a*PeakScale + PeakShift
		b = b*PeakScale + PeakShift
		c = c*PeakScale + PeakShift
		d = d*PeakScale + PeakShift
		e = e*PeakScale + PeakShift
		f = f*PeakScale + PeakShift
		g = g*PeakScale + PeakShift
		h = h*PeakScale + PeakShift
	}
	x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7] = a, b, c, d, e, f, g, h
	return 2 * peakChains * int64(max(iterations, 0))
}

func streamGo(x []float32) float32 {
	checkStream(x)
	var a, b, c, d float32
	for ; len(x) >= 8; x = x[8:] {
		a += x[0] + x[4]
		b += x[1] + x[5]
		c += x[2] + x[6]
		d += x[3] + x[7]
	}
	return a + b + c + d
}

func checkStream(x []float32) {
	if len(x)%StreamBlock != 0 {
		panic(fmt.Sprintf("kernel: Stream of %d values, want a multiple of %d", len(x), StreamBlock))
	}
}
