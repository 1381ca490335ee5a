package train

import (
	"effnet/arch"
	"effnet/internal/kernel"
)

// A 3x3 convolution of stride 1 is done in Winograd's way where that saves
// products, forwards, by its input and by its weight: see kernel.Winograd. Its
// images are cut into pairs of rows, and these into tiles of 2x2 pixels; some
// pairs of an image, or some images, make a chunk, whose tiles meet the weight
// in 16 products. The gradients of the weight are summed as those of its 16
// points, and become those of the weight when lanes are summed.

// winogradFloats is about how many floats of tiles a chunk has on either side, and
// winogradTiles how many tiles at least, as they share what is read of the weight.
const (
	winogradFloats = 32 << 10
	winogradTiles  = 64
)

// anyWinograd is for tests: convolutions of any width, by any kernels.
var anyWinograd bool

// winograds reports whether a convolution is worth doing so.
func winograds(k *kernel.Impl, op *arch.Op, in *value) bool {
	if op.Groups != 1 || op.Kernel != 3 || op.Stride != 1 || op.Pad != (arch.Pad{Top: 1, Left: 1, Bottom: 1, Right: 1}) {
		return false
	}
	h, w, c := op.Shape.H, op.Shape.W, op.Shape.C
	tiles := (h + 1) / 2 * ((w + 1) / 2)
	return anyWinograd || tiles*16*4 <= h*w*9*3 && min(in.c, c) >= k.MinWinograd && in.c%8 == 0 && c%8 == 0
}

// winograd is a convolution done in Winograd's way. Both padded images have room
// for whole tiles.
type winograd struct {
	window
	back   window // of the output's gradient
	out    *value
	f      *filter
	bn     *batchNorm
	images int // of a chunk
	pairs  int // of rows, of each of its images
}

func newWinograd(in, out *value, f *filter) *winograd {
	n := &winograd{window: newWindow(in, out), back: newWindow(out, out), out: out, f: f}
	for _, g := range []*window{&n.window, &n.back} {
		g.padH, g.padW = 2*n.rowPairs()+2, 2*n.across()+2
	}
	per := max(winogradFloats/(16*max(in.c, out.c)), winogradTiles)
	n.images = max(1, per/(n.rowPairs()*n.across()))
	n.pairs = min(max(1, per/n.across()), n.rowPairs())
	if oneRowBands {
		n.images, n.pairs = 1, 1
	}
	return n
}

// rowPairs and across are how many tiles cover an image.
func (n *winograd) rowPairs() int { return (n.outH + 1) / 2 }

func (n *winograd) across() int { return (n.outW + 1) / 2 }

// most is the number of tiles of a full chunk of a tile of so many images.
func (n *winograd) most(images int) int { return min(n.images, images) * n.pairs * n.across() }

// winogradChunk is images [i0,i1), of each the pairs of rows [p0,p1), which have
// so many tiles.
type winogradChunk struct{ i0, i1, p0, p1, tiles int }

// chunks cuts a tile of the pass.
func (n *winograd) chunks(t *tile, f func(k winogradChunk)) {
	for i0 := t.i0; i0 < t.i1; i0 += n.images {
		i1 := min(i0+n.images, t.i1)
		for p0 := 0; p0 < n.rowPairs(); p0 += n.pairs {
			p1 := min(p0+n.pairs, n.rowPairs())
			f(winogradChunk{i0, i1, p0, p1, (i1 - i0) * (p1 - p0) * n.across()})
		}
	}
}

// shape is that of the transforms of the chunk for c channels.
func (n *winograd) shape(k winogradChunk, c int) kernel.Winograd {
	return kernel.Winograd{
		Tiles: n.across(), C: c, Point: k.tiles * c,
		XRow: n.padW * c, XCol: c,
		Cols: n.outW, YRow: n.outW * c, YCol: c,
	}
}

// tileRow is where the tiles of pair p of image i begin in a matrix of the chunk.
func (n *winograd) tileRow(k winogradChunk, i, p, c int) int {
	return ((i-k.i0)*(k.p1-k.p0) + p - k.p0) * n.across() * c
}

// output makes the rows of y of the chunk from the products m.
func (n *winograd) output(w *worker, k winogradChunk, m, y []float32, c int) {
	s := n.shape(k, c)
	for i := k.i0; i < k.i1; i++ {
		for p := k.p0; p < k.p1; p++ {
			s.Rows = min(2, n.outH-2*p)
			at := ((i-k.i0)*n.outH + 2*(p-k.p0)) * s.YRow
			w.k.WinogradOutput(s, m[n.tileRow(k, i, p, c):], y[at:])
		}
	}
}

// input transforms the chunk's rows of image i, which lies in padded, to its
// rows of v.
func (n *winograd) input(w *worker, k winogradChunk, i int, padded, v []float32, c int) {
	s := n.shape(k, c)
	for p := k.p0; p < k.p1; p++ {
		w.k.WinogradInput(s, padded[2*p*s.XRow:], v[n.tileRow(k, i, p, c):])
	}
}

// rows is the range of rows of the output, or the input, that the chunk has.
// They follow each other, as several images are whole.
func (n *winograd) rows(k winogradChunk) (r0, r1 int) {
	hw := n.out.hw()
	return k.i0*hw + 2*k.p0*n.outW, (k.i1-1)*hw + min(2*k.p1, n.outH)*n.outW
}

// product is m[p] = v[p] u[p] for the 16 points of the chunk.
func (n *winograd) product(w *worker, tiles int, v, u, m []float32, cin, cout int) {
	for p := range 16 {
		w.k.Gemm(tiles, cout, cin, v[p*tiles*cin:], cin, 1, u[p*cin*cout:], cout, m[p*tiles*cout:], cout, false, nil)
	}
}

func (n *winograd) forward(e *engine, w *worker, t *tile) {
	mark := w.used
	f := n.f
	padded := w.take(n.elems())
	most := n.most(t.i1 - t.i0)
	v, m := w.take(16*most*f.cin), w.take(16*most*f.cout)
	n.chunks(t, func(k winogradChunk) {
		for i := k.i0; i < k.i1; i++ {
			if k.p0 == 0 {
				n.pad(w, padded, nil, i, 0, n.padH)
			}
			n.input(w, k, i, padded, v, f.cin)
		}
		n.product(w, k.tiles, v, f.fwd, m, f.cin, f.cout)
		y := n.out.at(n.rows(k))
		n.output(w, k, m, y, f.cout)
		f.addBias(w, y)
		if n.bn != nil {
			n.bn.observe(w, t.lane, y)
		}
	})
	w.used = mark
}

func (n *winograd) backward(e *engine, w *worker, t *tile) {
	mark := w.used
	f := n.f
	elems, images := n.back.elems(), min(n.images, t.i1-t.i0)
	most := n.most(images)
	padded, dpadded := w.take(n.elems()), w.take(images*elems)
	x, d := w.take(16*most*f.cin), w.take(16*most*f.cout) // tiles of the input, later of its gradient; of the output's gradient
	slopes := n.takeSlopes(w, images*n.in.h)
	n.chunks(t, func(k winogradChunk) {
		first := t.first && k.i0 == t.i0
		if k.p0 == 0 {
			for i := k.i0; i < k.i1; i++ {
				n.padGradient(w, e.blocks[t.lane], dpadded[(i-k.i0)*elems:], i, first && i == k.i0)
			}
		}
		if !f.frozen {
			for i := k.i0; i < k.i1; i++ {
				if k.p0 == 0 {
					n.pad(w, padded, after(slopes, (i-k.i0)*n.in.elems()), i, 0, n.padH)
				}
				n.input(w, k, i, padded, x, f.cin)
				n.gradient(w, k, i, dpadded[(i-k.i0)*elems:], d)
			}
			sum := f.grad.in(e.blocks[t.lane])
			for p := range 16 {
				w.k.Gemm(f.cin, f.cout, k.tiles, x[p*k.tiles*f.cin:], 1, f.cin, d[p*k.tiles*f.cout:], f.cout, sum[p*f.cin*f.cout:], f.cout, !first || k.p0 > 0, nil)
			}
		}
		if n.in.grad != nil {
			for i := k.i0; i < k.i1; i++ {
				n.input(w, k, i, dpadded[(i-k.i0)*elems:], d, f.cout)
			}
			n.product(w, k.tiles, d, f.bwd, x, f.cout, f.cin)
			n.deliver(w, k, x, slopes, t.lane)
		}
	})
	w.used = mark
}

// padGradient makes the gradient of image i of the output with zeros around it,
// and adds that of the bias to the lane's.
func (n *winograd) padGradient(w *worker, block, dpadded []float32, i int, first bool) {
	g := &n.back
	row, band := n.outW*n.out.c, g.band()
	y0, y1 := g.border(dpadded, 0, g.padH)
	for y := y0; y < y1; y += band {
		end := min(y+band, y1)
		mark := w.used
		dy := gradRows(w, n.out, n.bn, i*n.out.hw()+y*n.outW, i*n.out.hw()+end*n.outW)
		for r := y; r < end; r++ {
			copy(g.row(dpadded, 0, r), dy[(r-y)*row:])
		}
		if !n.f.frozen {
			n.f.addBiasGrad(w.k, block, dy, first && y == y0)
		}
		w.used = mark
	}
}

// gradient transforms the chunk's rows of image i of the output's gradient for
// the weight.
func (n *winograd) gradient(w *worker, k winogradChunk, i int, dpadded, e []float32) {
	s := n.shape(k, n.out.c)
	for p := k.p0; p < k.p1; p++ {
		w.k.WinogradGradient(s, dpadded[(2*p+1)*s.XRow+s.XCol:], e[n.tileRow(k, i, p, s.C):])
	}
}

// deliver takes the products m to the gradient of the chunk's rows of the input.
func (n *winograd) deliver(w *worker, k winogradChunk, m, slopes []float32, lane int) {
	v := n.in
	mark := w.used
	r0, r1 := n.rows(k)
	dx := v.gradAt(r0, r1)
	if n.acc {
		near := w.take(len(dx))
		n.output(w, k, m, near, v.c)
		w.k.Add(dx, near)
	} else {
		n.output(w, k, m, dx, v.c)
	}
	if n.fused {
		sums := w.takeZeros(2 * v.c)
		v.bn.actBackward(w, dx, after(slopes, (r0-k.i0*v.hw())*v.c), r0, r1, sums)
		v.bn.lanes[lane].add(sums[:v.c], sums[v.c:])
	}
	w.used = mark
}
