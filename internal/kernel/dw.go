package kernel

import "fmt"

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

func dwForwardGo(s DW, x, w, y []float32) {
	if s.check(x, w, y) {
		clear(y[:s.OutH*s.OutW*s.C])
		s.taps(x, w, y, func(in, wt, out []float32) { mulAddGo(out, in, wt) })
	}
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
