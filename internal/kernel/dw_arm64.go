//go:build !purego

package kernel

// depthwiseBlock is the size of the largest block of outputs, of vectors of so
// many lanes.
func (t isa) depthwiseBlock(_, lanes int) int {
	if lanes < t.lanes() {
		return 2
	}
	return 14
}

// vectors calls f for all channels: step vectors a call, then the rest of less
// than a vector. The offset is in bytes.
func (t isa) vectors(channels, step int, f func(t isa, off, chunks, lanes int)) {
	lanes := t.lanes()
	whole := channels / lanes
	step = max(1, step)
	for i := 0; i < whole; i += step {
		f(t, 4*i*lanes, min(step, whole-i), lanes)
	}
	if rest := channels % lanes; rest > 0 {
		f(t, 4*whole*lanes, 1, rest)
	}
}

func (t isa) depthwise(a *depthwiseArgs) { depthwiseNEON(a) }

//go:noescape
func depthwiseNEON(args *depthwiseArgs)
