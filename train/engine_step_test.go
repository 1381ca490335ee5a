package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"

	"go.uber.org/goleak"
)

// busyNet has everything that could depend on order: squeeze-and-excite,
// residuals, drop path, dropout, strides.
func busyNet(t testing.TB) *arch.Graph {
	s := netSpec(12, 3, "ds_r2_k3_s1_c8_se0.25", "ir_r3_k3_s2_e4_c16_se0.25", "ir_r2_k5_s2_e4_c24")
	s.Dropout, s.DropPath = 0.3, 0.4
	return graphOf(t, s)
}

func sameState(t *testing.T, what string, a, b State) {
	t.Helper()
	if a.Step != b.Step || len(a.Tensors) != len(b.Tensors) {
		t.Fatalf("%s: step %d with %d tensors, want %d with %d", what, a.Step, len(a.Tensors), b.Step, len(b.Tensors))
	}
	for name, x := range a.Tensors {
		y := b.Tensors[name]
		for i := range x.Data {
			if math.Float32bits(x.Data[i]) != math.Float32bits(y.Data[i]) {
				t.Fatalf("%s: %s[%d] is %v, want %v", what, name, i, x.Data[i], y.Data[i])
			}
		}
	}
}

func train(t testing.TB, tr *Trainer, g *arch.Graph, from, to int) {
	for i := from; i < to; i++ {
		n := 13
		if i%3 == 2 {
			n = 6 // an epoch's last batch is smaller
		}
		x, y := batch(g, n, uint64(i))
		step(t, tr, x, y, 0.01)
	}
}

// TestSameBits: neither the number of threads nor a resume from the state
// changes a bit.
func TestSameBits(t *testing.T) {
	g := busyNet(t)
	for _, kind := range []OptimizerKind{RMSPropTF, SGD, AdamW, Muon} {
		cfg := Config{Batch: 13, Threads: 1, Seed: 9, LabelSmoothing: 0.1, EMADecay: 0.99, Optimizer: optimizer(t, kind)}
		one := compileFor(t, g, golden.Weights(g), cfg)
		train(t, one, g, 0, 6)
		want := one.State()
		for _, threads := range []int{2, 3, 7} {
			cfg.Threads = threads
			tr := compileFor(t, g, golden.Weights(g), cfg)
			train(t, tr, g, 0, 6)
			sameState(t, "threads", tr.State(), want)
		}
		first := compileFor(t, g, golden.Weights(g), cfg)
		train(t, first, g, 0, 4)
		resumed := compileFor(t, g, weights.Init(g, 1), cfg)
		if err := resumed.Restore(first.State()); err != nil {
			t.Fatal(err)
		}
		sameState(t, "restored", resumed.State(), first.State())
		train(t, resumed, g, 4, 6)
		sameState(t, "resumed", resumed.State(), want)
	}
}

// TestRaggedBatches: what a step leaves in memory does not reach the next one.
func TestRaggedBatches(t *testing.T) {
	g := busyNet(t)
	cfg := Config{Batch: 16, Threads: 2, Seed: 1}
	big, fresh := compileFor(t, g, golden.Weights(g), cfg), compileFor(t, g, golden.Weights(g), cfg)
	x, y := batch(g, 16, 1)
	step(t, big, x, y, 0)
	if err := big.Restore(fresh.State()); err != nil {
		t.Fatal(err)
	}
	x, y = batch(g, 3, 2)
	step(t, big, x, y, 0.1)
	step(t, fresh, x, y, 0.1)
	sameState(t, "three images", big.State(), fresh.State())
}

// TestFiniteDifferences compares the change of the loss along a random
// direction of all parameters with the gradient.
func TestFiniteDifferences(t *testing.T) {
	g := graphOf(t, netSpec(8, 2, "ds_r2_k3_s1_c8_se0.25", "ir_r2_k3_s2_e3_c12_se0.25"))
	x, y := batch(g, 12, 3)
	r := rand.New(rand.NewPCG(5, 5))
	for trial := range 4 {
		w := golden.Weights(g)
		tr := compileFor(t, g, w, Config{Batch: 12, Threads: 1, LabelSmoothing: 0.1})
		step(t, tr, x, y, 0)
		const h = 2e-3
		slope := 0.0
		up, down := w.Clone(), w.Clone()
		for _, p := range g.Params() {
			if !p.Role.Trainable() {
				continue
			}
			for i, d := range tr.gradients()[p.Name] {
				u := r.NormFloat64()
				up.Tensors[p.Name].Data[i] += float32(h * u)
				down.Tensors[p.Name].Data[i] -= float32(h * u)
				slope += u * float64(d)
			}
		}
		loss := func(w *weights.Set) float64 {
			return step(t, compileFor(t, g, w, Config{Batch: 12, Threads: 1, LabelSmoothing: 0.1}), x, y, 0).Loss
		}
		near(t, "slope", []float64{(loss(up) - loss(down)) / (2 * h)}, []float64{slope}, 2e-2, 1e-2)
		if t.Failed() {
			t.Fatalf("trial %d", trial)
		}
	}
}

// TestEMA follows weights and running statistics against the oracle's average.
func TestEMA(t *testing.T) {
	g := busyNet(t)
	tr := compileFor(t, g, golden.Weights(g), Config{Batch: 13, Threads: 2, EMADecay: 0.5})
	e := &ref.EMA{Decay: 0.5, Avg: ref.FromSet(tr.Weights())}
	for i := range 12 { // past the ramp-up, which ends where (1+t)/(10+t) is 0.5
		train(t, tr, g, i, i+1)
		e.Update(ref.FromSet(tr.Weights()))
	}
	got := tr.EMAWeights()
	for _, p := range g.Params() {
		near(t, p.Name, got.Tensors[p.Name].Data, e.Avg[p.Name], 1e-5, 1e-6)
	}
	if w := compileFor(t, g, golden.Weights(g), Config{Batch: 1}).EMAWeights(); w != nil {
		t.Error("there is a moving average without a decay")
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	g := busyNet(t)
	for _, kind := range []OptimizerKind{RMSPropTF, AdamW, Muon} {
		tr := compileFor(t, g, golden.Weights(g), Config{Batch: 13, Threads: 2, EMADecay: 0.9, Optimizer: optimizer(t, kind)})
		x, y := batch(g, 13, 1)
		step(t, tr, x, y, 0.01)
		if n := testing.AllocsPerRun(10, func() { step(t, tr, x, y, 0.01) }); n > 0 {
			t.Errorf("%s: %v allocations per step", kind, n)
		}
	}
}

func TestCloseEndsGoroutines(t *testing.T) {
	g := busyNet(t)
	before := goleak.IgnoreCurrent()
	tr, err := Compile(g, golden.Weights(g), Config{Batch: 1, Threads: 5, Optimizer: optimizer(t, SGD)})
	if err != nil {
		t.Fatal(err)
	}
	tr.Close()
	goleak.VerifyNone(t, before)
	if tr.Weights() == nil || len(tr.State().Tensors) == 0 {
		t.Error("weights and state are gone after Close")
	}
}

// TestFailedSteps: whatever a step reports as an error leaves no trace.
func TestFailedSteps(t *testing.T) {
	g := busyNet(t)
	tr := compileFor(t, g, golden.Weights(g), Config{Batch: 4, Threads: 2, EMADecay: 0.9})
	x, y := batch(g, 4, 1)
	step(t, tr, x, y, 0.01)
	before := tr.State()
	nan, _ := batch(g, 4, 1)
	nan[17] = float32(math.NaN())
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	cases := []struct {
		name string
		ctx  context.Context
		x    []float32
		y    []int32
		lr   float64
		want string
	}{
		{"not a number", context.Background(), nan, y, 0.1, "train: step 1: the loss is NaN; lower the learning rate"},
		{"cancelled", cancelled, x, y, 0.1, "context canceled"},
		{"too many images", context.Background(), make([]float32, 5*12*12*3), make([]int32, 5), 0.1, "5 images, want 1 to 4"},
		{"no images", context.Background(), nil, nil, 0.1, "0 images, want 1 to 4"},
		{"short images", context.Background(), x[1:], y, 0.1, "1727 values for 4 images, want 12x12x3 each"},
		{"label", context.Background(), x, []int32{0, 1, 5, 0}, 0.1, "image 2 has label 5, want 0 to 4"},
		{"learning rate", context.Background(), x, y, math.NaN(), "the learning rate is NaN"},
	}
	for _, c := range cases {
		_, err := tr.Step(c.ctx, c.x, Targets{Labels: c.y}, c.lr)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		sameState(t, c.name, tr.State(), before)
	}
	var e *NonFiniteError
	if _, err := tr.Step(context.Background(), nan, Targets{Labels: y}, 0.1); !errors.As(err, &e) || e.Step != 1 || !math.IsNaN(e.Loss) {
		t.Errorf("error %v is not a NonFiniteError of step 1", err)
	}
	step(t, tr, x, y, 0.01)
}

// TestOneValuePerChannel: a batch norm over a single pixel has no variance.
func TestOneValuePerChannel(t *testing.T) {
	g := graphOf(t, netSpec(2, 1, "ir_r1_k3_s2_e2_c8"))
	tr := compileFor(t, g, golden.Weights(g), Config{Batch: 4})
	x, y := batch(g, 1, 1)
	_, err := tr.Step(context.Background(), x, Targets{Labels: y}, 0.1)
	if err == nil || !strings.Contains(err.Error(), "train: blocks.0.0.bn2: one value per channel has no variance") {
		t.Errorf("error %v", err)
	}
	x, y = batch(g, 2, 1)
	step(t, tr, x, y, 0.1)
}

func TestCompileErrors(t *testing.T) {
	g := busyNet(t)
	good := Config{Batch: 1, Optimizer: optimizer(t, RMSPropTF)}
	edit := func(f func(*Config)) Config { c := good; f(&c); return c }
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{edit(func(c *Config) { c.Batch = 0 }), "batch is 0"},
		{edit(func(c *Config) { c.Batch = 1 << 40 }), "batch is 1099511627776, want 1 to 16777216"},
		{edit(func(c *Config) { c.Batch = 1 << 24 }), "GiB of activations; use smaller batches"},
		{edit(func(c *Config) { c.Threads = -1 }), "threads is -1"},
		{edit(func(c *Config) { c.Kernel = "mmx" }), `no implementation "mmx"`},
		{edit(func(c *Config) { c.LabelSmoothing = 1 }), "label smoothing is 1"},
		{edit(func(c *Config) { c.EMADecay = math.NaN() }), "moving average is NaN"},
		{edit(func(c *Config) { c.Optimizer.Kind = "adam" }), `unknown optimizer "adam"`},
		{edit(func(c *Config) { c.Optimizer.Eps = 0 }), "rmsprop-tf: eps is 0"},
		{edit(func(c *Config) { c.Optimizer.Momentum = 1 }), "rmsprop-tf: momentum is 1"},
		{edit(func(c *Config) { c.Optimizer.WeightDecay = -1 }), "weight decay is -1"},
		{edit(func(c *Config) { c.Optimizer.Decay = "" }), `unknown decay rule ""`},
	} {
		if _, err := Compile(g, golden.Weights(g), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	w := golden.Weights(g)
	delete(w.Tensors, "conv_stem.weight")
	var mismatch *weights.MismatchError
	if _, err := Compile(g, w, good); !errors.As(err, &mismatch) {
		t.Errorf("a missing tensor gives %v", err)
	}
}

// TestEveryKind walks op kinds and activations: each one trains or is refused
// by name.
func TestEveryKind(t *testing.T) {
	trained := map[arch.Kind]bool{arch.OpMaxPool: true} // TestGraphs
	for _, op := range busyNet(t).Ops {                 // TestSameBits and TestNetworks
		trained[op.Kind] = true
	}
	for k := range arch.Kind(arch.NumKinds) {
		if trained[k] {
			continue
		}
		g := busyNet(t)
		g.Ops[1].Kind = k
		g.Ops[1].Params = nil
		if _, err := Compile(g, golden.Weights(g), Config{Batch: 1, Optimizer: optimizer(t, SGD)}); err == nil || !strings.Contains(err.Error(), k.String()) {
			t.Errorf("%s is neither trained nor refused: %v", k, err)
		}
	}
	for a := arch.ActIdentity; !strings.HasPrefix(a.String(), "Act("); a++ {
		if _, err := kernelAct(a); err != nil {
			t.Errorf("activation %s: %v", a, err)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(g *arch.Graph)
		want string
	}{
		{"groups", func(g *arch.Graph) { // two groups
			for i := range g.Ops {
				if op := &g.Ops[i]; op.Name == "blocks.1.0.conv_pw" {
					op.Groups = 2
					op.Params[0].Shape[1] /= 2
				}
			}
		}, "train: blocks.1.0.conv_pw: training does not know 2 groups of 8 channels"},
		{"norm", func(g *arch.Graph) { // a batch norm that reads a residual sum
			for i := range g.Ops {
				if op := &g.Ops[i]; op.Name == "bn2" {
					op.In[0] = i - 2
					op.Shape = g.Ops[i-2].Shape
				}
			}
		}, "train: bn2: training wants a batch norm to be the only reader of a convolution, this one reads blocks.2.1.add"},
	} {
		g := busyNet(t)
		c.edit(g)
		_, err := Compile(g, golden.Weights(g), Config{Batch: 1, Optimizer: optimizer(t, SGD)})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	g := busyNet(t)
	tr := compileFor(t, g, golden.Weights(g), Config{Batch: 1, EMADecay: 0.9})
	for _, c := range []struct {
		edit func(s *State)
		want string
	}{
		{func(s *State) { delete(s.Tensors, "ema/bn1.running_var") }, "ema/bn1.running_var is missing"},
		{func(s *State) { s.Tensors["square/bn1.weight"] = weights.Tensor{} }, "square/bn1.weight has 0 values, network wants [8]"},
		{func(s *State) { s.Tensors["mean/bn1.weight"] = weights.Tensor{} }, "mean/bn1.weight is unknown"},
		{func(s *State) { s.Step = -1 }, "step is -1"},
	} {
		s := tr.State()
		c.edit(&s)
		if err := tr.Restore(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
