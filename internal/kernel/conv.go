package kernel

import "fmt"

// Conv is a convolution as sums of products over runs of memory: the patch of
// x under a pixel of y is Segs runs of K floats. A 1x1 convolution has one run,
// the channels of the pixel; a k x k one has k runs of k pixels, so that x must
// hold its padding. A matrix product has one row.
//
//	y[r][c][j] = last(act(shift[j] + sum_s sum_p x[r*XRow+c*XCol+s*XSeg+p] * w[s*K+p][j]) + residual[r][c][j])
type Conv struct {
	Rows, Cols, N    int // pixels and channels of y
	Segs, K          int
	XRow, XCol, XSeg int // floats of x from row to row, pixel to pixel, run to run
	YRow, YCol       int // floats of y from row to row, pixel to pixel

	Shift    []float32 // [N]; nil for zeros
	Act      Act
	Residual []float32 // nil for none; its pixels are YCol floats apart
	RRow     int       // floats of Residual from row to row
	Last     Act
}

// check panics if the geometry is impossible or a slice too short for it; it
// reports whether there is anything to do.
func (s *Conv) check(x, w, y []float32, lanes int) bool {
	if min(s.Rows, s.Cols, s.N, s.XRow, s.XCol, s.XSeg, s.YRow, s.YCol, s.RRow) < 0 || s.Segs < 1 || s.K < 1 || s.Act >= numActs || s.Last >= numActs {
		panic(fmt.Sprintf("kernel: convolution of %+v", *s))
	}
	if s.Rows == 0 || s.Cols == 0 || s.N == 0 {
		return false
	}
	need(x, (s.Rows-1)*s.XRow+(s.Cols-1)*s.XCol+(s.Segs-1)*s.XSeg+s.K)
	need(w, packedSize(s.Segs*s.K, s.N, lanes))
	need(y, (s.Rows-1)*s.YRow+(s.Cols-1)*s.YCol+s.N)
	if s.Shift != nil {
		need(s.Shift, s.N)
	}
	if s.Residual != nil {
		need(s.Residual, (s.Rows-1)*s.RRow+(s.Cols-1)*s.YCol+s.N)
	}
	return true
}

// flatten joins the rows of s into one if they follow each other everywhere.
func (s *Conv) flatten() {
	if s.XRow == s.Cols*s.XCol && s.YRow == s.Cols*s.YCol && (s.Residual == nil || s.RRow == s.YRow) {
		s.Cols, s.Rows = s.Rows*s.Cols, 1
	}
}

// A packed weight [k, n] is cut into panels of Panel columns, one after the
// other, each with its rows one after the other. The last panel is as wide as
// its columns need, in whole vectors of Lanes, and filled up with zeros.
func packedSize(k, n, lanes int) int { return k * ((n + lanes - 1) / lanes * lanes) }

// PackedSize is the number of floats of a packed weight [k, n].
func (impl *Impl) PackedSize(k, n int) int { return packedSize(k, n, impl.Lanes) }

// Pack lays out the weight w [k, n] in dst for Conv. The columns from a multiple
// j of Panel on are at dst[k*j:].
func (impl *Impl) Pack(dst []float32, k, n int, w []float32) {
	dst, w = need(dst, impl.PackedSize(k, n)), need(w, k*n)
	for j := 0; j < n; j += impl.Panel {
		cols := min(impl.Panel, n-j)
		width := packedSize(1, cols, impl.Lanes)
		for p := range k {
			row := dst[k*j+p*width:][:width]
			clear(row[copy(row, w[p*n+j:][:cols]):])
		}
	}
}

// ScalePacked multiplies each row p of a packed weight [k, n] by scale[p].
func (impl *Impl) ScalePacked(dst, src []float32, k, n int, scale []float32) {
	size := impl.PackedSize(k, n)
	dst, src = need(dst, size), need(src, size)
	for j := 0; j < n; j += impl.Panel {
		width := packedSize(1, min(impl.Panel, n-j), impl.Lanes)
		impl.ScaleRows(dst[k*j:][:k*width], src[k*j:], scale[:k])
	}
}

// scaleRowsGo computes dst = scale*src for rows of len(dst)/len(scale) floats.
func scaleRowsGo(dst, src, scale []float32) {
	if len(scale) == 0 {
		return
	}
	n := len(dst) / len(scale)
	src = need(src, n*len(scale))
	for r, f := range scale {
		for i := r * n; i < (r+1)*n; i++ {
			dst[i] = f * src[i]
		}
	}
}

const (
	convPanelGo = 8
	convLanesGo = 4
)

func convGo(s Conv, x, w, y []float32) {
	if !s.check(x, w, y, convLanesGo) {
		return
	}
	patch := s.Segs * s.K
	for j := 0; j < s.N; j += convLanesGo {
		first := j / convPanelGo * convPanelGo
		width := min(convPanelGo, packedSize(1, s.N-first, convLanesGo))
		panel := w[patch*first+j-first:]
		cols := min(convLanesGo, s.N-j)
		for r := range s.Rows {
			for c := 0; c < s.Cols; c += 4 {
				var sums [4][convLanesGo]float32
				n := min(4, s.Cols-c)
				if s.Shift != nil {
					for i := range sums {
						copy(sums[i][:], s.Shift[j:s.N])
					}
				}
				// Pixels that are not there repeat the last one.
				at := r*s.XRow + c*s.XCol
				for q := range s.Segs {
					from := at + q*s.XSeg
					convTileGo(&sums, s.K, x[from:], x[from+min(1, n-1)*s.XCol:], x[from+min(2, n-1)*s.XCol:], x[from+(n-1)*s.XCol:], panel[q*s.K*width:], width)
				}
				for i := range n {
					row := y[r*s.YRow+(c+i)*s.YCol+j:][:cols]
					copy(row, sums[i][:])
					applyGo(row, row, s.Act)
					if s.Residual != nil {
						addGo(row, s.Residual[r*s.RRow+(c+i)*s.YCol+j:])
					}
					if s.Last != Identity {
						applyGo(row, row, s.Last)
					}
				}
			}
		}
	}
}

// convTileGo adds the products of k columns of four pixels to their sums.
func convTileGo(sums *[4][convLanesGo]float32, k int, x0, x1, x2, x3, w []float32, width int) {
	s00, s01, s02, s03 := sums[0][0], sums[0][1], sums[0][2], sums[0][3]
	s10, s11, s12, s13 := sums[1][0], sums[1][1], sums[1][2], sums[1][3]
	s20, s21, s22, s23 := sums[2][0], sums[2][1], sums[2][2], sums[2][3]
	s30, s31, s32, s33 := sums[3][0], sums[3][1], sums[3][2], sums[3][3]
	x0, x1, x2, x3 = x0[:k], x1[:k], x2[:k], x3[:k]
	for p := range k {
		b := w[p*width:][:4]
		b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
		x := x0[p]
		s00 += x * b0
		s01 += x * b1
		s02 += x * b2
		s03 += x * b3
		x = x1[p]
		s10 += x * b0
		s11 += x * b1
		s12 += x * b2
		s13 += x * b3
		x = x2[p]
		s20 += x * b0
		s21 += x * b1
		s22 += x * b2
		s23 += x * b3
		x = x3[p]
		s30 += x * b0
		s31 += x * b1
		s32 += x * b2
		s33 += x * b3
	}
	*sums = [4][convLanesGo]float32{{s00, s01, s02, s03}, {s10, s11, s12, s13}, {s20, s21, s22, s23}, {s30, s31, s32, s33}}
}
