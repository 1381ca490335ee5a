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

// batcher runs the pictures of all requests to a model. The pictures that come
// together from one request wait for a core, and whoever gets one runs, in the same
// batch, those of others that are there too.
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

	mu     sync.Mutex
	ready  []*job // to be run, in the order in which they came
	coming int    // admitted, and not yet in ready
}

// job is a prepared picture on its way through a batch.
type job struct {
	ctx   context.Context // in which it waits to be run
	x     []float32       // [H,W,C]
	group *group

	logits, embedding []float32 // the result
	queued            time.Time
	queue, infer      time.Duration // how long it waited and was run
	batch             int           // of how many
	done              chan error
}

// group is what a request has put into a batcher at a time.
type group struct {
	since   time.Time // when the request came
	over    time.Time // when it has waited long enough for others
	left    int       // of its jobs, those in ready
	waiting *waiter   // for a core, until it has one; nil when there is something else to wait for
	timer   *time.Timer
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
	b.settle(false)
}

// overdue is called when a group's delay is over.
func (b *batcher) overdue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle(false)
}

// wait is about how long all that is admitted will take.
func (b *batcher) wait() time.Duration {
	return time.Duration(b.admitted.Load() * b.perImage.Load() / int64(b.cores.total))
}

// put has the jobs of a request that came at since run; done then tells each of its
// end. Where soon is set, the caller holds a core and is about to give it back.
func (b *batcher) put(jobs []*job, since time.Time, soon bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	g := &group{since: since, over: now.Add(b.delay), left: len(jobs)}
	for _, j := range jobs {
		j.queued, j.group = now, g
		j.done = make(chan error, 1)
	}
	if b.delay > 0 {
		g.timer = time.AfterFunc(b.delay, b.overdue)
	}
	b.ready = append(b.ready, jobs...)
	b.coming -= len(jobs)
	b.settle(soon)
}

// due reports that a group has nothing to wait for but a core: there is a whole
// batch, or nothing more on its way, or its delay is over. b.mu is held.
func (b *batcher) due(g *group) bool {
	return b.delay == 0 || len(b.ready) >= b.max || b.coming == 0 || !time.Now().Before(g.over)
}

// settle has the groups that are due wait for a core. One that is so no more, as
// others ran without it, waits for company again. b.mu is held.
func (b *batcher) settle(soon bool) {
	for _, j := range b.ready {
		g := j.group
		switch due := b.due(g); {
		case due && g.waiting == nil:
			g.waiting = b.cores.queue(g.since, soon, func() { b.runReady(g) })
		case !due && g.waiting != nil && b.cores.withdraw(g.waiting):
			g.waiting = nil
		}
	}
}

// remove takes jobs out of ready. b.mu is held.
func (b *batcher) remove(from, to int) {
	for _, j := range b.ready[from:to] {
		g := j.group
		if g.left--; g.left > 0 {
			continue
		}
		if g.waiting != nil {
			b.cores.withdraw(g.waiting)
		}
		if g.timer != nil {
			g.timer.Stop()
		}
	}
	b.ready = slices.Delete(b.ready, from, to)
}

// await waits until a job has been run or its time is over.
func (b *batcher) await(j *job) error {
	select {
	case err := <-j.done:
		return err
	case <-j.ctx.Done():
	}
	b.mu.Lock()
	i := slices.Index(b.ready, j)
	if i >= 0 {
		b.remove(i, i+1)
		b.settle(false)
	}
	b.mu.Unlock()
	if i < 0 { // it is in a batch
		return <-j.done
	}
	return context.Cause(j.ctx)
}

// runReady runs a batch that has at least one job of the group, with the core that
// the caller has, and with all others that are idle.
func (b *batcher) runReady(g *group) {
	b.mu.Lock()
	g.waiting = nil
	first := slices.IndexFunc(b.ready, func(j *job) bool { return j.group == g })
	if first < 0 || !b.due(g) { // others ran it, or ran without it
		b.mu.Unlock()
		return
	}
	n := 1
	if more := min(b.model.Threads(), b.cores.total) - 1; more > 0 && b.cores.more(more) {
		n += more
		defer b.cores.give(more)
	}
	most := b.max
	if n == 1 && b.delay == 0 { // other cores take their share
		most = min(most, (len(b.ready)+b.cores.total-1)/b.cores.total)
	}
	// The oldest, but so that one of the group is among them.
	first = max(0, first-most+1)
	batch := slices.Clone(b.ready[first:min(first+most, len(b.ready))])
	b.remove(first, first+len(batch))
	b.settle(false)
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
