package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"effnet/imageprep"
)

// Survey is what looking at the images of a set tells.
type Survey struct {
	Images     int          // looked at
	Sizes      map[Size]int // how many images of each size
	Mean, Std  []float64    // per channel, of pixels in [0,1]
	Unreadable []error      // one an image, in the order of the set
}

// Size is the height and width of an image in pixels.
type Size struct{ H, W int }

// NewSurvey looks at no more than limit images (0: all) spread evenly over the
// set, converted to channels. Images that cannot be read are listed and do not
// stop it.
func NewSurvey(ctx context.Context, s Set, channels, limit int) (*Survey, error) {
	n := s.Len()
	if n == 0 {
		return nil, errors.New("dataset: the set is empty")
	}
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("dataset: statistics of %d channels, want 1 or 3", channels)
	}
	k := n
	if limit > 0 {
		k = min(n, limit)
	}
	all := tally{sizes: make(map[Size]int), bad: make(map[int]error)}
	var next atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			t := tally{sizes: make(map[Size]int), bad: make(map[int]error)}
			for ctx.Err() == nil {
				j := int(next.Add(1)) - 1
				if j >= k {
					break
				}
				t.add(s, int(int64(j)*int64(n)/int64(k)), channels)
			}
			mu.Lock()
			defer mu.Unlock()
			all.merge(&t)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	v := &Survey{Images: k, Sizes: all.sizes}
	for i := range n {
		if err := all.bad[i]; err != nil {
			v.Unreadable = append(v.Unreadable, err)
		}
	}
	if len(v.Unreadable) < k {
		v.Mean, v.Std = all.moments(channels)
	}
	return v, nil
}

// tally is what one goroutine counts: whole numbers, so that the sum does not
// depend on who counted what.
type tally struct {
	pixels [3][256]uint64 // how often each value occurs, by channel
	sizes  map[Size]int
	bad    map[int]error
	buf    []byte
}

func (t *tally) add(s Set, i, channels int) {
	im, err := s.Image(i)
	if err != nil {
		t.bad[i] = err
		return
	}
	t.sizes[Size{im.H, im.W}]++
	if im.C != channels {
		im = imageprep.Convert(t.buf, im, channels)
		t.buf = im.Pix
	}
	for c := range channels {
		h := &t.pixels[c]
		for p := im.Pix[c:]; ; p = p[channels:] {
			h[p[0]]++
			if len(p) <= channels {
				break
			}
		}
	}
}

func (t *tally) merge(u *tally) {
	for c := range u.pixels {
		for v, m := range u.pixels[c] {
			t.pixels[c][v] += m
		}
	}
	for k, n := range u.sizes {
		t.sizes[k] += n
	}
	for i, err := range u.bad {
		t.bad[i] = err
	}
}

// moments returns mean and standard deviation of every channel.
func (t *tally) moments(channels int) (mean, std []float64) {
	for c := range channels {
		var count, sum, squares uint64
		for v, m := range t.pixels[c] {
			v := uint64(v)
			count, sum, squares = count+m, sum+m*v, squares+m*v*v
		}
		m := float64(sum) / float64(count)
		mean = append(mean, m/255)
		std = append(std, math.Sqrt(math.Max(float64(squares)/float64(count)-float64(m*m), 0))/255)
	}
	return mean, std
}

// Stats returns the mean and standard deviation of every channel, of pixels in
// [0,1] converted to channels, over at most max images (0: all) spread evenly
// over the set.
func Stats(ctx context.Context, s Set, channels, max int) (mean, std []float64, err error) {
	v, err := NewSurvey(ctx, s, channels, max)
	if err != nil {
		return nil, nil, err
	}
	if len(v.Unreadable) > 0 {
		return nil, nil, v.Unreadable[0]
	}
	return v.Mean, v.Std, nil
}
