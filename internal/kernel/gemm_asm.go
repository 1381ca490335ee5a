//go:build (amd64 || arm64) && !purego

package kernel

// Gemm runs as nested blocks around one assembly call, which computes a column
// of tiles: up to gemmM rows of C by one or two vectors of columns, over up to
// gemmK steps. A block of A stays in the second-level cache while the columns
// of B pass over it.
const gemmM = 504

// gemmCols is the width of a tile.
func (t isa) gemmCols() int { return 2 * t.lanes() }

func gemmAsm(t isa, m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool, ahead *Ahead) {
	if !checkGemm(m, n, k, a, ars, acs, b, ldb, c, ldc, acc) {
		return
	}
	nr := t.gemmCols()
	for i := 0; i < m; i += gemmM {
		rows := min(gemmM, m-i)
		for p := 0; p < k; p += gemmK {
			steps := min(gemmK, k-p)
			more := 0
			if acc || p > 0 {
				more = 1
			}
			for j := 0; j < n; j += nr {
				cols := min(nr, n-j)
				// Tiles of nearly equal height: tall of them one row higher than the rest.
				mr := t.gemmRows(cols)
				tiles := (rows + mr - 1) / mr
				height, tall := rows/tiles, rows%tiles
				at, ld := placeB(p, j, n, k, ldb)
				pb := &b[at]
				if tall > 0 {
					t.gemmTiles(tall, height+1, cols, steps, &a[i*ars+p*acs], 4*ars, 4*acs, pb, 4*ld, &c[i*ldc+j], 4*ldc, more, ahead)
				}
				if tall < tiles {
					i := i + tall*(height+1)
					t.gemmTiles(tiles-tall, height, cols, steps, &a[i*ars+p*acs], 4*ars, 4*acs, pb, 4*ld, &c[i*ldc+j], 4*ldc, more, ahead)
				}
			}
		}
	}
}
