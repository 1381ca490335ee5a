package onnx

import (
	"fmt"
	"math"
	"slices"
)

// value4 is a value of the graph, NCHW; a matrix has H and W of 1.
type value4 struct {
	n, c, h, w int
	data       []float64
}

func newValue(n, c, h, w int) value4 { return value4{n, c, h, w, make([]float64, n*c*h*w)} }

func (v *value4) at(n, c, y, x int) *float64 { return &v.data[((n*v.c+c)*v.h+y)*v.w+x] }

// run evaluates the file by the text of the ONNX operator reference, with plain
// loops in float64.
func (p *parsed) run(input value4) (value4, error) {
	values := map[string]value4{InputName: input}
	for _, n := range p.nodes {
		x, ok := values[n.in[0]]
		if !ok {
			return value4{}, fmt.Errorf("%s: no %s", n.name, n.in[0])
		}
		var y value4
		switch n.op {
		case "Conv":
			y = p.conv(n, x)
		case "MaxPool":
			y = p.maxPool(n, x)
		case "BatchNormalization":
			y = newValue(x.n, x.c, x.h, x.w)
			eps := float64(n.attrs["epsilon"].(float32))
			for i, v := range x.data {
				c := i / (x.h * x.w) % x.c
				t := func(k int) float64 { return float64(p.tensors[n.in[k]].data[c]) }
				y.data[i] = (v-t(3))/math.Sqrt(t(4)+eps)*t(1) + t(2)
			}
		case "Relu":
			y = each(x, func(v float64) float64 { return max(v, 0) })
		case "Clip":
			lo, hi := p.tensors[n.in[1]], p.tensors[n.in[2]]
			if len(lo.dims) != 0 || len(hi.dims) != 0 {
				return y, fmt.Errorf("%s: bounds are no scalars", n.name)
			}
			y = each(x, func(v float64) float64 { return min(max(v, float64(lo.data[0])), float64(hi.data[0])) })
		case "Sigmoid":
			y = each(x, func(v float64) float64 { return 1 / (1 + math.Exp(-v)) })
		case "HardSwish":
			y = each(x, func(v float64) float64 { return v * max(0, min(1, v/6+0.5)) })
		case "HardSigmoid":
			a, b := float64(n.attrs["alpha"].(float32)), float64(n.attrs["beta"].(float32))
			y = each(x, func(v float64) float64 { return max(0, min(1, a*v+b)) })
		case "Mul", "Add":
			z := values[n.in[1]]
			y = newValue(x.n, x.c, x.h, x.w)
			for i, v := range x.data {
				j := i
				if z.h == 1 && z.w == 1 {
					j = i / (x.h * x.w)
				} else if len(z.data) != len(x.data) {
					return y, fmt.Errorf("%s: %dx%dx%d and %dx%dx%d", n.name, x.c, x.h, x.w, z.c, z.h, z.w)
				}
				if n.op == "Mul" {
					y.data[i] = v * z.data[j]
				} else {
					y.data[i] = v + z.data[j]
				}
			}
		case "GlobalAveragePool":
			y = newValue(x.n, x.c, 1, 1)
			for i, v := range x.data {
				y.data[i/(x.h*x.w)] += v / float64(x.h*x.w)
			}
		case "Flatten":
			if n.attrs["axis"].(int) != 1 {
				return y, fmt.Errorf("%s: axis %v", n.name, n.attrs["axis"])
			}
			y = value4{x.n, x.c * x.h * x.w, 1, 1, x.data}
		case "Gemm":
			w, b := p.tensors[n.in[1]], p.tensors[n.in[2]]
			if n.attrs["transB"].(int) != 1 || w.dims[1] != x.c {
				return y, fmt.Errorf("%s: %v times %v", n.name, x.c, w.dims)
			}
			y = newValue(x.n, w.dims[0], 1, 1)
			for i := range y.data {
				o := i % y.c
				y.data[i] = float64(b.data[o])
				for k := range x.c {
					y.data[i] += *x.at(i/y.c, k, 0, 0) * float64(w.data[o*x.c+k])
				}
			}
		default:
			return y, fmt.Errorf("%s: op %s", n.name, n.op)
		}
		values[n.out[0]] = y
	}
	return values[OutputName], nil
}

func each(x value4, f func(float64) float64) value4 {
	y := newValue(x.n, x.c, x.h, x.w)
	for i, v := range x.data {
		y.data[i] = f(v)
	}
	return y
}

// window finds the size of the output along both axes, and the zeros before.
func (n *parsedNode) window(x value4) (k, s, oh, ow, top, left int) {
	kernel, strides := n.attrs["kernel_shape"].([]int), n.attrs["strides"].([]int)
	k, s = kernel[0], strides[0]
	if !slices.Equal(kernel, []int{k, k}) || !slices.Equal(strides, []int{s, s}) {
		panic(fmt.Sprint(n.name, kernel, strides))
	}
	if auto, ok := n.attrs["auto_pad"]; ok {
		if auto != "SAME_UPPER" {
			panic(auto)
		}
		same := func(in int) (out, before int) {
			out = (in + s - 1) / s
			return out, max((out-1)*s+k-in, 0) / 2
		}
		oh, top = same(x.h)
		ow, left = same(x.w)
		return
	}
	p := n.attrs["pads"].([]int) // top, left, bottom, right
	return k, s, (x.h+p[0]+p[2]-k)/s + 1, (x.w+p[1]+p[3]-k)/s + 1, p[0], p[1]
}

func (p *parsed) conv(n parsedNode, x value4) value4 {
	k, s, oh, ow, top, left := n.window(x)
	w, group := p.tensors[n.in[1]], n.attrs["group"].(int)
	per := w.dims[1] // input channels of one output
	y := newValue(x.n, w.dims[0], oh, ow)
	for b := range y.n {
		for o := range y.c {
			first := o / (y.c / group) * per
			for oy := range oh {
				for ox := range ow {
					sum := 0.0
					if len(n.in) > 2 {
						sum = float64(p.tensors[n.in[2]].data[o])
					}
					for c := range per {
						for ky := range k {
							for kx := range k {
								iy, ix := oy*s-top+ky, ox*s-left+kx
								if iy >= 0 && iy < x.h && ix >= 0 && ix < x.w {
									sum += *x.at(b, first+c, iy, ix) * float64(w.data[((o*per+c)*k+ky)*k+kx])
								}
							}
						}
					}
					*y.at(b, o, oy, ox) = sum
				}
			}
		}
	}
	return y
}

func (p *parsed) maxPool(n parsedNode, x value4) value4 {
	k, s, oh, ow, top, left := n.window(x)
	y := newValue(x.n, x.c, oh, ow)
	for i := range y.data {
		b, c, oy, ox := i/(ow*oh*x.c), i/(ow*oh)%x.c, i/ow%oh, i%ow
		y.data[i] = math.Inf(-1)
		for ky := range k {
			for kx := range k {
				iy, ix := oy*s-top+ky, ox*s-left+kx
				if iy >= 0 && iy < x.h && ix >= 0 && ix < x.w {
					y.data[i] = max(y.data[i], *x.at(b, c, iy, ix))
				}
			}
		}
	}
	return y
}
