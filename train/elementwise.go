package train

import "effnet/internal/kernel"

// activation ends the gradient of a value made on demand as act(bn(src)) or
// act(src): once all readers have added to v.grad, it goes back to src.
type activation struct {
	v    *value
	acc  bool  // without bn: adds to src.grad
	pool *pool // what would complete v.grad before, and is done on the way; nil: none
}

func (n *activation) forward(e *engine, w *worker, t *tile) {}

func (n *activation) backward(e *engine, w *worker, t *tile) {
	v := n.v
	r0, r1 := t.rows(v)
	mark := w.used
	sums := w.take(2 * v.c)
	if n.pool != nil {
		n.ungate(w, t, sums)
		w.used = mark
		return
	}
	for a := r0; a < r1; a += sumRows {
		b := min(a+sumRows, r1)
		clear(sums)
		inner := w.used
		dz := v.gradAt(a, b)
		if v.bn != nil {
			v.bn.actBackward(w, dz, w.slopes(v, a, b), a, b, sums)
			v.bn.lanes[t.lane].add(sums[:v.c], sums[v.c:])
			continue
		}
		g := v.src.gradAt(a, b)
		if n.acc {
			g = w.take(len(dz))
		}
		one, zero := w.ones[:v.c], w.zeros[:v.c]
		w.k.ActBackward(g, dz, v.src.at(a, b), one, zero, zero, v.act, sums[:v.c], sums[v.c:])
		if n.acc {
			w.k.Add(v.src.gradAt(a, b), g)
		}
		w.used = inner
	}
	w.used = mark
}

// ungate is backward from the gradient after the gate that follows.
func (n *activation) ungate(w *worker, t *tile, sums []float32) {
	v := n.v
	hw, lane := v.hw(), &v.bn.lanes[t.lane]
	for i := t.i0; i < t.i1; i++ {
		mark := w.used
		gate, shift := n.pool.complete(w, i)
		for a := i * hw; a < (i+1)*hw; a += sumRows {
			b := min(a+sumRows, (i+1)*hw)
			clear(sums)
			w.k.GatedBackward(v.gradAt(a, b), w.slopes(v, a, b), v.src.at(a, b), gate, shift, v.bn.mean, sums[:v.c], sums[v.c:])
			lane.add(sums[:v.c], sums[v.c:])
		}
		w.used = mark
	}
}

// add is out = mask*branch + short, mask 0 or 1/keep per image (drop path).
type add struct {
	out, branch, short    *value
	index                 int // of the op, for the mask
	rate                  float64
	branchAcc, shortAcc   bool // backward adds to their grad
	branchSame, shortSame bool // their grad is out's own memory
}

// mask is the factor of an image's branch.
func (n *add) mask(e *engine, img int) float32 {
	return e.keep(n.rate, n.index, img, 0)
}

func (n *add) forward(e *engine, w *worker, t *tile) {
	r0, r1 := t.rows(n.out)
	if n.rate == 0 {
		n.combine(w, r0, r1, 1)
		return
	}
	eachImage(n.out, r0, r1, func(img, a, b int) {
		n.combine(w, r0+a/n.out.c, r0+b/n.out.c, n.mask(e, img))
	})
}

// combine makes rows [r0,r1), all with the same mask.
func (n *add) combine(w *worker, r0, r1 int, mask float32) {
	mark := w.used
	c := n.out.c
	out := n.out.at(r0, r1)
	short := w.rows(n.short, r0, r1)
	if v := n.branch; v.bn != nil && v.act == kernel.Identity {
		scale, shift := v.bn.scale, v.bn.shift
		if mask != 1 {
			scale, shift = scaled(w, scale, mask), scaled(w, shift, mask)
		}
		w.k.Affine2(out, v.src.at(r0, r1), short, scale, w.ones[:c], shift)
	} else {
		w.load(out, v, r0, r1)
		if mask != 1 {
			w.k.ScaleAct(out, out, scaled(w, w.ones[:c], mask), w.zeros[:c], kernel.Identity)
		}
		w.k.Add(out, short)
	}
	w.used = mark
}

func scaled(w *worker, x []float32, by float32) []float32 {
	s := w.take(len(x))
	for i, v := range x {
		s[i] = by * v
	}
	return s
}

func (n *add) backward(e *engine, w *worker, t *tile) {
	r0, r1 := t.rows(n.out)
	if n.branch.grad != nil && !n.branchSame {
		eachImage(n.out, r0, r1, func(img, a, b int) {
			ra, rb := r0+a/n.out.c, r0+b/n.out.c
			deliver(w.k, n.branch.gradAt(ra, rb), n.out.gradAt(ra, rb), n.mask(e, img), n.branchAcc)
		})
	}
	if n.short.grad != nil && !n.shortSame {
		deliver(w.k, n.short.gradAt(r0, r1), n.out.gradAt(r0, r1), 1, n.shortAcc)
	}
}

// deliver puts by*g into dst, or adds it.
func deliver(k *kernel.Impl, dst, g []float32, by float32, acc bool) {
	switch {
	case acc && by == 1:
		k.Add(dst, g)
	case acc:
		k.Axpy(by, dst, g)
	case by == 0:
		clear(dst)
	case by == 1:
		copy(dst, g)
	default:
		for i, v := range g {
			dst[i] = by * v
		}
	}
}

// gate is in [H,W,C] times vec [1,1,C], made on demand.
type gate struct {
	out, in, vec  *value
	inAcc, vecAcc bool
	pooled        bool // a pool node completes in.grad, which is out.grad's memory
}

func (n *gate) forward(e *engine, w *worker, t *tile) {}

func (n *gate) backward(e *engine, w *worker, t *tile) {
	hw, c := n.in.hw(), n.in.c
	for i := t.i0; i < t.i1; i++ {
		if n.vec.grad != nil {
			d := n.vec.gradAt(i, i+1)
			if !n.vecAcc {
				clear(d)
			}
			for r := i * hw; r < (i+1)*hw; r += sumRows {
				mark := w.used
				b := min(r+sumRows, (i+1)*hw)
				w.k.DotRows(n.out.gradAt(r, b), w.rows(n.in, r, b), d)
				w.used = mark
			}
		}
		if n.in.grad == nil || n.pooled {
			continue
		}
		mark := w.used
		g := n.in.gradAt(i*hw, (i+1)*hw)
		dst := g
		if n.inAcc {
			dst = w.take(len(g))
		}
		w.k.ScaleAct(dst, n.out.gradAt(i*hw, (i+1)*hw), w.rows(n.vec, i, i+1), w.zeros[:c], kernel.Identity)
		if n.inAcc {
			w.k.Add(g, dst)
		}
		w.used = mark
	}
}

// dropout zeroes elements at a rate and scales the others by 1/(1-rate).
type dropout struct {
	in, out *value
	index   int // of the op, for the mask
	rate    float64
	acc     bool
}

func (n *dropout) forward(e *engine, w *worker, t *tile) {
	for i := t.i0; i < t.i1; i++ {
		hw := n.in.hw()
		out := n.out.at(i*hw, (i+1)*hw)
		w.load(out, n.in, i*hw, (i+1)*hw)
		for j := range out {
			out[j] *= e.keep(n.rate, n.index, i, j)
		}
	}
}

func (n *dropout) backward(e *engine, w *worker, t *tile) {
	if n.in.grad == nil {
		return
	}
	for i := t.i0; i < t.i1; i++ {
		hw := n.in.hw()
		d := n.in.gradAt(i*hw, (i+1)*hw)
		for j, g := range n.out.gradAt(i*hw, (i+1)*hw) {
			v := g * e.keep(n.rate, n.index, i, j)
			if n.acc {
				v += d[j]
			}
			d[j] = v
		}
	}
}
