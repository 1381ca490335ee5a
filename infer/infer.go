// Package infer runs a network on images, fast.
//
// [Compile] turns a graph and its weights into a [Plan]: batch norms are
// folded into the convolutions before them, ops are fused into steps, weights
// are laid out for the kernels, and the memory of one image is planned. A plan
// is immutable and may be used by any number of goroutines at once.
//
// A step works part by part, so that what it makes on the way stays in a core's
// cache: rows of several layers at once, or a few channels. Every element is
// computed in one fixed way wherever the cuts are, so the logits of an image are
// the same bits for any number of threads and in any batch.
package infer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/internal/par"
	"effnet/weights"
)

// Options are the choices of [Compile]; the zero value is sensible.
type Options struct {
	Threads int    // of one run; 0: GOMAXPROCS
	Kernel  string // see kernel.Lookup; "" the best
	// Taps are ops (g.Features, g.HeadMap, any of g.Taps) whose values RunInto
	// gives as well. A tapped value is kept apart from its neighbours, which
	// costs a little.
	Taps []int
}

// Plan is a network ready to run.
type Plan struct {
	in, out arch.Shape
	kernel  *kernel.Impl
	steps   []*step
	outputs []*value // the logits, then the taps

	weights []float32 // all that are packed
	arena   int       // floats of one image in flight
	scratch int       // floats of one worker
	settled atomic.Bool

	// A run that finds the workers taken computes alone.
	workers  sync.Mutex
	pool     *par.Pool
	alone    *par.Pool
	freeLock sync.Mutex
	free     []*state
}

// Compile makes a plan of g with the tensors of w, which it does not keep.
// The weights must fit: see [weights.Source].
func Compile(g *arch.Graph, w weights.Source, opt Options) (*Plan, error) {
	if err := w.Check(g); err != nil {
		return nil, err
	}
	impl, err := kernel.Lookup(opt.Kernel)
	if err != nil {
		return nil, err
	}
	pool := par.New(opt.Threads)
	steps, values, outputs, packed, err := lower(g, w, impl, pool.Threads(), append([]int{g.Output()}, opt.Taps...))
	if err != nil {
		pool.Close()
		return nil, err
	}
	p := &Plan{
		in: g.Ops[0].Shape, out: g.Ops[g.Output()].Shape, kernel: impl,
		steps: steps, outputs: outputs, weights: packed,
		arena: placeValues(values),
	}
	for _, st := range p.steps {
		p.scratch = max(p.scratch, st.scratch(impl))
	}
	p.pool, p.alone = pool, par.New(1)
	return p, nil
}

// Close ends the plan's workers. No run may be under way.
func (p *Plan) Close() { p.pool.Close() }

// Classes is the number of logits of one image.
func (p *Plan) Classes() int { return p.out.Elems() }

// Bytes is the memory of a plan that runs one image on one thread: packed
// weights, values of the image at their peak, working memory.
func (p *Plan) Bytes() int64 { return 4 * int64(len(p.weights)+p.arena+p.scratch) }

// Run computes the logits [n, classes] of n images x [n, H, W, C].
func (p *Plan) Run(ctx context.Context, x []float32, n int) ([]float32, error) {
	if n < 0 {
		return nil, fmt.Errorf("infer: %d images", n)
	}
	logits := make([]float32, n*p.Classes())
	if err := p.RunInto(ctx, x, n, logits); err != nil {
		return nil, err
	}
	return logits, nil
}

// RunInto is Run into memory of the caller: logits [n, classes], and for each
// of Options.Taps its values [n, H, W, C]. It allocates nothing once the plan
// has run as many images on as many goroutines before. When ctx ends first,
// its error is returned and the outputs are undefined.
func (p *Plan) RunInto(ctx context.Context, x []float32, n int, logits []float32, taps ...[]float32) error {
	return p.runInto(ctx, x, n, logits, taps, nil)
}

// RunAlone is RunInto on the calling goroutine alone.
func (p *Plan) RunAlone(ctx context.Context, x []float32, n int, logits []float32, taps ...[]float32) error {
	return p.runOn(ctx, p.alone, x, n, logits, taps, nil)
}

func (p *Plan) runInto(ctx context.Context, x []float32, n int, logits []float32, taps [][]float32, times []time.Duration) error {
	pool := p.alone
	if p.workers.TryLock() {
		defer p.workers.Unlock()
		pool = p.pool
	}
	return p.runOn(ctx, pool, x, n, logits, taps, times)
}

func (p *Plan) runOn(ctx context.Context, pool *par.Pool, x []float32, n int, logits []float32, taps [][]float32, times []time.Duration) error {
	if want := n * p.in.Elems(); n < 0 || len(x) != want {
		return fmt.Errorf("infer: the input has %d values, %d images of %dx%dx%d want %d", len(x), n, p.in.H, p.in.W, p.in.C, want)
	}
	if len(taps) != len(p.outputs)-1 {
		return fmt.Errorf("infer: room for %d taps, the plan has %d", len(taps), len(p.outputs)-1)
	}
	s := p.acquire()
	defer p.release(s)
	s.dst[0] = logits
	copy(s.dst[1:], taps)
	for i, v := range p.outputs {
		if want := n * v.shape.Elems(); len(s.dst[i]) != want {
			return fmt.Errorf("infer: output %d has room for %d values, want %d", i, len(s.dst[i]), want)
		}
	}
	s.run(ctx, pool, x, n, times)
	return ctx.Err()
}
