//go:build !purego

package kernel

// winogradArgs is a call of one of Winograd's transforms. Steps are in bytes.
type winogradArgs struct {
	x, m, y, shift      *float32
	tiles, c            int
	xTile, mTile, yTile int // from tile to tile
	xRow, xCol          int
	point, point4       int // from point to point of m, and four times that
	yRow, yCol          int
	flags               int
	lo, hi              float32
}

const (
	winogradSwish = 1 << iota
	winogradClamp
	winogradRow
	winogradColumn
	winogradShift
	winogradDivide
)

// withWinograd adds the transforms to impl.
func withWinograd(t isa, impl Impl) Impl {
	impl.WinogradInput = func(s Winograd, x, v []float32) { winogradInputAsm(t, s, x, v) }
	impl.WinogradOutput = func(s Winograd, m, y []float32) { winogradOutputAsm(t, s, m, y) }
	impl.WinogradGradient = func(s Winograd, dy, e []float32) { winogradGradientAsm(t, s, dy, e) }
	impl.MinWinograd = 16
	return impl
}

func winogradArgsOf(s Winograd) winogradArgs {
	return winogradArgs{
		tiles: s.Tiles, c: s.C, xTile: 8 * s.XCol, mTile: 4 * s.C, yTile: 8 * s.YCol,
		xRow: 4 * s.XRow, xCol: 4 * s.XCol, point: 4 * s.point(), point4: 16 * s.point(),
		yRow: 4 * s.YRow, yCol: 4 * s.YCol,
	}
}

func winogradInputAsm(t isa, s Winograd, x, v []float32) {
	if t == avx2 && s.C%t.lanes() != 0 {
		winogradInputGo(s, x, v)
		return
	}
	if !s.checkInput(x, v) {
		return
	}
	a := winogradArgsOf(s)
	a.x, a.m = &x[0], &v[0]
	if t == avx512 {
		winogradInputAVX512(&a)
	} else {
		winogradInputAVX2(&a)
	}
}

func winogradGradientAsm(t isa, s Winograd, dy, e []float32) {
	if t == avx2 && s.C%t.lanes() != 0 {
		winogradGradientGo(s, dy, e)
		return
	}
	if !s.checkGradient(dy, e) {
		return
	}
	a := winogradArgsOf(s)
	a.x, a.m = &dy[0], &e[0]
	if t == avx512 {
		winogradGradientAVX512(&a)
	} else {
		winogradGradientAVX2(&a)
	}
}

func winogradOutputAsm(t isa, s Winograd, m, y []float32) {
	epilogue := Depthwise{Act: s.Act}
	dw, lo, hi, late := epilogue.epilogue()
	if late || t == avx2 && s.C%t.lanes() != 0 {
		winogradOutputGo(s, m, y)
		return
	}
	if !s.checkOutput(m, y) {
		return
	}
	a := winogradArgsOf(s)
	a.lo, a.hi = lo, hi
	for _, flag := range [...][2]int{{dwSwish, winogradSwish}, {dwClamp, winogradClamp}, {dwDivide, winogradDivide}} {
		if dw&flag[0] != 0 {
			a.flags |= flag[1]
		}
	}
	if s.Shift != nil {
		a.flags |= winogradShift
		a.shift = &s.Shift[0]
	}
	if s.Rows == 2 {
		a.flags |= winogradRow
	}
	// First the tiles of two columns, then the one of one.
	for _, part := range [2]struct{ first, tiles, flags int }{{0, s.Cols / 2, winogradColumn}, {s.Cols / 2, s.Cols % 2, 0}} {
		if part.tiles == 0 {
			continue
		}
		p := a
		p.tiles, p.m, p.y = part.tiles, &m[part.first*s.C], &y[2*part.first*s.YCol]
		p.flags |= part.flags
		if t == avx512 {
			winogradOutputAVX512(&p)
		} else {
			winogradOutputAVX2(&p)
		}
	}
}

//go:noescape
func winogradInputAVX512(args *winogradArgs)

//go:noescape
func winogradInputAVX2(args *winogradArgs)

//go:noescape
func winogradOutputAVX512(args *winogradArgs)

//go:noescape
func winogradOutputAVX2(args *winogradArgs)

//go:noescape
func winogradGradientAVX512(args *winogradArgs)

//go:noescape
func winogradGradientAVX2(args *winogradArgs)
