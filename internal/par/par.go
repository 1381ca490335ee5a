// Package par runs short parallel loops on a fixed set of goroutines.
//
// An engine runs hundreds of loops per step with only microseconds between
// them, so idle workers first spin and go to sleep only after a while. A loop
// is cut into numbered items by the caller; which worker runs an item is not
// determined, so a result that must not depend on the number of threads has to
// be a function of the item alone.
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

	// ticket is the loop's number in the high half, its unclaimed items in the
	// low half. Whoever decrements it owns an item; until that item is done fn
	// and n cannot change.
	ticket atomic.Uint64
	fn     func(worker, i int)
	n      int
	left   atomic.Int64 // items not done

	mu      sync.Mutex
	work    sync.Cond // a loop has begun, or the pool is closed
	done    sync.Cond // left is 0
	asleep  atomic.Int32
	waiting atomic.Bool
	closed  atomic.Bool
	exited  sync.WaitGroup
}

// New starts threads-1 workers: the caller of Do is the remaining one. With
// threads below 1 there are GOMAXPROCS.
func New(threads int) *Pool {
	procs := runtime.GOMAXPROCS(0)
	if threads < 1 {
		threads = procs
	}
	p := &Pool{threads: threads}
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
	p.fn, p.n = fn, n
	p.left.Store(int64(n))
	p.ticket.Store((p.ticket.Load()>>32+1)<<32 | uint64(n))
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
	for {
		t := p.ticket.Load()
		unclaimed := int(uint32(t))
		if unclaimed == 0 {
			return false
		}
		if !p.ticket.CompareAndSwap(t, t-1) {
			continue
		}
		p.fn(worker, p.n-unclaimed)
		if p.left.Add(-1) == 0 && p.waiting.Load() {
			p.mu.Lock()
			p.done.Signal()
			p.mu.Unlock()
		}
		return true
	}
}

func (p *Pool) ready() bool { return uint32(p.ticket.Load()) > 0 || p.closed.Load() }

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
