package serve

import (
	"context"
	"slices"
	"sync"
	"time"
)

// cores shares the processor among all that computes. Never do more goroutines
// decode and run networks than it has cores: more would only take turns, and each
// end later. Who waits gets cores in the order of age, so that what has been begun
// is ended before anything new is.
//
// Work for one core is done by workers, one a core, which go from one piece to the
// next without a rest. Were it done by those who bring it, each piece would wake a
// thread, and the system often puts that beside a busy one while a core has nothing
// to do.
type cores struct {
	total int

	mu      sync.Mutex
	free    int
	waiting []*waiter // the oldest first
	begun   []*waiter // work that has its core, and that no worker has yet
	wake    sync.Cond // begun has grown by what no worker will see by itself, or the cores are closed
	closed  bool
	workers sync.WaitGroup
}

// waiter waits for n cores: to do its work on one, or else to have them until they
// are given back, from when ready is closed.
type waiter struct {
	n     int
	since time.Time
	work  func()
	ready chan struct{}
}

// Procs is the GOMAXPROCS with which a server with so many cores also reads, refuses
// and answers requests at once: what computes never fills more than the cores.
func Procs(cores int) int { return cores + 1 + cores/16 }

func newCores(n int) *cores {
	c := &cores{total: n, free: n}
	c.wake.L = &c.mu
	for range n {
		c.workers.Go(c.worker)
	}
	return c
}

// close ends the workers when there is no more work, and waits for that.
func (c *cores) close() {
	c.mu.Lock()
	c.closed = true
	c.wake.Broadcast()
	c.mu.Unlock()
	c.workers.Wait()
}

func (c *cores) worker() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.begun) == 0 {
			if c.closed {
				return
			}
			c.wake.Wait()
		}
		w := c.begun[0]
		c.begun = slices.Delete(c.begun, 0, 1)
		c.mu.Unlock()
		w.work()
		c.mu.Lock()
		c.free++
		c.share(1)
	}
}

// queue has work done on a core, for who has come at since. Where soon is set, the
// caller is itself such work and at its end: its core is not to be anticipated.
func (c *cores) queue(since time.Time, soon bool, work func()) *waiter {
	w := &waiter{n: 1, since: since, work: work}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(w)
	if !soon {
		c.share(0)
	}
	return w
}

// withdraw takes a waiter out of the queue, unless it is there no more.
func (c *cores) withdraw(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiting, w)
	if i < 0 {
		return false
	}
	c.waiting = slices.Delete(c.waiting, i, i+1)
	c.share(0) // it may have wanted more than there are, and kept others waiting
	return true
}

// take waits for n cores, at most all, for who has come at since.
func (c *cores) take(ctx context.Context, n int, since time.Time) error {
	w := &waiter{n: min(n, c.total), since: since, ready: make(chan struct{})}
	c.mu.Lock()
	c.insert(w)
	c.share(0)
	c.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	if !c.withdraw(w) {
		c.give(w.n) // it had them already
	}
	return context.Cause(ctx)
}

// more takes n more cores, if they are there and nobody waits for them.
func (c *cores) more(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 || c.free < n {
		return false
	}
	c.free -= n
	return true
}

// give gives n cores back.
func (c *cores) give(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free += n
	c.share(0)
}

// insert puts a waiter behind those that are as old.
func (c *cores) insert(w *waiter) {
	i := slices.IndexFunc(c.waiting, func(o *waiter) bool { return w.since.Before(o.since) })
	if i < 0 {
		i = len(c.waiting)
	}
	c.waiting = slices.Insert(c.waiting, i, w)
}

// share gives free cores to those who wait. One who waits for many keeps the
// younger from taking them one by one. Of workers, looking are awake and about to
// take what is begun.
func (c *cores) share(looking int) {
	for len(c.waiting) > 0 && c.waiting[0].n <= c.free {
		w := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		c.free -= w.n
		if w.work != nil {
			c.begun = append(c.begun, w)
			if len(c.begun) > looking {
				c.wake.Signal()
			}
		} else {
			close(w.ready)
		}
	}
}
