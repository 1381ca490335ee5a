//go:build !purego

package kernel

// gemmRows is the height of a tile of so many columns.
func (t isa) gemmRows(cols int) int {
	if t == avx512 || cols <= 8 {
		return 12
	}
	return 6
}

// gemmTiles computes tiles of C below each other. Strides are in bytes.
func (t isa) gemmTiles(tiles, rows, cols, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int, ahead *Ahead) {
	if t == avx512 {
		next, step := ahead.take(tiles*k, 16)
		gemmAVX512(tiles, rows, cols, k, a, ars, acs, b, ldb, c, ldc, acc, next, step)
	} else {
		next, step := ahead.take(tiles*k, 4) // its steps are short
		gemmAVX2(tiles, rows, cols, k, a, ars, acs, b, ldb, c, ldc, acc, next, step)
	}
}

//go:noescape
func gemmAVX512(tiles, rows, cols, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int, ahead *float32, stride int)

//go:noescape
func gemmAVX2(tiles, rows, cols, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int, ahead *float32, stride int)
