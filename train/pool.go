package train

import "effnet/internal/kernel"

// pool is the mean over the pixels of an image.
type pool struct {
	in, out *value
	acc     bool
	// gate is set where in is also what a gate multiplies, and nothing else
	// reads it (squeeze-and-excite): in.grad then holds the gradient after the
	// gate, and pool, last of the two, completes it in one go.
	gate *gate
}

func (n *pool) forward(e *engine, w *worker, t *tile) {
	hw, c := n.in.hw(), n.in.c
	for i := t.i0; i < t.i1; i++ {
		sum := n.out.at(i, i+1)
		clear(sum)
		for r := i * hw; r < (i+1)*hw; r += sumRows {
			mark := w.used
			w.k.SumRows(w.rows(n.in, r, min(r+sumRows, (i+1)*hw)), sum)
			w.used = mark
		}
		w.k.ScaleAct(sum, sum, w.mean(hw, c), w.zeros[:c], kernel.Identity)
		w.used -= align(c)
	}
}

// mean is c times 1/n, in scratch.
func (w *worker) mean(n, c int) []float32 {
	s := w.take(c)
	for i := range s {
		s[i] = 1 / float32(n)
	}
	return s
}

func (n *pool) backward(e *engine, w *worker, t *tile) {
	if n.in.grad == nil {
		return
	}
	hw, c := n.in.hw(), n.in.c
	for i := t.i0; i < t.i1; i++ {
		mark := w.used
		g := n.in.gradAt(i*hw, (i+1)*hw)
		scale, shift := n.complete(w, i)
		switch {
		case n.gate != nil || n.acc:
			w.k.ScaleAct(g, g, scale, shift, kernel.Identity)
		default:
			for r := 0; r < len(g); r += c {
				copy(g[r:r+c], shift)
			}
		}
		w.used = mark
	}
}

// complete gives what makes the gradient of image i of in whole: what is there
// times scale, plus shift.
func (n *pool) complete(w *worker, i int) (scale, shift []float32) {
	c := n.in.c
	shift = w.take(c)
	mark := w.used
	w.k.ScaleAct(shift, n.out.gradAt(i, i+1), w.mean(n.in.hw(), c), w.zeros[:c], kernel.Identity)
	w.used = mark
	if n.gate == nil {
		return w.ones[:c], shift
	}
	return w.rows(n.gate.vec, i, i+1), shift
}

// maxPool is the maximum over windows; what padding adds does not count.
type maxPool struct {
	in, out *value
	shape   kernel.MaxPool
	acc     bool
}

func newMaxPool(in, out *value) *maxPool {
	op := out.op
	return &maxPool{in: in, out: out, shape: kernel.MaxPool{
		C: in.c, K: op.Kernel, Stride: op.Stride, Top: op.Pad.Top, Left: op.Pad.Left,
		InH: in.h, InW: in.w, XRow: in.w * in.c, OutH: out.h, OutW: out.w,
	}}
}

func (n *maxPool) forward(e *engine, w *worker, t *tile) {
	hw, out := n.in.hw(), n.out.hw()
	for i := t.i0; i < t.i1; i++ {
		mark := w.used
		n.shape.Forward(w.rows(n.in, i*hw, (i+1)*hw), n.out.at(i*out, (i+1)*out), 0, n.out.h)
		w.used = mark
	}
}

func (n *maxPool) backward(e *engine, w *worker, t *tile) {
	if n.in.grad == nil {
		return
	}
	hw, out := n.in.hw(), n.out.hw()
	for i := t.i0; i < t.i1; i++ {
		mark := w.used
		d := n.in.gradAt(i*hw, (i+1)*hw)
		if !n.acc {
			clear(d)
		}
		n.shape.Backward(w.rows(n.in, i*hw, (i+1)*hw), n.out.gradAt(i*out, (i+1)*out), d)
		w.used = mark
	}
}
