package ref

import "effnet/arch"

// eachWindow calls f for every element of a max pool's output with its index
// and that of the first of the largest elements under its window.
func (t *Trace) eachWindow(op *arch.Op, x []float64, f func(yi, xi int)) {
	in, out, k := t.shape(op, 0), op.Shape, op.Kernel
	for yi := range t.N * out.Elems() {
		n, oy, ox, c := yi/out.Elems(), yi/(out.W*out.C)%out.H, yi/out.C%out.W, yi%out.C
		best := -1
		for ky := range k {
			for kx := range k {
				iy := oy*op.Stride + ky - op.Pad.Top
				ix := ox*op.Stride + kx - op.Pad.Left
				if iy < 0 || iy >= in.H || ix < 0 || ix >= in.W {
					continue
				}
				if xi := ((n*in.H+iy)*in.W+ix)*in.C + c; best < 0 || x[xi] > x[best] {
					best = xi
				}
			}
		}
		f(yi, best)
	}
}

// maxPool is y = the largest x under each window, without the padding.
func (t *Trace) maxPool(op *arch.Op, x, y []float64) {
	t.eachWindow(op, x, func(yi, xi int) { y[yi] = x[xi] })
}

func (t *Trace) maxPoolBackward(op *arch.Op, x, dy, dx []float64) {
	t.eachWindow(op, x, func(yi, xi int) { dx[xi] += dy[yi] })
}
