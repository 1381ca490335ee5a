package train

import (
	"cmp"
	"slices"

	"effnet/internal/largepages"
)

// buffer is a tensor of a whole micro-batch, [n, elems], in the trainer's
// arena. Buffers whose lives do not overlap share memory. Time is counted in
// passes: forward pass p runs at p, its backward at 2P-2-p of P passes, the
// last pass both ways at once.
type buffer struct {
	elems       int // of one image
	first, last int // the times it is written first and read last
	offset      int
	place       []float32 // its part of the arena
	data        []float32 // where its value is now: place, or again's

	// again is the second life of a value that is dropped after forward and
	// made again in backward; nil: it lives through.
	again *buffer
}

// live extends the life of b to time t.
func (b *buffer) live(t int) {
	b.first, b.last = min(b.first, t), max(b.last, t)
}

// alignment of buffers, in floats: a cache line.
const alignment = 16

func align(n int) int { return (n + alignment - 1) / alignment * alignment }

// floats makes n floats, in large pages where there are so many.
func floats(n int) []float32 {
	x := make([]float32, n)
	largepages.Expect(x)
	return x
}

// layOut gives the buffers their offsets in an arena for micro-batches of n
// images, and returns its size in floats: each, the largest first, lies at the
// lowest offset that is free all its life.
func layOut(bufs []*buffer, n int) (total int) {
	order := slices.Clone(bufs)
	slices.SortStableFunc(order, func(a, b *buffer) int { return cmp.Compare(b.elems, a.elems) })
	var placed []*buffer // by offset
	for _, b := range order {
		size := align(b.elems * n)
		b.offset = 0
		for _, q := range placed {
			if b.first > q.last || q.first > b.last {
				continue
			}
			if b.offset+size <= q.offset {
				break
			}
			b.offset = max(b.offset, q.offset+align(q.elems*n))
		}
		total = max(total, b.offset+size)
		at, _ := slices.BinarySearchFunc(placed, b, func(p, q *buffer) int { return cmp.Compare(p.offset, q.offset) })
		placed = slices.Insert(placed, at, b)
	}
	return total
}

// moveIn puts the buffers into the arena that layOut made the plan of; nil: out.
func moveIn(bufs []*buffer, arena []float32, n int) {
	for _, b := range bufs {
		if arena == nil {
			b.place, b.data = nil, nil
			continue
		}
		b.place = arena[b.offset:][:b.elems*n]
		b.data = b.place
	}
}
