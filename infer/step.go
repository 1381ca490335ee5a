package infer

import (
	"effnet/arch"
	"effnet/internal/kernel"
)

// producer is how a step makes a band of rows from its input, before the
// epilogue.
type producer uint8

const (
	pass      producer = iota // the input itself
	pointwise                 // 1x1 convolution, stride 1: a matrix product on the rows as they lie
	dense                     // any other full convolution: patches are gathered, then as pointwise
	depthwise                 // one filter per channel, on an input stored with its padding
	maxPool                   // largest of each window
	reduce                    // sum of the partial sums of a pooled value
)

var producerNames = [...]string{"pass", "pointwise", "dense", "depthwise", "max pool", "pool"}

// step is one pass over an image:
//
//	y = last(act(scale * producer(in * gate) + shift) + residual)
//
// band by band, where each of gate, scale and shift, act, residual and last
// may be missing. The band of y is stored in out, its sum over pixels in sums, or
// both.
type step struct {
	name     string // of the op it starts with
	producer producer
	in       *value
	gate     *value    // [1,1,C], times each pixel of in
	zeros    []float32 // [C], of a gated step

	kernel, stride int // of a convolution or pool
	pad            arch.Pad
	weight         []float32 // [k*k*Cin, Cout], or [k*k, C] of a depthwise one

	scale, shift []float32 // per channel; both or neither
	act          kernel.Act
	residual     *value
	last         kernel.Act // only with a residual

	shape arch.Shape // of y
	out   *value
	sums  *value // [bands,1,C]

	band  int // rows of y in a band, fewer in the last
	bands int
}

// Bands are cut so that what one reads and writes stays in a core's cache, and
// that a large map has enough of them to share; but no smaller than a matrix
// product needs to be efficient.
const (
	bandFloats = 1 << 16
	minBands   = 8
	minPixels  = 14
)

func (st *step) cut() {
	h, w := st.shape.H, st.shape.W
	perRow := w*st.shape.C + st.gathered(1)
	if st.producer == depthwise || st.producer == pointwise || st.producer == maxPool {
		perRow += st.stride * w * st.in.shape.C
	}
	st.band = min((h+minBands-1)/minBands, max(1, bandFloats/perRow))
	st.band = min(h, max(st.band, (minPixels+w-1)/w))
	st.bands = (h + st.band - 1) / st.band
}

// gathered is the number of floats of the rewritten input of some rows of y:
// patches, or gated pixels.
func (st *step) gathered(rows int) int {
	switch {
	case st.producer == dense:
		return rows * st.shape.W * st.kernel * st.kernel * st.in.shape.C
	case st.gate != nil:
		return rows * st.shape.W * st.in.shape.C
	}
	return 0
}

// inPlace reports that the producer writes where y is stored.
func (st *step) inPlace() bool { return st.out != nil && st.out.flat() }

// scratch is the number of floats that a band needs besides its values.
func (st *step) scratch() int {
	n := st.gathered(st.band)
	if !st.inPlace() {
		n += st.band * st.shape.W * st.shape.C
	}
	return n
}

// run computes band b.
func (st *step) run(k *kernel.Impl, f *frame, scratch []float32, b int) {
	r0 := b * st.band
	rows := min(st.band, st.shape.H-r0)
	row := st.shape.W * st.shape.C
	gathered, y := scratch[:st.gathered(rows)], scratch[st.gathered(rows):]
	if st.inPlace() {
		y = st.out.rows(f, r0)
	}
	stride := row
	switch st.producer {
	case pass:
		switch {
		case st.gate != nil:
			st.applyGate(k, f, gathered, r0, rows)
			y = gathered
		case st.out != nil:
			y, stride = st.in.rows(f, r0), st.in.stride()
		default: // the epilogue works in place, which must not be the input
			for r := range rows {
				copy(y[r*row:][:row], st.in.rows(f, r0+r))
			}
		}
	case pointwise:
		a := st.in.rows(f, r0)
		if st.gate != nil {
			st.applyGate(k, f, gathered, r0, rows)
			a = gathered
		}
		cin := st.in.shape.C
		k.Gemm(rows*st.shape.W, st.shape.C, cin, a, cin, 1, st.weight, st.shape.C, y, st.shape.C, false)
	case dense:
		st.gather(f, gathered, r0, rows)
		patch := st.kernel * st.kernel * st.in.shape.C
		k.Gemm(rows*st.shape.W, st.shape.C, patch, gathered, patch, 1, st.weight, st.shape.C, y, st.shape.C, false)
	case depthwise:
		k.DWForward(kernel.DW{
			C: st.shape.C, K: st.kernel, Stride: st.stride,
			InH: (rows-1)*st.stride + st.kernel, InW: st.pad.Left + st.in.shape.W + st.pad.Right,
			OutH: rows, OutW: st.shape.W,
		}, st.in.padded(f)[r0*st.stride*st.in.stride():], st.weight, y)
	case maxPool:
		kernel.MaxPool{
			C: st.shape.C, K: st.kernel, Stride: st.stride, Top: st.pad.Top, Left: st.pad.Left,
			InH: st.in.shape.H, InW: st.in.shape.W, XRow: st.in.stride(), OutH: st.shape.H, OutW: st.shape.W,
		}.Forward(st.in.rows(f, 0), y, r0, r0+rows)
	case reduce:
		y = y[:row]
		clear(y)
		k.SumRows(st.in.rows(f, 0)[:st.in.size()], y)
	}
	st.epilogue(k, f, y, stride, b, r0, rows)
}

// applyGate computes in*gate of some rows.
func (st *step) applyGate(k *kernel.Impl, f *frame, dst []float32, r0, rows int) {
	c := st.in.shape.C
	gate := st.gate.rows(f, 0)[:c]
	if st.in.flat() {
		k.ScaleAct(dst, st.in.rows(f, r0)[:len(dst)], gate, st.zeros, kernel.Identity)
		return
	}
	row := st.in.shape.W * c
	for r := range rows {
		k.ScaleAct(dst[r*row:][:row], st.in.rows(f, r0+r)[:row], gate, st.zeros, kernel.Identity)
	}
}

// gather writes the patch [k, k, Cin] under each pixel of some rows of y.
func (st *step) gather(f *frame, dst []float32, r0, rows int) {
	c, k, w := st.in.shape.C, st.kernel, st.in.shape.W
	patch := k * k * c
	for r := range rows {
		for ky := range k {
			iy := (r0+r)*st.stride - st.pad.Top + ky
			inside := iy >= 0 && iy < st.in.shape.H
			var src []float32
			if inside {
				src = st.in.rows(f, iy)[:w*c]
			}
			for ox := range st.shape.W {
				line := dst[(r*st.shape.W+ox)*patch+ky*k*c:][:k*c]
				ix := ox*st.stride - st.pad.Left
				switch {
				case !inside || ix >= w || ix+k <= 0:
					clear(line)
				case ix >= 0 && ix+k <= w:
					copy(line, src[ix*c:])
				default: // across the left or right edge
					lo, hi := max(0, -ix)*c, min(k, w-ix)*c
					clear(line[:lo])
					copy(line[lo:hi], src[ix*c+lo:])
					clear(line[hi:])
				}
			}
		}
	}
}

// epilogue finishes a band: y holds what the producer made, with stride floats
// from row to row.
func (st *step) epilogue(k *kernel.Impl, f *frame, y []float32, stride, b, r0, rows int) {
	row := st.shape.W * st.shape.C
	var sums []float32
	if st.sums != nil {
		sums = st.sums.rows(f, b)[:st.shape.C]
		clear(sums)
	}
	// As many rows at once as lie together everywhere.
	n := 1
	if stride == row && (st.out == nil || st.out.flat()) && (st.residual == nil || st.residual.flat()) {
		n = rows
	}
	for r := 0; r < rows; r += n {
		src := y[r*stride:][:n*row]
		dst := src
		if st.out != nil {
			dst = st.out.rows(f, r0+r)[:n*row]
		}
		switch {
		case st.scale != nil:
			k.ScaleAct(dst, src, st.scale, st.shift, st.act)
		case st.act != kernel.Identity:
			k.Apply(dst, src, st.act)
		case &dst[0] != &src[0]:
			copy(dst, src)
		}
		if st.residual != nil {
			k.Add(dst, st.residual.rows(f, r0+r)[:n*row])
			if st.last != kernel.Identity {
				k.Apply(dst, dst, st.last)
			}
		}
		if sums != nil {
			k.SumRows(dst, sums)
		}
	}
	if st.out != nil && !st.out.flat() {
		st.out.clearBorder(f, r0, rows)
	}
}

// clearBorder zeroes the padding that belongs to some rows: left and right of
// them, above the first row and below the last of the image.
func (v *value) clearBorder(f *frame, r0, rows int) {
	mem, stride := v.padded(f), v.stride()
	left, right := v.pad.Left*v.shape.C, v.pad.Right*v.shape.C
	for r := v.pad.Top + r0; r < v.pad.Top+r0+rows; r++ {
		line := mem[r*stride:][:stride]
		clear(line[:left])
		clear(line[stride-right:])
	}
	if r0 == 0 {
		clear(mem[:v.pad.Top*stride])
	}
	if r0+rows == v.shape.H {
		clear(mem[(v.pad.Top+v.shape.H)*stride:])
	}
}

func (st *step) describe() Step {
	d := Step{Name: st.name, Kind: producerNames[st.producer], In: st.in.shape, Out: st.shape}
	if st.weight != nil {
		d.FLOPs = 2 * int64(st.shape.H) * int64(st.shape.W) * int64(len(st.weight))
	}
	return d
}
