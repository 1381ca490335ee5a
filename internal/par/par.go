// Package par runs short parallel loops on a fixed set of goroutines.
//
// An engine runs hundreds of loops per step with only microseconds between
// them, so idle workers first spin and go to sleep only after a while. A loop
// is cut into numbered items by the caller. Each worker begins with a share of
// its own, the same in every loop of so many items, so that it finds in its
// core's cache what it left there; who is done helps the others. Which worker
// runs an item is therefore not determined, so a result that must not depend on
// the number of threads has to be a function of the item alone.
package par

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// spinTime is how long an idle worker, or a caller waiting for the last items,
// watches before it sleeps: longer than the serial stretches of a step, short
// enough to cost nothing between steps.
const spinTime = 100 * time.Microsecond

// Pool is a set of workers. Do must not be called concurrently or from within
// a loop. Close ends the workers.
type Pool struct {
	threads int
	spin    time.Duration

	// Whoever takes an item off a share owns it; until that item is done fn
	// cannot change.
	shares []share
	fn     func(worker, i int)
	left   atomic.Int64 // items not done

	mu      sync.Mutex
	work    sync.Cond // a loop has begun, or the pool is closed
	done    sync.Cond // left is 0
	asleep  atomic.Int32
	waiting atomic.Bool
	closed  atomic.Bool
	exited  sync.WaitGroup
}

// A share is a worker's items that nobody has claimed, [from,to): from in the
// high half, to in the low half. It has a cache line of its own.
type share struct {
	items atomic.Uint64
	_     [56]byte
}

func (s *share) set(from, to int) { s.items.Store(uint64(from)<<32 | uint64(to)) }

func (s *share) empty() bool {
	items := s.items.Load()
	return items>>32 >= items&(1<<32-1)
}

// claim takes an item: its worker from the front, others from the end.
func (s *share) claim(front bool) (i int, ok bool) {
	for {
		items := s.items.Load()
		from, to := items>>32, items&(1<<32-1)
		switch {
		case from >= to:
			return 0, false
		case front:
			i, from = int(from), from+1
		default:
			to--
			i = int(to)
		}
		if s.items.CompareAndSwap(items, from<<32|to) {
			return i, true
		}
	}
}

// New starts threads-1 workers: the caller of Do is the remaining one. With
// threads below 1 there are GOMAXPROCS.
func New(threads int) *Pool {
	procs := runtime.GOMAXPROCS(0)
	if threads < 1 {
		threads = procs
	}
	p := &Pool{threads: threads, shares: make([]share, threads)}
	if threads <= procs {
		p.spin = spinTime
	}
	p.work.L, p.done.L = &p.mu, &p.mu
	for w := 1; w < threads; w++ {
		p.exited.Go(func() { p.worker(w) })
	}
	return p
}

// Threads is the number of workers, the caller of Do included.
func (p *Pool) Threads() int { return p.threads }

// Do calls fn(worker, i) for every i in [0,n) and returns when all are done.
// worker is in [0,Threads) and names the goroutine: calls with the same worker
// never overlap.
func (p *Pool) Do(n int, fn func(worker, i int)) {
	if n <= 1 || p.threads == 1 || p.closed.Load() {
		for i := range n {
			fn(0, i)
		}
		return
	}
	p.fn = fn
	p.left.Store(int64(n))
	for w := range p.shares {
		p.shares[w].set(w*n/p.threads, (w+1)*n/p.threads)
	}
	if p.asleep.Load() > 0 {
		p.mu.Lock()
		p.work.Broadcast()
		p.mu.Unlock()
	}
	for p.runOne(0) {
	}
	if !p.watch(func() bool { return p.left.Load() == 0 }) {
		p.mu.Lock()
		p.waiting.Store(true)
		for p.left.Load() > 0 {
			p.done.Wait()
		}
		p.waiting.Store(false)
		p.mu.Unlock()
	}
	p.fn = nil
}

// Close ends the workers and waits for them. A closed pool still runs loops,
// on the caller alone.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed.Store(true)
	p.work.Broadcast()
	p.mu.Unlock()
	p.exited.Wait()
}

// runOne claims and runs one item, or reports that there is none.
func (p *Pool) runOne(worker int) bool {
	for k := range p.shares {
		i, ok := p.shares[(worker+k)%len(p.shares)].claim(k == 0)
		if !ok {
			continue
		}
		p.fn(worker, i)
		if p.left.Add(-1) == 0 && p.waiting.Load() {
			p.mu.Lock()
			p.done.Signal()
			p.mu.Unlock()
		}
		return true
	}
	return false
}

func (p *Pool) ready() bool {
	for i := range p.shares {
		if !p.shares[i].empty() {
			return true
		}
	}
	return p.closed.Load()
}

func (p *Pool) worker(w int) {
	for {
		for p.runOne(w) {
		}
		if !p.watch(p.ready) {
			p.mu.Lock()
			p.asleep.Add(1)
			for !p.ready() {
				p.work.Wait()
			}
			p.asleep.Add(-1)
			p.mu.Unlock()
		}
		if p.closed.Load() {
			return
		}
	}
}

// watch spins until cond holds or spinTime is over, and reports which.
func (p *Pool) watch(cond func() bool) bool {
	if p.spin == 0 {
		return cond()
	}
	for start := time.Now(); ; {
		for range 100 {
			if cond() {
				return true
			}
		}
		if time.Since(start) > p.spin {
			return false
		}
		runtime.Gosched()
	}
}
