package train

import (
	"math"
	"testing"

	"effnet/arch"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"
)

// frozenCases are ways to freeze parts of freezeNet.
var frozenCases = []struct {
	name   string
	frozen func(op *arch.Op) bool
	bn     bool
}{
	{"batch norm", nil, true},
	{"stem", func(op *arch.Op) bool { return op.Stage < 0 }, false},
	{"first stage", func(op *arch.Op) bool { return op.Stage == 0 }, false},
	{"middle", func(op *arch.Op) bool { return op.Stage == 1 }, false},
	{"middle, all batch norms", func(op *arch.Op) bool { return op.Stage == 1 }, true},
	{"up to the middle", func(op *arch.Op) bool { return op.Stage <= 1 }, false},
	{"all but the classifier", func(op *arch.Op) bool { return op.Kind != arch.OpLinear }, false},
	{"convolutions", func(op *arch.Op) bool { return op.Kind == arch.OpConv }, false},
	{"batch norms with gamma and beta", func(op *arch.Op) bool { return op.Kind == arch.OpBatchNorm }, false},
	{"depthwise", func(op *arch.Op) bool { return op.Depthwise() }, false},
	{"the classifier", func(op *arch.Op) bool { return op.Kind == arch.OpLinear }, false},
}

func freezeNets(t testing.TB) map[string]*arch.Graph {
	b := netSpec(12, 3, "ds_r2_k3_s1_c8_se0.25", "ir_r2_k3_s2_e4_c16_se0.25", "ir_r2_k5_s1_e2_c16_se0.25")
	b.Dropout, b.DropPath = 0.3, 0.4
	f := netSpec(12, 3, "cn_r1_k3_s1_c8_skip", "cn_r2_k3_s1_c8_skip", "er_r2_k3_s1_e2_c8")
	r := netSpec(21, 3, "basic_r1_k3_s1_c16", "bottle_r2_k3_s2_e0.25_c32", "basic_r2_k3_s1_c32")
	r.Stem, r.Head = arch.Stem{Width: 16, Kernel: 7, Stride: 2, Pool: 3}, 0
	return map[string]*arch.Graph{"inverted": graphOf(t, b), "fused": graphOf(t, f), "resnet": graphOf(t, r)}
}

// TestFrozen compares whole steps with the oracle: what learns has its
// gradient, what is frozen keeps every bit, and so do its running statistics,
// average and optimizer slots.
func TestFrozen(t *testing.T) {
	for net, g := range freezeNets(t) {
		for _, c := range frozenCases {
			t.Run(net+"/"+c.name, func(t *testing.T) {
				frozen := func(op *arch.Op) bool { return c.frozen != nil && c.frozen(op) }
				running := func(op *arch.Op) bool { return c.bn || frozen(op) }
				cfg := Config{
					Batch: 6, Threads: 2, Seed: 3, LabelSmoothing: 0.1, EMADecay: 0.9,
					Optimizer: optimizer(t, AdamW), Frozen: c.frozen, FrozenBN: c.bn,
				}
				tr := compileFor(t, g, golden.Weights(g), cfg)
				x, y := batch(g, 6, 7)
				p := ref.FromSet(tr.Weights())
				o := ref.Forward(g, p, widen(x), len(y), ref.Mode{Train: true, Masks: tr.masks(g, len(y)), Running: running})
				loss, d := ref.CrossEntropy(o.Logits(), labels(y), tr.smoothing)
				want := o.Backward(d)
				o.UpdateRunning(p)
				s := step(t, tr, x, y, 0)
				near(t, "loss", []float64{s.Loss}, []float64{loss}, 1e-4, 1e-6)
				near(t, "logits", tr.logits(len(y)), o.Logits(), 2e-4, 1e-6)
				top := 0.0
				for _, v := range want.Params {
					for _, v := range v {
						top = max(top, math.Abs(v))
					}
				}
				keeps := map[string]bool{}
				got := tr.gradients()
				for i := range g.Ops {
					op := &g.Ops[i]
					for _, q := range op.Params {
						switch {
						case frozen(op), running(op) && !q.Role.Trainable():
							keeps[q.Name] = true
						case q.Role.Trainable():
							near(t, "gradient of "+q.Name, got[q.Name], want.Params[q.Name], 5e-4, 1e-5*top)
						default:
							near(t, q.Name, tr.Weights().Tensors[q.Name].Data, p[q.Name], 1e-4, 1e-6)
						}
					}
				}
				for i := range 3 {
					x, y := batch(g, 6, uint64(i))
					step(t, tr, x, y, 0.01)
				}
				start := golden.Weights(g)
				now, average, state := tr.Weights(), tr.EMAWeights(), tr.State()
				for _, q := range g.Params() {
					same := sameBits(now.Tensors[q.Name], start.Tensors[q.Name])
					if same != keeps[q.Name] {
						t.Errorf("%s: kept is %v, want %v", q.Name, same, keeps[q.Name])
					}
					if keeps[q.Name] && !sameBits(average.Tensors[q.Name], start.Tensors[q.Name]) {
						t.Errorf("%s: its average moved", q.Name)
					}
					if m, ok := state.Tensors["mean/"+q.Name]; ok && keeps[q.Name] {
						for _, v := range m.Data {
							if v != 0 {
								t.Fatalf("%s: its slot moved", q.Name)
							}
						}
					}
				}
			})
		}
	}
}

func sameBits(a, b weights.Tensor) bool {
	for i := range a.Data {
		if math.Float32bits(a.Data[i]) != math.Float32bits(b.Data[i]) {
			return false
		}
	}
	return true
}

func TestFrozenSameBits(t *testing.T) {
	g := busyNet(t)
	cfg := Config{
		Batch: 13, Threads: 1, Seed: 9, EMADecay: 0.99, Optimizer: optimizer(t, RMSPropTF),
		Frozen: func(op *arch.Op) bool { return op.Stage < 1 }, FrozenBN: true,
	}
	one := compileFor(t, g, golden.Weights(g), cfg)
	train(t, one, g, 0, 5)
	cfg.Threads = 3
	first := compileFor(t, g, golden.Weights(g), cfg)
	train(t, first, g, 0, 3)
	resumed := compileFor(t, g, weights.Init(g, 1), cfg)
	if err := resumed.Restore(first.State()); err != nil {
		t.Fatal(err)
	}
	train(t, resumed, g, 3, 5)
	sameState(t, "resumed", resumed.State(), one.State())
}

func TestEverythingFrozen(t *testing.T) {
	g := busyNet(t)
	_, err := Compile(g, golden.Weights(g), Config{Batch: 1, Optimizer: optimizer(t, SGD), Frozen: func(*arch.Op) bool { return true }})
	if err == nil || err.Error() != "train: every parameter of test is frozen" {
		t.Errorf("%v", err)
	}
}
