package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"
)

// dropping compiles a trainer that keeps no more in memory than choose says of
// the values that can be dropped.
func dropping(g *arch.Graph, w *weights.Set, cfg Config, choose func(i int) bool) (*Trainer, error) {
	return compileWith(g, w, cfg, func(f *fitter, threads int) (Memory, error) {
		for i := range f.l.kept {
			k := &f.l.kept[i]
			k.dropped = f.l.droppable(k) && choose(i)
		}
		return f.layOut(cfg.Batch, threads), nil
	})
}

// checkRemade compares the gradients of tr's last step, which began at start,
// with those of trainers that drop everything, and anything.
func checkRemade(t tester, tr *Trainer, g *arch.Graph, start *weights.Set, x []float32, y []int32) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(len(g.Ops)), 1))
	for _, all := range []bool{true, false} {
		other, err := dropping(g, start, tr.cfg, func(int) bool { return all || r.IntN(2) == 0 })
		if err != nil {
			t.Fatal(err)
		}
		other.step = tr.step - 1
		step(t, other, x, y, 0)
		other.Close()
		for i, v := range other.params.grads {
			if want := tr.params.grads[i]; math.Float32bits(v) != math.Float32bits(want) {
				t.Errorf("with %d of %d values made again, gradient %d is %v, want %v", other.Memory().Remade, other.Memory().Maps, i, v, want)
				break
			}
		}
	}
}

// deepNet has enough blocks for a limit to matter.
func deepNet(t testing.TB, depth float64) *arch.Graph {
	s := netSpec(24, 3, "ds_r1_k3_s1_c8_se0.25", "ir_r2_k3_s2_e4_c16_se0.25", "er_r1_k3_s1_e4_c16", "ir_r2_k5_s2_e4_c24_se0.25")
	s.Dropout, s.DropPath = 0.3, 0.4
	s, err := s.Scale(arch.Factors{Depth: depth, Width: 1, Resolution: s.Resolution})
	if err != nil {
		t.Fatal(err)
	}
	return graphOf(t, s)
}

// leastMemory is what a network trains in at least.
func leastMemory(t testing.TB, g *arch.Graph, cfg Config) int64 {
	t.Helper()
	cfg.Memory = 1
	_, err := Plan(g, cfg)
	var limit *LimitError
	if !errors.As(err, &limit) {
		t.Fatal("a limit of one byte gives", err)
	}
	return limit.Least
}

// TestMemoryLimit: a trainer plans no more than its limit, and while the batch
// is whole no limit changes a bit.
func TestMemoryLimit(t *testing.T) {
	g := deepNet(t, 2)
	cfg := Config{Batch: 32, Threads: 2, Seed: 9, LabelSmoothing: 0.1, EMADecay: 0.9, Optimizer: optimizer(t, RMSPropTF)}
	x, y := batch(g, 32, 1)
	plain := compileFor(t, g, golden.Weights(g), cfg)
	step(t, plain, x, y, 0.01)
	total := plain.Memory().Total()
	least := leastMemory(t, g, cfg)
	if least >= total/2 {
		t.Errorf("the least memory is %d bytes, without a limit it is %d", least, total)
	}
	remade, parts := 0, 0
	for i := range int64(9) {
		cfg.Memory = least + i*(total-least)/8
		tr := compileFor(t, g, golden.Weights(g), cfg)
		m := tr.Memory()
		if m.Total() > cfg.Memory {
			t.Errorf("a limit of %d bytes gives a plan of %d", cfg.Memory, m.Total())
		}
		step(t, tr, x, y, 0.01)
		switch {
		case m.MicroBatch < 32:
			parts++
		default:
			sameState(t, fmt.Sprintf("in %d bytes, %d values made again", cfg.Memory, m.Remade), tr.State(), plain.State())
			if m.Remade > 0 {
				remade++
			}
		}
		if i == 8 && (m.Remade > 0 || m.MicroBatch != 32) {
			t.Errorf("the limit is no limit, but %d values are made again in micro-batches of %d", m.Remade, m.MicroBatch)
		}
	}
	if remade < 2 || parts < 1 {
		t.Errorf("%d limits make values again, %d split the batch", remade, parts)
	}
	cfg.Memory = least - 1<<20
	_, err := Compile(g, golden.Weights(g), cfg)
	want := fmt.Sprintf("train: test_d2 in batches of 32 does not train within %s of memory; the least is %s", megabytes(cfg.Memory), megabytes(least))
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

// TestDeeper: a network made four times deeper trains in the memory of the
// network.
func TestDeeper(t *testing.T) {
	cfg := Config{Batch: 32, Threads: 1, Optimizer: optimizer(t, RMSPropTF)}
	base, err := Plan(deepNet(t, 1), cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := deepNet(t, 4)
	free, err := Plan(g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if free.Total() < 3*base.Total() {
		t.Errorf("without a limit the deep network has %d bytes, its base %d: too near to show anything", free.Total(), base.Total())
	}
	cfg.Memory = base.Total()
	tr := compileFor(t, g, golden.Weights(g), cfg)
	if m := tr.Memory(); m.Total() > base.Total() {
		t.Errorf("the deep network has %d bytes, its base %d", m.Total(), base.Total())
	}
	x, y := batch(g, 32, 1)
	first := step(t, tr, x, y, 0.01)
	for range 8 {
		step(t, tr, x, y, 0.01)
	}
	if last := step(t, tr, x, y, 0.01); last.Loss >= first.Loss {
		t.Errorf("the loss of the deep network goes from %v to %v", first.Loss, last.Loss)
	}
}

// TestMicroBatches compares with the oracle, a micro-batch at a time: the
// gradients are summed, the running statistics follow the moments of all.
func TestMicroBatches(t *testing.T) {
	g := busyNet(t)
	for _, micro := range []int{1, 2, 5, 12, 13, 20} {
		cfg := Config{Batch: 13, Threads: 2, Seed: 3, LabelSmoothing: 0.1, MicroBatch: micro}
		tr := compileFor(t, g, golden.Weights(g), cfg)
		x, y := batch(g, 13, 7)
		elems := len(x) / len(y)
		masks := tr.masks(g, len(y))
		p := ref.FromSet(tr.Weights())
		parts := (13 + micro - 1) / micro
		loss, want := 0.0, ref.Tensors{}
		for i := range parts {
			a, b := i*13/parts, (i+1)*13/parts
			part := ref.Tensors{}
			for name, m := range masks {
				n := len(m) / 13
				part[name] = m[a*n : b*n]
			}
			o := ref.Forward(g, p, widen(x[a*elems:b*elems]), b-a, ref.Mode{Train: true, Masks: part})
			l, d := ref.CrossEntropy(o.Logits(), labels(y[a:b]), tr.smoothing)
			share := float64(b-a) / 13
			loss += share * l
			for name, g := range o.Backward(d).Params {
				if want[name] == nil {
					want[name] = make([]float64, len(g))
				}
				for i, v := range g {
					want[name][i] += share * v
				}
			}
		}
		s := step(t, tr, x, y, 0)
		near(t, "loss", []float64{s.Loss}, []float64{loss}, 1e-5, 0)
		top := 0.0
		for _, v := range want {
			for _, v := range v {
				top = max(top, math.Abs(v))
			}
		}
		for name, got := range tr.gradients() {
			near(t, fmt.Sprintf("micro-batches of %d: gradient of %s", micro, name), got, want[name], 5e-4, 1e-5*top)
		}
	}
}

// TestMicroBatchesFrozenBN: where batch norms use running statistics, the split
// makes no difference but rounding.
func TestMicroBatchesFrozenBN(t *testing.T) {
	g := busyNet(t)
	cfg := Config{Batch: 13, Threads: 2, Seed: 3, LabelSmoothing: 0.1, FrozenBN: true}
	plain := compileFor(t, g, golden.Weights(g), cfg)
	x, y := batch(g, 13, 7)
	s := step(t, plain, x, y, 0)
	for _, micro := range []int{1, 2, 5, 12} {
		cfg.MicroBatch = micro
		tr := compileFor(t, g, golden.Weights(g), cfg)
		got := step(t, tr, x, y, 0)
		near(t, "loss", []float64{got.Loss}, []float64{s.Loss}, 1e-6, 0)
		if got.Correct != s.Correct {
			t.Errorf("micro-batches of %d: %d correct, want %d", micro, got.Correct, s.Correct)
		}
		for name, g := range tr.gradients() {
			near(t, fmt.Sprintf("micro-batches of %d: gradient of %s", micro, name), g, plain.gradients()[name], 2e-5, 1e-7)
		}
	}
}

// TestMicroBatchSameBits: neither threads nor a resume nor dropped values
// change a bit of a split step.
func TestMicroBatchSameBits(t *testing.T) {
	g := deepNet(t, 1)
	cfg := Config{Batch: 13, Threads: 1, Seed: 9, EMADecay: 0.99, MicroBatch: 4, Optimizer: optimizer(t, RMSPropTF)}
	one := compileFor(t, g, golden.Weights(g), cfg)
	train(t, one, g, 0, 5)
	cfg.Threads, cfg.Memory = 3, leastMemory(t, g, cfg)
	first := compileFor(t, g, golden.Weights(g), cfg)
	train(t, first, g, 0, 3)
	cfg.Threads = 2
	resumed := compileFor(t, g, weights.Init(g, 1), cfg)
	if err := resumed.Restore(first.State()); err != nil {
		t.Fatal(err)
	}
	train(t, resumed, g, 3, 5)
	sameState(t, "resumed", resumed.State(), one.State())
}

// TestRunningOfMicroBatches: the moments of parts combine to those of all.
func TestRunningOfMicroBatches(t *testing.T) {
	o := newOps(4, 4, 3)
	x := o.norm(o.conv(0, "a", 8, 3, 1, false, false), "bn") // it normalises the same values however the batch is cut
	o.linear(o.pool(x), 3)
	g := &o.g
	images, y := batch(g, 11, 2)
	plain := compileFor(t, g, golden.Weights(g), Config{Batch: 11})
	step(t, plain, images, y, 0)
	for _, micro := range []int{1, 3, 4, 10} {
		tr := compileFor(t, g, golden.Weights(g), Config{Batch: 11, MicroBatch: micro})
		step(t, tr, images, y, 0)
		for _, name := range []string{"bn.running_mean", "bn.running_var"} {
			near(t, fmt.Sprintf("micro-batches of %d: %s", micro, name), tr.Weights().Tensors[name].Data, widen(plain.Weights().Tensors[name].Data), 1e-6, 1e-7)
		}
	}
}

func TestMemoryErrors(t *testing.T) {
	g := busyNet(t)
	for _, c := range []struct {
		memory int64
		micro  int
		want   string
	}{
		{-1, 0, "the memory limit is -1 bytes"},
		{0, -1, "the micro-batch is -1"},
	} {
		_, err := Plan(g, Config{Batch: 4, Memory: c.memory, MicroBatch: c.micro, Optimizer: optimizer(t, SGD)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
