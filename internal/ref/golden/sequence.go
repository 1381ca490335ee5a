package golden

import (
	"hash/fnv"
	"strconv"

	"effnet/arch"
)

// uniform makes n multiples of 1/2048 in [-1, 1), exact in float32, from a
// name alone: the top 12 bits of a 32-bit linear congruential generator seeded
// with the name's FNV-1a hash. scripts/golden/sequence.py is its twin.
func uniform(name string, n int) []float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	s := h.Sum32()
	out := make([]float64, n)
	for i := range out {
		s = s*1664525 + 1013904223
		out[i] = (float64(s>>20) - 2048) / 2048
	}
	return out
}

// scale is the largest power of two p with p*p*fanIn <= 6.
func scale(fanIn int) float64 {
	p := 2.0
	for p*p*float64(fanIn) > 6 {
		p /= 2
	}
	return p
}

// parameter is the starting value of one tensor.
func parameter(p arch.Param) []float64 {
	u := uniform(p.Name, p.Elems())
	for i, v := range u {
		switch p.Role {
		case arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight:
			u[i] = v * scale(p.Elems()/p.Shape[0])
		case arch.BNGamma:
			u[i] = 1 + v/2
		case arch.BNBeta, arch.BiasVector, arch.BNMean:
			u[i] = v / 4
		case arch.BNVar:
			u[i] = 1 + v*3/4
		}
	}
	return u
}

// images is a batch [n, size, size, channels] in [-2, 2).
func images(step, n int, s arch.Shape) []float64 {
	x := uniform("images."+strconv.Itoa(step), n*s.Elems())
	for i := range x {
		x[i] *= 2
	}
	return x
}

func labels(step, n, classes int) []int {
	y := make([]int, n)
	for i, u := range uniform("labels."+strconv.Itoa(step), n) {
		y[i] = int((u + 1) / 2 * float64(classes))
	}
	return y
}

// mask is multipliers of drop path or dropout: 0, or 1/(1-rate).
func mask(op string, step, n int, rate float64) []float64 {
	m := uniform("mask."+op+"."+strconv.Itoa(step), n)
	for i, u := range m {
		m[i] = 0
		if (u+1)/2 >= rate {
			m[i] = 1 / (1 - rate)
		}
	}
	return m
}

// Probe is a fixed projection of a tensor, which no permutation of it shares.
// With rounding errors e in its elements it is off by about e*sqrt(len(t)/3).
func Probe(t []float64) float64 {
	sum := 0.0
	for i, u := range uniform("probe", len(t)) {
		sum += t[i] * u
	}
	return sum
}
