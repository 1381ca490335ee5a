package train

import (
	"cmp"
	"fmt"
	"slices"

	"effnet/internal/largepages"
)

// buffer is a tensor of the whole batch, [n, elems] with room for Config.Batch
// images, in the trainer's arena. Buffers whose lives do not overlap share
// memory. Time is counted in passes: forward pass p runs at p, its backward at
// 2P-1-p of P passes.
type buffer struct {
	elems       int // of one image
	first, last int // the times it is written first and read last
	data        []float32
	offset      int
}

// live extends the life of b to time t.
func (b *buffer) live(t int) {
	b.first, b.last = min(b.first, t), max(b.last, t)
}

// alignment of buffers, in floats: a cache line.
const alignment = 16

func align(n int) int { return (n + alignment - 1) / alignment * alignment }

// maxArena bounds the arena so that a network and batch far beyond any
// machine's memory is an error instead of a crash of the allocator.
const maxArena = 1 << 38

// layOut places the buffers in one arena for batches of n images: each, the
// largest first, at the lowest offset that is free all its life.
func layOut(bufs []*buffer, n int) ([]float32, error) {
	order := slices.Clone(bufs)
	slices.SortStableFunc(order, func(a, b *buffer) int { return cmp.Compare(b.elems, a.elems) })
	var placed []*buffer // by offset
	total := 0
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
	if total > maxArena {
		return nil, fmt.Errorf("train: a batch of %d images needs %d GiB of activations; use smaller batches", n, total>>28)
	}
	arena := make([]float32, total)
	largepages.Expect(arena)
	for _, b := range bufs {
		b.data = arena[b.offset:][:b.elems*n]
	}
	return arena, nil
}
