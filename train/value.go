package train

import (
	"effnet/arch"
	"effnet/internal/kernel"
)

// value is what an op makes for every image of the batch, rows of c channels.
// It is kept in memory (store), or made anew whenever it is read, from a kept
// one (src): act(bn(src)), or src times gate.
type value struct {
	op      *arch.Op
	h, w, c int

	store *buffer // nil: on demand
	grad  *buffer // gradient of the loss; nil where it is not needed or follows from bn

	src    *value
	bn     *batchNorm // nil: none
	act    kernel.Act
	gate   *value // [1,1,c]; nil: none
	slopes bool   // the pass that takes its gradient on keeps it for a tile, with its slopes

	maker     node // of a convolution's output
	needsGrad bool
	readers   []node // nodes whose forward reads the value
	finish    int    // the pass in whose backward grad becomes complete
	touched   bool   // while planning: something has written grad
}

// swishes reports whether v is swish(bn(src)).
func (v *value) swishes() bool { return v.bn != nil && v.act == kernel.Swish }

// hw is the number of rows of one image.
func (v *value) hw() int { return v.h * v.w }

// elems is the number of elements of one image.
func (v *value) elems() int { return v.h * v.w * v.c }

// root is the kept value that v is made from.
func (v *value) root() *value {
	for v.store == nil {
		v = v.src
	}
	return v
}

// at is rows [r0,r1) of a kept value, counted over the whole batch.
func (v *value) at(r0, r1 int) []float32 { return v.store.data[r0*v.c : r1*v.c] }

// gradAt is the gradient of rows [r0,r1).
func (v *value) gradAt(r0, r1 int) []float32 { return v.grad.data[r0*v.c : r1*v.c] }

// tile is a piece of a lane's work that fits the cache: images [i0,i1), or in
// a pass of pointwise nodes rows [r0,r1) of these images.
type tile struct {
	lane   int
	first  bool // of the lane
	i0, i1 int
	chunk  bool
	r0, r1 int
	again  bool // forward has run before: batch norms know their moments
}

// rows is the part of v that belongs to the tile.
func (t *tile) rows(v *value) (r0, r1 int) {
	if t.chunk {
		return t.r0, t.r1
	}
	return t.i0 * v.hw(), t.i1 * v.hw()
}

// worker is what one goroutine needs for itself.
type worker struct {
	k     *kernel.Impl
	slab  []float32
	used  int    // of slab
	memos []memo // of the tile
	tile  tile
	ahead kernel.Ahead // of the products under way
	zeros []float32    // as many as the widest value has channels
	ones  []float32
}

// memo keeps a value that several nodes of a pass read, for one tile.
type memo struct {
	of     *value
	data   []float32
	slopes []float32 // of its activation; nil: not wanted
	r0     int       // its first row
	made   bool
}

// take gives n floats of scratch, not cleared, that live until the worker's
// used is set back. A slab that has become too small is replaced: what was
// taken before stays where it is.
func (w *worker) take(n int) []float32 {
	at := w.used
	w.used += align(n)
	if w.used > len(w.slab) {
		w.slab = make([]float32, w.used+w.used/4)
	}
	return w.slab[at:][:n:n]
}

func (w *worker) takeZeros(n int) []float32 {
	s := w.take(n)
	clear(s)
	return s
}

// begin forgets the scratch of the previous tile and reserves the memos of t.
// In backward they have slopes where those are wanted.
func (w *worker) begin(p *pass, t *tile, backward bool) {
	w.used = 0
	w.memos = w.memos[:0]
	for _, v := range p.memos {
		r0, r1 := t.rows(v)
		m := memo{of: v, data: w.take((r1 - r0) * v.c), r0: r0}
		if v.slopes && backward {
			m.slopes = w.take(len(m.data))
		}
		w.memos = append(w.memos, m)
	}
}

// rows gives rows [r0,r1) of v, in place or in scratch. They must not be written.
func (w *worker) rows(v *value, r0, r1 int) []float32 {
	if v.store != nil {
		return v.at(r0, r1)
	}
	if m := w.memo(v); m != nil {
		return m.data[(r0-m.r0)*v.c : (r1-m.r0)*v.c]
	}
	dst := w.take((r1 - r0) * v.c)
	w.load(dst, v, r0, r1)
	return dst
}

// memo is that of v, made; nil if it has none.
func (w *worker) memo(v *value) *memo {
	for i := range w.memos {
		m := &w.memos[i]
		if m.of != v {
			continue
		}
		if !m.made {
			w.loadSlopes(m.data, m.slopes, v, m.r0, m.r0+len(m.data)/v.c)
			m.made = true
		}
		return m
	}
	return nil
}

// slopes gives those of rows [r0,r1) of v; nil if none are kept.
func (w *worker) slopes(v *value, r0, r1 int) []float32 {
	if !v.slopes {
		return nil
	}
	m := w.memo(v)
	return m.slopes[(r0-m.r0)*v.c : (r1-m.r0)*v.c]
}

// loadSlopes is load that, unless slopes is nil, puts the slopes of v, a swish,
// there.
func (w *worker) loadSlopes(dst, slopes []float32, v *value, r0, r1 int) {
	if slopes == nil {
		w.load(dst, v, r0, r1)
		return
	}
	w.k.SwishSlope(dst, slopes, v.src.at(r0, r1), v.bn.scale, v.bn.shift)
}

// load makes rows [r0,r1) of v in dst.
func (w *worker) load(dst []float32, v *value, r0, r1 int) {
	switch {
	case v.store != nil:
		copy(dst, v.at(r0, r1))
	case v.gate != nil:
		src := w.rows(v.src, r0, r1)
		eachImage(v, r0, r1, func(img, a, b int) {
			mark := w.used
			g := w.rows(v.gate, img, img+1)
			w.k.ScaleAct(dst[a:b], src[a:b], g, w.zeros[:v.c], kernel.Identity)
			w.used = mark
		})
	case v.bn != nil:
		w.k.ScaleAct(dst, v.src.at(r0, r1), v.bn.scale, v.bn.shift, v.act)
	default:
		w.k.Apply(dst, v.src.at(r0, r1), v.act)
	}
}

// eachImage cuts rows [r0,r1) of v at image borders and calls f with an image
// and its part [a,b) of the elements of these rows.
func eachImage(v *value, r0, r1 int, f func(img, a, b int)) {
	hw := v.hw()
	for r := r0; r < r1; {
		img := r / hw
		end := min((img+1)*hw, r1)
		f(img, (r-r0)*v.c, (end-r0)*v.c)
		r = end
	}
}
