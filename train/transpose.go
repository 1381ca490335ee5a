package train

import "effnet/internal/kernel"

// panels writes src [rows, cols] into dst in panels, as kernel.InPanels says.
func panels(dst, src []float32, rows, cols int) {
	for j := 0; j < cols; j += kernel.PanelCols {
		n := min(kernel.PanelCols, cols-j)
		for i := range rows {
			copy(dst[j*rows+i*n:][:n], src[i*cols+j:])
		}
	}
}

// transposePanels writes the transpose of src [rows, cols] into dst in panels.
func transposePanels(dst, src []float32, rows, cols int) {
	for i := 0; i < rows; i += kernel.PanelCols {
		n := min(kernel.PanelCols, rows-i)
		transpose(dst[i*cols:], n, src[i*cols:], cols, n, cols, false)
	}
}

// transpose writes src [rows, cols] into dst [cols, rows], whose rows are ldd
// apart, or adds it; those of src are lds apart.
func transpose(dst []float32, ldd int, src []float32, lds, rows, cols int, add bool) {
	// Blocks whose rows are a cache line in both, of squares that fit registers.
	const side, square = 16, 4
	for i := 0; i < rows; i += side {
		m := min(side, rows-i)
		for j := 0; j < cols; j += side {
			n := min(side, cols-j)
			to, from := dst[j*ldd+i:], src[i*lds+j:]
			r, c := 0, 0
			if !add {
				for r = 0; r+square <= m; r += square {
					for c = 0; c+square <= n; c += square {
						transposeSquare(to[c*ldd+r:], ldd, from[r*lds+c:], lds)
					}
				}
			}
			transposeRest(to, ldd, from, lds, m, n, r, c, add)
		}
	}
}

// transposeSquare is transpose of 4 by 4.
func transposeSquare(dst []float32, ldd int, src []float32, lds int) {
	a := (*[4]float32)(src)
	b := (*[4]float32)(src[lds:])
	c := (*[4]float32)(src[2*lds:])
	d := (*[4]float32)(src[3*lds:])
	*(*[4]float32)(dst) = [4]float32{a[0], b[0], c[0], d[0]}
	*(*[4]float32)(dst[ldd:]) = [4]float32{a[1], b[1], c[1], d[1]}
	*(*[4]float32)(dst[2*ldd:]) = [4]float32{a[2], b[2], c[2], d[2]}
	*(*[4]float32)(dst[3*ldd:]) = [4]float32{a[3], b[3], c[3], d[3]}
}

// transposeRest is transpose without the first [doneRows, doneCols] of src.
func transposeRest(dst []float32, ldd int, src []float32, lds, rows, cols, doneRows, doneCols int, add bool) {
	for r := range rows {
		c := 0
		if r < doneRows {
			c = doneCols
		}
		for ; c < cols; c++ {
			v := src[r*lds+c]
			if add {
				v += dst[c*ldd+r]
			}
			dst[c*ldd+r] = v
		}
	}
}
