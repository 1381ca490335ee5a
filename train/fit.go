package train

import (
	"fmt"

	"effnet/arch"
	"effnet/internal/kernel"
)

// Memory is how a trainer's memory is planned, in bytes.
type Memory struct {
	Limit      int64 // Config.Memory; 0: none
	Parameters int64 // weights and running statistics, their gradients, and what the kernels need beside them
	Optimizer  int64 // its slots, and the moving average
	Arena      int64 // values and gradients of a micro-batch
	Scratch    int64 // of the workers, and the gradients that lanes sum

	Threads    int     // workers that fit
	MicroBatch int     // most images that go through the network at a time
	Remade     int     // maps that are dropped after forward and made again in backward,
	Maps       int     // of so many
	Extra      float64 // arithmetic of that, as a share of forward's
}

// Total is the sum.
func (m Memory) Total() int64 { return m.Parameters + m.Optimizer + m.Arena + m.Scratch }

// maxArena bounds the arena so that a network and batch far beyond any
// machine's memory is an error instead of a crash of the allocator.
const maxArena = 1 << 38

// plannedThreads is how many threads a micro-batch is chosen for, whatever the
// machine: it decides the result. More threads than fit are not used.
const plannedThreads = 4

// fitter finds the plan that keeps a network within a limit.
type fitter struct {
	name    string
	cfg     *Config
	l       *lives
	fixed   Memory // without arena and scratch
	scratch int64  // of a worker
	block   int64  // of a lane
	stash   int64  // of an image
	least   int    // images of a micro-batch
	bufs    []*buffer
}

// LimitError reports that training wants more memory than Config.Memory.
type LimitError struct {
	Network      string
	Batch        int
	Limit, Least int64 // bytes
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("train: %s in batches of %d does not train within %s of memory; the least is %s", e.Network, e.Batch, megabytes(e.Limit), megabytes(e.Least))
}

func newFitter(pl *planner, passes []*pass, cfg *Config) *fitter {
	f := &fitter{name: pl.g.Spec.Name, cfg: cfg, l: newLives(pl, passes), least: 1}
	block := 0
	for _, p := range passes {
		block = max(block, p.block)
		f.stash = max(f.stash, 4*int64(p.stash))
		f.scratch = max(f.scratch, 4*int64(scratchOf(p)))
	}
	for _, q := range pl.g.Params() {
		if rows, cols, ok := cfg.Optimizer.matrix(q); ok {
			f.scratch = max(f.scratch, 4*int64(orthogonalScratch(rows, cols)))
		}
	}
	f.block = 4 * int64(block)
	for _, b := range pl.norms {
		if b.out.hw() == 1 && !b.running {
			f.least = min(2, cfg.Batch) // one value has no variance
		}
		f.fixed.Parameters += int64(len(b.gamma)) * (6*4 + 5*8 + maxLanes*(4+2*8))
	}
	for _, x := range pl.filters {
		f.fixed.Parameters += 4 * int64(len(x.fwd))
		if x.bwd != nil && &x.bwd[0] != &x.w[0] {
			f.fixed.Parameters += 4 * int64(len(x.bwd))
		}
	}
	n := 4 * int64(len(pl.p.values))
	f.fixed.Parameters += 2 * n
	names, _ := cfg.Optimizer.slots()
	f.fixed.Optimizer = n * int64(len(names))
	if cfg.EMADecay > 0 {
		f.fixed.Optimizer += n
	}
	for i := range f.l.kept {
		if f.l.kept[i].v.hw() > 1 {
			f.fixed.Maps++
		}
	}
	return f
}

// plan is the memory with micro-batches of n images and so many threads, apart
// from the arena.
func (f *fitter) plan(n, threads int) Memory {
	m := f.fixed
	m.Limit, m.MicroBatch, m.Threads = f.cfg.Memory, n, threads
	m.Scratch = f.scratch*int64(threads) + f.block*int64(min(n, maxLanes)) + f.stash*int64(n)
	return m
}

// try lays out the buffers for micro-batches of n images, and reports whether
// they stay within the limit, dropping values where they have to.
func (f *fitter) try(n, threads int, limit int64) (Memory, bool) {
	m := f.plan(n, threads)
	room := int((limit - m.Total()) / 4)
	for most, step := room/n, 0; ; most -= step {
		if most < 1 || !f.l.drop(most) {
			return m, false
		}
		m = f.layOut(n, threads)
		over := m.Total() - limit
		if over <= 0 {
			return m, true
		}
		step = max(2*step, int(over)/(4*n)+1, most>>6) // gaps between the buffers take room
	}
}

// layOut is the whole plan, with the values dropped that are.
func (f *fitter) layOut(n, threads int) Memory {
	m := f.plan(n, threads)
	f.bufs = f.l.settle()
	m.Arena = 4 * int64(layOut(f.bufs, n))
	for i := range f.l.kept {
		if f.l.kept[i].dropped {
			m.Remade++
		}
	}
	forward, again := f.l.cost()
	m.Extra = again / forward
	return m
}

// microBatch chooses the images that go through the network at a time: the
// batch if it can, else as few parts as can be.
func (f *fitter) microBatch() (int, error) {
	batch := f.cfg.Batch
	if f.cfg.Memory == 0 {
		return batch, nil
	}
	tried := 0
	for parts := 1; parts <= batch; parts++ {
		n := (batch + parts - 1) / parts
		if n == tried {
			continue
		}
		if n < f.least || batch/parts < f.least {
			break
		}
		tried = n
		if _, ok := f.try(n, plannedThreads, f.cfg.Memory); ok {
			return n, nil
		}
	}
	return 0, f.limitError(tried, plannedThreads)
}

// limitError finds the least limit that micro-batches of n images would fit.
func (f *fitter) limitError(n, threads int) error {
	low := f.cfg.Memory
	high := (low>>20 + 1) << 20 // whole MiB
	for {
		if _, ok := f.try(n, threads, high); ok {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 1<<20 {
		mid := (low + high) >> 21 << 20
		if _, ok := f.try(n, threads, mid); ok {
			high = mid
		} else {
			low = mid
		}
	}
	return &LimitError{f.name, f.cfg.Batch, f.cfg.Memory, high}
}

// fit settles the plan: the micro-batch, unless cfg names one, and as many
// threads as fit.
func (f *fitter) fit(threads int) (Memory, error) {
	n := f.cfg.MicroBatch
	if n == 0 {
		var err error
		if n, err = f.microBatch(); err != nil {
			return Memory{}, err
		}
	}
	n = min(n, f.cfg.Batch)
	if f.cfg.Memory == 0 {
		m := f.layOut(n, threads)
		if m.Arena > 4*maxArena {
			return m, fmt.Errorf("train: a batch of %d images needs %d GiB of activations; use smaller batches", n, m.Arena>>30)
		}
		return m, nil
	}
	for ; ; threads-- {
		if m, ok := f.try(n, threads, f.cfg.Memory); ok {
			return m, nil
		}
		if threads == 1 {
			return Memory{}, f.limitError(n, 1)
		}
	}
}

// Plan is the memory that a trainer of g would have.
func Plan(g *arch.Graph, cfg Config) (Memory, error) {
	if err := cfg.check(); err != nil {
		return Memory{}, err
	}
	k, err := kernel.Lookup(cfg.Kernel)
	if err != nil {
		return Memory{}, err
	}
	pl := newPlanner(g, newParams(g), k, &cfg)
	passes, err := pl.plan()
	if err != nil {
		return Memory{}, err
	}
	return newFitter(pl, passes, &cfg).fit(cfg.threads())
}

// megabytes is a number of bytes as the command line takes it, rounded up.
func megabytes(n int64) string { return fmt.Sprintf("%dM", (n+1<<20-1)>>20) }
