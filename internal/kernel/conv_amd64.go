//go:build !purego

package kernel

// convTile is the height of the largest tile.
func (t isa) convTile() int {
	if t == avx512 {
		return 14
	}
	return 6
}

func (t isa) conv(a *convArgs) {
	if t == avx512 {
		convAVX512(a)
	} else {
		convAVX2(a)
	}
}

func (t isa) scaleRows(dst, src, scale *float32, rows, vectors int) {
	if t == avx512 {
		scaleRowsAVX512(dst, src, scale, rows, vectors)
	} else {
		scaleRowsAVX2(dst, src, scale, rows, vectors)
	}
}

//go:noescape
func convAVX512(args *convArgs)

//go:noescape
func convAVX2(args *convArgs)

//go:noescape
func scaleRowsAVX512(dst, src, scale *float32, rows, vectors int)

//go:noescape
func scaleRowsAVX2(dst, src, scale *float32, rows, vectors int)
