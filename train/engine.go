package train

import (
	"context"
	"math"

	"effnet/internal/kernel"
	"effnet/internal/par"
)

// maxLanes is how many ways a micro-batch is cut. Each lane runs its images in
// order and sums on its own; lanes are combined in order. Threads only choose
// who runs which lane, so their number changes no bit of the result.
const maxLanes = 8

// engine runs the passes of a network over a batch, one micro-batch after the other.
type engine struct {
	k         *kernel.Impl
	pool      *par.Pool
	workers   []worker
	passes    []*pass
	norms     []*batchNorm
	filters   []*filter
	input     *value
	remade    []*value    // dropped after forward and made again in backward
	micro     int         // most images that go through the passes at a time
	blocks    [][]float32 // by lane: gradients of the running pass's filters
	stash     []float32   // what the running pass's whole gradients are products of
	losses    [maxLanes]lossSum
	seed      uint64
	smoothing float64

	// The step that runs.
	step    int64
	targets Targets
	n       int // images of the step
	first   int // of those, where the running micro-batch begins
	part    int // images of the micro-batch
	lanes   int
	p       *pass
	last    bool // p is the last pass

	// Bodies of parallel loops, made once: closures would be garbage every step.
	packLoop, forwardLoop, backwardLoop, reduceLoop func(worker, i int)
}

// init makes the workers, with scratch of so many floats.
func (e *engine) init(threads, scratch int) {
	e.pool = par.New(threads)
	e.workers = make([]worker, e.pool.Threads())
	widest, memos, block, stash := 0, 0, 0, 0
	for _, p := range e.passes {
		memos = max(memos, len(p.memos))
		block = max(block, p.block)
		stash = max(stash, p.stash)
	}
	for _, f := range e.filters {
		widest = max(widest, f.cin, f.cout)
	}
	zeros, ones := make([]float32, widest), make([]float32, widest)
	for i := range ones {
		ones[i] = 1
	}
	for i := range e.workers {
		e.workers[i] = worker{k: e.k, slab: floats(scratch), zeros: zeros, ones: ones, memos: make([]memo, 0, memos)}
	}
	e.blocks = make([][]float32, min(e.micro, maxLanes))
	for l := range e.blocks {
		e.blocks[l] = floats(block)
	}
	e.stash = floats(stash * e.micro)
	e.packLoop = func(_, i int) { e.filters[i].pack() }
	e.forwardLoop = e.forwardLane
	e.backwardLoop = e.backwardLane
	e.reduceLoop = func(_, i int) {
		e.p.jobs[i].run(e)
	}
}

// run computes the loss and all gradients of a batch, which goes through the
// passes in as many micro-batches, of equal size but for one image, as keep
// each within e.micro.
func (e *engine) run(ctx context.Context, x []float32, y Targets) (StepStats, error) {
	e.targets = y
	e.n = len(y.Labels)
	e.losses = [maxLanes]lossSum{}
	defer e.settle()
	e.pool.Do(len(e.filters), e.packLoop)
	var s StepStats
	parts := (e.n + e.micro - 1) / e.micro
	for i := range parts {
		e.first = i * e.n / parts
		e.part = (i+1)*e.n/parts - e.first
		e.input.store.data = x[e.first*e.input.elems():][:e.part*e.input.elems()]
		if err := e.forward(ctx); err != nil {
			return StepStats{}, err
		}
		s = StepStats{}
		for _, l := range e.losses {
			s.Loss += l.loss
			s.Correct += l.correct
		}
		s.Loss /= float64(e.n)
		if math.IsNaN(s.Loss) || math.IsInf(s.Loss, 0) {
			return s, &NonFiniteError{Step: e.step, Loss: s.Loss}
		}
		if err := e.backward(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// forward runs the micro-batch forward, and the last pass backward as well.
func (e *engine) forward(ctx context.Context) error {
	for _, v := range e.remade {
		v.store.data = v.store.place
	}
	for i, p := range e.passes {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.start(p)
		e.last = i == len(e.passes)-1
		e.pool.Do(e.lanes, e.forwardLoop)
		for _, b := range p.norms {
			if err := b.finishForward(e.lanes); err != nil {
				return err
			}
			b.gather(e.first == 0)
		}
	}
	return nil
}

// backward runs the micro-batch backward, making again what was dropped.
func (e *engine) backward(ctx context.Context) error {
	for i := len(e.passes) - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := e.passes[i]
		if len(p.back) == 0 {
			continue
		}
		for _, q := range p.again {
			for _, v := range q.makes {
				v.store.data = v.store.again.place
			}
			e.start(q)
			e.last = false
			e.pool.Do(e.lanes, e.forwardLoop)
		}
		e.start(p)
		if i < len(e.passes)-1 { // the last pass went backward with its forward
			e.pool.Do(e.lanes, e.backwardLoop)
		}
		e.finishBackward()
	}
	return nil
}

// start makes p the pass that runs.
func (e *engine) start(p *pass) {
	e.p, e.lanes = p, min(e.part, p.lanes)
}

// finishBackward completes the gradients of the running pass's parameters.
func (e *engine) finishBackward() {
	for _, b := range e.p.grads {
		b.finishBackward(e.lanes, e.first > 0)
	}
	if !e.p.heavy {
		for i := range e.p.jobs {
			e.reduceLoop(0, i)
		}
		return
	}
	e.pool.Do(len(e.p.jobs), e.reduceLoop)
}

// settle ends a step: the caller's slices and the arena are let go, and every
// worker's scratch grows to what the neediest took, so that later steps allocate nothing.
func (e *engine) settle() {
	e.input.store.data, e.targets = nil, Targets{}
	most := 0
	for i := range e.workers {
		most = max(most, len(e.workers[i].slab))
		e.workers[i].ahead.Set()
	}
	for i := range e.workers {
		if w := &e.workers[i]; len(w.slab) < most {
			w.slab = floats(most)
		}
	}
}

// images is the range of the lane, counted from the micro-batch's first.
func (e *engine) images(lane int) (a, b int) {
	return lane * e.part / e.lanes, (lane + 1) * e.part / e.lanes
}

func (e *engine) forwardLane(wi, lane int) {
	for _, b := range e.p.norms {
		b.lanes[lane].reset()
	}
	if e.last {
		e.beginBackward(lane)
	}
	e.tiles(&e.workers[wi], lane, true, e.last)
}

func (e *engine) backwardLane(wi, lane int) {
	e.beginBackward(lane)
	e.tiles(&e.workers[wi], lane, false, true)
}

func (e *engine) beginBackward(lane int) {
	for _, b := range e.p.grads {
		b.lanes[lane].reset()
	}
}

// tiles runs the lane tile by tile.
func (e *engine) tiles(w *worker, lane int, forward, backward bool) {
	p := e.p
	i0, i1 := e.images(lane)
	t := &w.tile // not a local one, which would be garbage every time
	*t = tile{lane: lane, first: true, chunk: p.chunk > 0, again: p.of != nil}
	if t.chunk {
		t.i0, t.i1 = i0, i1
		for r := i0 * p.hw; r < i1*p.hw; r += p.chunk {
			t.r0, t.r1 = r, min(r+p.chunk, i1*p.hw)
			e.runTile(w, t, forward, backward)
		}
		return
	}
	for i := i0; i < i1; i += p.group {
		t.i0, t.i1 = i, min(i+p.group, i1)
		e.runTile(w, t, forward, backward)
	}
}

func (e *engine) runTile(w *worker, t *tile, forward, backward bool) {
	w.begin(e.p, t, backward)
	if forward {
		for _, n := range e.p.nodes {
			n.forward(e, w, t)
		}
	}
	if backward {
		for i := len(e.p.back) - 1; i >= 0; i-- {
			e.p.back[i].backward(e, w, t)
		}
	}
	t.first = false
}
