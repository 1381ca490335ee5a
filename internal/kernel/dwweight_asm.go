//go:build (amd64 || arm64) && !purego

package kernel

// dwWeightArgs is a call of dwWeight: some rows of taps, over a grid of
// gradients. Steps are in bytes; those from column to column are the same for
// all slices.
type dwWeightArgs struct {
	x, dy, dw          *float32
	off, chunks, lanes int // first vector of channels, count, channels of each
	kernel             int
	rows, cols         int
	xCol, xRow, xStep  int // from column to column, row to row, output row to row
	dyRow              int
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
		dyRow: s.OutW * c,
	}
	t.vectors(s.C, s.C, func(t isa, off, chunks, lanes int) {
		a.lanes = lanes
		for ky := 0; ky < s.K; {
			var rows int
			a.kernel, rows = t.dwWeightKernel(s.K, s.K-ky)
			a.kernel += 4 * (s.Stride - 1)
			step := max(1, dwWork/(s.OutW*rows*s.K))
			for oy := 0; oy < s.OutH; oy += step {
				a.rows = min(step, s.OutH-oy)
				a.x, a.dy, a.dw = &x[(oy*s.Stride+ky)*s.InW*s.C], &dy[oy*s.OutW*s.C], &dw[ky*s.K*s.C]
				vectors := max(1, step/a.rows)
				for i := 0; i < chunks; i += vectors {
					a.off, a.chunks = off+4*i*lanes, min(vectors, chunks-i)
					t.dwWeight(&a)
				}
			}
			ky += rows
		}
	})
}
