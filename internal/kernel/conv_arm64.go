//go:build !purego

package kernel

// convTile is the height of the largest tile.
func (t isa) convTile() int { return 8 }

func (t isa) conv(a *convArgs) { convNEON(a) }

func (t isa) scaleRows(dst, src, scale *float32, rows, vectors int) {
	scaleRowsNEON(dst, src, scale, rows, vectors)
}

//go:noescape
func convNEON(args *convArgs)

//go:noescape
func scaleRowsNEON(dst, src, scale *float32, rows, vectors int)
