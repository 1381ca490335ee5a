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

// batcher runs the pictures of all requests to a model, those that are there
// together in one batch. Batches go one after the other, with all threads of
// the model.
type batcher struct {
	model   *effnet.Model
	max     int
	delay   time.Duration
	limit   int64
	metrics *modelMetrics

	jobs     chan *job // room for all that are admitted
	admitted atomic.Int64
	coming   atomic.Int64 // admitted, and not yet in jobs
	perImage atomic.Int64 // nanoseconds that a picture takes in a batch, smoothed
	ended    sync.WaitGroup
}

// job is a prepared picture on its way through a batch.
type job struct {
	ctx      context.Context
	deadline time.Time // by which it has to be run
	x        []float32 // [H,W,C]

	logits, embedding []float32 // the result
	queued            time.Time
	queue, infer      time.Duration // how long it waited and was run
	batch             int           // of how many
	done              chan error
}

// errExpired is that of a picture that waited too long.
var errExpired = errors.New("the request waited too long for its turn")

func newBatcher(m *effnet.Model, cfg *Config, metrics *modelMetrics) *batcher {
	b := &batcher{model: m, max: cfg.MaxBatch, delay: cfg.MaxDelay, limit: int64(cfg.Queue), metrics: metrics, jobs: make(chan *job, cfg.Queue)}
	b.ended.Go(b.loop)
	return b
}

// close ends the batcher. No picture may be admitted.
func (b *batcher) close() {
	close(b.jobs)
	b.ended.Wait()
}

// full reports that not even one more picture has room.
func (b *batcher) full() bool { return b.admitted.Load() >= b.limit }

// admit makes room for n pictures, if there is, of which some will come as jobs.
func (b *batcher) admit(n, coming int) bool {
	if b.admitted.Add(int64(n)) > b.limit {
		b.admitted.Add(int64(-n))
		return false
	}
	b.coming.Add(int64(coming))
	b.metrics.pending.Add(float64(n))
	return true
}

// leave gives back the room of n pictures, of which some never became jobs.
func (b *batcher) leave(n, neverCame int) {
	b.coming.Add(int64(-neverCame))
	b.admitted.Add(int64(-n))
	b.metrics.pending.Sub(float64(n))
}

// wait is about how long all that is admitted will take.
func (b *batcher) wait() time.Duration {
	return time.Duration(b.admitted.Load() * b.perImage.Load())
}

// put hands a prepared picture over; its done will be told. There is room at
// once, unless requests that have given up still lie there.
func (b *batcher) put(j *job) error {
	j.queued = time.Now()
	j.done = make(chan error, 1)
	select {
	case b.jobs <- j:
		b.coming.Add(-1)
		return nil
	case <-j.ctx.Done():
		return j.ctx.Err()
	}
}

func (b *batcher) loop() {
	var (
		batch []*job
		mem   buffers
	)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := range b.jobs {
		batch = append(batch[:0], first)
		timer.Reset(b.delay)
		batch = b.collect(batch, timer.C)
		live := batch[:0]
		for _, j := range batch {
			if err := j.expired(); err != nil {
				j.done <- err
				continue
			}
			live = append(live, j)
		}
		if len(live) > 0 {
			b.run(live, &mem)
		}
		clear(batch)
	}
}

// collect adds pictures to a batch until it is full, or none is there or on its
// way, or the delay is over.
func (b *batcher) collect(batch []*job, over <-chan time.Time) []*job {
	for len(batch) < b.max {
		select {
		case j, ok := <-b.jobs:
			if !ok {
				return batch
			}
			batch = append(batch, j)
			continue
		default:
		}
		if b.delay <= 0 || b.coming.Load() == 0 && len(b.jobs) == 0 {
			return batch
		}
		select {
		case j, ok := <-b.jobs:
			if !ok {
				return batch
			}
			batch = append(batch, j)
		case <-over:
			return batch
		}
	}
	return batch
}

// expired says why a picture is not to be run any more.
func (j *job) expired() error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if !j.deadline.IsZero() && time.Now().After(j.deadline) {
		return errExpired
	}
	return nil
}

// buffers is the memory of batches, kept from one to the next.
type buffers struct{ x, logits, embeddings []float32 }

func (b *batcher) run(batch []*job, mem *buffers) {
	n, elems, classes, width := len(batch), b.model.InputElems(), b.model.Classes(), b.model.Width()
	if cap(mem.x) < n*elems {
		mem.x = make([]float32, b.max*elems)
		mem.logits, mem.embeddings = make([]float32, b.max*classes), make([]float32, b.max*width)
	}
	start := time.Now()
	x := mem.x[:n*elems]
	for i, j := range batch {
		copy(x[i*elems:], j.x)
	}
	logits, embeddings := mem.logits[:n*classes], mem.embeddings[:n*width]
	err := run(b.model, x, n, logits, embeddings)
	took := time.Since(start)
	b.metrics.executed(n, took)
	old := b.perImage.Load()
	if each := int64(took) / int64(n); old == 0 {
		b.perImage.Store(each)
	} else {
		b.perImage.Store(old + (each-old)/8)
	}
	for i, j := range batch {
		j.queue, j.infer, j.batch = start.Sub(j.queued), took, n
		if err == nil {
			j.logits = slices.Clone(logits[i*classes:][:classes])
			j.embedding = slices.Clone(embeddings[i*width:][:width])
		}
		j.done <- err
	}
}

// run runs a batch. It turns a panic of the engine into an error: it is not to
// end the server.
func run(m *effnet.Model, x []float32, n int, logits, embeddings []float32) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the engine failed: %v", p)
		}
	}()
	return m.Run(context.Background(), x, n, logits, embeddings)
}
