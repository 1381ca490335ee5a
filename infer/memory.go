package infer

import (
	"cmp"
	"slices"
	"unsafe"

	"effnet/arch"
	"effnet/internal/largepages"
)

// value is a tensor of one image as a plan stores it: rows of pixels, with
// zeros around them where a convolution wants its padding in memory.
type value struct {
	shape arch.Shape
	pad   arch.Pad
	image bool // the caller's image itself, not part of the arena

	offset      int // in the arena
	first, last int // steps that write it first and read it last
}

// row is the number of floats from one row to the next.
func (v *value) row() int { return (v.pad.Left + v.shape.W + v.pad.Right) * v.shape.C }

func (v *value) size() int { return (v.pad.Top + v.shape.H + v.pad.Bottom) * v.row() }

// memory is all of v in f, zeros around the rows included.
func (v *value) memory(f *frame) []float32 {
	if v.image {
		return f.x
	}
	return f.arena[v.offset:][:v.size()]
}

// from is the memory of v from the first pixel of row r on.
func (v *value) from(f *frame, r int) []float32 {
	return v.memory(f)[(v.pad.Top+r)*v.row()+v.pad.Left*v.shape.C:]
}

// use extends the life of v to a step.
func (v *value) use(step int) { v.last = max(v.last, step) }

// placeValues gives every value its place in the arena and returns the size
// of the arena in floats. Values that live at the same time do not overlap.
// The largest go first, each to the lowest place that is free for its life.
func placeValues(values []*value) int {
	const line = 16 // floats of a cache line
	order := slices.Clone(values)
	var placed []*value // in order of their offsets
	slices.SortStableFunc(order, func(a, b *value) int { return cmp.Compare(b.size(), a.size()) })
	total := 0
	for _, v := range order {
		v.offset = 0
		for _, o := range placed {
			if o.last < v.first || v.last < o.first {
				continue
			}
			if v.offset+v.size() <= o.offset {
				break
			}
			v.offset = max(v.offset, (o.offset+o.size()+line-1)/line*line)
		}
		i, _ := slices.BinarySearchFunc(placed, v, func(a, b *value) int { return cmp.Compare(a.offset, b.offset) })
		placed = slices.Insert(placed, i, v)
		total = max(total, v.offset+v.size())
	}
	return total
}

const cacheLine = 64

// aligned makes room for n floats that begins at a cache line, or where it is
// large at a large page: see settle.
func aligned(n int) []float32 {
	align := cacheLine
	if 4*n >= largepages.Size {
		align = largepages.Size
	}
	x := make([]float32, n+align/4-1)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(x))) % uintptr(align) / 4
	return x[skip:][:n:n]
}

// A run walks through more memory than the processor has small pages at hand.
// Large pages are quicker then, but making them can take long where memory is
// scattered: a plan that has run this many times can expect to make up for it.
const settleAfter = 16

// settle moves memory made by aligned into large pages, where the system has
// them. It may be in use.
func settle(memory [][]float32) {
	for _, x := range memory {
		largepages.Move(x)
	}
}
