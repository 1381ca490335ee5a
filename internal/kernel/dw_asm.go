//go:build (amd64 || arm64) && !purego

package kernel

import "math"

const dwMaxK = 7

// dwWork is how many products of vectors a call of assembly may do. Only a test
// changes it.
var dwWork = 1 << 18

// depthwiseArgs is a call of depthwise. Steps are in bytes.
type depthwiseArgs struct {
	x, w, y, shift, sums *float32
	off, chunks, lanes   int // first vector of channels, count, channels of each
	rows                 int
	tall, size, short    int // of a row: blocks of size+1 outputs, then of size
	k, stride            int
	xCol, xRow           int // from column to column, row to row
	xOut, xStep          int // from output to output, output row to output row
	yCol, yRow           int
	wCol, wRow           int
	flags                int
	lo, hi               float32
}

const (
	dwSwish = 1 << iota
	dwClamp
	dwSums
	dwDivide
)

func depthwiseAsm(t isa, s Depthwise, x, w, y, sums []float32) {
	if s.K > dwMaxK || s.Stride > 2 || s.Stride == 2 && s.K != 3 && s.K != 5 && s.K != 7 {
		depthwiseGo(s, x, w, y, sums)
		return
	}
	if !s.check(x, w, y, sums) {
		return
	}
	a := depthwiseArgs{
		w: &w[0], k: s.K, stride: s.Stride, xOut: 4 * s.Stride * s.XCol,
		xCol: 4 * s.XCol, xRow: 4 * s.XRow, xStep: s.Stride * 4 * s.XRow,
		yCol: 4 * s.YCol, yRow: 4 * s.YRow, wCol: 4 * s.WTap, wRow: s.K * 4 * s.WTap,
	}
	if s.Shift != nil {
		a.shift = &s.Shift[0]
	}
	var late bool
	a.flags, a.lo, a.hi, late = s.epilogue()
	if sums != nil && !late {
		a.flags |= dwSums
		a.sums = &sums[0]
	}
	rows := max(1, dwWork/(s.Cols*s.K*s.K))
	for r := 0; r < s.Rows; r += rows {
		a.rows = min(rows, s.Rows-r)
		a.x, a.y = &x[r*s.Stride*s.XRow], &y[r*s.YRow]
		// All with t: its swish may round in its own way.
		t.vectors(s.C, dwWork/(a.rows*s.Cols*s.K*s.K), func(_ isa, off, chunks, lanes int) {
			a.off, a.chunks, a.lanes = off, chunks, lanes
			block := t.depthwiseBlock(s.K, lanes)
			n := (s.Cols + block - 1) / block
			a.size, a.tall = s.Cols/n, s.Cols%n
			a.short = n - a.tall
			t.depthwise(&a)
		})
	}
	if late {
		for r := range s.Rows {
			for c := range s.Cols {
				row := y[r*s.YRow+c*s.YCol:][:s.C]
				applyAsm(t, row, row, s.Act)
				if sums != nil {
					addAsm(t, sums[:s.C], row)
				}
			}
		}
	}
}

// epilogue says how depthwise applies the activation; late leaves it to
// another pass over y.
func (s *Depthwise) epilogue() (flags int, lo, hi float32, late bool) {
	switch s.Act {
	case Identity:
	case Swish:
		flags = dwSwish
		if divides {
			flags |= dwDivide
		}
	case ReLU:
		flags, hi = dwClamp, float32(math.Inf(1))
	case ReLU6:
		flags, hi = dwClamp, 6
	default:
		late = true
	}
	return flags, lo, hi, late
}
