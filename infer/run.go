package infer

import (
	"context"
	"sync/atomic"
	"time"

	"effnet/internal/par"
)

// state is the memory of one run, kept by its plan for the next.
type state struct {
	plan    *Plan
	frames  []frame     // per worker; the first also serves runs by items
	scratch [][]float32 // per worker

	x    []float32   // the images [n, H, W, C]
	dst  [][]float32 // the outputs
	done <-chan struct{}
	quit atomic.Bool // done was seen closed

	runs   int         // so far
	memory [][]float32 // what settle is given
	settle func()

	step  *step // of the loop over items
	image func(worker, i int)
	item  func(worker, i int)
}

// frame is the memory of one image in flight.
type frame struct {
	x     []float32 // the image [H, W, C]
	arena []float32
}

func (p *Plan) acquire() *state {
	p.freeLock.Lock()
	defer p.freeLock.Unlock()
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	threads := p.pool.Threads()
	s := &state{
		plan:    p,
		frames:  make([]frame, threads),
		scratch: make([][]float32, threads),
		dst:     make([][]float32, len(p.outputs)),
		memory:  make([][]float32, 0, 2*threads+1),
	}
	s.settle = func() { settle(s.memory) }
	s.image, s.item = s.runImage, s.runItem
	return s
}

func (p *Plan) release(s *state) {
	if s.runs++; s.runs == settleAfter {
		s.memory = append(s.memory, s.scratch...)
		for i := range s.frames {
			s.memory = append(s.memory, s.frames[i].arena)
		}
		if p.settled.CompareAndSwap(false, true) {
			s.memory = append(s.memory, p.weights)
		}
		go s.settle()
	}
	s.x, s.done, s.step = nil, nil, nil
	clear(s.dst)
	for i := range s.frames {
		s.frames[i].x = nil
	}
	p.freeLock.Lock()
	p.free = append(p.free, s)
	p.freeLock.Unlock()
}

// run computes all outputs unless ctx ends. Images that keep most workers busy
// are done one a worker, which needs no barriers and keeps an image in one
// core's cache; of the few left over, all workers share the items, as they do
// of all images when the time of each step is to be added to times.
func (s *state) run(ctx context.Context, pool *par.Pool, x []float32, n int, times []time.Duration) {
	s.x, s.done = x, ctx.Done()
	s.quit.Store(false)
	whole := n
	if rest := n % pool.Threads(); times != nil {
		whole = 0
	} else if 2*rest <= pool.Threads() {
		whole -= rest
	}
	pool.Do(whole, s.image)
	for i := whole; i < n; i++ {
		s.begin(0, i)
		for j, st := range s.plan.steps {
			var start time.Time
			if times != nil {
				start = time.Now()
			}
			s.step = st
			for w := range s.scratch[:pool.Threads()] {
				s.needScratch(w)
			}
			pool.Do(st.items, s.item)
			if times != nil {
				times[j] += time.Since(start)
			}
		}
		s.end(0, i)
	}
}

// begin points worker's frame at image i.
func (s *state) begin(worker, i int) *frame {
	f := &s.frames[worker]
	if f.arena == nil {
		f.arena = aligned(s.plan.arena)
	}
	e := s.plan.in.Elems()
	f.x = s.x[i*e:][:e]
	return f
}

func (s *state) needScratch(worker int) []float32 {
	if s.scratch[worker] == nil {
		s.scratch[worker] = aligned(s.plan.scratch)
	}
	return s.scratch[worker]
}

func (s *state) runImage(worker, i int) {
	f, scratch := s.begin(worker, i), s.needScratch(worker)
	for _, st := range s.plan.steps {
		for i := range st.items {
			st.run(s, f, scratch, i)
		}
	}
	s.end(worker, i)
}

func (s *state) runItem(worker, i int) { s.step.run(s, &s.frames[0], s.scratch[worker], i) }

// end copies the outputs of image i out of its frame.
func (s *state) end(worker, i int) {
	f := &s.frames[worker]
	for o, v := range s.plan.outputs {
		e := v.shape.Elems()
		out, row := s.dst[o][i*e:][:e], v.shape.W*v.shape.C
		for r := range v.shape.H {
			copy(out[r*row:][:row], v.from(f, r))
		}
	}
}

func (s *state) cancelled() bool {
	if s.quit.Load() {
		return true
	}
	select {
	case <-s.done:
		s.quit.Store(true)
		return true
	default:
		return false
	}
}
