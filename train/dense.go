package train

// dense is any convolution that is neither depthwise nor 1x1 of stride 1: the
// k*k*cin inputs of each output pixel are copied out (im2col), and meet the
// weight in a matrix product.
type dense struct {
	window
	out   *value
	f     *filter
	bn    *batchNorm
	chunk int // rows at a time
}

// columns fills cols with the k*k*cin inputs of output pixels [a,b) of a padded
// image, and says how they lie: input i of pixel p is at (p-a)*rs + i*cs.
func (n *dense) columns(cols, padded []float32, a, b int) (rs, cs int) {
	if n.stride == 1 && n.in.c == 1 {
		n.planes(cols, padded, a, b)
		return 1, b - a
	}
	run := n.kernel * n.in.c // contiguous in both
	for p := a; p < b; p++ {
		at := ((p/n.outW)*n.padW + p%n.outW) * n.stride * n.in.c
		for range n.kernel {
			src, dst := padded[at:][:run], cols[:run]
			switch run {
			case 3: // a stem's, on grey images
				*(*[3]float32)(dst) = [3]float32(src)
			case 9: // on colour
				*(*[9]float32)(dst) = [9]float32(src)
			default:
				copy(dst, src)
			}
			cols = cols[run:]
			at += n.padW * n.in.c
		}
	}
	return run * n.kernel, 1
}

// planes is columns of a grey image at stride 1: an input of neighbouring
// pixels is a stretch of the image.
func (n *dense) planes(cols, padded []float32, a, b int) {
	for p := a; p < b; {
		y, x := p/n.outW, p%n.outW
		w := min(n.outW-x, b-p)
		for k := range n.kernel * n.kernel {
			copy(cols[k*(b-a)+p-a:][:w], padded[(y+k/n.kernel)*n.padW+x+k%n.kernel:])
		}
		p += w
	}
}

// addColumns adds cols [b-a, k*k*cin] back into the padded image.
func (n *dense) addColumns(cols, padded []float32, a, b int) {
	run := n.kernel * n.in.c
	for p := a; p < b; p++ {
		at := ((p/n.outW)*n.padW + p%n.outW) * n.stride * n.in.c
		for range n.kernel {
			dst := padded[at:][:run]
			for i, v := range cols[:run] {
				dst[i] += v
			}
			cols = cols[run:]
			at += n.padW * n.in.c
		}
	}
}

func (n *dense) forward(e *engine, w *worker, t *tile) {
	mark := w.used
	f := n.f
	k := f.k2 * f.cin
	padded := w.take(n.elems())
	cols := w.take(n.chunk * k)
	hw := n.out.hw()
	for i := t.i0; i < t.i1; i++ {
		n.pad(w, padded, nil, i, 0, n.padH)
		for a := 0; a < hw; a += n.chunk {
			b := min(a+n.chunk, hw)
			rs, cs := n.columns(cols, padded, a, b)
			y := n.out.at(i*hw+a, i*hw+b)
			w.k.Gemm(b-a, f.cout, k, cols, rs, cs, f.fwd, f.fwdLD(), y, f.cout, false, nil)
			f.addBias(w, y)
			if n.bn != nil {
				n.bn.observe(w, t.lane, y)
			}
		}
	}
	w.used = mark
}

func (n *dense) backward(e *engine, w *worker, t *tile) {
	mark := w.used
	f := n.f
	k := f.k2 * f.cin
	padded := w.take(n.elems())
	cols := w.take(n.chunk * k)
	slopes := n.takeSlopes(w, n.in.h)
	var dpadded []float32
	if n.in.grad != nil {
		dpadded = w.take(n.elems())
	}
	hw := n.out.hw()
	for i := t.i0; i < t.i1; i++ {
		if !f.frozen {
			n.pad(w, padded, slopes, i, 0, n.padH)
		}
		clear(dpadded)
		inner := w.used
		for a := 0; a < hw; a += n.chunk {
			b := min(a+n.chunk, hw)
			dy := gradRows(w, n.out, n.bn, i*hw+a, i*hw+b)
			if !f.frozen {
				rs, cs := n.columns(cols, padded, a, b)
				f.addGrad(w, e.blocks[t.lane], cols, rs, cs, dy, t.first && i == t.i0 && a == 0)
			}
			if dpadded != nil {
				w.k.Gemm(b-a, k, f.cout, dy, f.cout, 1, f.bwd, f.bwdLD(), cols, k, false, nil)
				n.addColumns(cols, dpadded, a, b)
			}
			w.used = inner
		}
		if dpadded != nil {
			n.unpad(w, dpadded, slopes, i, t.lane, 0, n.padH)
		}
		w.used = inner
	}
	w.used = mark
}
