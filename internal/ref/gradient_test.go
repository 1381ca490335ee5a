package ref_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
)

// A gradCase is a graph around one kind of op.
type gradCase struct {
	name  string
	ops   []arch.Op
	eval  bool // running statistics
	masks ref.Tensors
}

const gradImages = 3

func input(h, w, c int) arch.Op { return arch.Op{Name: "input", Shape: arch.Shape{H: h, W: w, C: c}} }

func convOp(in arch.Shape, cout, k, stride, groups int, pad arch.Pad, bias bool) arch.Op {
	op := arch.Op{
		Kind: arch.OpConv, Name: "conv", In: []int{0}, Kernel: k, Stride: stride, Pad: pad, Groups: groups, Bias: bias,
		Shape: arch.Shape{
			H: (in.H+pad.Top+pad.Bottom-k)/stride + 1,
			W: (in.W+pad.Left+pad.Right-k)/stride + 1,
			C: cout,
		},
	}
	role := arch.ConvWeight
	if op.Depthwise() {
		role = arch.DepthwiseWeight
	}
	op.Params = []arch.Param{{Name: "conv.weight", Shape: []int{cout, in.C / groups, k, k}, Role: role}}
	if bias {
		op.Params = append(op.Params, arch.Param{Name: "conv.bias", Shape: []int{cout}, Role: arch.BiasVector})
	}
	return op
}

func convCase(name string, h, w, cin, cout, k, stride, groups int, pad arch.Pad, bias bool) gradCase {
	in := input(h, w, cin)
	return gradCase{name: name, ops: []arch.Op{in, convOp(in.Shape, cout, k, stride, groups, pad, bias)}}
}

func bnOp(s arch.Shape) arch.Op {
	op := arch.Op{Kind: arch.OpBatchNorm, Name: "bn", In: []int{0}, Shape: s, Eps: 1e-3, Momentum: 0.1}
	for _, p := range []struct {
		name string
		role arch.Role
	}{{"weight", arch.BNGamma}, {"bias", arch.BNBeta}, {"running_mean", arch.BNMean}, {"running_var", arch.BNVar}} {
		op.Params = append(op.Params, arch.Param{Name: "bn." + p.name, Shape: []int{s.C}, Role: p.role})
	}
	return op
}

// acts is every activation an op may have.
func acts() (all []arch.Act) {
	for a := arch.ActIdentity; !strings.HasPrefix(a.String(), "Act("); a++ {
		all = append(all, a)
	}
	return all
}

// gradCases has at least one case for each kind.
func gradCases() map[arch.Kind][]gradCase {
	img := arch.Shape{H: 3, W: 2, C: 4}
	vec := arch.Shape{H: 1, W: 1, C: 5}
	none := arch.Pad{}
	one := arch.Pad{Top: 1, Left: 1, Bottom: 1, Right: 1}
	cases := map[arch.Kind][]gradCase{
		arch.OpInput: {{name: "alone", ops: []arch.Op{input(2, 3, 2)}}},
		arch.OpConv: {
			convCase("1x1", 3, 4, 5, 3, 1, 1, 1, none, false),
			convCase("1x1 with bias", 1, 1, 6, 2, 1, 1, 1, none, true),
			convCase("3x3", 4, 5, 2, 3, 3, 1, 1, one, true),
			convCase("3x3 stride 2, SAME on an even size", 6, 4, 3, 2, 3, 2, 1, arch.Pad{Bottom: 1, Right: 1}, false),
			convCase("5x5 stride 2, SAME on an even size", 6, 4, 2, 2, 5, 2, 1, arch.Pad{Top: 1, Left: 1, Bottom: 2, Right: 2}, false),
			convCase("kernel larger than the image", 2, 2, 2, 2, 5, 1, 1, arch.Pad{Top: 2, Left: 2, Bottom: 2, Right: 2}, false),
			convCase("depthwise 3x3", 4, 3, 4, 4, 3, 1, 4, one, false),
			convCase("depthwise 5x5 stride 2", 5, 6, 3, 3, 5, 2, 3, arch.Pad{Top: 2, Left: 1, Bottom: 2, Right: 2}, false),
			convCase("two groups", 3, 3, 4, 6, 3, 1, 2, one, true),
			convCase("depthwise with multiplier 2", 3, 3, 3, 6, 3, 1, 3, one, false),
		},
		arch.OpBatchNorm: {
			{name: "batch statistics", ops: []arch.Op{{Shape: img}, bnOp(img)}},
			{name: "running statistics", ops: []arch.Op{{Shape: img}, bnOp(img)}, eval: true},
		},
		arch.OpMaxPool: {
			maxPoolCase("3x3 symmetric", 4, 5, 3, one),
			maxPoolCase("3x3 SAME on an even size", 6, 4, 3, arch.Pad{Bottom: 1, Right: 1}),
			maxPoolCase("5x5 on an image smaller than it", 2, 3, 5, arch.Pad{Top: 2, Left: 2, Bottom: 2, Right: 2}),
		},
		arch.OpGlobalPool: {{name: "mean", ops: []arch.Op{
			{Shape: img}, {Kind: arch.OpGlobalPool, Name: "pool", In: []int{0}, Shape: arch.Shape{H: 1, W: 1, C: img.C}},
		}}},
		arch.OpGate: {{name: "squeeze and excite", ops: []arch.Op{
			{Shape: img},
			{Kind: arch.OpGlobalPool, Name: "pool", In: []int{0}, Shape: arch.Shape{H: 1, W: 1, C: img.C}},
			{Kind: arch.OpGate, Name: "gate", In: []int{0, 1}, Shape: img},
		}}},
		arch.OpAdd: {
			{name: "no mask", ops: residual(img)},
			{name: "mask", ops: residual(img), masks: ref.Tensors{"add": {2, 0, 2}}},
			{name: "mask at evaluation", ops: residual(img), masks: ref.Tensors{"add": {2, 0, 2}}, eval: true},
		},
		arch.OpDropout: {{
			name:  "mask",
			ops:   []arch.Op{{Shape: vec}, {Kind: arch.OpDropout, Name: "drop", In: []int{0}, Shape: vec, Rate: 0.5}},
			masks: ref.Tensors{"drop": {2, 0, 0, 2, 2, 0, 2, 2, 2, 0, 2, 2, 0, 0, 2}},
		}},
		arch.OpLinear: {{name: "classifier", ops: []arch.Op{
			{Shape: vec},
			{Kind: arch.OpLinear, Name: "fc", In: []int{0}, Shape: arch.Shape{H: 1, W: 1, C: 3}, Bias: true, Params: []arch.Param{
				{Name: "fc.weight", Shape: []int{3, 5}, Role: arch.LinearWeight},
				{Name: "fc.bias", Shape: []int{3}, Role: arch.BiasVector},
			}},
		}}},
	}
	for _, a := range acts() {
		cases[arch.OpActivation] = append(cases[arch.OpActivation], gradCase{name: a.String(), ops: []arch.Op{
			{Shape: img}, {Kind: arch.OpActivation, Name: "act", In: []int{0}, Shape: img, Act: a},
		}})
	}
	return cases
}

// maxPoolCase is a max pool of stride 2.
func maxPoolCase(name string, h, w, k int, pad arch.Pad) gradCase {
	in := input(h, w, 3)
	return gradCase{name: name, ops: []arch.Op{in, {
		Kind: arch.OpMaxPool, Name: "pool", In: []int{0}, Kernel: k, Stride: 2, Pad: pad,
		Shape: arch.Shape{H: (h+pad.Top+pad.Bottom-k)/2 + 1, W: (w+pad.Left+pad.Right-k)/2 + 1, C: 3},
	}}}
}

// residual is branch + shortcut where the branch is swish of the shortcut.
func residual(s arch.Shape) []arch.Op {
	return []arch.Op{
		{Shape: s},
		{Kind: arch.OpActivation, Name: "act", In: []int{0}, Shape: s, Act: arch.ActSwish},
		{Kind: arch.OpAdd, Name: "add", In: []int{1, 0}, Shape: s, DropPath: 0.5},
	}
}

// TestGradientOfEveryKind compares every gradient with central differences of
// a random projection of the output. A kind without a case fails.
func TestGradientOfEveryKind(t *testing.T) {
	cases := gradCases()
	for k := range arch.Kind(arch.NumKinds) {
		if len(cases[k]) == 0 {
			t.Errorf("%v: no case", k)
		}
		for _, c := range cases[k] {
			t.Run(fmt.Sprintf("%v/%s", k, c.name), func(t *testing.T) {
				g := &arch.Graph{Ops: c.ops}
				if last := c.ops[len(c.ops)-1].Kind; last != k {
					t.Fatalf("the case ends in %v", last)
				}
				rng := rand.New(rand.NewPCG(1, uint64(k)))
				p := ref.Tensors{}
				for _, q := range g.Params() {
					p[q.Name] = draw(rng, q.Elems())
					if q.Role == arch.BNVar {
						for i, v := range p[q.Name] {
							p[q.Name][i] = math.Abs(v) + 0.5
						}
					}
				}
				x := draw(rng, gradImages*c.ops[0].Shape.Elems())
				r := draw(rng, gradImages*c.ops[len(c.ops)-1].Shape.Elems())
				mode := ref.Mode{Train: !c.eval, Masks: c.masks}
				loss := func() float64 {
					sum := 0.0
					for i, y := range ref.Forward(g, p, x, gradImages, mode).Logits() {
						sum += y * r[i]
					}
					return sum
				}
				d := ref.Forward(g, p, x, gradImages, mode).Backward(r)
				for name, dw := range d.Params {
					central(t, name, loss, p[name], dw, 1)
				}
				central(t, "input", loss, x, d.Values[0], 1)
			})
		}
	}
}

// TestGradientOfNetworks does the same for whole small networks and the real
// loss, on a sample of each tensor.
func TestGradientOfNetworks(t *testing.T) {
	for _, name := range []string{"masks", "swish_same_even"} {
		for _, train := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/train=%v", name, train), func(t *testing.T) {
				c := golden.Load(name)
				p, x := ref.FromSet(c.Weights()), c.Images(1)
				mode := ref.Mode{Train: train, Masks: c.Masks(1)}
				run := func() (*ref.Trace, float64, []float64) {
					tr := ref.Forward(c.Graph, p, x, c.Batch, mode)
					loss, d := ref.CrossEntropy(tr.Logits(), c.Labels(1), c.Smoothing)
					return tr, loss, d
				}
				tr, _, dLogits := run()
				d := tr.Backward(dLogits)
				loss := func() float64 { _, l, _ := run(); return l }
				for _, name := range sortedKeys(d.Params) {
					central(t, name, loss, p[name], d.Params[name], len(p[name])/4+1)
				}
				central(t, "input", loss, x, d.Values[0], len(x)/9)
			})
		}
	}
}

// central checks dv, the gradient of loss with respect to v, by central
// differences at every stride-th element.
func central(t *testing.T, what string, loss func() float64, v, dv []float64, stride int) {
	t.Helper()
	const h = 1e-5
	var got, want []float64
	for i := 0; i < len(v); i += stride {
		keep := v[i]
		v[i] = keep + h
		up := loss()
		v[i] = keep - h
		down := loss()
		v[i] = keep
		got, want = append(got, dv[i]), append(want, (up-down)/(2*h))
	}
	top := 0.0
	for _, g := range dv {
		top = max(top, math.Abs(g))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= 1e-7*top+1e-9) {
			t.Errorf("%s[%d]: gradient %v, differences give %v", what, i*stride, got[i], want[i])
			return
		}
	}
}

// draw makes n values in (-8, 8), none within 0.01 of a multiple of 3, where the kinks are.
func draw(rng *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		for math.Abs(math.Remainder(v[i], 3)) < 0.01 {
			v[i] = 16*rng.Float64() - 8
		}
	}
	return v
}

// TestMaxPoolTies: of equal elements the first has all of the gradient, and
// what lies outside the image never wins.
func TestMaxPoolTies(t *testing.T) {
	g := &arch.Graph{Ops: []arch.Op{
		{Shape: arch.Shape{H: 3, W: 3, C: 1}},
		{
			Kind: arch.OpMaxPool, Name: "pool", In: []int{0}, Kernel: 3, Stride: 2, Pad: arch.Pad{Top: 1, Left: 1, Bottom: 1, Right: 1},
			Shape: arch.Shape{H: 2, W: 2, C: 1},
		},
	}}
	tr := ref.Forward(g, nil, []float64{-5, -5, -1, -5, -2, -2, -9, -2, -2}, 1, ref.Mode{})
	near(t, "maxima", tr.Logits(), []float64{-2, -1, -2, -2}, 0)
	d := tr.Backward([]float64{1, 10, 100, 1000})
	near(t, "gradient", d.Values[0], []float64{0, 0, 10, 0, 1101, 0, 0, 0, 0}, 0)
}

// TestRunningStatistics holds the update against its definition for one
// channel with known moments.
func TestRunningStatistics(t *testing.T) {
	s := arch.Shape{H: 1, W: 2, C: 1}
	g := &arch.Graph{Ops: []arch.Op{{Shape: s}, bnOp(s)}}
	start := ref.Tensors{"bn.weight": {1}, "bn.bias": {0}, "bn.running_mean": {10}, "bn.running_var": {2}}
	x := []float64{1, 2, 3, 6} // mean 3, biased variance 3.5, unbiased 14/3

	p := start.Clone()
	tr := ref.Forward(g, p, x, 2, ref.Mode{Train: true})
	near(t, "normalised", tr.Logits(), []float64{-2 / math.Sqrt(3.501), -1 / math.Sqrt(3.501), 0, 3 / math.Sqrt(3.501)}, 1e-14)
	tr.UpdateRunning(p)
	near(t, "mean", p["bn.running_mean"], []float64{0.9*10 + 0.1*3}, 1e-14)
	near(t, "variance", p["bn.running_var"], []float64{0.9*2 + 0.1*14/3}, 1e-14)

	p = start.Clone()
	ref.Forward(g, p, x, 2, ref.Mode{}).UpdateRunning(p)
	if !maps.EqualFunc(p, start, func(a, b []float64) bool { return a[0] == b[0] }) {
		t.Errorf("evaluation changed the statistics: %v", p)
	}
}

// TestEMA: constant parameters are reached at the rate of the ramp 1/10, 2/11,
// and so on, then of Decay.
func TestEMA(t *testing.T) {
	e := ref.EMA{Decay: 0.3, Avg: ref.Tensors{"w": {1}}}
	p := ref.Tensors{"w": {0}}
	want := 1.0
	for _, d := range []float64{1. / 10, 2. / 11, 3. / 12, 0.3, 0.3} {
		e.Update(p)
		want *= d
		near(t, "average", e.Avg["w"], []float64{want}, 1e-15)
	}
}
