package kernel

import "fmt"

// Winograd is a 3x3 convolution of stride 1 in 16/36 of the products, as in
// "Fast Algorithms for Convolutional Neural Networks" (Lavin and Gray, 2016):
// tiles of 2x2 pixels of y are made from 4x4 pixels of x, which hold the padding,
// by a transform, 16 matrix products and a transform back. It is done for a pair
// of rows of y:
//
//	v = WinogradInput(x)     [16, Tiles, C]
//	m[p] = v[p] * u[p]       [16, Tiles, N], u [16, C, N] from WinogradWeight
//	y = WinogradOutput(m)
//
// Backwards, x has the same convolution of y's gradient, with u's points and channels
// exchanged, for its gradient, and u has
//
//	e = WinogradGradient(dy)  [16, Tiles, N]
//	du[p] = v[p]^T * e[p]     [16, C, N], the gradient of w by WinogradTaps
type Winograd struct {
	Tiles      int // of the pair of rows: half of its pixels across, rounded up
	C          int // channels of x, or of m and y
	Point      int // floats of v, m or e from point to point; 0: Tiles*C
	XRow, XCol int // floats of x from row to row, pixel to pixel

	Rows, Cols int // pixels of y: 1 or 2 rows, at most 2*Tiles columns
	YRow, YCol int // floats of y from row to row, pixel to pixel
	Shift      []float32
	Act        Act
}

func (s *Winograd) check(v []float32) bool {
	if min(s.Tiles, s.C, s.Point, s.XRow, s.XCol, s.Rows, s.Cols, s.YRow, s.YCol) < 0 || s.Act >= numActs || s.Rows > 2 || s.Cols > 2*s.Tiles {
		panic(fmt.Sprintf("kernel: Winograd convolution of %+v", *s))
	}
	need(v, 15*s.point()+s.Tiles*s.C)
	return s.Tiles > 0 && s.C > 0
}

func (s *Winograd) point() int {
	if s.Point == 0 {
		return s.Tiles * s.C
	}
	return s.Point
}

func (s *Winograd) checkInput(x, v []float32) bool {
	if !s.check(v) {
		return false
	}
	need(x, 3*s.XRow+(2*s.Tiles+1)*s.XCol+s.C)
	return true
}

func (s *Winograd) checkGradient(dy, e []float32) bool {
	if !s.check(e) {
		return false
	}
	need(dy, s.XRow+(2*s.Tiles-1)*s.XCol+s.C)
	return true
}

func (s *Winograd) checkOutput(m, y []float32) bool {
	if !s.check(m) || s.Rows == 0 || s.Cols == 0 {
		return false
	}
	need(y, (s.Rows-1)*s.YRow+(s.Cols-1)*s.YCol+s.C)
	if s.Shift != nil {
		need(s.Shift, s.C)
	}
	return true
}

// WinogradWeight transforms the weight w [3, 3, cin*cout] to u [16, cin*cout].
func WinogradWeight(u, w []float32) {
	n := len(w) / 9
	for i := range n {
		var taps [9]float32
		for k := range taps {
			taps[k] = w[k*n+i]
		}
		for p, v := range WinogradPoints(&taps) {
			u[p*n+i] = v
		}
	}
}

// WinogradPoints transforms one element's 9 taps, row by row, to its 16 points.
func WinogradPoints(w *[9]float32) (u [16]float32) {
	var t [4][3]float64
	for j := range 3 {
		a, b, c := float64(w[j]), float64(w[3+j]), float64(w[6+j])
		t[0][j], t[1][j], t[2][j], t[3][j] = a, (a+b+c)/2, (a-b+c)/2, c
	}
	for i, t := range t {
		a, b, c := t[0], t[1], t[2]
		u[4*i], u[4*i+1], u[4*i+2], u[4*i+3] = float32(a), float32((a+b+c)/2), float32((a-b+c)/2), float32(c)
	}
	return u
}

// WinogradTaps transforms the gradients at one element's 16 points to those at
// its 9 taps.
func WinogradTaps(du *[16]float32) (dw [9]float32) {
	var t [3][4]float32
	for j := range 4 {
		a, b, c, d := du[j], du[4+j], du[8+j], du[12+j]
		sum := (b + c) / 2
		t[0][j], t[1][j], t[2][j] = a+sum, (b-c)/2, sum+d
	}
	for i, t := range t {
		sum := (t[1] + t[2]) / 2
		dw[3*i], dw[3*i+1], dw[3*i+2] = t[0]+sum, (t[1]-t[2])/2, sum+t[3]
	}
	return dw
}

// WinogradFlipped is the point of a weight that equals point p of the weight
// turned by half a turn.
func WinogradFlipped(p int) int {
	flip := [4]int{3, 1, 2, 0}
	return 4*flip[p/4] + flip[p%4]
}

func winogradInputGo(s Winograd, x, v []float32) {
	if !s.checkInput(x, v) {
		return
	}
	point := s.point()
	for tile := range s.Tiles {
		for c := range s.C {
			var t [4][4]float32
			for j := range 4 {
				at := 2*tile*s.XCol + j*s.XCol + c
				d0, d1, d2, d3 := x[at], x[at+s.XRow], x[at+2*s.XRow], x[at+3*s.XRow]
				t[0][j], t[1][j], t[2][j], t[3][j] = d0-d2, d1+d2, d2-d1, d1-d3
			}
			for i, t := range t {
				out := v[4*i*point+tile*s.C+c:]
				out[0], out[point], out[2*point], out[3*point] = t[0]-t[2], t[1]+t[2], t[2]-t[1], t[1]-t[3]
			}
		}
	}
}

func winogradOutputGo(s Winograd, m, y []float32) {
	if !s.checkOutput(m, y) {
		return
	}
	point := s.point()
	for tile := range s.Tiles {
		for c := range s.C {
			shift := float32(0)
			if s.Shift != nil {
				shift = s.Shift[c]
			}
			var t [2][4]float32
			for j := range 4 {
				at := j*point + tile*s.C + c
				m0, m1, m2, m3 := m[at], m[at+4*point], m[at+8*point], m[at+12*point]
				t[0][j], t[1][j] = m0+m1+m2, m1-m2-m3
			}
			for r, t := range t[:s.Rows] {
				pair := [2]float32{t[0] + t[1] + t[2] + shift, t[1] - t[2] - t[3] + shift}
				applyGo(pair[:], pair[:], s.Act)
				for i, v := range pair {
					if col := 2*tile + i; col < s.Cols {
						y[r*s.YRow+col*s.YCol+c] = v
					}
				}
			}
		}
	}
}

func winogradGradientGo(s Winograd, dy, e []float32) {
	if !s.checkGradient(dy, e) {
		return
	}
	point := s.point()
	for tile := range s.Tiles {
		for c := range s.C {
			var t [4][2]float32
			for j := range 2 {
				at := (2*tile+j)*s.XCol + c
				d0, d1 := dy[at], dy[at+s.XRow]
				t[0][j], t[1][j], t[2][j], t[3][j] = d0, d0+d1, d0-d1, -d1
			}
			for i, t := range t {
				out := e[4*i*point+tile*s.C+c:]
				out[0], out[point], out[2*point], out[3*point] = t[0], t[0]+t[1], t[0]-t[1], -t[1]
			}
		}
	}
}
