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
// these until ctx does. Where it returns no error, the core is the caller's, who is
// to give it back.
func (d *decoder) do(ctx, turn context.Context, since time.Time, data []byte, use func(imageprep.Image) error) error {
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
	if err := d.cores.take(turn, 1, since); err != nil {
		d.memory.Release(need)
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.time, errSlow)
	defer cancel()
	done := make(chan error, 1)
	var ended atomic.Bool // the decoder, or the wait for it: the other gives the core back
	go func() {
		im, err := imageprep.DecodeContext(ctx, data, d.limits)
		if err == nil {
			err = use(im)
		}
		d.memory.Release(need)
		if ended.Swap(true) {
			d.cores.give(1)
			return
		}
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		if !ended.Swap(true) {
			return slowOr(context.Cause(ctx), d.time)
		}
		err = <-done // both at once
	}
	if err != nil {
		d.cores.give(1)
		if ctx.Err() != nil {
			err = slowOr(context.Cause(ctx), d.time)
		}
	}
	return err
}

// slowOr is the error of a decoder that was ended for a cause.
func slowOr(cause error, limit time.Duration) error {
	if errors.Is(cause, errSlow) {
		return errorf(http.StatusUnprocessableEntity, "%w: more than %v", errSlow, limit)
	}
	return cause
}
