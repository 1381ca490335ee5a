//go:build !purego

package kernel

// A depthwise convolution and the gradient of its input are both sums over
// taps of a source for every point of a destination. One assembly kernel does
// them, for a destination cut into spans of rows and of columns within which
// the taps are the same: one span for the convolution; for the gradient the
// interior and, tap by tap, the edges, for each residue of the stride.

const (
	dwMaxK      = 7
	dwMaxStride = 4       // of a gradient of the input
	dwMaxSpans  = 14      // of a gradient with these limits
	dwWork      = 1 << 18 // vector products of a call
)

// A dwSpan is a run of destination rows or columns and the taps, of one axis,
// of each. Offsets are in bytes.
type dwSpan struct {
	n, taps     int
	dst, src, w int // of the first destination, and its first tap
}

// dwArgs is a call of dwGather. Steps are in bytes.
type dwArgs struct {
	dst, src, w             *float32
	chunks, lanes           int // vectors of channels, and channels of each
	stride                  int // source columns from destination to destination
	dstCol, dstStep         int // from destination to destination
	srcStep, tapCol, tapRow int // source from destination row to row, from tap to tap
	wCol, wRow              int
	nrows, ncols            int
	rows, cols              [dwMaxSpans]dwSpan

	off int // of the first vector of channels
}

// dwBackSpans fills spans with the runs of one axis of the gradient of an
// input: of in elements, from out gradients, with k taps at a stride. Steps
// are the bytes from element to element of the three.
func dwBackSpans(spans *[dwMaxSpans]dwSpan, in, out, k, stride, dstStep, srcStep, wStep int) int {
	count := 0
	for p := range min(stride, in) {
		taps := 0
		if p < k {
			taps = (k - p + stride - 1) / stride
		}
		// Element p + stride*j collects from gradients j-t, t in [lo, hi].
		n := (in - p + stride - 1) / stride
		for j := 0; j < n; {
			lo, hi := max(0, j-out+1), min(taps-1, j)
			next := j + 1
			switch {
			case lo > hi:
				lo, hi, next = 0, -1, n // no taps to the end
			case lo == 0 && hi == taps-1:
				next = min(n, out)
			}
			spans[count] = dwSpan{n: next - j, taps: hi - lo + 1, dst: (p + stride*j) * dstStep, src: (j - hi) * srcStep, w: (p + stride*hi) * wStep}
			count++
			j = next
		}
	}
	return count
}

func dwForwardAsm(t isa, s DW, x, w, y []float32) {
	if s.K > dwMaxK || s.Stride > 2 || s.Stride == 2 && s.K%2 == 0 || s.Stride == 2 && s.K == 1 {
		dwForwardGo(s, x, w, y)
		return
	}
	if !s.check(x, w, y) {
		return
	}
	c := 4 * s.C
	a := dwArgs{
		dst: &y[0], src: &x[0], w: &w[0], stride: s.Stride,
		dstCol: c, dstStep: s.OutW * c,
		srcStep: s.Stride * s.InW * c, tapCol: c, tapRow: s.InW * c,
		wCol: c, wRow: s.K * c,
		nrows: 1, ncols: 1,
	}
	a.rows[0] = dwSpan{n: s.OutH, taps: s.K}
	a.cols[0] = dwSpan{n: s.OutW, taps: s.K}
	dwGather(t, &a, s.C)
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
	// A step to the next gradient is a step back by stride in the weights.
	a := dwArgs{
		dst: &dx[0], src: &dy[0], w: &w[0], stride: 1,
		dstCol: s.Stride * c, dstStep: s.Stride * s.InW * c,
		srcStep: s.OutW * c, tapCol: c, tapRow: s.OutW * c,
		wCol: -s.Stride * c, wRow: -s.Stride * s.K * c,
	}
	a.nrows = dwBackSpans(&a.rows, s.InH, s.OutH, s.K, s.Stride, s.InW*c, s.OutW*c, s.K*c)
	a.ncols = dwBackSpans(&a.cols, s.InW, s.OutW, s.K, s.Stride, c, c, c)
	dwGather(t, &a, s.C)
}

// dwGather runs a over all channels in calls of bounded length: of as many
// vectors of channels, or if need be rows, as make up dwWork.
func dwGather(t isa, a *dwArgs, channels int) {
	rows, cols := 0, 0
	for _, r := range a.rows[:a.nrows] {
		rows += r.n * max(1, r.taps)
	}
	for _, c := range a.cols[:a.ncols] {
		cols += c.n * max(1, c.taps)
	}
	if rows*cols <= dwWork {
		dwGatherChannels(t, a, channels, dwWork/(rows*cols))
		return
	}
	b := *a
	b.nrows = 1
	for _, r := range a.rows[:a.nrows] {
		for left := r.n; left > 0; left -= r.n {
			r.n = min(left, max(1, dwWork/(cols*max(1, r.taps))))
			b.rows[0] = r
			dwGatherChannels(t, &b, channels, 1)
			r.dst += r.n * a.dstStep
			r.src += r.n * a.srcStep
		}
	}
}

// dwGatherChannels runs a over all channels, step vectors a call.
func dwGatherChannels(t isa, a *dwArgs, channels, step int) {
	lanes := t.lanes()
	whole := channels / lanes
	for i := 0; i < whole; i += step {
		a.chunks, a.lanes, a.off = min(step, whole-i), lanes, 4*i*lanes
		dwGatherCall(t, a)
	}
	if rest := channels % lanes; rest > 0 {
		a.chunks, a.lanes, a.off = 1, rest, 4*whole*lanes
		dwGatherCall(t, a)
	}
}

func dwGatherCall(t isa, a *dwArgs) {
	if t == avx512 {
		dwGatherAVX512(a)
	} else {
		dwGatherAVX2(a)
	}
}

//go:noescape
func dwGatherAVX512(args *dwArgs)

//go:noescape
func dwGatherAVX2(args *dwArgs)

// dwWeightArgs is a call of dwWeight: some rows of taps, over a grid of
// gradients. Steps are in bytes.
type dwWeightArgs struct {
	x, dy, dw          *float32
	chunks, lanes      int // vectors of channels, and channels of each
	kernel             int
	rows, cols         int
	xCol, xRow, xStep  int // from column to column, row to row, output row to row
	dyCol, dyRow, wCol int
	off                int
}

func dwBackwardWeightAsm(t isa, s DW, x, dy, dw []float32) {
	if s.Stride > 2 || s.K != 3 && s.K != 5 && s.K != 7 {
		dwBackwardWeightGo(s, x, dy, dw)
		return
	}
	if !s.check(x, dw, dy) {
		return
	}
	c := 4 * s.C
	a := dwWeightArgs{
		cols: s.OutW,
		xCol: c, xRow: s.InW * c, xStep: s.Stride * s.InW * c,
		dyCol: c, dyRow: s.OutW * c, wCol: c,
	}
	for ky := 0; ky < s.K; {
		var rows int
		a.kernel, rows = t.dwWeightKernel(s.K, s.K-ky)
		a.kernel += 4 * (s.Stride - 1)
		step := max(1, dwWork/(s.OutW*rows*s.K))
		for oy := 0; oy < s.OutH; oy += step {
			a.rows = min(step, s.OutH-oy)
			a.x, a.dy, a.dw = &x[(oy*s.Stride+ky)*s.InW*s.C], &dy[oy*s.OutW*s.C], &dw[ky*s.K*s.C]
			dwWeightChannels(t, &a, s.C, max(1, dwWork/(a.rows*s.OutW*rows*s.K)))
		}
		ky += rows
	}
}

// dwWeightKernel is the kernel, at stride 1, that takes most of the left rows
// of taps of a k x k kernel, and how many it takes.
func (t isa) dwWeightKernel(k, left int) (kernel, rows int) {
	switch {
	case k == 3:
		return 0, 3
	case k == 5 && t == avx512:
		return 1, 5
	case k == 5 && left >= 2:
		return 1, 2
	case k == 5:
		return 2, 1
	case t == avx512 && left >= 3:
		return 2, 3
	}
	return 3, 1
}

// dwWeightChannels runs a over all channels, some vectors a call.
func dwWeightChannels(t isa, a *dwWeightArgs, channels, step int) {
	lanes := t.lanes()
	whole := channels / lanes
	for i := 0; i < whole; i += step {
		a.chunks, a.lanes, a.off = min(step, whole-i), lanes, 4*i*lanes
		dwWeightCall(t, a)
	}
	if rest := channels % lanes; rest > 0 {
		a.chunks, a.lanes, a.off = 1, rest, 4*whole*lanes
		dwWeightCall(t, a)
	}
}

func dwWeightCall(t isa, a *dwWeightArgs) {
	if t == avx512 {
		dwWeightAVX512(a)
	} else {
		dwWeightAVX2(a)
	}
}

//go:noescape
func dwWeightAVX512(args *dwWeightArgs)

//go:noescape
func dwWeightAVX2(args *dwWeightArgs)
