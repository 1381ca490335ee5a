package train

import "effnet/internal/kernel"

// depthwise is a convolution with one filter per channel, image by image and
// some rows of the output at a time: what a band reads and writes stays in
// cache between the steps of the work on it.
type depthwise struct {
	window
	out *value
	f   *filter
	bn  *batchNorm
}

// depthwiseFloats is about how much of the padded input a band has.
const depthwiseFloats = 64 << 10

// oneRowBands is for tests: many bands, or chunks, in small images.
var oneRowBands bool

// rows is the number of output rows of a band: at least so many that most of
// the band is its own.
func (n *depthwise) rows() int {
	if oneRowBands {
		return 1
	}
	shared := n.kernel - n.stride // input rows of a band and the next
	return min(max(1, (depthwiseFloats/n.rowFloats()-n.kernel)/n.stride+1, 3*shared/n.stride), n.outH)
}

// reach is how many rows of the padded image so many output rows look at.
func (n *depthwise) reach(rows int) int { return (rows-1)*n.stride + n.kernel }

// shape is that of the convolution on a band of so many rows.
func (n *depthwise) shape(in, out int) kernel.DW {
	return kernel.DW{
		C: n.in.c, K: n.kernel, Stride: n.stride,
		InH: in, InW: n.padW, OutH: out, OutW: n.outW,
	}
}

// padBand makes the rows of the padded image that output rows [o0,o1) look at,
// and their slopes unless those are nil. Those that the band before had too are
// moved, not made again.
func (n *depthwise) padBand(w *worker, padded, slopes []float32, img, o0, o1 int) {
	p0, p1 := o0*n.stride, o0*n.stride+n.reach(o1-o0)
	have := 0
	if o0 > 0 && n.kernel > n.stride {
		have = n.kernel - n.stride
		step := n.rows() * n.stride
		copy(padded[:have*n.rowFloats()], padded[step*n.rowFloats():])
		if slopes != nil {
			row := n.in.w * n.in.c
			was, _ := n.inside(p0-step, p0)
			y0, y1 := n.inside(p0, p0+have)
			copy(slopes[:(y1-y0)*row], slopes[(y0-was)*row:])
			slopes = slopes[(y1-y0)*row:]
		}
	}
	n.pad(w, padded[have*n.rowFloats():], slopes, img, p0+have, p1)
}

func (n *depthwise) forward(e *engine, w *worker, t *tile) {
	mark := w.used
	rows := n.rows()
	padded := w.take(n.reach(rows) * n.rowFloats())
	for i := t.i0; i < t.i1; i++ {
		for o0 := 0; o0 < n.outH; o0 += rows {
			o1 := min(o0+rows, n.outH)
			n.padBand(w, padded, nil, i, o0, o1)
			r := i * n.out.hw()
			y := n.out.at(r+o0*n.outW, r+o1*n.outW)
			w.k.DWForward(n.shape(n.reach(o1-o0), o1-o0), padded, n.f.fwd, y)
			n.f.addBias(w, y)
			if n.bn != nil {
				n.bn.observe(w, t.lane, y)
			}
		}
	}
	w.used = mark
}

func (n *depthwise) backward(e *engine, w *worker, t *tile) {
	mark := w.used
	rows := n.rows()
	padded := w.take(n.reach(rows) * n.rowFloats())
	slopes := n.takeSlopes(w, n.reach(rows))
	block := e.blocks[t.lane]
	back := n.backBand(w, rows)
	for i := t.i0; i < t.i1; i++ {
		for o0 := 0; o0 < n.outH; o0 += rows {
			inner := w.used
			o1 := min(o0+rows, n.outH)
			r := i * n.out.hw()
			dy := gradRows(w, n.out, n.bn, r+o0*n.outW, r+o1*n.outW)
			if !n.f.frozen {
				first := t.first && i == t.i0 && o0 == 0
				if first {
					clear(n.f.grad.in(block))
				}
				n.padBand(w, padded, slopes, i, o0, o1)
				w.k.DWBackwardWeight(n.shape(n.reach(o1-o0), o1-o0), padded, dy, n.f.grad.in(block))
				n.f.addBiasGrad(w.k, block, dy, first)
			}
			if n.in.grad != nil {
				back.deliver(n, w, dy, slopes, i, t.lane, o0, o1)
			}
			w.used = inner
		}
	}
	w.used = mark
}

// backBand is the gradient of a band of the padded image. Its last rows wait
// for what the next band adds to them.
type backBand struct {
	d, rest []float32
}

func (n *depthwise) backBand(w *worker, rows int) (b backBand) {
	if n.in.grad != nil {
		b.d = w.take(n.backRows(rows) * n.rowFloats())
		b.rest = w.take(max(0, n.kernel-n.stride) * n.rowFloats())
	}
	return b
}

// backRows is the most rows of the padded image in a band's gradient.
func (n *depthwise) backRows(rows int) int {
	last := (n.outH - 1) / rows * rows // where the last band begins
	return max(n.reach(rows), rows*n.stride, n.padH-last*n.stride)
}

// deliver takes the gradient of output rows [o0,o1) back to the image.
func (b *backBand) deliver(n *depthwise, w *worker, dy, slopes []float32, img, lane, o0, o1 int) {
	p0, p1 := o0*n.stride, o1*n.stride
	in := max(n.reach(o1-o0), p1-p0)
	if o1 == n.outH {
		p1 = n.padH // also those that no output looks at
		in = p1 - p0
	}
	w.k.DWBackwardInput(n.shape(in, o1-o0), dy, n.f.fwd, b.d)
	if o0 > 0 {
		w.k.Add(b.d[:len(b.rest)], b.rest)
	}
	if o1 < n.outH {
		copy(b.rest, b.d[(p1-p0)*n.rowFloats():])
	}
	n.unpad(w, b.d, slopes, img, lane, p0, p1)
}
