package kernel

import "fmt"

// Depthwise is a depthwise convolution whose input holds its padding, on some
// of the channels of its tensors:
//
//	y[r][c][j] = act(shift[j] + sum_ky sum_kx x[(r*Stride+ky)*XRow+(c*Stride+kx)*XCol+j] * w[(ky*K+kx)*WTap+j])
type Depthwise struct {
	C, K, Stride           int
	Rows, Cols             int // pixels of y
	XRow, XCol, YRow, YCol int // floats from row to row, pixel to pixel
	WTap                   int // floats of w from tap to tap

	Shift []float32 // [C]; nil for zeros
	Act   Act
}

// check panics if the geometry is impossible or a slice too short for it; it
// reports whether there is anything to do.
func (s *Depthwise) check(x, w, y, sums []float32) bool {
	if min(s.C, s.Rows, s.Cols, s.XRow, s.XCol, s.YRow, s.YCol, s.WTap) < 0 || s.K < 1 || s.Stride < 1 || s.Act >= numActs {
		panic(fmt.Sprintf("kernel: depthwise convolution of %+v", *s))
	}
	if s.C == 0 || s.Rows == 0 || s.Cols == 0 {
		return false
	}
	need(x, ((s.Rows-1)*s.Stride+s.K-1)*s.XRow+((s.Cols-1)*s.Stride+s.K-1)*s.XCol+s.C)
	need(w, (s.K*s.K-1)*s.WTap+s.C)
	need(y, (s.Rows-1)*s.YRow+(s.Cols-1)*s.YCol+s.C)
	if s.Shift != nil {
		need(s.Shift, s.C)
	}
	if sums != nil {
		need(sums, s.C)
	}
	return true
}

func depthwiseGo(s Depthwise, x, w, y, sums []float32) {
	if !s.check(x, w, y, sums) {
		return
	}
	c := s.C
	for r := range s.Rows {
		for col := range s.Cols {
			out := y[r*s.YRow+col*s.YCol:][:c]
			if s.Shift != nil {
				copy(out, s.Shift)
			} else {
				clear(out)
			}
			for ky := range s.K {
				for kx := range s.K {
					mulAddGo(out, x[(r*s.Stride+ky)*s.XRow+(col*s.Stride+kx)*s.XCol:], w[(ky*s.K+kx)*s.WTap:])
				}
			}
			if s.Act != Identity {
				applyGo(out, out, s.Act)
			}
			if sums != nil {
				addGo(sums[:c], out)
			}
		}
	}
}

// check panics if the geometry is impossible or a slice too short for it; it
// reports whether there are channels and pixels at all.
func (s DW) check(x, w, y []float32) bool {
	if s.C < 0 || s.K < 1 || s.Stride < 1 || s.OutH < 0 || s.OutW < 0 || s.InH < 0 || s.InW < 0 ||
		s.OutH > 0 && s.OutW > 0 && (s.InH < (s.OutH-1)*s.Stride+s.K || s.InW < (s.OutW-1)*s.Stride+s.K) {
		panic(fmt.Sprintf("kernel: depthwise convolution of %+v", s))
	}
	need(x, s.InH*s.InW*s.C)
	need(w, s.K*s.K*s.C)
	need(y, s.OutH*s.OutW*s.C)
	return s.C > 0 && s.OutH > 0 && s.OutW > 0
}

// taps calls f with the slices of C channels of every product of the
// convolution: an input, a weight, an output.
func (s DW) taps(x, w, y []float32, f func(in, wt, out []float32)) {
	c := s.C
	for oy := range s.OutH {
		for ox := range s.OutW {
			out := y[(oy*s.OutW+ox)*c:][:c]
			for ky := range s.K {
				for kx := range s.K {
					in := x[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					f(in, w[(ky*s.K+kx)*c:][:c], out)
				}
			}
		}
	}
}

// DWForward computes y = depthwise(x) with w [K*K,C].
func (impl *Impl) DWForward(s DW, x, w, y []float32) {
	if !s.check(x, w, y) {
		return
	}
	impl.Depthwise(Depthwise{
		C: s.C, K: s.K, Stride: s.Stride, Rows: s.OutH, Cols: s.OutW,
		XRow: s.InW * s.C, XCol: s.C, WTap: s.C, YRow: s.OutW * s.C, YCol: s.C,
	}, x, w, y, nil)
}

func dwBackwardInputGo(s DW, dy, w, dx []float32) {
	s.check(dx, w, dy)
	clear(dx[:s.InH*s.InW*s.C])
	s.taps(dx, w, dy, func(in, wt, out []float32) { mulAddGo(in, out, wt) })
}

func dwBackwardWeightGo(s DW, x, dy, dw []float32) {
	if s.check(x, dw, dy) {
		s.taps(x, dw, dy, func(in, wt, out []float32) { mulAddGo(wt, in, out) })
	}
}

// mulAddGo computes dst += x*y.
func mulAddGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] += x[i] * y[i]
	}
}
