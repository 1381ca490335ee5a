//go:build (amd64 || arm64) && !purego

package kernel

import "math"

// convArgs is a call of conv: one panel of a convolution, lines of tiles of
// equal height. Steps are in bytes.
type convArgs struct {
	x, w, y, shift, residual *float32
	lines, tiles, pixels     int // pixels of a tile
	vectors, lanes           int // of the panel; lanes of its last vector
	segs, k                  int
	xRow, xCol, xSkip        int // xSkip: from the end of a run to the next
	yRow, yCol, rRow         int
	ahead, pace              int // from w to what to fetch into the cache; how far to go on every four steps
	flags                    int
	lo, hi                   float32
}

const (
	convSwish = 1 << iota
	convResidual
	convClamp
	convCut
	convDivide
)

// epilogue says how conv applies the parts of s: those in late are left to
// another pass over y.
func (s *Conv) epilogue() (flags int, lo, hi float32, late bool) {
	inf := float32(math.Inf(1))
	clamp := func(a Act) bool {
		switch a {
		case Identity:
			return true
		case ReLU:
			lo, hi = 0, inf
		case ReLU6:
			lo, hi = 0, 6
		default:
			return false
		}
		flags |= convClamp
		return true
	}
	last := s.Last
	switch {
	case s.Act == Swish:
		flags = convSwish
		if divides {
			flags |= convDivide
		}
	case s.Residual == nil && last == Identity:
		last = s.Act
	case s.Act != Identity:
		return 0, 0, 0, true
	}
	if !clamp(last) {
		return 0, 0, 0, true
	}
	if s.Residual != nil {
		flags |= convResidual
	}
	return flags, lo, hi, false
}

func convAsm(t isa, g Conv, x, w, y []float32) {
	if !g.check(x, w, y, t.lanes()) {
		return
	}
	g.flatten()
	flags, lo, hi, late := g.epilogue()
	lanes := t.lanes()
	patch := g.Segs * g.K
	var shift [32]float32
	a := convArgs{
		lines: g.Rows, segs: g.Segs, k: g.K,
		xRow: 4 * g.XRow, xCol: 4 * g.XCol, xSkip: 4 * (g.XSeg - g.K),
		yRow: 4 * g.YRow, yCol: 4 * g.YCol, rRow: 4 * g.RRow, lo: lo, hi: hi,
	}
	// Tiles of nearly equal height: tall of them one pixel higher than the rest.
	tiles := (g.Cols + t.convTile() - 1) / t.convTile()
	height, tall := g.Cols/tiles, g.Cols%tiles
	for j := 0; j < g.N; j += 2 * lanes {
		cols := min(2*lanes, g.N-j)
		a.w = &w[patch*j]
		a.vectors = (cols + lanes - 1) / lanes
		a.lanes, a.flags = cols-(a.vectors-1)*lanes, flags
		if a.lanes < lanes {
			a.flags |= convCut
		}
		// While the few tiles of a small image use this panel, they fetch the next.
		panel := 4 * patch * a.vectors * lanes
		steps := g.Rows * tiles * g.Segs * (g.K / 4)
		if a.ahead, a.pace = 0, 0; g.Rows*tiles <= 16 && steps > 0 && len(w)-patch*j > panel/4 {
			a.ahead, a.pace = panel, panel/steps
		}
		switch {
		case g.Shift == nil:
			a.shift = &shift[0]
		case a.lanes == lanes:
			a.shift = &g.Shift[j]
		default:
			clear(shift[copy(shift[:], g.Shift[j:]):])
			a.shift = &shift[0]
		}
		for _, part := range [2]struct{ first, tiles, pixels int }{{0, tall, height + 1}, {tall * (height + 1), tiles - tall, height}} {
			if part.tiles == 0 {
				continue
			}
			a.tiles, a.pixels = part.tiles, part.pixels
			a.x, a.y = &x[part.first*g.XCol], &y[part.first*g.YCol+j]
			if flags&convResidual != 0 {
				a.residual = &g.Residual[part.first*g.YCol+j]
			}
			t.conv(&a)
			a.ahead += a.pace * (g.Rows * part.tiles * g.Segs * (g.K / 4))
		}
	}
	if late {
		g.late(t, y)
	}
}

// late applies the epilogue of g but for the shift to y.
func (g *Conv) late(t isa, y []float32) {
	for r := range g.Rows {
		for c := range g.Cols {
			row := y[r*g.YRow+c*g.YCol:][:g.N]
			applyAsm(t, row, row, g.Act)
			if g.Residual != nil {
				addAsm(t, row, g.Residual[r*g.RRow+c*g.YCol:])
			}
			if g.Last != Identity {
				applyAsm(t, row, row, g.Last)
			}
		}
	}
}

func scaleRowsAsm(t isa, dst, src, scale []float32) {
	if len(scale) == 0 {
		return
	}
	n := len(dst) / len(scale)
	if n == 0 || n%t.lanes() != 0 {
		scaleRowsGo(dst, src, scale)
		return
	}
	src = need(src, n*len(scale))
	t.scaleRows(&dst[0], &src[0], &scale[0], len(scale), n/t.lanes())
}
