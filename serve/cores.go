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
type cores struct {
	total int

	mu      sync.Mutex
	free    int
	waiting []*waiter // the oldest first
}

// waiter waits for n cores; ready is closed when they are its own.
type waiter struct {
	n     int
	since time.Time
	ready chan struct{}
}

func newCores(n int) *cores { return &cores{total: n, free: n} }

// take waits for n cores, at most all, for who has come at since.
func (c *cores) take(ctx context.Context, n int, since time.Time) error {
	n = min(n, c.total)
	c.mu.Lock()
	if len(c.waiting) == 0 && c.free >= n {
		c.free -= n
		c.mu.Unlock()
		return nil
	}
	w := &waiter{n, since, make(chan struct{})}
	i := slices.IndexFunc(c.waiting, func(o *waiter) bool { return since.Before(o.since) })
	if i < 0 {
		i = len(c.waiting)
	}
	c.waiting = slices.Insert(c.waiting, i, w)
	c.share()
	c.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiting, w); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	} else {
		c.free += n // it had them already
	}
	c.share()
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
	c.share()
}

// share gives free cores to those who wait. One who waits for many keeps the
// younger from taking them one by one.
func (c *cores) share() {
	for len(c.waiting) > 0 && c.waiting[0].n <= c.free {
		w := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		c.free -= w.n
		close(w.ready)
	}
}

// turn lets a holder of one core go on with it, unless an older one waits, which
// then goes first. On an error the core is given back.
func (c *cores) turn(ctx context.Context, since time.Time) error {
	c.mu.Lock()
	older := len(c.waiting) > 0 && c.waiting[0].since.Before(since)
	c.mu.Unlock()
	if !older {
		return nil
	}
	c.give(1)
	return c.take(ctx, 1, since)
}
