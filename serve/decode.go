package serve

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"effnet/imageprep"
)

// decoder decodes untrusted pictures: so many at a time as there are cores, all
// of them within one amount of memory, each within a time.
type decoder struct {
	limits imageprep.Limits
	time   time.Duration
	total  int64
	memory *semaphore.Weighted
	cores  *semaphore.Weighted
}

func newDecoder(c Config, cores int) *decoder {
	return &decoder{
		limits: c.Image, time: c.DecodeTime, total: c.DecodeMemory,
		memory: semaphore.NewWeighted(c.DecodeMemory), cores: semaphore.NewWeighted(int64(cores)),
	}
}

// bytesPerPixel bounds what a decoder needs for a pixel: the coefficients and
// samples of a progressive JPEG, or the 16-bit samples of a PNG, the result, and
// the result turned upright.
const bytesPerPixel = 16

// errSlow is that of a picture that takes too long. What decoder works on it
// ends soon and holds its memory until then.
var errSlow = errors.New("the image takes too long to decode")

// do decodes a picture and gives it to use, whose time counts too. It waits for
// memory and a core until ctx ends.
func (d *decoder) do(ctx context.Context, data []byte, use func(imageprep.Image) error) error {
	cfg, err := imageprep.DecodeConfig(data, d.limits)
	if err != nil {
		var format *imageprep.FormatError
		if errors.As(err, &format) && format.Format == "" && len(data) > 0 {
			return errorf(http.StatusUnsupportedMediaType, "%w", err)
		}
		return err
	}
	need := min(bytesPerPixel*int64(cfg.H)*int64(cfg.W)+1<<16, d.total)
	if err := d.memory.Acquire(ctx, need); err != nil {
		return err
	}
	if err := d.cores.Acquire(ctx, 1); err != nil {
		d.memory.Release(need)
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.time, errSlow)
	done := make(chan error, 1)
	go func() {
		defer func() {
			cancel()
			d.cores.Release(1)
			d.memory.Release(need)
		}()
		im, err := imageprep.DecodeContext(ctx, data, d.limits)
		if err == nil {
			err = use(im)
		}
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		select { // both at once
		case err = <-done:
		default:
			err = ctx.Err()
		}
	}
	if err != nil && errors.Is(context.Cause(ctx), errSlow) {
		return errorf(http.StatusUnprocessableEntity, "%w: more than %v", errSlow, d.time)
	}
	return err
}
