package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"

	"pgregory.net/rapid"
)

// spec is a small network: stem width 8, no head unless given.
func spec(t testing.TB, resolution, channels, head int, blocks ...string) arch.Spec {
	t.Helper()
	s := arch.Spec{
		Name: "test", Resolution: resolution, Channels: channels, Classes: 10,
		Stem: arch.Stem{Width: 8, Kernel: 3, Stride: 2}, Head: head,
		Act: arch.ActSwish, Padding: arch.PadSymmetric,
		BN:      arch.BatchNormConfig{Eps: 1e-3, Momentum: 0.01},
		Dropout: 0.2, DropPath: 0.2,
		Rule: arch.Rule{WidthDivisor: 4, WidthLimit: 0.9, Depth: arch.RoundUp},
	}
	s.Prep = arch.Prep{Crop: 1, Filter: arch.Bilinear, Mean: make([]float64, channels), Std: slices.Repeat([]float64{1}, channels)}
	for _, b := range blocks {
		st, err := arch.ParseStage(b)
		if err != nil {
			t.Fatal(err)
		}
		s.Stages = append(s.Stages, st)
	}
	return s
}

func graph(t interface{ Fatal(...any) }, s arch.Spec) *arch.Graph {
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// trained is weights as training leaves them: no batch norm is the identity.
func trained(g *arch.Graph, seed uint64) *weights.Set {
	w := weights.Init(g, seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, p := range g.Params() {
		d := w.Tensors[p.Name].Data
		for i := range d {
			switch p.Role {
			case arch.BNGamma, arch.BNVar:
				d[i] = 0.5 + r.Float32()
			case arch.BNBeta, arch.BNMean, arch.BiasVector:
				d[i] = float32(r.NormFloat64()) / 4
			}
		}
	}
	return w
}

func images(g *arch.Graph, n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	x := make([]float32, n*g.Ops[0].Shape.Elems())
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// near reports the first value further than 1e-4 of the largest wanted.
func near(got []float32, want []float64) error { return nearBy(got, want, largest(want)) }

// nearBy reports the first value further than 1e-4 of scale from what is wanted.
func nearBy(got []float32, want []float64, scale float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d values, want %d", len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= 1e-4*scale) {
			return fmt.Errorf("value %d is %v, want %v (off by %.2g of %.2g)", i, got[i], want[i], d/scale, scale)
		}
	}
	return nil
}

// nearOp compares what op i of g gave with the oracle's trace of it.
func nearOp(got []float32, tr *ref.Trace, p ref.Tensors, i int) error {
	return nearBy(got, tr.Values[i], scaleOf(tr, p, i))
}

// scaleOf is what the rounding of op i is relative to: its largest value or,
// where the op has a value a channel and no more, the largest sum of absolute
// terms. A value or two may all be the small difference of large terms.
func scaleOf(tr *ref.Trace, p ref.Tensors, i int) float64 {
	op := &tr.Graph.Ops[i]
	scale := largest(tr.Values[i])
	if op.Shape.H*op.Shape.W > 1 {
		return scale
	}
	switch op.Kind {
	case arch.OpActivation, arch.OpBatchNorm, arch.OpDropout:
		return max(scale, scaleOf(tr, p, op.In[0]))
	case arch.OpLinear, arch.OpConv:
		in := tr.Graph.Ops[op.In[0]].Shape
		x, w, c := tr.Values[op.In[0]], p[op.Params[0].Name], in.C
		if in.H*in.W > 1 || len(w) != c*op.Shape.C {
			return scale
		}
		for ; len(x) > 0; x = x[c:] {
			for o := range op.Shape.C {
				sum := 0.0
				for j, v := range w[o*c:][:c] {
					sum += math.Abs(v * x[j])
				}
				scale = max(scale, sum)
			}
		}
	}
	return scale
}

func largest(xs []float64) float64 {
	top := 0.0
	for _, v := range xs {
		top = max(top, math.Abs(v))
	}
	return top
}

func compile(t interface {
	Fatal(...any)
	Cleanup(func())
}, g *arch.Graph, w *weights.Set, opt Options) *Plan {
	p, err := Compile(g, w, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// poisoned fills every memory that a run may read before it writes with NaN.
func poisoned(p *Plan) *Plan {
	s := p.acquire()
	nan := float32(math.NaN())
	for w := range s.frames {
		s.frames[w].arena = filled(p.arena, nan)
		s.scratch[w] = filled(p.scratch, nan)
	}
	p.release(s)
	return p
}

var networks = []struct {
	name     string
	res, ch  int
	head     int
	padding  arch.PaddingRule
	act      arch.Act
	fromWide bool
	blocks   []string
}{
	{"b0-like", 40, 3, 48, arch.PadSymmetric, arch.ActSwish, false, []string{
		"ds_r1_k3_s1_c8_se0.25", "ir_r2_k3_s2_e6_c12_se0.25", "ir_r2_k5_s2_e6_c20_se0.25", "ir_r1_k3_s1_e6_c20_se0.25"}},
	{"same padding", 37, 3, 32, arch.PadSame, arch.ActSwish, false, []string{
		"ds_r2_k3_s1_c8", "ir_r2_k5_s2_e3_c12_se0.25", "ir_r2_k3_s2_e2.5_c16"}},
	{"lite, odd", 33, 3, 24, arch.PadSymmetric, arch.ActReLU6, false, []string{
		"ds_r1_k3_s1_c8", "ir_r3_k3_s2_e6_c12", "ir_r2_k5_s1_e4_c12_noskip"}},
	{"no head, grey, relu", 28, 1, 0, arch.PadSymmetric, arch.ActReLU, true, []string{
		"ds_r2_k5_s2_c12_se0.25_nsw", "ir_r2_k3_s2_e3_c16_se0.5"}},
	{"large kernels and strides", 45, 2, 16, arch.PadSame, arch.ActSwish, false, []string{
		"ds_r1_k7_s3_c8", "ir_r1_k3_s4_e2_c8_se1", "ds_r1_k1_s2_c8"}},
	{"fused", 40, 3, 24, arch.PadSame, arch.ActSwish, false, []string{
		"cn_r2_k3_s1_c8_skip", "er_r2_k3_s2_e4_c12", "er_r2_k5_s1_e1_c12_se0.25_fc20", "ir_r2_k3_s2_e4_c16_se0.25"}},
	{"wide fused, odd", 58, 3, 24, arch.PadSymmetric, arch.ActSwish, false, []string{
		"cn_r2_k3_s1_c24_skip", "er_r2_k3_s1_e4_c20", "er_r1_k3_s1_e5_c16_nhs", "basic_r2_k3_s1_c17_nre"}},
	{"wide fused, even", 56, 3, 0, arch.PadSame, arch.ActReLU6, false, []string{
		"cn_r1_k3_s1_c40", "er_r2_k3_s1_e4_c24_se0.25", "cn_r2_k3_s1_c16_skip"}},
	{"mobilenet v1, hard", 33, 3, 0, arch.PadSymmetric, arch.ActHardSwish, false, []string{
		"dsa_r2_k3_s1_c16", "dsa_r2_k3_s2_c24_nr6", "ds_r1_k5_s1_c24_se0.5"}},
	{"resnet", 41, 3, 0, arch.PadSymmetric, arch.ActReLU, false, []string{
		"basic_r2_k3_s1_c8", "basic_r2_k3_s2_e0.5_c16", "bottle_r3_k3_s2_e0.25_c32"}},
	{"one pixel", 1, 3, 8, arch.PadSymmetric, arch.ActIdentity, false, []string{"ds_r2_k3_s1_c8_se0.25", "ir_r1_k5_s1_e2_c8"}},
}

func TestAgainstOracle(t *testing.T) {
	for _, c := range networks {
		t.Run(c.name, func(t *testing.T) {
			s := spec(t, c.res, c.ch, c.head, c.blocks...)
			s.Padding, s.Act, s.SE.FromExpanded = c.padding, c.act, c.fromWide
			if c.res == 1 {
				s.Stem.Stride = 1
			}
			if c.name == "resnet" {
				s.Stem.Kernel, s.Stem.Pool = 7, 3
			}
			if c.act == arch.ActHardSwish {
				s.SE.Gate, s.SE.Act = arch.ActHardSigmoid, arch.ActReLU
			}
			g := graph(t, s)
			w := trained(g, 7)
			const n = 3
			x := images(g, n, 8)
			want := ref.Forward(g, ref.FromSet(w), widen(x), n, ref.Mode{}).Logits()
			for _, row := range kernel.Table() {
				if !row.Supported {
					continue
				}
				p := poisoned(compile(t, g, w, Options{Kernel: row.Impl.Name, Threads: 2}))
				got, err := p.Run(t.Context(), x, n)
				if err != nil {
					t.Fatal(err)
				}
				if err := near(got, want); err != nil {
					t.Errorf("kernel %s: %v", row.Impl.Name, err)
				}
			}
		})
	}
}

// TestGolden compares with logits from PyTorch and timm.
func TestGolden(t *testing.T) {
	for _, name := range golden.Names {
		c := golden.Load(name)
		x := make([]float32, 0)
		for _, v := range c.Images(0) {
			x = append(x, float32(v))
		}
		got, err := compile(t, c.Graph, c.Weights(), Options{}).Run(t.Context(), x, c.Batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := near(got, c.EvalLogits); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRandomNetworks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, xs ...string) string { return rapid.SampledFrom(xs).Draw(t, what) }
		var blocks []string
		for i := range rapid.IntRange(1, 4).Draw(t, "stages") {
			b := pick("kind", "ds", "ir_e2", "ir_e3.5", "dsa", "er_e2", "er_e1_fc6", "cn", "cn_skip", "basic", "bottle_e0.5") +
				pick("repeats", "", "_r2") + pick("kernel", "_k1", "_k3", "_k5") + pick("act", "", "_nre", "_nr6", "_nsw", "_nhs")
			if !strings.HasPrefix(b, "cn") && !strings.HasPrefix(b, "b") {
				b += pick("se", "", "_se0.25", "_se0.5") + pick("skip", "", "", "_noskip")
			}
			if i < 2 {
				b += pick("stride", "_s1", "_s2", "_s3")
			}
			blocks = append(blocks, fmt.Sprintf("%s_c%d", b, rapid.SampledFrom([]int{4, 5, 8, 12, 17, 24}).Draw(t, "width")))
		}
		s := arch.Spec{
			Name: "random", Resolution: rapid.IntRange(37, 61).Draw(t, "resolution"),
			Channels: rapid.IntRange(1, 4).Draw(t, "channels"), Classes: rapid.IntRange(1, 12).Draw(t, "classes"),
			Stem:    arch.Stem{Width: rapid.IntRange(1, 9).Draw(t, "stem"), Kernel: rapid.SampledFrom([]int{1, 3, 5}).Draw(t, "stem kernel"), Stride: rapid.IntRange(1, 2).Draw(t, "stem stride"), Pool: rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "stem pool")},
			Head:    rapid.SampledFrom([]int{0, 13, 32}).Draw(t, "head"),
			Act:     arch.ActSwish,
			Padding: rapid.SampledFrom([]arch.PaddingRule{arch.PadSame, arch.PadSymmetric}).Draw(t, "padding"),
			BN:      arch.BatchNormConfig{Eps: 1e-3, Momentum: 0.01},
			Dropout: rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "dropout"),
			Rule:    arch.Rule{WidthDivisor: 1, WidthLimit: 0.9, Depth: arch.RoundUp},
		}
		s.Prep = arch.Prep{Crop: 1, Filter: arch.Bilinear, Mean: make([]float64, s.Channels), Std: slices.Repeat([]float64{1}, s.Channels)}
		for _, b := range blocks {
			st, err := arch.ParseStage(b)
			if err != nil {
				t.Fatal(err)
			}
			s.Stages = append(s.Stages, st)
		}
		g := graph(t, s)
		w := trained(g, 3)
		n := rapid.IntRange(1, 3).Draw(t, "images")
		x := images(g, n, 5)
		params := ref.FromSet(w)
		tr := ref.Forward(g, params, widen(x), n, ref.Mode{})
		var taps []int
		for range rapid.IntRange(0, 3).Draw(t, "taps") {
			taps = append(taps, rapid.IntRange(0, len(g.Ops)-1).Draw(t, "tap"))
		}
		var impls []string // with small panels, few channels are several of them
		for _, row := range kernel.Table() {
			if row.Supported {
				impls = append(impls, row.Impl.Name)
			}
		}
		p := poisoned(compile(t, g, w, Options{
			Threads: rapid.IntRange(1, 3).Draw(t, "threads"), Kernel: rapid.SampledFrom(impls).Draw(t, "kernel"), Taps: taps,
		}))
		logits := make([]float32, n*p.Classes())
		tapped := make([][]float32, len(taps))
		for i, op := range taps {
			tapped[i] = make([]float32, n*g.Ops[op].Shape.Elems())
		}
		if err := p.RunInto(context.Background(), x, n, logits, tapped...); err != nil {
			t.Fatal(err)
		}
		if err := nearOp(logits, tr, params, g.Output()); err != nil {
			t.Errorf("logits: %v", err)
		}
		for i, op := range taps {
			if err := nearOp(tapped[i], tr, params, op); err != nil {
				t.Errorf("%s: %v", g.Ops[op].Name, err)
			}
		}
	})
}

func bigger(t testing.TB) (*arch.Graph, *weights.Set) {
	g := graph(t, spec(t, 64, 3, 96, "ds_r1_k3_s1_c16_se0.25", "cn_r1_k3_s1_c16_skip", "er_r1_k3_s1_e4_c16", "ir_r2_k5_s2_e6_c24_se0.25", "ir_r2_k3_s2_e6_c40_se0.25"))
	return g, trained(g, 11)
}

// TestSameBits holds the promise of the package comment.
func TestSameBits(t *testing.T) {
	g, w := bigger(t)
	const n = 5
	x := images(g, n, 12)
	alone := compile(t, g, w, Options{Threads: 1})
	var want []float32
	e := g.Ops[0].Shape.Elems()
	for i := range n {
		y, err := alone.Run(t.Context(), x[i*e:][:e], 1)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, y...)
	}
	for threads := 1; threads <= 4; threads++ {
		p := compile(t, g, w, Options{Threads: threads})
		for batch := 1; batch <= n; batch++ {
			got, err := p.Run(t.Context(), x[:batch*e], batch)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want[:len(got)]) {
				t.Errorf("%d threads, batch of %d: logits differ from those of one thread, one image", threads, batch)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	g, w := bigger(t)
	p := compile(t, g, w, Options{Threads: 2})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			n := 1 + i%3
			x := images(g, n, uint64(i))
			want, err := p.Run(t.Context(), x, n)
			for range 5 {
				got, err2 := p.Run(t.Context(), x, n)
				if err := errors.Join(err, err2); err != nil || !slices.Equal(got, want) {
					t.Errorf("goroutine %d: error %v, or logits that changed", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocations(t *testing.T) {
	g, w := bigger(t)
	p := compile(t, g, w, Options{Threads: 2})
	for _, n := range []int{1, 2, 3} {
		x, logits := images(g, n, 1), make([]float32, n*p.Classes())
		ctx, cancel := context.WithCancel(t.Context())
		if a := testing.AllocsPerRun(5, func() {
			if err := p.RunInto(ctx, x, n, logits); err != nil {
				t.Error(err)
			}
		}); a != 0 {
			t.Errorf("batch of %d: %v allocations a run", n, a)
		}
		cancel()
	}
}

func TestCancel(t *testing.T) {
	g, w := bigger(t)
	p := compile(t, g, w, Options{Threads: 2})
	x := images(g, 3, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, n := range []int{1, 2, 3} {
		if _, err := p.Run(ctx, x[:n*g.Ops[0].Shape.Elems()], n); !errors.Is(err, context.Canceled) {
			t.Errorf("batch of %d: error is %v, want context.Canceled", n, err)
		}
	}
	// The plan still works.
	want, err := compile(t, g, w, Options{Threads: 2}).Run(t.Context(), x, 3)
	got, err2 := p.Run(t.Context(), x, 3)
	if err := errors.Join(err, err2); err != nil || !slices.Equal(got, want) {
		t.Errorf("after a cancelled run: error %v, or other logits", err)
	}
}

func TestErrors(t *testing.T) {
	g, w := bigger(t)
	p := compile(t, g, w, Options{Taps: []int{g.Features}})
	for _, c := range []struct {
		want string
		err  error
	}{
		{"the input has 7 values", p.RunInto(t.Context(), make([]float32, 7), 1, make([]float32, 10), make([]float32, 96))},
		{"1 images", func() error { _, err := p.Run(t.Context(), nil, -1); return err }()},
		{"room for 0 taps, the plan has 1", p.RunInto(t.Context(), images(g, 1, 1), 1, make([]float32, 10))},
		{"output 0 has room for 9 values, want 10", p.RunInto(t.Context(), images(g, 1, 1), 1, make([]float32, 9), make([]float32, 96))},
		{"op 9999 is tapped", func() error { _, err := Compile(g, w, Options{Taps: []int{9999}}); return err }()},
		{"no implementation", func() error { _, err := Compile(g, w, Options{Kernel: "mmx"}); return err }()},
		{"missing from the file", func() error { _, err := Compile(g, &weights.Set{}, Options{}); return err }()},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error is %v, want a part %q", c.err, c.want)
		}
	}
}

// TestPlacement checks that values alive at the same time never overlap, and
// that the arena is not much larger than the most that is alive at once.
func TestPlacement(t *testing.T) {
	g, w := bigger(t)
	steps, values, _, _, err := lower(g, w, kernel.Best(), 2, []int{g.Output()})
	if err != nil {
		t.Fatal(err)
	}
	total := placeValues(values)
	for i, a := range values {
		if a.offset < 0 || a.offset+a.size() > total {
			t.Errorf("value %d lies at %d..%d, the arena has %d", i, a.offset, a.offset+a.size(), total)
		}
		for j, b := range values[:i] {
			if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.size() && b.offset < a.offset+a.size() {
				t.Errorf("values %d and %d overlap", i, j)
			}
		}
	}
	peak := 0
	for at := range steps {
		alive := 0
		for _, v := range values {
			if v.first <= at && at <= v.last {
				alive += v.size()
			}
		}
		peak = max(peak, alive)
	}
	if float64(total) > 1.1*float64(peak) {
		t.Errorf("the arena has %d floats, at most %d are alive at once", total, peak)
	}
}
