package train

// pointwise is a 1x1 convolution of stride 1, or a linear layer: a matrix
// product over rows, x [m,cin] times w [cin,cout], in chunks of rows.
type pointwise struct {
	in, out *value
	f       *filter
	bn      *batchNorm // of out; nil: none
	acc     bool       // backward adds to in.grad
	chunk   int        // rows at a time
}

func (n *pointwise) forward(e *engine, w *worker, t *tile) {
	f := n.f
	r0, r1 := t.rows(n.out)
	for a := r0; a < r1; a += n.chunk {
		b := min(a+n.chunk, r1)
		mark := w.used
		x := w.rows(n.in, a, b)
		y := n.out.at(a, b)
		next := n.next(e, b)
		w.ahead.Set(n.in.root().at(b, next))
		w.k.Gemm(b-a, f.cout, f.cin, x, f.cin, 1, f.fwd, f.fwdLD(), y, f.cout, false, &w.ahead)
		f.addBias(w, y)
		if n.bn != nil {
			n.bn.observe(w, t.lane, y)
		}
		w.used = mark
	}
}

func (n *pointwise) backward(e *engine, w *worker, t *tile) {
	f := n.f
	r0, r1 := t.rows(n.out)
	for a := r0; a < r1; a += n.chunk {
		b := min(a+n.chunk, r1)
		mark := w.used
		var dy []float32
		first := t.first && a == r0
		n.fetch(e, w, b)
		switch {
		case f.whole != nil:
			dy = f.whole.gather(e, w, a, b)
			f.addBiasGrad(w.k, e.blocks[t.lane], dy, first)
		case f.frozen:
			dy = gradRows(w, n.out, n.bn, a, b)
		default:
			dy = gradRows(w, n.out, n.bn, a, b)
			f.addGrad(w, e.blocks[t.lane], w.rows(n.in, a, b), f.cin, 1, dy, first)
		}
		if n.in.grad != nil {
			w.k.Gemm(b-a, f.cin, f.cout, dy, f.cout, 1, f.bwd, f.bwdLD(), n.in.gradAt(a, b), f.cin, n.acc, &w.ahead)
		}
		w.used = mark
	}
}

// next is the end of the rows that follow row b in the next chunk.
func (n *pointwise) next(e *engine, b int) int { return min(b+n.chunk, e.part*n.out.hw()) }

// fetch has the rows of the chunk from row b on fetched ahead.
func (n *pointwise) fetch(e *engine, w *worker, b int) {
	end := n.next(e, b)
	if n.bn != nil {
		w.ahead.Set(n.bn.out.gradAt(b, end), n.out.at(b, end), n.in.root().at(b, end))
	} else {
		w.ahead.Set(n.out.gradAt(b, end), n.in.root().at(b, end))
	}
}

// window is where a convolution with a kernel above 1x1 reads: each image is
// copied into scratch with its zeros around it, some rows at a time, so that
// kernels see no borders.
type window struct {
	in             *value
	kernel, stride int
	top, left      int
	padH, padW     int // of the padded image
	outH, outW     int
	fused          bool // in has this reader alone, and follows from a batch norm: its activation is undone on the way
	slopes         bool // and its slopes are made with it
	acc            bool // backward adds to in.grad
}

func newWindow(in, out *value) window {
	op := out.op
	g := window{
		in: in, kernel: op.Kernel, stride: op.Stride, top: op.Pad.Top, left: op.Pad.Left,
		outH: out.h, outW: out.w,
	}
	// At a stride the last rows may be out of reach, or the padding unread.
	g.padH = max((g.outH-1)*g.stride+g.kernel, g.top+in.h)
	g.padW = max((g.outW-1)*g.stride+g.kernel, g.left+in.w)
	return g
}

// rowFloats is the length of a row of the padded image.
func (g *window) rowFloats() int { return g.padW * g.in.c }

func (g *window) elems() int { return g.padH * g.rowFloats() }

// row is where row y of the image lies in padded, which begins with row p0 of
// the padded image.
func (g *window) row(padded []float32, p0, y int) []float32 {
	c := g.in.c
	return padded[((y+g.top-p0)*g.padW+g.left)*c:][:g.in.w*c]
}

// bandFloats is a stretch of rows that is worth a kernel call. Where a row of
// the image is shorter, several are made side by side and then moved apart.
const bandFloats = 4096

// band is the number of image rows made at a time.
func (g *window) band() int { return min(max(1, bandFloats/(g.in.w*g.in.c)), g.in.h) }

// inside is the rows of the image among rows [p0,p1) of the padded one.
func (g *window) inside(p0, p1 int) (y0, y1 int) {
	y0 = min(max(p0-g.top, 0), g.in.h)
	return y0, max(min(p1-g.top, g.in.h), y0)
}

// border clears what rows [p0,p1) of the padded image have beside the image, and
// says which of its rows are among them.
func (g *window) border(padded []float32, p0, p1 int) (y0, y1 int) {
	n := g.in.w * g.in.c
	padded = padded[:(p1-p0)*g.rowFloats()]
	y0, y1 = g.inside(p0, p1)
	at := 0 // the end of the last row
	for y := y0; y < y1; y++ {
		row := ((y+g.top-p0)*g.padW + g.left) * g.in.c
		clear(padded[at:row])
		at = row + n
	}
	clear(padded[at:])
	return y0, y1
}

// reachesAll reports whether every row of the image is looked at.
func (g *window) reachesAll() bool {
	return g.kernel >= g.stride && (g.outH-1)*g.stride+g.kernel >= g.top+g.in.h
}

// takeSlopes is scratch for the slopes of some rows of the image, nil if they are
// not wanted.
func (g *window) takeSlopes(w *worker, rows int) []float32 {
	if !g.slopes {
		return nil
	}
	return w.take(rows * g.in.w * g.in.c)
}

// after is s[n:], or nil if s is.
func after(s []float32, n int) []float32 {
	if s == nil {
		return nil
	}
	return s[n:]
}

// pad makes rows [p0,p1) of the padded image in padded, and unless slopes is nil
// puts the slopes of the activation there, of the rows of the image only.
func (g *window) pad(w *worker, padded, slopes []float32, img, p0, p1 int) {
	v := g.in
	n, band := v.w*v.c, g.band()
	y0, y1 := g.border(padded, p0, p1)
	for y := y0; y < y1; y += band {
		end := min(y+band, y1)
		r0, r1 := img*v.hw()+y*v.w, img*v.hw()+end*v.w
		s := after(slopes, (y-y0)*n)
		if band == 1 {
			w.loadSlopes(g.row(padded, p0, y), s, v, r0, r1)
			continue
		}
		mark := w.used
		var x []float32
		if s == nil {
			x = w.rows(v, r0, r1)
		} else {
			x = w.take((r1 - r0) * v.c)
			w.loadSlopes(x, s, v, r0, r1)
		}
		for i := y; i < end; i++ {
			copy(g.row(padded, p0, i), x[(i-y)*n:])
		}
		w.used = mark
	}
}

// unpad delivers the gradient of the image from that of rows [p0,p1) of its
// padded copy. slopes are those that pad made from p0 on, or nil.
func (g *window) unpad(w *worker, dpadded, slopes []float32, img, lane, p0, p1 int) {
	v := g.in
	mark := w.used
	n, band := v.w*v.c, g.band()
	var sums, near []float32
	if g.fused {
		sums, near = w.takeZeros(2*v.c), w.take(band*n)
	}
	y0, y1 := g.inside(p0, p1)
	for y := y0; y < y1; y += band {
		end := min(y+band, y1)
		r0, r1 := img*v.hw()+y*v.w, img*v.hw()+end*v.w
		if g.fused {
			d := g.row(dpadded, p0, y)
			if band > 1 {
				d = near[:(end-y)*n]
				for i := y; i < end; i++ {
					copy(d[(i-y)*n:], g.row(dpadded, p0, i))
				}
			}
			v.bn.actBackward(w, d, after(slopes, (y-y0)*n), r0, r1, sums)
			continue
		}
		dst := v.gradAt(r0, r1)
		for i := y; i < end; i++ {
			if part := dst[(i-y)*n:][:n]; g.acc {
				w.k.Add(part, g.row(dpadded, p0, i))
			} else {
				copy(part, g.row(dpadded, p0, i))
			}
		}
	}
	if g.fused {
		v.bn.lanes[lane].add(sums[:v.c], sums[v.c:])
	}
	w.used = mark
}
