//go:build !purego

package kernel

const dwMaxK = 7

// dwWork is how many products of vectors a call of assembly may do. Only a test
// changes it.
var dwWork = 1 << 18

// dwForwardArgs is a call of dwForward. Steps are in bytes; those from column
// to column are the same for all slices.
type dwForwardArgs struct {
	x, w, y            *float32
	off, chunks, lanes int // first vector of channels, count, channels of each
	rows, cols         int
	k, stride          int
	xCol, xRow, xStep  int // from column to column, row to row, output row to row
	yRow, wRow         int
}

func dwForwardAsm(t isa, s DW, x, w, y []float32) {
	if s.K > dwMaxK || s.Stride > 2 || s.Stride == 2 && s.K != 3 && s.K != 5 && s.K != 7 {
		dwForwardGo(s, x, w, y)
		return
	}
	if !s.check(x, w, y) {
		return
	}
	c := 4 * s.C
	a := dwForwardArgs{
		w: &w[0], cols: s.OutW, k: s.K, stride: s.Stride,
		xCol: c, xRow: s.InW * c, xStep: s.Stride * s.InW * c,
		yRow: s.OutW * c, wRow: s.K * c,
	}
	rows := max(1, dwWork/(s.OutW*s.K*s.K))
	for oy := 0; oy < s.OutH; oy += rows {
		a.rows = min(rows, s.OutH-oy)
		a.x, a.y = &x[oy*s.Stride*s.InW*s.C], &y[oy*s.OutW*s.C]
		t.vectors(s.C, dwWork/(a.rows*s.OutW*s.K*s.K), func(t isa, off, chunks, lanes int) {
			a.off, a.chunks, a.lanes = off, chunks, lanes
			if t == avx512 {
				dwForwardAVX512(&a)
			} else {
				dwForwardAVX2(&a)
			}
		})
	}
}

// vectors calls f for all channels: step vectors a call, then the rest of less
// than a vector. Half a vector of AVX-512 is a whole one of AVX2. The offset is
// in bytes.
func (t isa) vectors(channels, step int, f func(t isa, off, chunks, lanes int)) {
	lanes := t.lanes()
	whole := channels / lanes
	step = max(1, step)
	for i := 0; i < whole; i += step {
		f(t, 4*i*lanes, min(step, whole-i), lanes)
	}
	if rest := channels % lanes; rest == avx2.lanes() {
		f(avx2, 4*whole*lanes, 1, rest)
	} else if rest > 0 {
		f(t, 4*whole*lanes, 1, rest)
	}
}

//go:noescape
func dwForwardAVX512(args *dwForwardArgs)

//go:noescape
func dwForwardAVX2(args *dwForwardArgs)
