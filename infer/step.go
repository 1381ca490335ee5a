package infer

import (
	"slices"

	"effnet/arch"
	"effnet/internal/kernel"
)

// step is one or several layers, each the only reader of the one before, of
// which only the value of the last is kept: stored in out, summed over pixels
// in sums, or both. What lies between stays in a cache, because the step works
// through its layers part by part:
//
//   - by rows: a band of rows of the last layer, for which the layers before
//     make the rows that are missing in buffers that slide down the image;
//   - by channels: a panel of the channels, of a convolution or of one and the
//     depthwise convolution that follows. For small images with many channels:
//     the weights are read once, and a channel's whole image fits a cache.
//
// Every element is computed in the same way however the parts are cut, and the
// cut of sums depends on the shape alone.
type step struct {
	name   string // of the op it starts with
	in     *value
	layers []*layer
	keep   bool   // the value is stored
	pool   bool   // the value is summed
	out    *value // where it is stored
	sums   *value // [parts,1,C] by rows, [1,1,C] by channels

	byChannels bool
	part       int // rows or channels of a part, fewer in the last
	parts      int
	items      int // of the loop that the workers share: each some parts in a row

	line []int // by rows: floats of a row of the buffer of each layer but the last
	deep []int // and its rows
}

func (st *step) end() *layer { return st.layers[len(st.layers)-1] }

const (
	cacheFloats = 1 << 16 // what a part should not exceed: a good share of a core's second-level cache
	minPixels   = 28      // of a part by rows, for the matrix product to be efficient
	itemWork    = 1 << 19 // products that pay for waking a worker
)

// cut decides how the step is done on the given number of threads.
func (st *step) cut(k *kernel.Impl, threads int) {
	st.chooseWay(k)
	if st.byChannels {
		st.part = k.Panel
		st.parts = (st.end().shape.C + st.part - 1) / st.part
	} else {
		st.cutRows(threads)
	}
	work := 0
	for _, l := range st.layers {
		work += l.shape.Elems() * max(1, l.patch())
	}
	st.items = 1
	if threads > 1 {
		st.items = max(1, min(4*threads, st.parts, work/itemWork))
		if len(st.layers) > 1 && !st.byChannels { // rows at the edge of an item are made twice
			st.items = min(st.items, 2*threads)
		}
	}
}

func (st *step) chooseWay(k *kernel.Impl) {
	st.byChannels = false
	l := st.layers[0]
	if l.kind != conv || l.scaled != nil || st.in.pad != l.pad {
		return
	}
	pixels := l.shape.H * l.shape.W
	switch len(st.layers) {
	case 1: // the kernel wants y and the residual alike
		st.byChannels = preferChannels(l) && (st.keep || l.residual == nil)
	case 2:
		if d := st.layers[1]; d.kind == depthwise && d.residual == nil && l.residual == nil && st.keep && pixels*l.patch() <= 4*cacheFloats {
			image := (l.shape.H + d.pad.Top + d.pad.Bottom) * (l.shape.W + d.pad.Left + d.pad.Right) * k.Panel
			row := d.kernel * (l.shape.W + d.pad.Left + d.pad.Right) * l.shape.C
			st.byChannels = image <= max(3*cacheFloats/4, row)
		}
	}
}

// preferChannels reports that a convolution is better done by channels: its
// weight is large, its input small.
func preferChannels(l *layer) bool {
	pixels := l.shape.H * l.shape.W
	return l.shape.C >= pixels && pixels*l.patch() <= cacheFloats
}

func (st *step) cutRows(threads int) {
	h, w := st.end().shape.H, st.end().shape.W
	rows := func(limit int) int {
		n := 1
		for n < h && st.floats(n+1) <= limit {
			n++
		}
		return min(h, max(n, (minPixels+w-1)/w))
	}
	st.part = rows(cacheFloats)
	if threads > 1 || st.pool || len(st.layers) > 1 {
		st.part = min(st.part, max((h+7)/8, (minPixels+w-1)/w))
	}
	for _, l := range st.layers {
		if l.winograd {
			st.part = min(h, (st.part+1)/2*2)
		}
	}
	st.parts = (h + st.part - 1) / st.part
	st.line, st.deep = nil, nil
	lo, hi := 0, st.part
	for i := len(st.layers) - 1; i > 0; i-- {
		l := st.layers[i]
		lo, hi = l.needs(lo, hi)
		st.line = append(st.line, (l.pad.Left+l.in.W+l.pad.Right)*l.in.C)
		st.deep = append(st.deep, hi-lo)
	}
	slices.Reverse(st.line)
	slices.Reverse(st.deep)
}

// floats is how many floats a part of n rows reads and writes.
func (st *step) floats(n int) int {
	total := n * st.end().shape.W * st.end().shape.C
	lo, hi := 0, n
	for i := len(st.layers) - 1; i >= 0; i-- {
		l := st.layers[i]
		lo, hi = l.needs(lo, hi)
		total += (hi - lo) * (l.pad.Left + l.in.W + l.pad.Right) * l.in.C
	}
	return total
}

// scratch is the number of floats that a part needs besides the values.
func (st *step) scratch(k *kernel.Impl) int {
	if st.byChannels {
		l, c := st.layers[0], st.part
		if len(st.layers) == 2 {
			d := st.layers[1]
			return (l.shape.H + d.pad.Top + d.pad.Bottom) * (l.shape.W + d.pad.Left + d.pad.Right) * c
		}
		if !st.keep {
			return l.shape.H * l.shape.W * c
		}
		return 0
	}
	n := 0
	for _, l := range st.layers {
		n = max(n, l.temporary(k))
	}
	for i := range st.line {
		n += st.line[i] * st.deep[i]
	}
	if !st.keep {
		n += st.part * st.end().shape.W * st.end().shape.C
	}
	return n
}

// run computes an item.
func (st *step) run(s *state, f *frame, scratch []float32, item int) {
	first, end := item*st.parts/st.items, (item+1)*st.parts/st.items
	if st.byChannels {
		for p := first; p < end && !s.cancelled(); p++ {
			st.channels(s.plan.kernel, f, scratch, p*st.part, min((p+1)*st.part, st.end().shape.C))
		}
		return
	}
	w := slider{st: st, k: s.plan.kernel, f: f}
	for i := range st.line {
		n := st.line[i] * st.deep[i]
		w.buffers[i].mem, scratch = scratch[:n], scratch[n:]
	}
	last := st.end()
	unkept := rows{scratch, last.shape.W * last.shape.C}
	if !st.keep {
		scratch = scratch[st.part*unkept.row:]
	}
	w.tmp = scratch
	for p := first; p < end && !s.cancelled(); p++ {
		lo, hi := p*st.part, min((p+1)*st.part, last.shape.H)
		dst := unkept
		if st.keep {
			dst = rows{st.out.from(f, lo), st.out.row()}
		}
		var sums []float32
		if st.sums != nil {
			sums = st.sums.from(f, p)[:last.shape.C]
		}
		w.compute(len(st.layers)-1, lo, hi, dst, sums)
		if st.out != nil && st.out.pad != (arch.Pad{}) {
			st.out.clearBorder(f, lo, hi)
		}
	}
}

// slider makes rows of the layers of a step.
type slider struct {
	st      *step
	k       *kernel.Impl
	f       *frame
	buffers [maxLayers - 1]buffer
	tmp     []float32
}

// maxLayers is how many layers a step can have.
const maxLayers = 4

// buffer holds rows [lo,hi) of the value of a layer, with the padding that the
// next layer wants.
type buffer struct {
	mem    []float32
	lo, hi int
}

func (w *slider) compute(i, lo, hi int, dst rows, sums []float32) {
	l := w.st.layers[i]
	a, b := l.needs(lo, hi)
	l.compute(w.k, w.f, w.input(i, a, b), dst, lo, hi, sums, w.tmp)
}

// input is rows [lo,hi) of the input of layer i, from the padding of its left
// edge on.
func (w *slider) input(i, lo, hi int) rows {
	l := w.st.layers[i]
	if i == 0 {
		v := w.st.in
		if l.kind == maxPool { // sees to its edges itself
			return rows{v.from(w.f, 0), v.row()}
		}
		return rows{v.memory(w.f)[(v.pad.Top+lo)*v.row()+(v.pad.Left-l.pad.Left)*v.shape.C:], v.row()}
	}
	b, line := &w.buffers[i-1], w.st.line[i-1]
	if b.hi <= lo || b.lo > lo { // nothing of use
		b.hi = lo
	} else if b.lo < lo {
		copy(b.mem, b.mem[(lo-b.lo)*line:(b.hi-b.lo)*line])
	}
	b.lo = lo
	if b.hi >= hi {
		return rows{b.mem, line}
	}
	// Rows above and below the image are zeros.
	from, to := max(b.hi, 0), min(hi, l.in.H)
	if from >= to {
		clear(b.mem[(b.hi-lo)*line : (hi-lo)*line])
	} else {
		clear(b.mem[(b.hi-lo)*line : (from-lo)*line])
		clear(b.mem[(to-lo)*line : (hi-lo)*line])
		left, right := l.pad.Left*l.in.C, l.pad.Right*l.in.C
		w.compute(i-1, from, to, rows{b.mem[(from-lo)*line+left:], line}, nil)
		for r := from - lo; r < to-lo; r++ {
			clear(b.mem[r*line:][:left])
			clear(b.mem[(r+1)*line-right : (r+1)*line])
		}
	}
	b.hi = hi
	return rows{b.mem, line}
}

// channels computes channels [a,b).
func (st *step) channels(k *kernel.Impl, f *frame, scratch []float32, a, b int) {
	l := st.layers[0]
	n := b - a
	s := l.geometry(st.in.row())
	s.Rows, s.N = l.shape.H, n
	if l.shift != nil {
		s.Shift = l.shift[a:b]
	}
	x := st.in.memory(f)
	weight := l.packed(f)[l.patch()*a:]
	var sums []float32
	if st.sums != nil {
		sums = st.sums.from(f, 0)[a:b]
		clear(sums)
	}
	if len(st.layers) == 2 {
		d := st.layers[1]
		line := (d.pad.Left + l.shape.W + d.pad.Right) * n
		image := scratch[:(d.pad.Top+l.shape.H+d.pad.Bottom)*line]
		clear(image[:d.pad.Top*line+d.pad.Left*n])
		for r := d.pad.Top + 1; r < d.pad.Top+l.shape.H; r++ { // right of one row, left of the next
			clear(image[r*line-d.pad.Right*n : r*line+d.pad.Left*n])
		}
		clear(image[(d.pad.Top+l.shape.H)*line-d.pad.Right*n:])
		s.YRow, s.YCol = line, n
		k.Conv(s, x, weight, image[d.pad.Top*line+d.pad.Left*n:])
		dw := d.depthwise(line, n, st.out.row())
		dw.C, dw.Rows = n, d.shape.H
		if d.shift != nil {
			dw.Shift = d.shift[a:b]
		}
		k.Depthwise(dw, image, d.weight[a:], st.out.from(f, 0)[a:], sums)
		return
	}
	y := scratch
	if st.out != nil {
		y = st.out.from(f, 0)[a:]
		s.YRow, s.YCol = st.out.row(), l.shape.C
	} else {
		s.YRow, s.YCol = l.shape.W*n, n
	}
	if l.residual != nil {
		s.Residual, s.RRow = l.residual.from(f, 0)[a:], l.residual.row()
	}
	k.Conv(s, x, weight, y)
	switch {
	case sums == nil:
	case !st.keep: // without gaps
		k.SumRows(y[:l.shape.H*s.YRow], sums)
	default:
		for r := range l.shape.H {
			for c := range l.shape.W {
				k.Add(sums, y[r*s.YRow+c*s.YCol:])
			}
		}
	}
}

// clearBorder zeroes the padding that belongs to rows [lo,hi): left and right of
// them, above the first row and below the last of the image.
func (v *value) clearBorder(f *frame, lo, hi int) {
	mem, row := v.memory(f), v.row()
	left, right := v.pad.Left*v.shape.C, v.pad.Right*v.shape.C
	for r := v.pad.Top + lo; r < v.pad.Top+hi; r++ {
		line := mem[r*row:][:row]
		clear(line[:left])
		clear(line[row-right:])
	}
	if lo == 0 {
		clear(mem[:v.pad.Top*row])
	}
	if hi == v.shape.H {
		clear(mem[(v.pad.Top+v.shape.H)*row:])
	}
}

func (st *step) describe() Step {
	d := Step{Name: st.name, In: st.layers[0].in, Out: st.end().shape}
	floats := 0
	touch := func(values ...*value) {
		for _, v := range values {
			if v != nil {
				floats += v.shape.Elems()
			}
		}
	}
	touch(st.in, st.out, st.sums)
	for i, l := range st.layers {
		if i > 0 {
			d.Kind += "+"
		}
		d.Kind += layerNames[l.kind]
		d.FLOPs += 2 * int64(l.shape.Elems()) * int64(l.patch())
		d.Done += 2 * l.products()
		touch(l.scaled, l.gate, l.residual)
		floats += len(l.scale) + len(l.shift)
		if l.scaled == nil {
			floats += len(l.weight)
		}
		if l.act == kernel.Swish {
			d.Swish += int64(l.shape.Elems())
		}
	}
	d.Bytes = 4 * int64(floats)
	return d
}
