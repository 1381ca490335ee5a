package train

import "effnet/internal/kernel"

// depthwise is a convolution with one filter per channel, image by image.
type depthwise struct {
	window
	out *value
	f   *filter
	bn  *batchNorm
}

func (n *depthwise) shape() kernel.DW {
	return kernel.DW{
		C: n.in.c, K: n.kernel, Stride: n.stride,
		InH: n.padH, InW: n.padW, OutH: n.outH, OutW: n.outW,
	}
}

func (n *depthwise) forward(e *engine, w *worker, t *tile) {
	mark := w.used
	padded := w.take(n.elems())
	n.clearBorder(padded)
	hw := n.out.hw()
	for i := t.i0; i < t.i1; i++ {
		n.pad(w, padded, i)
		y := n.out.at(i*hw, (i+1)*hw)
		w.k.DWForward(n.shape(), padded, n.f.fwd, y)
		n.f.addBias(w, y)
		if n.bn != nil {
			n.bn.observe(w, t.lane, y)
		}
	}
	w.used = mark
}

func (n *depthwise) backward(e *engine, w *worker, t *tile) {
	mark := w.used
	padded := w.take(n.elems())
	n.clearBorder(padded)
	var dpadded []float32
	if n.in.grad != nil {
		dpadded = w.take(n.elems())
	}
	hw := n.out.hw()
	block := e.blocks[t.lane]
	for i := t.i0; i < t.i1; i++ {
		inner := w.used
		dy := gradRows(w, n.out, n.bn, i*hw, (i+1)*hw)
		if !n.f.frozen {
			n.pad(w, padded, i)
			first := t.first && i == t.i0
			if first {
				clear(n.f.grad.in(block))
			}
			w.k.DWBackwardWeight(n.shape(), padded, dy, n.f.grad.in(block))
			n.f.addBiasGrad(w.k, block, dy, first)
		}
		if dpadded != nil {
			w.k.DWBackwardInput(n.shape(), dy, n.f.fwd, dpadded)
			n.unpad(w, dpadded, i, t.lane)
		}
		w.used = inner
	}
	w.used = mark
}
