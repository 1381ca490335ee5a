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
	loop   uint16
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

// A share is a worker's items of a loop that nobody has claimed, [from,to): the
// loop's number in 16 bits, from and to in 24 each. It has a cache line of its own.
type share struct {
	items atomic.Uint64
	_     [56]byte
}

const mostItems = 1<<24 - 1

func packed(loop uint16, from, to int) uint64 {
	return uint64(loop)<<48 | uint64(from)<<24 | uint64(to)
}

func unpacked(items uint64) (loop uint16, from, to int) {
	return uint16(items >> 48), int(items >> 24 & mostItems), int(items & mostItems)
}

// claim takes the share's first item; loop is the one that the share is of.
func (s *share) claim() (i int, loop uint16, ok bool) {
	for {
		items := s.items.Load()
		loop, from, to := unpacked(items)
		if from >= to {
			return 0, loop, false
		}
		if s.items.CompareAndSwap(items, packed(loop, from+1, to)) {
			return from, loop, true
		}
	}
}

// help takes the share's last item if it is of a loop.
func (s *share) help(of uint16) (i int, ok bool) {
	for {
		items := s.items.Load()
		loop, from, to := unpacked(items)
		if loop != of || from >= to {
			return 0, false
		}
		if s.items.CompareAndSwap(items, packed(loop, from, to-1)) {
			return to - 1, true
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
	for ; n > mostItems; n -= mostItems {
		last := n - mostItems
		p.Do(mostItems, func(w, i int) { fn(w, last+i) })
	}
	p.fn = fn
	p.left.Store(int64(n))
	p.loop++
	// Swap, here and below, where Store would do by Go's memory model: what is
	// read next must not be read before this is seen, and qemu running arm64 on
	// amd64 lets a load pass the store before it. The loop would be slept through.
	for w := range p.shares {
		p.shares[w].items.Swap(packed(p.loop, w*n/p.threads, (w+1)*n/p.threads))
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
		p.waiting.Swap(true)
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

// runOne claims and runs one item, or reports that there is none. A worker helps
// only in the loop that its own share is of: in a new one it begins with that.
func (p *Pool) runOne(worker int) bool {
	i, loop, ok := p.shares[worker].claim()
	for k := 1; k < p.threads && !ok; k++ {
		i, ok = p.shares[(worker+k)%p.threads].help(loop)
	}
	if !ok {
		return false
	}
	p.fn(worker, i)
	if p.left.Add(-1) == 0 && p.waiting.Load() {
		p.mu.Lock()
		p.done.Signal()
		p.mu.Unlock()
	}
	return true
}

// ready reports that runOne would find something, or that the pool is closed.
func (p *Pool) ready(worker int) bool {
	own, from, to := unpacked(p.shares[worker].items.Load())
	found := from < to
	for k := 1; k < p.threads && !found; k++ {
		loop, from, to := unpacked(p.shares[(worker+k)%p.threads].items.Load())
		found = loop == own && from < to
	}
	return found || p.closed.Load()
}

func (p *Pool) worker(w int) {
	ready := func() bool { return p.ready(w) }
	for {
		for p.runOne(w) {
		}
		if !p.watch(ready) {
			p.mu.Lock()
			p.asleep.Add(1)
			for !ready() {
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
