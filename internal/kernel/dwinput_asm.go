//go:build (amd64 || arm64) && !purego

package kernel

// The gradient of the input at row i is a sum over the rows of taps ky, of
// those for which i-ky is a multiple of the stride, of the row (i-ky)/stride of
// the gradient of the output, convolved with the taps of the row: so for
// columns. Rows that have the same ky make a span; columns of the same residue
// modulo the stride make a class.

const (
	dwMaxStride = 4
	dwMaxSpans  = 14 // with kernels and strides up to the maxima
)

// A dwSpan is a run of rows of dx, and the rows of dy and of taps that go into
// each. Offsets are in bytes: of the first row, of its first row of dy and of
// the row of taps which that meets.
type dwSpan struct {
	n, taps   int
	dx, dy, w int
}

// A dwClass is the columns of dx of one residue: all of them, those that no
// tap reaches at the end, the taps, and offsets in bytes of the first.
type dwClass struct {
	n, rest, taps int
	dx, w         int
}

// dwInputArgs is a call of dwInput. Steps are in bytes.
type dwInputArgs struct {
	dy, w, dx          *float32
	off, chunks, lanes int // first vector of channels, count, channels of each
	cols               int // of dy
	dxCol, dxStep      int // from column to column of a class, row to row of a span
	dyCol, dyRow       int
	wCol, wRow         int // from tap to tap of a class, to the taps for the next row of dy
	nspans, nclasses   int
	spans              [dwMaxSpans]dwSpan
	classes            [dwMaxStride]dwClass
}

func dwBackwardInputAsm(t isa, s DW, dy, w, dx []float32) {
	if s.K > dwMaxK || s.Stride > dwMaxStride {
		dwBackwardInputGo(s, dy, w, dx)
		return
	}
	if !s.check(dx, w, dy) {
		clear(dx[:s.InH*s.InW*s.C])
		return
	}
	c := 4 * s.C
	a := dwInputArgs{
		dy: &dy[0], w: &w[0], dx: &dx[0], cols: s.OutW,
		dxCol: s.Stride * c, dxStep: s.Stride * s.InW * c,
		dyCol: c, dyRow: s.OutW * c,
		wCol: s.Stride * c, wRow: -s.Stride * s.K * c,
	}
	a.setSpans(s)
	a.setClasses(s)
	rows := 0
	for _, r := range a.spans[:a.nspans] {
		rows += r.n * max(1, r.taps)
	}
	if rows*s.OutW*s.K <= dwWork {
		dwInput(t, &a, s.C, dwWork/(rows*s.OutW*s.K))
		return
	}
	b := a
	b.nspans = 1
	for _, r := range a.spans[:a.nspans] {
		for left := r.n; left > 0; left -= r.n {
			r.n = min(left, max(1, dwWork/(s.OutW*s.K*max(1, r.taps))))
			b.spans[0] = r
			dwInput(t, &b, s.C, 1)
			r.dx += r.n * a.dxStep
			r.dy += r.n * a.dyRow
		}
	}
}

// dwInput runs a over all channels, step vectors a call.
func dwInput(t isa, a *dwInputArgs, channels, step int) {
	t.vectors(channels, step, func(t isa, off, chunks, lanes int) {
		a.off, a.chunks, a.lanes = off, chunks, lanes
		t.dwInput(a)
	})
}

// dwTaps is how many of k taps have residue p.
func dwTaps(k, stride, p int) int { return max(0, (k-p+stride-1)/stride) }

func (a *dwInputArgs) setSpans(s DW) {
	row, wRow := s.InW*4*s.C, s.K*4*s.C
	for p := range min(s.Stride, s.InH) {
		taps := dwTaps(s.K, s.Stride, p)
		// Row p + stride*j collects from rows j-t of dy, t in [lo, hi].
		n := (s.InH - p + s.Stride - 1) / s.Stride
		for j := 0; j < n; {
			lo, hi := max(0, j-s.OutH+1), min(taps-1, j)
			next := j + 1
			switch {
			case lo > hi:
				lo, hi, next = 0, -1, n // none to the end
			case lo == 0 && hi == taps-1:
				next = min(n, s.OutH)
			}
			a.spans[a.nspans] = dwSpan{n: next - j, taps: hi - lo + 1, dx: (p + s.Stride*j) * row, dy: (j - hi) * a.dyRow, w: (p + s.Stride*hi) * wRow}
			a.nspans++
			j = next
		}
	}
}

func (a *dwInputArgs) setClasses(s DW) {
	for p := range min(s.Stride, s.InW) {
		n, taps := (s.InW-p+s.Stride-1)/s.Stride, dwTaps(s.K, s.Stride, p)
		rest := n
		if taps > 0 {
			rest = n - (s.OutW + taps - 1)
		}
		a.classes[p] = dwClass{n: n, rest: rest, taps: taps, dx: p * 4 * s.C, w: p * 4 * s.C}
	}
	a.nclasses = min(s.Stride, s.InW)
}
