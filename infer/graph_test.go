package infer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/internal/ref"
	"effnet/weights"

	"pgregory.net/rapid"
)

// randomGraph wires ops in ways that no Spec does: values with many readers of
// different kinds, activations and batch norms in a row, sums of sums.
func randomGraph(t *rapid.T) *arch.Graph {
	draw := func(what string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, what) }
	side := draw("side", 1, 9)
	ops := []arch.Op{{Kind: arch.OpInput, Name: "input", Shape: arch.Shape{H: side, W: side + draw("wider", 0, 2), C: draw("channels", 1, 5)}}}
	for i := range draw("ops", 1, 14) {
		x := max(0, len(ops)-rapid.SampledFrom([]int{1, 1, 1, 2, 3, 4}).Draw(t, "input"))
		in := ops[x].Shape
		kind := rapid.SampledFrom([]arch.Kind{
			arch.OpConv, arch.OpConv, arch.OpConv, arch.OpBatchNorm, arch.OpBatchNorm, arch.OpActivation,
			arch.OpMaxPool, arch.OpGlobalPool, arch.OpGate, arch.OpAdd, arch.OpDropout, arch.OpLinear,
		}).Draw(t, "kind")
		op := arch.Op{Kind: kind, Name: fmt.Sprint("op", i), In: []int{x}, Shape: in}
		param := func(suffix string, role arch.Role, shape ...int) {
			op.Params = append(op.Params, arch.Param{Name: op.Name + suffix, Shape: shape, Role: role})
		}
		switch kind {
		case arch.OpConv:
			op.Kernel, op.Stride, op.Groups = rapid.SampledFrom([]int{1, 1, 3, 5}).Draw(t, "kernel"), draw("stride", 1, 2), 1
			before, after := draw("pad before", 0, op.Kernel/2), op.Kernel/2
			op.Pad = arch.Pad{Top: before, Left: before, Bottom: after, Right: after}
			size := func(n int) int { return (n+before+after-op.Kernel)/op.Stride + 1 }
			op.Shape = arch.Shape{H: size(in.H), W: size(in.W), C: draw("width", 1, 5)}
			if in.H+before+after < op.Kernel || in.W+before+after < op.Kernel {
				continue
			}
			if rapid.Bool().Draw(t, "depthwise") && in.C > 1 {
				op.Groups, op.Shape.C = in.C, in.C
				param(".w", arch.DepthwiseWeight, in.C, 1, op.Kernel, op.Kernel)
			} else {
				param(".w", arch.ConvWeight, op.Shape.C, in.C, op.Kernel, op.Kernel)
			}
			if op.Bias = rapid.Bool().Draw(t, "bias"); op.Bias {
				param(".b", arch.BiasVector, op.Shape.C)
			}
		case arch.OpBatchNorm:
			op.Eps = 1e-3
			for j, role := range []arch.Role{arch.BNGamma, arch.BNBeta, arch.BNMean, arch.BNVar} {
				param(fmt.Sprint(".", j), role, in.C)
			}
		case arch.OpActivation:
			op.Act = rapid.SampledFrom([]arch.Act{arch.ActReLU, arch.ActReLU6, arch.ActSwish, arch.ActSigmoid, arch.ActHardSwish, arch.ActHardSigmoid}).Draw(t, "act")
		case arch.OpMaxPool:
			op.Kernel, op.Stride = rapid.SampledFrom([]int{1, 3, 5}).Draw(t, "kernel"), draw("stride", 1, 2)
			before, after := draw("pad before", 0, op.Kernel/2), op.Kernel/2
			op.Pad = arch.Pad{Top: before, Left: before, Bottom: after, Right: after}
			if in.H+before+after < op.Kernel || in.W+before+after < op.Kernel {
				continue
			}
			size := func(n int) int { return (n+before+after-op.Kernel)/op.Stride + 1 }
			op.Shape = arch.Shape{H: size(in.H), W: size(in.W), C: in.C}
		case arch.OpGlobalPool:
			op.Shape = arch.Shape{H: 1, W: 1, C: in.C}
		case arch.OpGate, arch.OpAdd:
			want := in
			if kind == arch.OpGate {
				want.H, want.W = 1, 1
			}
			var fit []int
			for j := range ops {
				if ops[j].Shape == want {
					fit = append(fit, j)
				}
			}
			if fit == nil {
				continue
			}
			op.In = append(op.In, rapid.SampledFrom(fit).Draw(t, "second input"))
			if kind == arch.OpAdd && rapid.Bool().Draw(t, "swap") {
				slices.Reverse(op.In)
			}
		case arch.OpDropout:
		case arch.OpLinear:
			if in.H != 1 || in.W != 1 {
				continue
			}
			op.Bias, op.Shape.C = true, draw("classes", 1, 5)
			param(".w", arch.LinearWeight, op.Shape.C, in.C)
			param(".b", arch.BiasVector, op.Shape.C)
		}
		ops = append(ops, op)
	}
	return &arch.Graph{Ops: ops}
}

func TestRandomGraphs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := randomGraph(t)
		w := trained(g, 2)
		n := rapid.IntRange(1, 2).Draw(t, "images")
		x := images(g, n, 3)
		params := ref.FromSet(w)
		tr := ref.Forward(g, params, widen(x), n, ref.Mode{})
		opt := Options{Threads: 2}
		if rapid.Bool().Draw(t, "tapped") {
			opt.Taps = []int{rapid.IntRange(0, g.Output()).Draw(t, "tap")}
		}
		p := poisoned(compile(t, g, w, opt))
		logits := make([]float32, n*p.Classes())
		tapped := make([][]float32, len(opt.Taps))
		for i, op := range opt.Taps {
			tapped[i] = make([]float32, n*g.Ops[op].Shape.Elems())
		}
		if err := p.RunInto(context.Background(), x, n, logits, tapped...); err != nil {
			t.Fatal(err)
		}
		if err := nearOp(logits, tr, params, g.Output()); err != nil {
			t.Errorf("output: %v", err)
		}
		for i, op := range opt.Taps {
			if err := nearOp(tapped[i], tr, params, op); err != nil {
				t.Errorf("%s: %v", g.Ops[op].Name, err)
			}
		}
	})
}

// TestEveryKind runs each kind of op alone on the image, where no neighbour
// can take it in.
func TestEveryKind(t *testing.T) {
	in := arch.Shape{H: 6, W: 5, C: 4}
	pixel := arch.Shape{H: 1, W: 1, C: 4}
	input := arch.Op{Kind: arch.OpInput, Name: "input", Shape: in}
	pool := arch.Op{Kind: arch.OpGlobalPool, Name: "pool", In: []int{0}, Shape: pixel}
	one := []int{0}
	graphs := map[arch.Kind][]arch.Op{
		arch.OpInput: {input},
		arch.OpConv: {input, {
			Kind: arch.OpConv, Name: "c", In: one, Shape: arch.Shape{H: 6, W: 5, C: 3}, Kernel: 3, Stride: 1, Groups: 1, Bias: true,
			Pad:    arch.Pad{Top: 1, Left: 1, Bottom: 1, Right: 1},
			Params: []arch.Param{{Name: "c.weight", Shape: []int{3, 4, 3, 3}, Role: arch.ConvWeight}, {Name: "c.bias", Shape: []int{3}, Role: arch.BiasVector}},
		}},
		arch.OpBatchNorm: {input, {
			Kind: arch.OpBatchNorm, Name: "b", In: one, Shape: in, Eps: 1e-3,
			Params: []arch.Param{
				{Name: "b.weight", Shape: []int{4}, Role: arch.BNGamma}, {Name: "b.bias", Shape: []int{4}, Role: arch.BNBeta},
				{Name: "b.mean", Shape: []int{4}, Role: arch.BNMean}, {Name: "b.var", Shape: []int{4}, Role: arch.BNVar},
			},
		}},
		arch.OpActivation: {input, {Kind: arch.OpActivation, Name: "a", In: one, Shape: in, Act: arch.ActSigmoid}},
		arch.OpMaxPool: {input, {
			Kind: arch.OpMaxPool, Name: "m", In: one, Shape: arch.Shape{H: 3, W: 3, C: 4}, Kernel: 3, Stride: 2,
			Pad: arch.Pad{Top: 1, Left: 1, Bottom: 1, Right: 1},
		}},
		arch.OpGlobalPool: {input, pool},
		arch.OpGate:       {input, pool, {Kind: arch.OpGate, Name: "g", In: []int{0, 1}, Shape: in}},
		arch.OpAdd:        {input, {Kind: arch.OpAdd, Name: "s", In: []int{0, 0}, Shape: in}},
		arch.OpDropout:    {input, {Kind: arch.OpDropout, Name: "d", In: one, Shape: in, Rate: 0.5}},
		arch.OpLinear: {input, pool, {
			Kind: arch.OpLinear, Name: "l", In: []int{1}, Shape: arch.Shape{H: 1, W: 1, C: 3}, Bias: true,
			Params: []arch.Param{{Name: "l.weight", Shape: []int{3, 4}, Role: arch.LinearWeight}, {Name: "l.bias", Shape: []int{3}, Role: arch.BiasVector}},
		}},
	}
	for kind := range arch.Kind(arch.NumKinds) {
		ops, ok := graphs[kind]
		if !ok {
			t.Errorf("no case for kind %v", kind)
			continue
		}
		g := &arch.Graph{Ops: ops}
		w := trained(g, 1)
		x := images(g, 2, 1)
		got, err := poisoned(compile(t, g, w, Options{Threads: 1})).Run(t.Context(), x, 2)
		if err != nil {
			t.Errorf("%v: %v", kind, err)
			continue
		}
		if err := near(got, ref.Forward(g, ref.FromSet(w), widen(x), 2, ref.Mode{}).Logits()); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
	for a := arch.ActIdentity; !strings.HasPrefix(a.String(), "Act("); a++ {
		g := &arch.Graph{Ops: []arch.Op{input, {Kind: arch.OpActivation, Name: "a", In: one, Shape: in, Act: a}}}
		x := images(g, 2, 1)
		got, err := compile(t, g, &weights.Set{}, Options{}).Run(t.Context(), x, 2)
		if err == nil {
			err = near(got, ref.Forward(g, nil, widen(x), 2, ref.Mode{}).Logits())
		}
		if err != nil {
			t.Errorf("activation %v: %v", a, err)
		}
	}
	unknown := &arch.Graph{Ops: []arch.Op{input, {Kind: arch.NumKinds, Name: "new", In: one, Shape: in}}}
	if _, err := Compile(unknown, &weights.Set{}, Options{}); err == nil || !strings.Contains(err.Error(), "no rule for an op of kind") {
		t.Errorf("unknown kind: error is %v", err)
	}
	unknown = &arch.Graph{Ops: []arch.Op{input, {Kind: arch.OpActivation, Name: "new", In: one, Shape: in, Act: 200}}}
	if _, err := Compile(unknown, &weights.Set{}, Options{}); err == nil || !strings.Contains(err.Error(), "infer: new: no rule for the activation Act(200)") {
		t.Errorf("unknown activation: error is %v", err)
	}
}

// TestSharedInput has one value read by a depthwise convolution, which wants
// it padded, and by a pointwise one, which wants it flat.
func TestSharedInput(t *testing.T) {
	shape := arch.Shape{H: 6, W: 5, C: 4}
	conv := func(name string, in, kernel, groups int, role arch.Role) arch.Op {
		p := kernel / 2
		return arch.Op{
			Kind: arch.OpConv, Name: name, In: []int{in}, Shape: shape, Kernel: kernel, Stride: 1, Groups: groups,
			Pad:    arch.Pad{Top: p, Left: p, Bottom: p, Right: p},
			Params: []arch.Param{{Name: name, Shape: []int{4, 4 / groups, kernel, kernel}, Role: role}},
		}
	}
	g := &arch.Graph{Ops: []arch.Op{
		{Kind: arch.OpInput, Name: "input", Shape: shape},
		conv("first", 0, 1, 1, arch.ConvWeight),
		conv("depthwise", 1, 3, 4, arch.DepthwiseWeight),
		conv("wide", 1, 5, 4, arch.DepthwiseWeight),
		conv("pointwise", 1, 1, 1, arch.ConvWeight),
		{Kind: arch.OpAdd, Name: "sum", In: []int{2, 3}, Shape: shape},
		{Kind: arch.OpAdd, Name: "sum2", In: []int{4, 5}, Shape: shape},
	}}
	for used := 3; used <= len(g.Ops); used++ {
		g := &arch.Graph{Ops: g.Ops[:used]}
		w := trained(g, 1)
		x := images(g, 1, 1)
		got, err := poisoned(compile(t, g, w, Options{})).Run(t.Context(), x, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := near(got, ref.Forward(g, ref.FromSet(w), widen(x), 1, ref.Mode{}).Logits()); err != nil {
			t.Errorf("up to %s: %v", g.Ops[used-1].Name, err)
		}
	}
}
