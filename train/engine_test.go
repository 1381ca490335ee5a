package train

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"
)

// kernels lists the implementations that this machine can run.
func kernels() (names []string) {
	for _, r := range kernel.Table() {
		if r.Supported {
			names = append(names, r.Impl.Name)
		}
	}
	return names
}

func optimizer(t testing.TB, kind OptimizerKind) Optimizer {
	t.Helper()
	o, err := DefaultOptimizer(kind)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func compileFor(t testing.TB, g *arch.Graph, w *weights.Set, cfg Config) *Trainer {
	t.Helper()
	if cfg.Optimizer.Kind == "" {
		cfg.Optimizer = optimizer(t, RMSPropTF)
	}
	tr, err := Compile(g, w, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

// tester is what testing.TB and rapid.T share.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// near fails unless got is within tol of want, relative to the largest value
// of the tensor, or within floor.
func near[T, U float32 | float64](t tester, what string, got []T, want []U, tol, floor float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	top := 0.0
	for _, v := range want {
		top = max(top, math.Abs(float64(v)))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol*top+floor) {
			t.Errorf("%s[%d] = %v, want %v (off by %.2g, the largest is %.3g)", what, i, got[i], want[i], d, top)
			return
		}
	}
}

// logits of the last step; its images were n.
func (t *Trainer) logits(n int) []float32 {
	nodes := t.passes[len(t.passes)-1].nodes
	return nodes[len(nodes)-1].(*crossEntropy).logits.at(0, n)
}

// gradients of the last step.
func (t *Trainer) gradients() map[string][]float32 {
	m := map[string][]float32{}
	for _, p := range t.params.list {
		if p.Role.Trainable() {
			m[p.Name] = t.params.of(t.params.grads, p.Name)
		}
	}
	return m
}

// masks are those of the coming step, as the oracle takes them.
func (t *Trainer) masks(g *arch.Graph, n int) ref.Tensors {
	m := ref.Tensors{}
	for i, op := range g.Ops {
		switch {
		case op.Kind == arch.OpAdd && op.DropPath > 0:
			for img := range n {
				m[op.Name] = append(m[op.Name], float64(t.keep(op.DropPath, i, img, 0)))
			}
		case op.Kind == arch.OpDropout && op.Rate > 0:
			for img := range n {
				for e := range op.Shape.Elems() {
					m[op.Name] = append(m[op.Name], float64(t.keep(op.Rate, i, img, e)))
				}
			}
		}
	}
	return m
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func labels32(y []int) []int32 {
	l := make([]int32, len(y))
	for i, v := range y {
		l[i] = int32(v)
	}
	return l
}

func labels(y []int32) []int {
	l := make([]int, len(y))
	for i, v := range y {
		l[i] = int(v)
	}
	return l
}

func batch(g *arch.Graph, n int, seed uint64) (x []float32, y []int32) {
	r := rand.New(rand.NewPCG(seed, 1))
	x = make([]float32, n*g.Ops[0].Shape.Elems())
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	y = make([]int32, n)
	for i := range y {
		y[i] = int32(r.IntN(g.Ops[g.Output()].Shape.C))
	}
	return x, y
}

func step(t tester, tr *Trainer, x []float32, y []int32, lr float64) StepStats {
	t.Helper()
	s, err := tr.Step(context.Background(), x, Targets{Labels: y}, lr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkAgainstOracle runs one step of learning rate 0 and compares everything
// it computes.
func checkAgainstOracle(t tester, tr *Trainer, g *arch.Graph, x []float32, y []int32) {
	t.Helper()
	start := tr.Weights()
	p := ref.FromSet(start)
	o := ref.Forward(g, p, widen(x), len(y), ref.Mode{Train: true, Masks: tr.masks(g, len(y))})
	loss, d := ref.CrossEntropy(o.Logits(), labels(y), tr.smoothing)
	want := o.Backward(d)
	o.UpdateRunning(p)
	if d := o.KinkDistance(); d < 2e-6 {
		why := fmt.Sprintf("rounding may carry a value over the kink of an activation, %.2g away: draw another batch", d)
		if r, ok := t.(*rapid.T); ok {
			r.Skip(why)
		}
		t.Fatal(why)
	}

	scratch := len(tr.workers[0].slab)
	s := step(t, tr, x, y, 0)
	if now := len(tr.workers[0].slab); now > scratch {
		t.Errorf("a step takes %d floats of scratch, scratchOf plans %d", now, scratch)
	}
	checkRemade(t, tr, g, start, x, y)
	near(t, "logits", tr.logits(len(y)), o.Logits(), 2e-4, 1e-6)
	near(t, "loss", []float64{s.Loss}, []float64{loss}, 1e-4, 1e-6)
	// A gradient that is zero but for rounding is held to the largest of all.
	top := 0.0
	for _, v := range want.Params {
		for _, v := range v {
			top = max(top, math.Abs(v))
		}
	}
	got := tr.gradients()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		near(t, "gradient of "+name, got[name], want.Params[name], 5e-4, 1e-5*top)
	}
	now := tr.Weights()
	for _, q := range g.Params() {
		if !q.Role.Trainable() {
			near(t, q.Name, now.Tensors[q.Name].Data, p[q.Name], 1e-4, 1e-6)
		}
	}
}

func TestGolden(t *testing.T) {
	for _, name := range golden.Names {
		c := golden.Load(name)
		for _, k := range kernels() {
			t.Run(name+"/"+k, func(t *testing.T) {
				cfg := Config{Batch: c.Batch, Threads: 2, Kernel: k, LabelSmoothing: c.Smoothing}
				x, y := narrow(c.Images(0)), labels32(c.Labels(0))
				tr := compileFor(t, c.Graph, c.Weights(), cfg)
				if len(c.Masks(0)) > 0 { // the golden's masks are not ours
					checkAgainstOracle(t, tr, c.Graph, x, y)
					return
				}
				s := step(t, tr, x, y, 0)
				near(t, "logits", tr.logits(c.Batch), c.TrainLogits, 1e-4, 1e-6)
				near(t, "loss", []float64{s.Loss}, []float64{c.Loss}, 1e-5, 0)
				got := tr.gradients()
				for _, k := range slices.Sorted(maps.Keys(c.Grads)) {
					near(t, "gradient of "+k, got[k], c.Grads[k], 2e-4, 1e-6)
				}
				w := tr.Weights()
				for _, k := range slices.Sorted(maps.Keys(c.Running)) {
					near(t, k, w.Tensors[k].Data, c.Running[k], 1e-5, 1e-6)
				}
			})
		}
	}
}

func TestGoldenRuns(t *testing.T) {
	kinds := map[string]OptimizerKind{"rmsproptf": RMSPropTF, "sgd": SGD, "adamw": AdamW, "muon": Muon}
	for _, name := range golden.Names {
		c := golden.Load(name)
		if len(c.Masks(0)) > 0 {
			continue
		}
		for _, r := range c.Runs {
			for _, k := range kernels() {
				t.Run(fmt.Sprintf("%s/%s/%s", name, r.Kind, k), func(t *testing.T) {
					o := Optimizer{
						Kind: kinds[r.Kind], Alpha: r.Alpha, Momentum: r.Momentum, Eps: r.Eps,
						Beta1: r.Betas[0], Beta2: r.Betas[1], WeightDecay: r.WeightDecay, Decay: DecayAll,
					}
					if r.WeightsOnly {
						o.Decay = DecayWeights
					}
					tr := compileFor(t, c.Graph, c.Weights(), Config{
						Batch: c.Batch, Threads: 1, Kernel: k, LabelSmoothing: c.Smoothing, Optimizer: o,
					})
					var losses []float64
					for i := range r.Steps {
						losses = append(losses, step(t, tr, narrow(c.Images(i)), labels32(c.Labels(i)), r.LR).Loss)
					}
					near(t, "losses", losses, r.Losses, 1e-5, 0)
					w := tr.Weights()
					for _, k := range slices.Sorted(maps.Keys(r.Final)) {
						near(t, k, w.Tensors[k].Data, r.Final[k], 1e-4, 1e-6)
					}
					for _, k := range slices.Sorted(maps.Keys(r.Probes)) {
						data := make([]float64, len(w.Tensors[k].Data))
						sum := 0.0
						for i, v := range w.Tensors[k].Data {
							data[i] = float64(v)
							sum += math.Abs(data[i])
						}
						near(t, "probe of "+k, []float64{golden.Probe(data)}, []float64{r.Probes[k]}, 0, 1e-5*sum+1e-6)
					}
				})
			}
		}
	}
}
