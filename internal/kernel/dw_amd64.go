//go:build !purego

package kernel

// depthwiseBlock is the size of the largest block of outputs with k taps a row.
func (t isa) depthwiseBlock(k, _ int) int {
	if t == avx512 {
		return 14
	}
	return min(11, 13-k)
}

// vectors calls f for all channels: step vectors a call, then the rest of less
// than a vector. Half a vector of AVX-512 is a whole one of AVX2. The offset is
// in bytes.
func (t isa) vectors(channels, step int, f func(t isa, off, chunks, lanes int)) {
	lanes := t.lanes()
	whole := channels / lanes
	step = max(1, step)
	for i := 0; i < whole; i += step {
		f(t, 4*i*lanes, min(step, whole-i), lanes)
	}
	if rest := channels % lanes; rest == avx2.lanes() {
		f(avx2, 4*whole*lanes, 1, rest)
	} else if rest > 0 {
		f(t, 4*whole*lanes, 1, rest)
	}
}

func (t isa) depthwise(a *depthwiseArgs) {
	if t == avx512 {
		depthwiseAVX512(a)
	} else {
		depthwiseAVX2(a)
	}
}

//go:noescape
func depthwiseAVX512(args *depthwiseArgs)

//go:noescape
func depthwiseAVX2(args *depthwiseArgs)
