package train

import (
	"effnet/arch"
	"effnet/internal/kernel"
)

// filter is the weight [cout, cin, k, k] of a convolution or linear layer, in
// the orders that the kernels want it, with its gradient. A depthwise filter
// has cin 1 and cout channels.
type filter struct {
	w, dw     []float32
	cin, cout int
	k2        int       // k*k
	fwd       []float32 // [k2*cin, cout]; of a pointwise one in panels; with points [16, cin, cout], and bwd [16, cout, cin]
	bwd       []float32 // [cout, k2*cin], w itself where it can be; nil where no gradient goes to the input
	bwdPanels bool      // bwd lies in panels
	grad      partial
	bias      []float32 // [cout]; nil: none
	biasGrad  partial
	frozen    bool   // it has no gradient
	whole     *whole // how the weight's gradient is made where lanes do not sum it; else nil
}

func newFilter(op *arch.Op, p *params, wantInput bool) *filter {
	shape := op.Params[0].Shape
	f := &filter{cout: shape[0], cin: shape[1], k2: 1}
	if len(shape) == 4 {
		f.k2 = shape[2] * shape[3]
	}
	f.w, f.dw = p.get(op, arch.ConvWeight, arch.DepthwiseWeight, arch.LinearWeight)
	f.fwd = floats(len(f.w))
	if wantInput && op.Groups <= 1 {
		f.bwd = f.w
		if f.k2 > 1 {
			f.bwd = floats(len(f.w))
		}
	}
	f.grad = partial{rows: f.k2 * f.cin, cols: f.cout, cin: f.cin, k2: f.k2, dst: f.dw}
	if f.k2 == 1 && f.cin >= f.cout {
		f.grad.rows, f.grad.cols, f.grad.direct = f.cout, f.cin, true
	}
	if op.Bias {
		var db []float32
		f.bias, db = p.get(op, arch.BiasVector)
		f.biasGrad = partial{rows: 1, cols: f.cout, direct: true, dst: db}
	}
	return f
}

// fwdLD is the ldb of fwd, bwdLD that of bwd.
func (f *filter) fwdLD() int {
	if f.k2 == 1 {
		return kernel.InPanels
	}
	return f.cout
}

func (f *filter) bwdLD() int {
	if f.bwdPanels {
		return kernel.InPanels
	}
	return f.k2 * f.cin
}

// packBwd has bwd of a pointwise filter lie in panels.
func (f *filter) packBwd() {
	f.bwd, f.bwdPanels = floats(len(f.w)), true
}

// toPoints has the filter, of 3x3, meet its input in Winograd's way.
func (f *filter) toPoints() {
	n := 16 * f.cin * f.cout
	f.fwd = floats(n)
	if f.bwd != nil {
		f.bwd = floats(n)
	}
	f.grad.rows, f.grad.points = 16*f.cin, true
}

// packPoints is pack of a filter with points.
func (f *filter) packPoints() {
	n := f.cin * f.cout
	for ci := range f.cin {
		for o := range f.cout {
			for p, v := range kernel.WinogradPoints((*[9]float32)(f.w[(o*f.cin+ci)*9:])) {
				f.fwd[p*n+ci*f.cout+o] = v
			}
		}
	}
	if f.bwd == nil {
		return
	}
	for p := range 16 {
		transpose(f.bwd[p*n:], f.cin, f.fwd[kernel.WinogradFlipped(p)*n:], f.cout, f.cin, f.cout, false)
	}
}

// pack brings the weight into kernel order.
func (f *filter) pack() {
	if f.grad.points {
		f.packPoints()
		return
	}
	n := f.cin * f.k2
	if f.k2 == 1 {
		transposePanels(f.fwd, f.w, f.cout, f.cin)
		if f.bwdPanels {
			panels(f.bwd, f.w, f.cout, f.cin)
		}
		return
	}
	for o := range f.cout {
		for ci := range f.cin {
			for k := range f.k2 {
				v := f.w[o*n+ci*f.k2+k]
				f.fwd[(k*f.cin+ci)*f.cout+o] = v
				if f.bwd != nil {
					f.bwd[o*n+k*f.cin+ci] = v
				}
			}
		}
	}
}

// partials lists the gradients that lanes sum on their own.
func (f *filter) partials() []*partial {
	if f.frozen {
		return nil
	}
	var ps []*partial
	if f.whole == nil {
		ps = append(ps, &f.grad)
	}
	if f.bias != nil {
		ps = append(ps, &f.biasGrad)
	}
	return ps
}

// addGrad adds the gradient of a lane: x [m, k2*cin] are the rows that met the
// weight in forward, input i of row r at r*rs + i*cs (cs 1 for a direct
// gradient), dy [m, cout] the gradient of what they made. The first of a lane
// replaces what the block held.
func (f *filter) addGrad(w *worker, block, x []float32, rs, cs int, dy []float32, first bool) {
	n := f.k2 * f.cin
	m := len(dy) / f.cout
	d := f.grad.in(block)
	if f.grad.direct {
		w.k.Gemm(f.cout, n, m, dy, 1, f.cout, x, rs, d, n, !first, &w.ahead)
	} else {
		w.k.Gemm(n, f.cout, m, x, cs, rs, dy, f.cout, d, f.cout, !first, &w.ahead)
	}
	f.addBiasGrad(w.k, block, dy, first)
}

func (f *filter) addBiasGrad(k *kernel.Impl, block, dy []float32, first bool) {
	if f.bias == nil {
		return
	}
	sum := f.biasGrad.in(block)
	if first {
		clear(sum)
	}
	k.SumRows(dy, sum)
}

func (f *filter) addBias(w *worker, y []float32) {
	if f.bias != nil {
		w.k.ScaleAct(y, y, w.ones[:f.cout], f.bias, kernel.Identity)
	}
}

// partial is a gradient [rows, cols] of which every lane sums its images' part
// in its own block of memory. Its rows are (ky, kx, cin) and its columns cout,
// unless it is direct: then it has the parameter's own layout. With points rows
// are (point, cin) of kernel.Winograd.
type partial struct {
	off        int // in a lane's block
	rows, cols int
	cin, k2    int
	direct     bool
	points     bool
	dst        []float32
}

func (p *partial) in(block []float32) []float32 { return block[p.off:][:p.rows*p.cols] }

// reduceElems is about how many elements one job of a reduction has.
const reduceElems = 1 << 14

// rowsPerJob is the number of rows of one job of the reduction; with points,
// that of each point.
func (p *partial) rowsPerJob() int {
	if p.points {
		return max(1, reduceElems/(16*p.cols))
	}
	return max(1, reduceElems/p.cols)
}

func (p *partial) jobs() int {
	rows := p.rows
	if p.points {
		rows = p.cin
	}
	return (rows + p.rowsPerJob() - 1) / p.rowsPerJob()
}

// reduce sums the lanes in their order and stores the job's rows as the
// parameter's gradient, or adds them to it.
func (p *partial) reduce(k *kernel.Impl, blocks [][]float32, job int, add bool) {
	a := job * p.rowsPerJob()
	if p.points {
		p.reducePoints(k, blocks, a, min(a+p.rowsPerJob(), p.cin), add)
		return
	}
	b := min(a+p.rowsPerJob(), p.rows)
	sum := p.in(blocks[0])[a*p.cols : b*p.cols]
	for _, block := range blocks[1:] {
		k.Add(sum, p.in(block)[a*p.cols:b*p.cols])
	}
	if p.direct {
		deliver(k, p.dst[a*p.cols:][:len(sum)], sum, 1, add)
		return
	}
	if p.k2 == 1 {
		transpose(p.dst[a:], p.cin, sum, p.cols, b-a, p.cols, add)
		return
	}
	for r := a; r < b; r++ {
		kk, ci := r/p.cin, r%p.cin
		for o, v := range sum[(r-a)*p.cols:][:p.cols] {
			d := &p.dst[(o*p.cin+ci)*p.k2+kk]
			if add {
				v += *d
			}
			*d = v
		}
	}
}

// reducePoints is reduce for the channels [a,b) of the input.
func (p *partial) reducePoints(k *kernel.Impl, blocks [][]float32, a, b int, add bool) {
	sum := p.in(blocks[0])
	for q := range 16 {
		i, j := (q*p.cin+a)*p.cols, (q*p.cin+b)*p.cols
		for _, block := range blocks[1:] {
			k.Add(sum[i:j], p.in(block)[i:j])
		}
	}
	for ci := a; ci < b; ci++ {
		for o := range p.cols {
			var du [16]float32
			for q := range du {
				du[q] = sum[(q*p.cin+ci)*p.cols+o]
			}
			dw := kernel.WinogradTaps(&du)
			d := (*[9]float32)(p.dst[(o*p.cin+ci)*9:])
			for i, v := range dw {
				if add {
					v += d[i]
				}
				d[i] = v
			}
		}
	}
}
