package kernel

import "math"

// Generic is the pure-Go implementation, the definition of every kernel.
var Generic = Impl{
	Name: "go", MR: 4, NR: 4,
	Gemm:             gemmGo,
	DWForward:        dwForwardGo,
	DWBackwardInput:  dwBackwardInputGo,
	DWBackwardWeight: dwBackwardWeightGo,
	ScaleAct:         scaleActGo,
	Moments:          momentsGo,
	ActBackward:      actBackwardGo,
	Affine2:          affine2Go,
	SumRows:          sumRowsGo,
	DotRows:          dotRowsGo,
	Add:              addGo,
	Axpy:             axpyGo,
	Apply:            applyGo,
}

func dwForwardGo(s DW, x, w, y []float32) {
	c := s.C
	for oy := range s.OutH {
		for ox := range s.OutW {
			out := y[(oy*s.OutW+ox)*c:][:c]
			clear(out)
			for ky := range s.K {
				for kx := range s.K {
					in := x[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					wt := w[(ky*s.K+kx)*c:][:c]
					for i := range out {
						out[i] += in[i] * wt[i]
					}
				}
			}
		}
	}
}

func dwBackwardInputGo(s DW, dy, w, dx []float32) {
	c := s.C
	clear(dx[:s.InH*s.InW*c])
	for oy := range s.OutH {
		for ox := range s.OutW {
			g := dy[(oy*s.OutW+ox)*c:][:c]
			for ky := range s.K {
				for kx := range s.K {
					in := dx[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					wt := w[(ky*s.K+kx)*c:][:c]
					for i := range g {
						in[i] += g[i] * wt[i]
					}
				}
			}
		}
	}
}

func dwBackwardWeightGo(s DW, x, dy, dw []float32) {
	c := s.C
	for oy := range s.OutH {
		for ox := range s.OutW {
			g := dy[(oy*s.OutW+ox)*c:][:c]
			for ky := range s.K {
				for kx := range s.K {
					in := x[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					d := dw[(ky*s.K+kx)*c:][:c]
					for i := range g {
						d[i] += in[i] * g[i]
					}
				}
			}
		}
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

func actGo(x float32, act Act) float32 {
	switch act {
	case ReLU:
		return max(x, 0)
	case ReLU6:
		return min(max(x, 0), 6)
	case Swish:
		return x * sigmoid(x)
	case Sigmoid:
		return sigmoid(x)
	}
	return x
}

// actGradGo is the derivative at x. That of swish is s*(1 + x*(1-s)), s = sigmoid(x).
func actGradGo(x float32, act Act) float32 {
	switch act {
	case ReLU:
		if x > 0 {
			return 1
		}
		return 0
	case ReLU6:
		if x > 0 && x < 6 {
			return 1
		}
		return 0
	case Swish:
		s := sigmoid(x)
		return s * (1 + x*(1-s))
	case Sigmoid:
		s := sigmoid(x)
		return s * (1 - s)
	}
	return 1
}

func scaleActGo(dst, src, scale, shift []float32, act Act) {
	c := len(scale)
	for r := 0; r+c <= len(dst); r += c {
		d, s := dst[r:r+c], src[r:r+c]
		for i := range d {
			d[i] = actGo(scale[i]*s[i]+shift[i], act)
		}
	}
}

func momentsGo(x, center, sum, sumsq []float32) {
	c := len(center)
	for r := 0; r+c <= len(x); r += c {
		for i, v := range x[r : r+c] {
			d := v - center[i]
			sum[i] += d
			sumsq[i] += d * d
		}
	}
}

func actBackwardGo(g, dz, y, scale, shift, center []float32, act Act, sumG, sumGY []float32) {
	c := len(scale)
	for r := 0; r+c <= len(g); r += c {
		for i := range c {
			v := dz[r+i] * actGradGo(scale[i]*y[r+i]+shift[i], act)
			g[r+i] = v
			sumG[i] += v
			sumGY[i] += v * (y[r+i] - center[i])
		}
	}
}

func affine2Go(dst, g, y, a, b, c []float32) {
	n := len(a)
	for r := 0; r+n <= len(dst); r += n {
		for i := range n {
			dst[r+i] = a[i]*g[r+i] + b[i]*y[r+i] + c[i]
		}
	}
}

func sumRowsGo(x, sum []float32) {
	c := len(sum)
	for r := 0; r+c <= len(x); r += c {
		addGo(sum, x[r:r+c])
	}
}

func dotRowsGo(x, y, sum []float32) {
	c := len(sum)
	for r := 0; r+c <= len(x); r += c {
		for i := range c {
			sum[i] += x[r+i] * y[r+i]
		}
	}
}

func addGo(dst, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] += src[i]
	}
}

func axpyGo(alpha float32, dst, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] += alpha * src[i]
	}
}

func applyGo(dst, src []float32, act Act) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = actGo(src[i], act)
	}
}
