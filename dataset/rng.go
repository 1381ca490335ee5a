package dataset

import "math/bits"

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

// intn returns a number in [0,n), without bias.
func (r *rng) intn(n int) int {
	un := uint64(n)
	hi, lo := bits.Mul64(r.next(), un)
	if lo < un {
		for limit := -un % un; lo < limit; {
			hi, lo = bits.Mul64(r.next(), un)
		}
	}
	return int(hi)
}

// float64 returns a number in [0,1).
func (r *rng) float64() float64 { return float64(r.next()>>11) / (1 << 53) }

// shuffle permutes s.
func (r *rng) shuffle(s []int) {
	for i := len(s) - 1; i > 0; i-- {
		j := r.intn(i + 1)
		s[i], s[j] = s[j], s[i]
	}
}
