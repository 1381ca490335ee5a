package train

import (
	"fmt"

	"effnet/arch"
	"effnet/internal/kernel"
)

// A training step is not run op by op. Batch norm needs the moments of its
// whole batch, so the ops between two batch norms form a pass, and a pass runs
// over the batch tile by tile while a tile is in cache. Only what a later pass
// cannot make anew cheaply is kept in memory: convolution outputs before batch
// norm, residual sums, and vectors. The rest (normalised, activated, gated) is
// made again by each reader, in forward and in backward.

// node is a piece of work on a tile of some ops.
type node interface {
	forward(e *engine, w *worker, t *tile)
	backward(e *engine, w *worker, t *tile)
}

// pass is the nodes between two barriers.
type pass struct {
	nodes []node       // in order of ops
	back  []node       // those that go backward, in order of ops
	norms []*batchNorm // whose moments its forward sums
	grads []*batchNorm // whose gradient sums its backward completes
	memos []*value

	lanes int // ways to cut the batch, at most
	block int // floats of a lane's gradients
	stash int // floats of an image that whole gradients are made of
	jobs  []job
	heavy bool // the jobs are worth waking the workers

	again []*pass  // run forward before this pass's backward
	of    *pass    // of a pass in again: the one whose work it does again,
	makes []*value // and the values that it makes

	chunk int // rows of a tile; 0: a tile is images
	hw    int // rows of an image, where chunk is set
	group int // images of a tile
}

// job is a piece of the work after a pass's backward.
type job interface{ run(e *engine) }

// reduction sums some rows of what the lanes have.
type reduction struct {
	*partial
	job int
}

func (r reduction) run(e *engine) { r.reduce(e.k, e.blocks[:e.lanes], r.job, e.first > 0) }

// place is where a node stands: the pass and the index of its op.
type place struct{ pass, index int }

// planner turns a graph into passes.
type planner struct {
	g       *arch.Graph
	p       *params
	k       *kernel.Impl
	frozen  func(op *arch.Op) bool
	running bool // every batch norm uses running statistics
	batch   int
	values  []*value // by op
	uses    [][]int  // ops that read an op
	nodes   []node
	places  map[node]place
	norms   []*batchNorm
	under   map[*value]bool // convolution outputs under a batch norm, whose gradient follows from the norm's
	filters []*filter
	pass    int
	input   *value
}

func (pl *planner) fail(op *arch.Op, format string, args ...any) error {
	return fmt.Errorf("train: %s: %s", op.Name, fmt.Sprintf(format, args...))
}

func newPlanner(g *arch.Graph, p *params, k *kernel.Impl, cfg *Config) *planner {
	pl := &planner{
		g: g, p: p, k: k, frozen: cfg.frozen, running: cfg.FrozenBN, batch: cfg.Batch, values: make([]*value, len(g.Ops)), uses: make([][]int, len(g.Ops)),
		places: map[node]place{}, under: map[*value]bool{},
	}
	for i := range g.Ops {
		for _, j := range g.Ops[i].In {
			pl.uses[j] = append(pl.uses[j], i)
		}
	}
	return pl
}

// plan turns the graph into passes.
func (pl *planner) plan() ([]*pass, error) {
	if err := pl.build(); err != nil {
		return nil, err
	}
	return pl.order()
}

// build makes values and nodes in the order of the ops.
func (pl *planner) build() error {
	for i := range pl.g.Ops {
		op := &pl.g.Ops[i]
		v := &value{op: op, h: op.Shape.H, w: op.Shape.W, c: op.Shape.C}
		in := make([]*value, len(op.In))
		for j, k := range op.In {
			in[j] = pl.values[k]
			v.needsGrad = v.needsGrad || in[j].needsGrad
		}
		v.needsGrad = v.needsGrad || len(op.Params) > 0 && !pl.frozen(op)
		pl.values[i] = v
		if err := pl.buildOp(i, op, v, in); err != nil {
			return err
		}
	}
	last := pl.values[pl.g.Output()]
	if !last.needsGrad {
		return fmt.Errorf("train: every parameter of %s is frozen", pl.g.Spec.Name)
	}
	if last.store == nil || last.hw() != 1 || last.op.Kind == arch.OpInput {
		return pl.fail(last.op, "the network must end in logits of a linear layer")
	}
	n := &crossEntropy{last}
	last.readers = append(last.readers, n)
	pl.place(n, len(pl.g.Ops))
	return nil
}

func (pl *planner) buildOp(i int, op *arch.Op, v *value, in []*value) error {
	switch op.Kind {
	case arch.OpInput:
		v.store = &buffer{elems: v.elems()}
		pl.input = v
	case arch.OpConv, arch.OpLinear:
		return pl.buildConv(i, op, v, in[0])
	case arch.OpBatchNorm:
		return pl.buildNorm(op, v, in[0])
	case arch.OpActivation:
		return pl.buildActivation(i, op, v, in[0])
	case arch.OpMaxPool:
		pl.keep(v)
		pl.place(newMaxPool(in[0], v), i, in...)
	case arch.OpGlobalPool:
		n := &pool{in: in[0], out: v}
		pl.keep(v)
		pl.place(n, i, in...)
	case arch.OpGate:
		if in[1].hw() != 1 {
			return pl.fail(op, "the gate is %dx%d, want one value per channel", in[1].h, in[1].w)
		}
		v.src, v.gate = in[0], in[1]
		pl.place(&gate{out: v, in: in[0], vec: in[1]}, i, in...)
	case arch.OpAdd:
		n := &add{out: v, branch: in[0], short: in[1], index: i, rate: op.DropPath}
		pl.keep(v)
		pl.place(n, i, in...)
	case arch.OpDropout:
		n := &dropout{in: in[0], out: v, index: i, rate: op.Rate}
		pl.keep(v)
		pl.place(n, i, in...)
	default:
		return pl.fail(op, "training does not know %s", op.Kind)
	}
	return nil
}

// keep gives v memory for the whole batch.
func (pl *planner) keep(v *value) {
	v.store = &buffer{elems: v.elems(), first: pl.pass, last: pl.pass}
}

// place appends a node to the current pass.
func (pl *planner) place(n node, index int, in ...*value) {
	pl.nodes = append(pl.nodes, n)
	pl.places[n] = place{pl.pass, index}
	for _, v := range in {
		v.readers = append(v.readers, n)
	}
}

func (pl *planner) buildConv(i int, op *arch.Op, v, in *value) error {
	if op.Kind == arch.OpLinear {
		if in.hw() != 1 {
			return pl.fail(op, "the input is %dx%d, want a vector", in.h, in.w)
		}
		// A product over many images reads its weight once: apart from what
		// goes image by image.
		pl.pass++
	}
	pl.keep(v)
	if op.Kind == arch.OpConv && op.Groups != 1 && !(op.Depthwise() && in.c == op.Shape.C) {
		return pl.fail(op, "training does not know %d groups of %d channels", op.Groups, in.c)
	}
	f := newFilter(op, pl.p, in.needsGrad)
	f.frozen = pl.frozen(op)
	pl.filters = append(pl.filters, f)
	switch {
	case op.Kind == arch.OpLinear, op.Groups == 1 && op.Kernel == 1 && op.Stride == 1 && op.Pad == arch.Pad{}:
		v.maker = &pointwise{in: in, out: v, f: f}
	case op.Depthwise():
		v.maker = &depthwise{window: newWindow(in, v), out: v, f: f}
	case winograds(pl.k, op, in):
		f.toPoints()
		v.maker = newWinograd(in, v, f)
	default:
		v.maker = &dense{window: newWindow(in, v), out: v, f: f}
	}
	pl.place(v.maker, i, in)
	return nil
}

func (pl *planner) buildNorm(op *arch.Op, v, in *value) error {
	if in.op.Kind != arch.OpConv || len(pl.uses[op.In[0]]) != 1 {
		return pl.fail(op, "training wants a batch norm to be the only reader of a convolution, this one reads %s", in.op.Name)
	}
	b := newBatchNorm(op, pl.p)
	b.frozen = pl.frozen(op)
	b.running = pl.running || b.frozen
	b.out = v
	v.src, v.bn = in, b
	pl.norms = append(pl.norms, b)
	pl.under[in] = true
	switch n := in.maker.(type) {
	case *pointwise:
		n.bn = b
	case *depthwise:
		n.bn = b
	case *dense:
		n.bn = b
	case *winograd:
		n.bn = b
	}
	pl.pass++
	return nil
}

func (pl *planner) buildActivation(i int, op *arch.Op, v, in *value) error {
	act, err := kernelAct(op.Act)
	if err != nil {
		return pl.fail(op, "%v", err)
	}
	if in.bn != nil && in.act == kernel.Identity && len(pl.uses[op.In[0]]) == 1 {
		// The batch norm's own value takes the activation in.
		in.act, in.op = act, op
		pl.values[i] = in
		return nil
	}
	if in.store == nil {
		return pl.fail(op, "training wants an activation to read a kept value or to be the only reader of a batch norm, this one reads %s", in.op.Name)
	}
	v.src, v.act = in, act
	return nil
}
