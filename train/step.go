package train

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/weights"
)

// Trainer is a network in training. It is not safe for concurrent use. Close
// it to end its worker goroutines.
type Trainer struct {
	engine
	params  *params
	cfg     Config
	classes int
	memory  Memory
	bufs    []*buffer // of the arena

	// The update that runs.
	chunks     []updateChunk
	rule       updateRule
	updateLoop func(worker, i int)
}

// Compile prepares g with the weights w, which are copied, for training.
func Compile(g *arch.Graph, w *weights.Set, cfg Config) (*Trainer, error) {
	return compileWith(g, w, cfg, (*fitter).fit)
}

func compileWith(g *arch.Graph, w *weights.Set, cfg Config, fit func(f *fitter, threads int) (Memory, error)) (*Trainer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	k, err := kernel.Lookup(cfg.Kernel)
	if err != nil {
		return nil, err
	}
	if err := w.Check(g); err != nil {
		return nil, err
	}
	p := newParams(g)
	p.copyFrom(w)
	pl := newPlanner(g, p, k, &cfg)
	passes, err := pl.plan()
	if err != nil {
		return nil, err
	}
	f := newFitter(pl, passes, &cfg)
	memory, err := fit(f, cfg.threads())
	if err != nil {
		return nil, err
	}
	t := &Trainer{params: p, cfg: cfg, classes: g.Ops[g.Output()].Shape.C, memory: memory, bufs: f.bufs}
	t.engine = engine{
		k: k, passes: passes, norms: pl.norms, filters: pl.filters, input: pl.input,
		remade: f.l.remakes(passes), micro: memory.MicroBatch,
		seed: cfg.Seed, smoothing: cfg.LabelSmoothing,
	}
	t.initUpdate(g)
	t.engine.init(memory.Threads, int(f.scratch/4))
	return t, nil
}

func (c *Config) check() error {
	switch {
	case c.Batch < 1 || c.Batch > 1<<24:
		return fmt.Errorf("train: batch is %d, want 1 to %d", c.Batch, 1<<24)
	case c.Memory < 0:
		return fmt.Errorf("train: the memory limit is %d bytes, want 0 (none) or more", c.Memory)
	case c.MicroBatch < 0:
		return fmt.Errorf("train: the micro-batch is %d, want 0 (the whole batch) or more", c.MicroBatch)
	case c.Threads < 0 || c.Threads > 1024:
		return fmt.Errorf("train: threads is %d, want 0 (all) to 1024", c.Threads)
	case !(c.LabelSmoothing >= 0 && c.LabelSmoothing < 1):
		return fmt.Errorf("train: label smoothing is %v, want 0 to below 1", c.LabelSmoothing)
	case !(c.EMADecay >= 0 && c.EMADecay < 1):
		return fmt.Errorf("train: decay of the moving average is %v, want 0 to below 1", c.EMADecay)
	}
	return c.Optimizer.check()
}

func (c *Config) threads() int {
	if c.Threads == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return c.Threads
}

func (c *Config) frozen(op *arch.Op) bool { return c.Frozen != nil && c.Frozen(op) }

// Close ends the workers. The weights and the state stay readable.
func (t *Trainer) Close() { t.pool.Close() }

// Step trains on images x [n,H,W,C], n at most Config.Batch, and their targets
// y at learning rate lr. When it returns an error, the trainer is as before.
func (t *Trainer) Step(ctx context.Context, x []float32, y Targets, lr float64) (StepStats, error) {
	if err := t.checkBatch(x, y); err != nil {
		return StepStats{}, err
	}
	if !(lr >= 0) || math.IsInf(lr, 0) {
		return StepStats{}, fmt.Errorf("train: step %d: the learning rate is %v, want 0 or more", t.step, lr)
	}
	if t.bufs[0].data == nil {
		t.settleIn()
	}
	stats, err := t.run(ctx, x, y)
	if err != nil {
		return stats, err
	}
	t.update(lr)
	return stats, nil
}

func (t *Trainer) checkBatch(x []float32, y Targets) error {
	n := len(y.Labels)
	switch in := t.input; {
	case n < 1 || n > t.cfg.Batch:
		return fmt.Errorf("train: step %d: %d images, want 1 to %d", t.step, n, t.cfg.Batch)
	case len(x) != n*in.elems():
		return fmt.Errorf("train: step %d: %d values for %d images, want %dx%dx%d each", t.step, len(x), n, in.h, in.w, in.c)
	}
	if err := y.check(t.classes); err != nil {
		return fmt.Errorf("train: step %d: %w", t.step, err)
	}
	return nil
}

// Memory is the plan of the trainer's memory.
func (t *Trainer) Memory() Memory { return t.memory }

// Steps is the number of updates made so far.
func (t *Trainer) Steps() int64 { return t.step }

// Weights copies the parameters and running statistics, under timm's names.
func (t *Trainer) Weights() *weights.Set { return t.ViewWeights(false).Clone() }

// EMAWeights copies their moving average; nil where Config.EMADecay is 0.
func (t *Trainer) EMAWeights() *weights.Set {
	if t.params.ema == nil {
		return nil
	}
	return t.ViewWeights(true).Clone()
}

// ViewWeights is Weights, or EMAWeights, without the copy: it holds until the
// next step.
func (t *Trainer) ViewWeights(average bool) *weights.Set {
	if average {
		return t.params.set(t.params.ema)
	}
	return t.params.set(t.params.values)
}

// State copies everything that decides the steps to come.
func (t *Trainer) State() State { return State{Step: t.step, Tensors: t.params.state()} }

// View is State without the copy: it holds until the next step.
func (t *Trainer) View() State { return State{Step: t.step, Tensors: t.params.view()} }

// Release lets go of the memory of values and gradients until the next step,
// where memory is limited: there is room for other work then.
func (t *Trainer) Release() {
	if t.memory.Limit > 0 {
		moveIn(t.bufs, nil, 0)
		debug.FreeOSMemory()
	}
}

// settleIn makes the memory of values and gradients.
func (t *Trainer) settleIn() {
	if t.memory.Limit > 0 {
		debug.FreeOSMemory() // what is garbage by now may be as large
	}
	moveIn(t.bufs, floats(int(t.memory.Arena/4)), t.memory.MicroBatch)
}

// Restore continues from s, which a trainer of the same network and
// configuration made.
func (t *Trainer) Restore(s State) error {
	if s.Step < 0 {
		return fmt.Errorf("train: state: step is %d, want 0 or more", s.Step)
	}
	if err := t.params.restore(s.Tensors); err != nil {
		return err
	}
	t.step = s.Step
	return nil
}
