package train

// Random numbers are a function of what they are for, not of a generator's
// history: a resumed run and any number of threads draw the same.

// mix is the finaliser of SplitMix64, a bijection that spreads every bit.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// uniform is a number in [0,1), a multiple of 2^-53, for one element of one
// image at one op of one step.
func uniform(seed uint64, step int64, op, img, elem int) float64 {
	x := mix(seed)
	x = mix(x ^ uint64(step))
	x = mix(x ^ uint64(op)<<32 ^ uint64(img))
	x = mix(x ^ uint64(elem))
	return float64(x>>11) / (1 << 53)
}

// keep is floor(keep + U)/keep with keep = 1-rate: 0 at the rate, 1/keep else.
// img counts from the micro-batch's first.
func (e *engine) keep(rate float64, op, img, elem int) float32 {
	if rate == 0 {
		return 1
	}
	if uniform(e.seed, e.step, op, e.first+img, elem) < rate {
		return 0
	}
	return float32(1 / (1 - rate))
}
