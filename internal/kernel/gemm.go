package kernel

import "fmt"

// gemmK is how many products are summed before the sum is added to C. It is
// part of the definition of Gemm: it bounds the growth of rounding errors over
// a long k.
const gemmK = 256

// InPanels, in the place of ldb, says that B [k,n] lies in panels of PanelCols
// columns, the last one of what is left: one panel after the other, each row by
// row. What is read one after the other then lies so, which counts where B
// comes from an outer cache for few rows of A.
const (
	InPanels  = -1
	PanelCols = 32 // a multiple of every kernel's NR
)

// placeB is where element (p,j) of B lies, and how far the next row is.
func placeB(p, j, n, k, ldb int) (at, ld int) {
	if ldb != InPanels {
		return p*ldb + j, ldb
	}
	first := j &^ (PanelCols - 1)
	cols := min(PanelCols, n-first)
	return first*k + p*cols + j - first, cols
}

// checkGemm panics if a call is outside its slices, and settles the calls
// without products; it reports whether anything is left to do.
func checkGemm(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) bool {
	if m < 0 || n < 0 || k < 0 || ars < 0 || acs < 0 || ldb < InPanels || ldc < 0 {
		panic(fmt.Sprintf("kernel: Gemm of m=%d n=%d k=%d ars=%d acs=%d ldb=%d ldc=%d", m, n, k, ars, acs, ldb, ldc))
	}
	if m == 0 || n == 0 {
		return false
	}
	_ = c[(m-1)*ldc+n-1]
	if k == 0 {
		for i := 0; i < m && !acc; i++ {
			clear(c[i*ldc:][:n])
		}
		return false
	}
	last, _ := placeB(k-1, n-1, n, k, ldb)
	_, _ = a[(m-1)*ars+(k-1)*acs], b[last]
	return true
}

// gemmGo keeps a tile of 4x4 sums of C in variables over a block of k.
func gemmGo(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool, _ *Ahead) {
	if !checkGemm(m, n, k, a, ars, acs, b, ldb, c, ldc, acc) {
		return
	}
	for p := 0; p < k; p += gemmK {
		steps := min(gemmK, k-p)
		add := acc || p > 0
		for i := 0; i < m; i += 4 {
			for j := 0; j < n; j += 4 {
				at, ld := placeB(p, j, n, k, ldb)
				ta, tb, tc := a[i*ars+p*acs:], b[at:], c[i*ldc+j:]
				if m-i >= 4 && n-j >= 4 {
					gemmTileGo(steps, ta, ars, acs, tb, ld, tc, ldc, add)
				} else {
					gemmEdgeGo(min(4, m-i), min(4, n-j), steps, ta, ars, acs, tb, ld, tc, ldc, add)
				}
			}
		}
	}
}

func gemmTileGo(k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	var s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33 float32
	for p := range k {
		r := b[p*ldb:][:4]
		b0, b1, b2, b3 := r[0], r[1], r[2], r[3]
		col := a[p*acs:]
		x := col[0]
		s00 += x * b0
		s01 += x * b1
		s02 += x * b2
		s03 += x * b3
		x = col[ars]
		s10 += x * b0
		s11 += x * b1
		s12 += x * b2
		s13 += x * b3
		x = col[2*ars]
		s20 += x * b0
		s21 += x * b1
		s22 += x * b2
		s23 += x * b3
		x = col[3*ars]
		s30 += x * b0
		s31 += x * b1
		s32 += x * b2
		s33 += x * b3
	}
	for i, s := range [4][4]float32{{s00, s01, s02, s03}, {s10, s11, s12, s13}, {s20, s21, s22, s23}, {s30, s31, s32, s33}} {
		row := c[i*ldc:][:4]
		if acc {
			for j, v := range row {
				s[j] += v
			}
		}
		copy(row, s[:])
	}
}

func gemmEdgeGo(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	for i := range m {
		for j := range n {
			var s float32
			for p := range k {
				s += a[i*ars+p*acs] * b[p*ldb+j]
			}
			if acc {
				s += c[i*ldc+j]
			}
			c[i*ldc+j] = s
		}
	}
}
