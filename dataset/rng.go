package dataset

import (
	"math"
	"math/bits"
)

// rng is SplitMix64. Its numbers are part of what a seed means, so they are
// made here and not by a library that may change.
type rng struct{ state uint64 }

// The purposes a seed is used for, so that equal seeds do not repeat each
// other's choices.
const (
	forOrder uint64 = iota + 1
	forAugment
	forSplit
	forSubset
	forSynthetic
	forPolicy
	forErasing
	forMixup
	forMirror
)

// newRNG returns a generator that depends on every key and on their order.
func newRNG(keys ...uint64) rng {
	var r rng
	for _, k := range keys {
		r.state = r.next() ^ k
	}
	r.next()
	return r
}

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// IntN returns a number in [0,n), without bias.
func (r *rng) IntN(n int) int {
	un := uint64(n)
	hi, lo := bits.Mul64(r.next(), un)
	if lo < un {
		for limit := -un % un; lo < limit; {
			hi, lo = bits.Mul64(r.next(), un)
		}
	}
	return int(hi)
}

// Float64 returns a number in [0,1).
func (r *rng) Float64() float64 { return float64(r.next()>>11) / (1 << 53) }

// shuffle permutes s.
func (r *rng) shuffle(s []int) {
	for i := len(s) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		s[i], s[j] = s[j], s[i]
	}
}

// NormFloat64 returns a standard normal number (Box and Muller).
func (r *rng) NormFloat64() float64 {
	u, v := r.Float64(), r.Float64()
	return math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
}

// beta returns a number of the distribution Beta(a, a), a at least 0.01: of
// two gamma variates the first over their sum, from logarithms, as both are
// tiny where a is small.
func (r *rng) beta(a float64) float64 {
	x, y := r.logGamma(a), r.logGamma(a)
	return 1 / (1 + math.Exp(y-x))
}

// logGamma returns the logarithm of a number of the distribution Gamma(a, 1):
// of one of Gamma(a+1, 1) by Marsaglia and Tsang's method (2000), times u^(1/a).
func (r *rng) logGamma(a float64) float64 {
	d := a + 2.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		z := r.NormFloat64()
		v := 1 + c*z
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < z*z/2+d*(1-v+math.Log(v)) {
			return math.Log(d*v) + math.Log(1-r.Float64())/a
		}
	}
}
