package ref

import "effnet/arch"

// A convolution in G groups of a = Cin/G input and b = Cout/G output channels:
//
//	y[oy,ox,o] = bias[o] + sum over ky,kx,c of x[oy*s+ky-top, ox*s+kx-left, g*a+c] * w[o,c,ky,kx]
//
// where g = o/b is the group of o, and x is zero outside the image. G = 1 is a
// dense convolution, G = Cin = Cout a depthwise one.

// taps calls f for every product of the convolution that is not with padding:
// indices into y, x and w.
func (t *Trace) taps(op *arch.Op, f func(yi, xi, wi int)) {
	in, out := t.shape(op, 0), op.Shape
	a, b, k := in.C/op.Groups, out.C/op.Groups, op.Kernel
	for n := range t.N {
		for oy := range out.H {
			for ox := range out.W {
				for ky := range k {
					for kx := range k {
						iy := oy*op.Stride + ky - op.Pad.Top
						ix := ox*op.Stride + kx - op.Pad.Left
						if iy < 0 || iy >= in.H || ix < 0 || ix >= in.W {
							continue
						}
						for o := range out.C {
							for c := range a {
								yi := ((n*out.H+oy)*out.W+ox)*out.C + o
								xi := ((n*in.H+iy)*in.W+ix)*in.C + o/b*a + c
								wi := ((o*a+c)*k+ky)*k + kx
								f(yi, xi, wi)
							}
						}
					}
				}
			}
		}
	}
}

func convWeight(op *arch.Op) arch.Param { return param(op, arch.ConvWeight, arch.DepthwiseWeight) }

func (t *Trace) conv(op *arch.Op, x, y []float64) {
	w := t.params.of(convWeight(op)) // [Cout, Cin/G, k, k]
	t.taps(op, func(yi, xi, wi int) { y[yi] += x[xi] * w[wi] })
	if op.Bias {
		addBias(y, t.param(op, arch.BiasVector))
	}
}

func (t *Trace) convBackward(op *arch.Op, x, dy, dx []float64, grads Tensors) {
	w, dw := t.params.of(convWeight(op)), grads.of(convWeight(op))
	t.taps(op, func(yi, xi, wi int) {
		dx[xi] += dy[yi] * w[wi]
		dw[wi] += dy[yi] * x[xi]
	})
	if op.Bias {
		addBiasBackward(dy, grads.of(param(op, arch.BiasVector)))
	}
}

// linear is y = w x + bias per image.
func (t *Trace) linear(op *arch.Op, x, y []float64) {
	in, out := t.shape(op, 0).Elems(), op.Shape.C
	w := t.param(op, arch.LinearWeight) // [out, in]
	for n := range t.N {
		for o := range out {
			for i := range in {
				y[n*out+o] += w[o*in+i] * x[n*in+i]
			}
		}
	}
	if op.Bias {
		addBias(y, t.param(op, arch.BiasVector))
	}
}

func (t *Trace) linearBackward(op *arch.Op, x, dy, dx []float64, grads Tensors) {
	in, out := t.shape(op, 0).Elems(), op.Shape.C
	w, dw := t.param(op, arch.LinearWeight), grads.of(param(op, arch.LinearWeight))
	for n := range t.N {
		for o := range out {
			for i := range in {
				dx[n*in+i] += dy[n*out+o] * w[o*in+i]
				dw[o*in+i] += dy[n*out+o] * x[n*in+i]
			}
		}
	}
	if op.Bias {
		addBiasBackward(dy, grads.of(param(op, arch.BiasVector)))
	}
}

// addBias adds bias [C] to every row of y [M, C].
func addBias(y, bias []float64) {
	for i := range y {
		y[i] += bias[i%len(bias)]
	}
}

func addBiasBackward(dy, dbias []float64) {
	for i := range dy {
		dbias[i%len(dbias)] += dy[i]
	}
}
