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
type Winograd struct {
	Tiles      int // of the pair of rows: half of its pixels across, rounded up
	C          int // channels of x, or of m and y
	XRow, XCol int // floats of x from row to row, pixel to pixel

	Rows, Cols int // pixels of y: 1 or 2 rows, at most 2*Tiles columns
	YRow, YCol int // floats of y from row to row, pixel to pixel
	Shift      []float32
	Act        Act
}

func (s *Winograd) check(v []float32) bool {
	if min(s.Tiles, s.C, s.XRow, s.XCol, s.Rows, s.Cols, s.YRow, s.YCol) < 0 || s.Act >= numActs || s.Rows > 2 || s.Cols > 2*s.Tiles {
		panic(fmt.Sprintf("kernel: Winograd convolution of %+v", *s))
	}
	need(v, 16*s.Tiles*s.C)
	return s.Tiles > 0 && s.C > 0
}

func (s *Winograd) checkInput(x, v []float32) bool {
	if !s.check(v) {
		return false
	}
	need(x, 3*s.XRow+(2*s.Tiles+1)*s.XCol+s.C)
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
		var t [4][3]float64
		for kx := range 3 {
			a, b, c := float64(w[kx*n+i]), float64(w[(3+kx)*n+i]), float64(w[(6+kx)*n+i])
			t[0][kx], t[1][kx], t[2][kx], t[3][kx] = a, (a+b+c)/2, (a-b+c)/2, c
		}
		for r, t := range t {
			a, b, c := t[0], t[1], t[2]
			for col, v := range [4]float64{a, (a + b + c) / 2, (a - b + c) / 2, c} {
				u[(4*r+col)*n+i] = float32(v)
			}
		}
	}
}

func winogradInputGo(s Winograd, x, v []float32) {
	if !s.checkInput(x, v) {
		return
	}
	point := s.Tiles * s.C
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
	point := s.Tiles * s.C
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
