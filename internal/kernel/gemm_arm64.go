//go:build !purego

package kernel

// gemmRows is the height of a tile of so many columns.
func (t isa) gemmRows(int) int { return 8 }

// gemmTiles computes tiles of C below each other. Strides are in bytes.
func (t isa) gemmTiles(tiles, rows, cols, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int, _ *Ahead) {
	gemmNEON(tiles, rows, cols, k, a, ars, acs, b, ldb, c, ldc, acc)
}

//go:noescape
func gemmNEON(tiles, rows, cols, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int)
