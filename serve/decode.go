package serve

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"effnet/imageprep"
)

// decoder decodes untrusted pictures: each on a core and within a time, all of
// them within one amount of memory.
type decoder struct {
	limits imageprep.Limits
	time   time.Duration
	total  int64
	memory *semaphore.Weighted
	cores  *cores
}

func newDecoder(c Config, cores *cores) *decoder {
	return &decoder{
		limits: c.Image, time: c.DecodeTime, total: c.DecodeMemory,
		memory: semaphore.NewWeighted(c.DecodeMemory), cores: cores,
	}
}

// bytesPerPixel bounds what a decoder needs for a pixel: the coefficients and
// samples of a progressive JPEG, or the 16-bit samples of a PNG, the result, and
// the result turned upright.
const bytesPerPixel = 16

// errSlow is that of a picture that takes too long. What decoder works on it
// ends soon and holds its memory until then.
var errSlow = errors.New("the image takes too long to decode")

// do decodes a picture of a request that came at since and gives it to use, whose
// time counts too. It waits for memory and a core until turn ends, and goes on with
// these until ctx does. If all that is well, next is called at the end, on the core
// that is then given back; it may be nil.
func (d *decoder) do(ctx, turn context.Context, since time.Time, data []byte, use func(imageprep.Image) error, next func()) error {
	cfg, err := imageprep.DecodeConfig(data, d.limits)
	if err != nil {
		var format *imageprep.FormatError
		if errors.As(err, &format) && format.Format == "" && len(data) > 0 {
			return errorf(http.StatusUnsupportedMediaType, "%w", err)
		}
		return err
	}
	need := min(bytesPerPixel*int64(cfg.H)*int64(cfg.W)+1<<16, d.total)
	if err := d.memory.Acquire(turn, need); err != nil {
		return context.Cause(turn)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	var ended atomic.Bool // the decoder, or the wait for it: who is first says how it ended
	w := d.cores.queue(since, false, func() {
		limit := time.AfterFunc(d.time, func() { cancel(errSlow) })
		defer limit.Stop()
		im, err := imageprep.DecodeContext(ctx, data, d.limits)
		if err == nil {
			err = use(im)
		}
		d.memory.Release(need)
		if ended.Swap(true) {
			return
		}
		if err == nil && next != nil {
			next()
		}
		done <- err
	})
	result := func(err error) error {
		if err != nil && ctx.Err() != nil {
			err = slowOr(context.Cause(ctx), d.time)
		}
		return err
	}
	expired := turn.Done()
	for {
		select {
		case err := <-done:
			return result(err)
		case <-expired:
			if d.cores.withdraw(w) {
				d.memory.Release(need)
				return context.Cause(turn)
			}
			expired = nil // it has its core
		case <-ctx.Done():
			if d.cores.withdraw(w) {
				d.memory.Release(need)
				return context.Cause(ctx)
			}
			if ended.Swap(true) {
				return result(<-done) // both at once
			}
			return result(errSlow)
		}
	}
}

// slowOr is the error of a decoder that was ended for a cause.
func slowOr(cause error, limit time.Duration) error {
	if errors.Is(cause, errSlow) {
		return errorf(http.StatusUnprocessableEntity, "%w: more than %v", errSlow, limit)
	}
	return cause
}
