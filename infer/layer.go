package infer

import (
	"slices"

	"effnet/arch"
	"effnet/internal/kernel"
)

// layerKind is how a layer makes its rows from its input, before the epilogue.
type layerKind uint8

const (
	pass        layerKind = iota // the input itself
	conv                         // full convolution or linear layer
	depthwise                    // one filter per channel
	maxPool                      // largest of each window
	reduce                       // sum of the partial sums of a pooled value
	scaleWeight                  // a packed weight, times the gate of each input channel
)

var layerNames = [...]string{"pass", "conv", "depthwise", "max pool", "pool", "scale weight"}

// layer is one operation of a step with all that is fused into it:
//
//	y = last(act(scale * op(in * gate) + shift) + residual)
//
// where each of gate, scale, shift, act, residual and last may be missing.
// Convolutions have the scale in their weight.
type layer struct {
	kind           layerKind
	in, shape      arch.Shape // of the input and of y
	kernel, stride int
	pad            arch.Pad // zeros that a convolution finds around its input in memory
	winograd       bool     // a convolution in fewer products: see kernel.Winograd
	weight         []float32
	scaled         *value // a packed weight made by an earlier step, in place of weight
	columns        int    // of scaleWeight: columns of the weight

	gate     *value    // [1,1,C], times each pixel of the input
	zeros    []float32 // [C], of a gated layer
	scale    []float32 // [C], with shift; nil for ones
	shift    []float32 // [C]; nil for zeros
	act      kernel.Act
	residual *value
	last     kernel.Act // only with a residual
}

// patch is the number of products of an element of y.
func (l *layer) patch() int {
	switch l.kind {
	case conv:
		return l.kernel * l.kernel * l.in.C
	case depthwise:
		return l.kernel * l.kernel
	}
	return 0
}

// products is the number of products that are done for y.
func (l *layer) products() int64 {
	if l.winograd {
		return 16 * int64((l.shape.H+1)/2*l.tiles()) * int64(l.in.C*l.shape.C)
	}
	return int64(l.shape.Elems()) * int64(l.patch())
}

// needs is the range of rows of the input under rows [lo,hi) of y; with padding
// it reaches beyond the image.
func (l *layer) needs(lo, hi int) (int, int) {
	switch l.kind {
	case conv, depthwise:
		if l.winograd { // in pairs
			hi = lo + (hi-lo+1)/2*2
		}
		return lo*l.stride - l.pad.Top, (hi-1)*l.stride - l.pad.Top + l.kernel
	case maxPool, reduce, scaleWeight:
		return 0, l.in.H
	}
	return lo, hi
}

// rows is some rows of a tensor: the first pixel of the first row at mem[0], the
// first of the next at mem[row].
type rows struct {
	mem []float32
	row int
}

// compute makes rows [lo,hi) of y in dst from those of its input that it needs.
// sums, unless nil, is overwritten with the sums of y over its pixels; tmp has
// the room that temporary says.
func (l *layer) compute(k *kernel.Impl, f *frame, src, dst rows, lo, hi int, sums, tmp []float32) {
	n := hi - lo
	clear(sums)
	switch l.kind {
	case conv:
		if l.winograd {
			l.computeWinograd(k, src, dst, n, tmp)
			if l.residual != nil || sums != nil {
				l.epilogue(k, f, dst, dst, lo, n, nil, nil, kernel.Identity, sums)
			}
			return
		}
		s := l.geometry(src.row)
		s.Rows, s.N, s.YRow, s.YCol, s.Shift = n, l.shape.C, dst.row, l.shape.C, l.shift
		if l.residual != nil {
			s.Residual, s.RRow = l.residual.from(f, lo), l.residual.row()
		}
		k.Conv(s, src.mem, l.packed(f), dst.mem)
		if sums != nil {
			for r := range n {
				k.SumRows(dst.mem[r*dst.row:][:l.shape.W*l.shape.C], sums)
			}
		}
		return
	case depthwise:
		s := l.depthwise(src.row, l.in.C, dst.row)
		s.C, s.Rows, s.Shift = l.shape.C, n, l.shift
		if l.residual == nil {
			k.Depthwise(s, src.mem, l.weight, dst.mem, sums)
			return
		}
		k.Depthwise(s, src.mem, l.weight, dst.mem, nil)
		l.epilogue(k, f, dst, dst, lo, n, nil, nil, kernel.Identity, sums)
		return
	case maxPool:
		p := kernel.MaxPool{
			C: l.shape.C, K: l.kernel, Stride: l.stride, Top: l.pad.Top, Left: l.pad.Left,
			InH: l.in.H, InW: l.in.W, XRow: src.row, OutH: l.shape.H, OutW: l.shape.W,
		}
		for r := range n {
			p.Forward(src.mem, dst.mem[r*dst.row:], lo+r, lo+r+1)
		}
		src = dst
	case reduce:
		y := dst.mem[:l.shape.C]
		clear(y)
		k.SumRows(src.mem[:l.in.Elems()], y)
		src = dst
	case scaleWeight:
		k.ScalePacked(dst.mem, l.weight, l.in.C, l.columns, src.mem[:l.in.C])
		return
	case pass:
		if l.gate != nil {
			width := l.shape.W * l.shape.C
			for r := range n {
				k.ScaleAct(dst.mem[r*dst.row:][:width], src.mem[r*src.row:][:width], l.gate.from(f, 0)[:l.shape.C], l.zeros, kernel.Identity)
			}
			src = dst
		}
	}
	l.epilogue(k, f, src, dst, lo, n, l.scale, l.shift, l.act, sums)
}

// geometry is that of the convolution of whole rows, so far as the input
// determines it.
func (l *layer) geometry(row int) kernel.Conv {
	return kernel.Conv{
		Cols: l.shape.W, Segs: l.kernel, K: l.kernel * l.in.C,
		XRow: l.stride * row, XCol: l.stride * l.in.C, XSeg: row,
		Act: l.act, Last: l.last,
	}
}

// depthwise is the geometry of the depthwise convolution of whole rows whose
// input has its pixels col floats apart.
func (l *layer) depthwise(row, col, yRow int) kernel.Depthwise {
	return kernel.Depthwise{
		K: l.kernel, Stride: l.stride, Cols: l.shape.W,
		XRow: row, XCol: col, YRow: yRow, YCol: l.shape.C, WTap: l.shape.C, Act: l.act,
	}
}

// packed is the packed weight, with those of the layers that follow behind it.
func (l *layer) packed(f *frame) []float32 {
	if l.scaled != nil {
		return l.scaled.memory(f)
	}
	return l.weight[:cap(l.weight)]
}

// epilogue computes n rows of dst, the first of which is row lo of y, from what
// src holds, which may be dst.
func (l *layer) epilogue(k *kernel.Impl, f *frame, src, dst rows, lo, n int, scale, shift []float32, act kernel.Act, sums []float32) {
	width := l.shape.W * l.shape.C
	for r := range n {
		x, y := src.mem[r*src.row:][:width], dst.mem[r*dst.row:][:width]
		switch {
		case scale != nil:
			k.ScaleAct(y, x, scale, shift, act)
		case act != kernel.Identity:
			k.Apply(y, x, act)
		case &x[0] != &y[0]:
			copy(y, x)
		}
		if l.residual != nil {
			k.Add(y, l.residual.from(f, lo+r)[:width])
			if l.last != kernel.Identity {
				k.Apply(y, y, l.last)
			}
		}
		if sums != nil {
			k.SumRows(y, sums)
		}
	}
}

// winogradGroup is the number of output channels that are done at once, so that
// their products and weights stay in a cache.
func winogradGroup(k *kernel.Impl) int { return 2 * k.Panel }

func (l *layer) tiles() int { return (l.shape.W + 1) / 2 }

// temporary is the number of floats that compute needs for itself.
func (l *layer) temporary(k *kernel.Impl) int {
	if !l.winograd {
		return 0
	}
	return 16 * l.tiles() * (l.in.C + min(winogradGroup(k), l.shape.C))
}

// pack lays out the weight of a convolution for the kernels, some output
// channels at a time: a panel, or of a Winograd convolution, a group with the
// packed weights of the 16 points. It works in tmp, which it returns, larger if
// need be.
func (l *layer) pack(k *kernel.Impl, f *folded, tmp []float32) []float32 {
	cout, patch, step, dst := l.shape.C, l.patch(), k.Panel, l.weight
	points := 0
	if l.winograd {
		step, points = winogradGroup(k), 16*l.in.C
	}
	size := patch * min(step, cout)
	tmp = slices.Grow(tmp[:0], size+points*min(step, cout))
	part, u := tmp[:size], tmp[size:cap(tmp)]
	for j := 0; j < cout; j += step {
		n := min(step, cout-j)
		f.columns(part, j, n)
		if !l.winograd {
			k.Pack(dst[patch*j:], patch, n, part)
			continue
		}
		kernel.WinogradWeight(u, part[:patch*n])
		for p := range 16 {
			k.Pack(dst, l.in.C, n, u[p*l.in.C*n:])
			dst = dst[k.PackedSize(l.in.C, n):]
		}
	}
	return tmp
}

// computeWinograd makes n rows of dst, from an even row of y on.
func (l *layer) computeWinograd(k *kernel.Impl, src, dst rows, n int, tmp []float32) {
	cin, tiles := l.in.C, l.tiles()
	v, m := tmp[:16*tiles*cin], tmp[16*tiles*cin:]
	in := kernel.Winograd{Tiles: tiles, C: cin, XRow: src.row, XCol: cin}
	product := kernel.Conv{Rows: 1, Cols: tiles, Segs: 1, K: cin, XCol: cin}
	for r := 0; r < n; r += 2 {
		k.WinogradInput(in, src.mem[r*src.row:], v)
		w := l.weight[:cap(l.weight)]
		for j := 0; j < l.shape.C; j += winogradGroup(k) {
			group := min(winogradGroup(k), l.shape.C-j)
			product.N, product.YCol = group, group
			for p := range 16 {
				k.Conv(product, v[p*tiles*cin:], w, m[p*tiles*group:])
				w = w[k.PackedSize(cin, group):]
			}
			out := kernel.Winograd{
				Tiles: tiles, C: group, Rows: min(2, n-r), Cols: l.shape.W, YRow: dst.row, YCol: l.shape.C, Act: l.act,
			}
			if l.shift != nil {
				out.Shift = l.shift[j : j+group]
			}
			k.WinogradOutput(out, m, dst.mem[r*dst.row+j:])
		}
	}
}
