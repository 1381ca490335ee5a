package train

import (
	"testing"

	"effnet/arch"
	"effnet/internal/ref/golden"
)

// ops builds graphs that no spec describes, from the same kinds of ops.
type ops struct{ g arch.Graph }

func newOps(h, w, c int) *ops {
	return &ops{arch.Graph{Ops: []arch.Op{{Kind: arch.OpInput, Name: "input", Shape: arch.Shape{H: h, W: w, C: c}}}}}
}

func (o *ops) add(op arch.Op) int {
	o.g.Ops = append(o.g.Ops, op)
	return len(o.g.Ops) - 1
}

func (o *ops) shape(x int) arch.Shape { return o.g.Ops[x].Shape }

func (o *ops) conv(x int, name string, c, k, stride int, depthwise, bias bool) int {
	in := o.shape(x)
	p := k / 2
	op := arch.Op{
		Kind: arch.OpConv, Name: name, In: []int{x}, Kernel: k, Stride: stride, Pad: arch.Pad{Top: p, Left: p, Bottom: p, Right: p},
		Groups: 1, Bias: bias, Shape: arch.Shape{H: (in.H+2*p-k)/stride + 1, W: (in.W+2*p-k)/stride + 1, C: c},
	}
	w := arch.Param{Name: name + ".weight", Shape: []int{c, in.C, k, k}, Role: arch.ConvWeight}
	if depthwise {
		op.Groups, w.Shape[1], w.Role = c, 1, arch.DepthwiseWeight
	}
	op.Params = []arch.Param{w}
	if bias {
		op.Params = append(op.Params, arch.Param{Name: name + ".bias", Shape: []int{c}, Role: arch.BiasVector})
	}
	return o.add(op)
}

func (o *ops) norm(x int, name string) int {
	op := arch.Op{Kind: arch.OpBatchNorm, Name: name, In: []int{x}, Shape: o.shape(x), Eps: 1e-3, Momentum: 0.1}
	for _, p := range []struct {
		name string
		role arch.Role
	}{{"weight", arch.BNGamma}, {"bias", arch.BNBeta}, {"running_mean", arch.BNMean}, {"running_var", arch.BNVar}} {
		op.Params = append(op.Params, arch.Param{Name: name + "." + p.name, Shape: []int{op.Shape.C}, Role: p.role})
	}
	return o.add(op)
}

func (o *ops) act(x int, a arch.Act) int {
	return o.add(arch.Op{Kind: arch.OpActivation, Name: o.g.Ops[x].Name + ".act", In: []int{x}, Shape: o.shape(x), Act: a})
}

func (o *ops) sum(a, b int, rate float64) int {
	return o.add(arch.Op{Kind: arch.OpAdd, Name: o.g.Ops[a].Name + ".add", In: []int{a, b}, Shape: o.shape(a), DropPath: rate})
}

func (o *ops) pool(x int) int {
	return o.add(arch.Op{Kind: arch.OpGlobalPool, Name: o.g.Ops[x].Name + ".pool", In: []int{x}, Shape: arch.Shape{H: 1, W: 1, C: o.shape(x).C}})
}

func (o *ops) maxPool(x, k, stride int) int {
	in, p := o.shape(x), k/2
	return o.add(arch.Op{
		Kind: arch.OpMaxPool, Name: o.g.Ops[x].Name + ".max", In: []int{x}, Kernel: k, Stride: stride,
		Pad:   arch.Pad{Top: p, Left: p, Bottom: p, Right: p},
		Shape: arch.Shape{H: (in.H+2*p-k)/stride + 1, W: (in.W+2*p-k)/stride + 1, C: in.C},
	})
}

func (o *ops) gate(x, vec int) int {
	return o.add(arch.Op{Kind: arch.OpGate, Name: o.g.Ops[x].Name + ".gate", In: []int{x, vec}, Shape: o.shape(x)})
}

func (o *ops) dropout(x int, rate float64) int {
	return o.add(arch.Op{Kind: arch.OpDropout, Name: o.g.Ops[x].Name + ".drop", In: []int{x}, Shape: o.shape(x), Rate: rate})
}

func (o *ops) linear(x, classes int) int {
	return o.add(arch.Op{
		Kind: arch.OpLinear, Name: "fc", In: []int{x}, Shape: arch.Shape{H: 1, W: 1, C: classes}, Bias: true,
		Params: []arch.Param{
			{Name: "fc.weight", Shape: []int{classes, o.shape(x).C}, Role: arch.LinearWeight},
			{Name: "fc.bias", Shape: []int{classes}, Role: arch.BiasVector},
		},
	})
}

// TestGraphs: the plan follows ops and their inputs, not block names.
func TestGraphs(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func() *ops
	}{
		{"residual blocks with an activation after the sum", func() *ops {
			o := newOps(9, 7, 3)
			x := o.act(o.norm(o.conv(0, "stem", 8, 3, 1, false, false), "bn"), arch.ActSwish)
			for i, c := range []int{8, 12} { // the second has a convolution on its shortcut
				name := string(rune('a' + i))
				y := o.act(o.norm(o.conv(x, name+".conv1", c, 1, 1, false, false), name+".bn1"), arch.ActSwish)
				y = o.norm(o.conv(y, name+".conv2", c, 3, 1+i, false, false), name+".bn2")
				if i > 0 {
					x = o.norm(o.conv(x, name+".down", c, 1, 2, false, false), name+".bn3")
				}
				x = o.act(o.sum(y, x, 0.3), arch.ActSwish)
			}
			o.linear(o.dropout(o.pool(x), 0.2), 4)
			return o
		}},
		{"convolutions with biases and no batch norm", func() *ops {
			o := newOps(8, 8, 2)
			x := o.act(o.conv(0, "a", 6, 3, 2, false, true), arch.ActSwish)
			x = o.act(o.conv(x, "b", 6, 3, 1, true, true), arch.ActSwish)
			x = o.conv(x, "c", 10, 1, 1, false, true)
			o.linear(o.pool(o.act(x, arch.ActSigmoid)), 3)
			return o
		}},
		{"a batch norm under biases", func() *ops {
			o := newOps(6, 6, 2)
			x := o.act(o.norm(o.conv(0, "a", 6, 3, 1, false, true), "bn1"), arch.ActSwish)
			x = o.act(o.norm(o.conv(x, "b", 6, 5, 1, true, true), "bn2"), arch.ActSwish)
			o.linear(o.pool(x), 3)
			return o
		}},
		{"gates beside squeeze-and-excite", func() *ops {
			o := newOps(6, 6, 2)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			b := o.norm(o.conv(a, "b", 8, 1, 1, false, false), "bn2")
			v := o.act(o.conv(o.pool(a), "v", 8, 1, 1, false, true), arch.ActSigmoid)
			x := o.gate(b, v)  // by a vector of another map
			x = o.sum(x, a, 0) // a gated branch
			y := o.gate(x, o.act(o.conv(o.pool(x), "w", 8, 1, 1, false, true), arch.ActSigmoid))
			y = o.sum(o.norm(o.conv(y, "c", 8, 3, 1, true, false), "bn3"), x, 0.4) // x is gated and kept
			o.linear(o.pool(y), 3)
			return o
		}},
		{"one value, many readers", func() *ops {
			o := newOps(5, 5, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			b := o.act(o.norm(o.conv(a, "b", 8, 3, 1, true, false), "bn2"), arch.ActSwish)
			c := o.norm(o.conv(a, "c", 8, 1, 1, false, false), "bn3")
			d := o.sum(o.sum(b, c, 0), a, 0)
			f := o.norm(o.conv(d, "f", 8, 3, 1, false, false), "bn4")
			e := o.sum(d, d, 0) // twice itself
			o.linear(o.pool(o.sum(e, f, 0.5)), 3)
			return o
		}},
		{"a sum of two branches, each the other's shortcut", func() *ops {
			o := newOps(5, 4, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			b := o.norm(o.conv(a, "b", 8, 1, 1, false, false), "bn2")
			c := o.norm(o.conv(a, "c", 8, 1, 1, false, false), "bn3")
			x := o.sum(b, c, 0)
			y := o.sum(c, b, 0.5)
			o.linear(o.pool(o.sum(x, y, 0)), 3)
			return o
		}},
		{"an activated shortcut that only the sum reads", func() *ops {
			o := newOps(5, 4, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			b := o.norm(o.conv(a, "b", 8, 1, 1, false, false), "bn2")
			c := o.act(o.norm(o.conv(a, "c", 8, 1, 1, false, false), "bn3"), arch.ActSwish)
			o.linear(o.pool(o.sum(b, c, 0)), 3)
			return o
		}},
		{"a branch that a convolution reads too", func() *ops {
			o := newOps(5, 4, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			b := o.act(o.norm(o.conv(a, "b", 8, 1, 1, false, false), "bn2"), arch.ActSwish)
			c := o.norm(o.conv(b, "c", 8, 1, 1, false, false), "bn3")
			d := o.norm(o.conv(c, "d", 8, 3, 1, true, false), "bn4")
			o.linear(o.pool(o.sum(d, o.sum(c, a, 0), 0)), 3)
			return o
		}},
		{"a shortcut that a convolution after the branch reads", func() *ops {
			o := newOps(5, 4, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			b := o.act(o.norm(o.conv(a, "b", 8, 1, 1, false, false), "bn2"), arch.ActSwish)
			c := o.norm(o.conv(b, "c", 8, 1, 1, false, false), "bn3")
			d := o.norm(o.conv(a, "d", 8, 3, 1, true, false), "bn4")
			o.linear(o.pool(o.sum(d, o.sum(c, a, 0), 0)), 3)
			return o
		}},
		{"squeeze-and-excite of a map that is also a shortcut", func() *ops {
			o := newOps(5, 4, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			v := o.act(o.conv(o.pool(a), "v", 8, 1, 1, false, true), arch.ActSigmoid)
			b := o.norm(o.conv(o.gate(a, v), "b", 8, 1, 1, false, false), "bn2")
			o.linear(o.pool(o.sum(b, a, 0)), 3)
			return o
		}},
		{"one vector, two gates", func() *ops {
			o := newOps(5, 4, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			v := o.act(o.conv(o.pool(a), "v", 8, 1, 1, false, true), arch.ActSigmoid)
			b := o.norm(o.conv(o.gate(a, v), "b", 8, 1, 1, false, false), "bn2")
			o.linear(o.pool(o.gate(b, v)), 3)
			return o
		}},
		{"activation before the convolution", func() *ops {
			o := newOps(5, 4, 3)
			a := o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1")
			b := o.norm(o.conv(0, "b", 8, 3, 1, false, false), "bn2")
			x := o.sum(a, b, 0)
			y := o.sum(o.norm(o.conv(o.act(x, arch.ActSwish), "c", 8, 3, 1, true, false), "bn3"), x, 0)
			o.linear(o.pool(o.act(y, arch.ActSwish)), 3)
			return o
		}},
		{"max pool", func() *ops {
			o := newOps(9, 8, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish)
			p := o.maxPool(a, 3, 2)
			b := o.norm(o.conv(p, "b", 8, 3, 1, true, false), "bn2")
			o.linear(o.pool(o.sum(o.maxPool(a, 1, 2), o.sum(b, p, 0), 0)), 3)
			return o
		}},
		{"hard activations", func() *ops {
			o := newOps(6, 6, 2)
			x := o.act(o.norm(o.conv(0, "a", 6, 3, 1, false, false), "bn1"), arch.ActHardSwish)
			x = o.gate(x, o.act(o.conv(o.pool(x), "v", 6, 1, 1, false, true), arch.ActHardSigmoid))
			o.linear(o.pool(o.act(o.conv(x, "b", 8, 1, 1, false, false), arch.ActHardSwish)), 3)
			return o
		}},
		{"3x3 with a bias", func() *ops {
			o := newOps(5, 8, 3)
			a := o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, true), "bn1"), arch.ActSwish)
			b := o.act(o.conv(a, "b", 8, 3, 1, false, true), arch.ActSwish)
			o.linear(o.pool(o.sum(o.conv(b, "c", 8, 3, 1, false, true), a, 0)), 3)
			return o
		}},
		{"dropout on a map", func() *ops {
			o := newOps(4, 4, 3)
			a := o.dropout(o.act(o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn1"), arch.ActSwish), 0.5)
			b := o.norm(o.conv(a, "b", 8, 3, 1, true, false), "bn2")
			o.linear(o.pool(o.sum(b, a, 0)), 3)
			return o
		}},
	} {
		check := func(t *testing.T) {
			g := &c.build().g
			for _, k := range kernels() {
				for _, n := range []int{4, 11} {
					tr := compileFor(t, g, golden.Weights(g), Config{Batch: n, Threads: 2, Kernel: k, Seed: 5, LabelSmoothing: 0.1})
					x, y := batch(g, n, 2)
					checkAgainstOracle(t, tr, g, x, y)
				}
			}
		}
		t.Run(c.name, check)
		t.Run(c.name+"/winograd", func(t *testing.T) {
			winogradAnywhere(t)
			check(t)
		})
	}
}
