package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"effnet"
)

// batcher runs the pictures of all requests to a model. Each request waits for a
// core with which to run its own pictures, and runs those of others that are there
// in the same batch.
//
// A batch has all cores if nobody else wants any, else one. On one core a picture
// takes no longer alone than in a batch, so that with others on theirs no time is
// lost, and no picture waits for the end of another's.
type batcher struct {
	model   *effnet.Model
	max     int
	delay   time.Duration
	limit   int64
	cores   *cores
	metrics *modelMetrics

	admitted atomic.Int64
	perImage atomic.Int64 // nanoseconds that a picture takes on one core, smoothed

	mu      sync.Mutex
	ready   []*job        // to be run, in the order in which they came
	coming  int           // admitted, and not yet in ready
	changed chan struct{} // closed when ready or coming changes; nil if nobody looks
}

// job is a prepared picture on its way through a batch.
type job struct {
	ctx context.Context // in which it waits to be run
	x   []float32       // [H,W,C]

	logits, embedding []float32 // the result
	queued            time.Time
	queue, infer      time.Duration // how long it waited and was run
	batch             int           // of how many
	done              chan error
}

// errExpired is that of a picture that waited too long.
var errExpired = errors.New("the request waited too long for its turn")

func newBatcher(m *effnet.Model, cfg *Config, c *cores, metrics *modelMetrics) *batcher {
	return &batcher{model: m, max: cfg.MaxBatch, delay: cfg.MaxDelay, limit: int64(cfg.Queue), cores: c, metrics: metrics}
}

// full reports that not even one more picture has room.
func (b *batcher) full() bool { return b.admitted.Load() >= b.limit }

// admit makes room for n pictures, if there is, of which some will come as jobs.
func (b *batcher) admit(n, coming int) bool {
	if b.admitted.Add(int64(n)) > b.limit {
		b.admitted.Add(int64(-n))
		return false
	}
	b.come(coming)
	b.metrics.pending.Add(float64(n))
	return true
}

// leave gives back the room of n pictures, of which some never became jobs.
func (b *batcher) leave(n, neverCame int) {
	b.come(-neverCame)
	b.admitted.Add(int64(-n))
	b.metrics.pending.Sub(float64(n))
}

// come notes that n more pictures are on their way.
func (b *batcher) come(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming += n
	b.tell()
}

// tell wakes those who look for changes.
func (b *batcher) tell() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// wait is about how long all that is admitted will take.
func (b *batcher) wait() time.Duration {
	return time.Duration(b.admitted.Load() * b.perImage.Load() / int64(b.cores.total))
}

// do runs the jobs of a request that came at since, which holds a core already if
// it says so, until each has its result in done.
func (b *batcher) do(ctx context.Context, jobs []*job, since time.Time, holding bool) {
	b.mu.Lock()
	for _, j := range jobs {
		j.queued = time.Now()
		j.done = make(chan error, 1)
	}
	b.ready = append(b.ready, jobs...)
	b.coming -= len(jobs)
	b.tell()
	b.mu.Unlock()
	over := time.Now().Add(b.delay)
	if b.delay > 0 && holding {
		b.cores.give(1)
		holding = false
	}
	for b.has(jobs) {
		if b.delay > 0 {
			b.gather(ctx, jobs, over)
		}
		var err error
		if holding {
			err = b.cores.turn(ctx, since)
		} else {
			err = b.cores.take(ctx, 1, since)
		}
		if err != nil {
			b.withdraw(jobs, err)
			return
		}
		if b.delay > 0 && !b.gathered(ctx, jobs, over) { // the others left while it waited for the core
			b.cores.give(1)
			continue
		}
		b.runReady(jobs)
		holding = false
	}
	if holding {
		b.cores.give(1)
	}
}

// has reports that some of the jobs are nobody's yet.
func (b *batcher) has(jobs []*job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.ready, func(j *job) bool { return slices.Contains(jobs, j) })
}

// withdraw gives up the jobs that are nobody's yet.
func (b *batcher) withdraw(jobs []*job, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = slices.DeleteFunc(b.ready, func(j *job) bool {
		mine := slices.Contains(jobs, j)
		if mine {
			j.done <- err
		}
		return mine
	})
}

// gather waits until the jobs are gathered.
func (b *batcher) gather(ctx context.Context, jobs []*job, over time.Time) {
	timer := time.NewTimer(time.Until(over))
	defer timer.Stop()
	for {
		b.mu.Lock()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if b.gathered(ctx, jobs, over) {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// gathered reports that the jobs have nothing to wait for: there is a whole batch, or
// nothing more on its way, or the delay is over, or none of them is nobody's yet.
func (b *batcher) gathered(ctx context.Context, jobs []*job, over time.Time) bool {
	if ctx.Err() != nil || !time.Now().Before(over) || !b.has(jobs) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ready) >= b.max || b.coming == 0
}

// runReady runs a batch that has at least one of the jobs, with the core that the
// caller has and gives away here, and with all others that are idle.
func (b *batcher) runReady(jobs []*job) {
	n := 1
	if more := min(b.model.Threads(), b.cores.total) - 1; more > 0 && b.cores.more(more) {
		n += more
	}
	defer b.cores.give(n)
	b.mu.Lock()
	first := slices.IndexFunc(b.ready, func(j *job) bool { return slices.Contains(jobs, j) })
	if first < 0 {
		b.mu.Unlock()
		return
	}
	most := b.max
	if n == 1 && b.delay == 0 { // other cores take their share
		most = min(most, (len(b.ready)+b.cores.total-1)/b.cores.total)
	}
	// The oldest, but so that one that the caller waits for is among them.
	first = max(0, first-most+1)
	batch := slices.Clone(b.ready[first:min(first+most, len(b.ready))])
	b.ready = slices.Delete(b.ready, first, first+len(batch))
	b.tell()
	b.mu.Unlock()
	live := batch[:0]
	for _, j := range batch {
		if j.ctx.Err() != nil {
			j.done <- context.Cause(j.ctx)
			continue
		}
		live = append(live, j)
	}
	if len(live) > 0 {
		b.run(live, n)
	}
}

// run runs a batch on n cores.
func (b *batcher) run(batch []*job, n int) {
	var (
		images                = len(batch)
		elems, classes, width = b.model.InputElems(), b.model.Classes(), b.model.Width()
		start                 = time.Now()
		x                     = batch[0].x
		logits, embeddings    = make([]float32, images*classes), make([]float32, images*width)
	)
	if images > 1 {
		x = make([]float32, images*elems)
		for i, j := range batch {
			copy(x[i*elems:], j.x)
		}
	}
	err := run(b.model, x, images, logits, embeddings, n > 1)
	took := time.Since(start)
	b.metrics.executed(images, took)
	old := b.perImage.Load()
	if each := int64(took) * int64(n) / int64(images); old == 0 {
		b.perImage.Store(each)
	} else {
		b.perImage.Store(old + (each-old)/8)
	}
	for i, j := range batch {
		j.queue, j.infer, j.batch = start.Sub(j.queued), took, images
		if err == nil {
			j.logits = logits[i*classes:][:classes:classes]
			j.embedding = embeddings[i*width:][:width:width]
		}
		j.done <- err
	}
}

// run runs a batch, on all threads of the model or on one. It turns a panic of the
// engine into an error: it is not to end the server.
func run(m *effnet.Model, x []float32, n int, logits, embeddings []float32, together bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the engine failed: %v", p)
		}
	}()
	if together {
		return m.Run(context.Background(), x, n, logits, embeddings)
	}
	return m.RunAlone(context.Background(), x, n, logits, embeddings)
}
