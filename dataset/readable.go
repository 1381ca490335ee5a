package dataset

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"effnet/imageprep"
)

// maxBad is the share of a part's images that may be unreadable: more says
// that something else is wrong than a few files.
const maxBad = 0.1

// Readable decodes every image of d, unless they lie in memory, and returns d
// without those that are no readable images, with what is wrong with each. All
// that follows, splits, statistics and epochs, is then as if their files were
// not there, whatever the number of threads. Files that cannot be read at all,
// too many bad images, and a class that loses its last training image are
// errors. progress, which may be nil, is told of images decoded.
func (d *Data) Readable(ctx context.Context, progress func(done int)) (*Data, []error, error) {
	out := *d
	out.SkipBad = true
	var all []error
	scan := scan{ctx: ctx, progress: progress}
	for _, part := range []struct {
		name string
		set  *Set
	}{{"training", &out.Train}, {"validation", &out.Val}, {"test", &out.Test}} {
		s := *part.set
		if s == nil || InMemory(s) {
			continue
		}
		good, bad, err := scan.run(s)
		if err != nil {
			return nil, nil, err
		}
		if n := len(bad); n > 0 {
			if float64(n) > maxBad*float64(s.Len()) {
				return nil, nil, fmt.Errorf("dataset: %s: %d of %d %s images cannot be read, want at most %g %%; one is %w", d.Name, n, s.Len(), part.name, 100*maxBad, bad[0])
			}
			if part.name == "training" {
				if c := lost(s, good); c != "" {
					return nil, nil, fmt.Errorf("dataset: %s: no training image of class %q can be read", d.Name, c)
				}
			}
			*part.set = pick(s, good)
			all = append(all, bad...)
		}
	}
	if out.LeftOut = len(all); out.LeftOut > 0 {
		images := "images"
		if out.LeftOut == 1 {
			images = "image"
		}
		out.Notes = append(slices.Clone(d.Notes), fmt.Sprintf("left out %d %s that cannot be read", out.LeftOut, images))
	}
	return &out, all, nil
}

// lost is a class of s of which good has no image; "" if there is none.
func lost(s Set, good []int) string {
	var have, kept = make(map[int32]bool), make(map[int32]bool)
	for i := range s.Len() {
		have[s.Label(i)] = true
	}
	for _, i := range good {
		kept[s.Label(i)] = true
	}
	for c, name := range s.Classes() {
		if have[int32(c)] && !kept[int32(c)] {
			return name
		}
	}
	return ""
}

// scan is the state of Readable.
type scan struct {
	ctx      context.Context
	mu       sync.Mutex
	done     int
	progress func(done int)
}

// run decodes the images of s.
func (c *scan) run(s Set) (good []int, bad []error, err error) {
	errs := make([]error, s.Len())
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for c.ctx.Err() == nil && !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(errs) {
					return
				}
				if _, errs[i] = s.Image(i); errs[i] != nil && !isBadImage(errs[i]) {
					failed.Store(true)
				}
				c.mu.Lock()
				c.done++
				if c.progress != nil {
					c.progress(c.done)
				}
				c.mu.Unlock()
			}
		})
	}
	wg.Wait()
	if c.ctx.Err() != nil {
		return nil, nil, context.Cause(c.ctx)
	}
	for i, err := range errs {
		switch {
		case err == nil:
			good = append(good, i)
		case !isBadImage(err):
			return nil, nil, err
		default:
			bad = append(bad, err)
		}
	}
	return good, bad, nil
}

// isBadImage reports whether an error is about an image, and would come again,
// and not about the disk.
func isBadImage(err error) bool {
	var format *imageprep.FormatError
	var limit *imageprep.LimitError
	return errors.As(err, &format) || errors.As(err, &limit)
}
