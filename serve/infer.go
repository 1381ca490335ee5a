package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"effnet/imageprep"
)

// upload is a picture of a request.
type upload struct {
	name string
	data []byte
}

// call is an inference request to one model.
type call struct {
	s     *Server
	l     *loaded
	ctx   context.Context
	start time.Time
	note  *note

	release func()
	n       int          // pictures admitted
	coming  atomic.Int64 // of which the batcher still expects
}

// begin takes a model for a request, if it has any room.
func (s *Server) begin(ctx context.Context, name, version string, n *note) (*call, error) {
	sl, err := s.slot(name, version)
	if err != nil {
		return nil, err
	}
	c := &call{s: s, ctx: ctx, start: time.Now(), note: n}
	if c.l, c.release, err = sl.use(); err != nil {
		return nil, err
	}
	n.model, n.version = sl.Name, sl.Version
	if c.l.full() {
		c.release()
		err := c.noRoom()
		sl.metrics.ended(c.start, err)
		return nil, err
	}
	return c, nil
}

func (c *call) noRoom() error {
	return busy(c.l.wait(), "model %s has %d images waiting and no room for more", c.l.slot.Name, c.l.admitted.Load())
}

// end gives the model back and notes how it went.
func (c *call) end(err error) {
	if c.n > 0 {
		c.l.leave(c.n, int(c.coming.Load()))
	}
	c.l.slot.metrics.ended(c.start, err)
	c.release()
}

// admit makes room for n pictures, of which some will come to the batcher.
func (c *call) admit(n, coming int) error {
	if n > c.s.cfg.MaxImages {
		return errorf(http.StatusRequestEntityTooLarge, "the request has %d images, the limit is %d", n, c.s.cfg.MaxImages)
	}
	if !c.l.batcher.admit(n, coming) {
		return c.noRoom()
	}
	c.n = n
	c.coming.Store(int64(coming))
	c.note.images = n
	return nil
}

// timing is where a request's time went, in milliseconds.
type timing struct {
	Decode float64 `json:"decode_ms"` // decoding and preparing, all pictures
	Queue  float64 `json:"queue_ms"`  // until the last picture was run
	Infer  float64 `json:"infer_ms"`  // of the batches
	Batch  int     `json:"batch"`     // pictures of the last batch, those of others included
}

// images decodes pictures and runs them, each as soon as it is ready.
func (c *call) images(list []upload) ([]*job, timing, error) {
	if err := c.admit(len(list), len(list)); err != nil {
		return nil, timing{}, err
	}
	start := time.Now()
	jobs := make([]*job, len(list))
	decoded := make([]time.Duration, len(list))
	errs := make(chan error, len(list))
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	turn, end := c.turn(ctx, c.s.cfg.QueueTimeout)
	defer end()
	for i := range list {
		jobs[i] = c.job(turn, make([]float32, c.l.InputElems()))
		go func() {
			err := c.s.decode.do(ctx, turn, c.start, list[i].data,
				func(im imageprep.Image) error { return c.l.Prepare(jobs[i].x, im) },
				func() {
					decoded[i] = time.Since(start)
					c.put(jobs[i:i+1], true)
				})
			if err == nil {
				err = c.l.await(jobs[i])
			} else if list[i].name != "" && statusOf(err) != statusClosed && statusOf(err) != http.StatusServiceUnavailable {
				err = fmt.Errorf("%s: %w", list[i].name, err)
			}
			errs <- err
		}()
	}
	// All pictures are waited for, so that none is run when the model is given back;
	// the first that fails stops the others.
	var first error
	for range list {
		if err := <-errs; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	took := slices.Max(decoded)
	c.l.slot.metrics.input.Add(micros(took))
	if first != nil {
		return nil, timing{}, c.late(first)
	}
	t := c.timing(jobs)
	t.Decode = millis(took)
	return jobs, t, nil
}

// turn is the context in which pictures wait for their turn, at most so long.
func (c *call) turn(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, most, errExpired)
}

func (c *call) job(ctx context.Context, x []float32) *job { return &job{ctx: ctx, x: x} }

// put has prepared pictures run. Where soon is set, the caller holds a core and is
// about to give it back.
func (c *call) put(jobs []*job, soon bool) {
	c.coming.Add(int64(-len(jobs)))
	c.l.put(jobs, c.start, soon)
}

// timing is that of pictures that have been run.
func (c *call) timing(jobs []*job) (t timing) {
	for _, j := range jobs {
		c.l.slot.metrics.queue.Add(micros(j.queue))
		t.Queue = max(t.Queue, millis(j.queue))
		t.Infer = max(t.Infer, millis(j.infer))
		t.Batch = j.batch
	}
	c.note.timing = t
	return t
}

// late says what a request whose turn did not come is to be told.
func (c *call) late(err error) error {
	if errors.Is(err, errExpired) {
		return busy(c.l.wait(), "%w", errExpired)
	}
	return err
}

// finish runs write, which makes the answer, and counts its time.
func (c *call) finish(write func()) {
	start := time.Now()
	write()
	c.l.slot.metrics.write.Add(micros(time.Since(start)))
}
