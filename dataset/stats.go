package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"

	"effnet/imageprep"
)

// Stats returns the mean and standard deviation of every channel, of pixels in
// [0,1] converted to channels, over at most max images (0: all) spread evenly
// over the set.
func Stats(ctx context.Context, s Set, channels, max int) (mean, std []float64, err error) {
	n := s.Len()
	if n == 0 {
		return nil, nil, errors.New("dataset: statistics of an empty set")
	}
	if channels != 1 && channels != 3 {
		return nil, nil, fmt.Errorf("dataset: statistics of %d channels, want 1 or 3", channels)
	}
	k := n
	if max > 0 {
		k = min(n, max)
	}
	hist := make([][256]uint64, channels) // counts of pixel values: exact, in any order
	var buf []byte
	for j := range k {
		if j%64 == 0 && ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		im, err := s.Image(int(int64(j) * int64(n) / int64(k)))
		if err != nil {
			return nil, nil, err
		}
		if im.C != channels {
			im = imageprep.Convert(buf, im, channels)
			buf = im.Pix
		}
		for c := range hist {
			h := &hist[c]
			for i := c; i < len(im.Pix); i += channels {
				h[im.Pix[i]]++
			}
		}
	}
	for c := range hist {
		var count, sum, squares uint64
		for v, m := range hist[c] {
			v := uint64(v)
			count, sum, squares = count+m, sum+m*v, squares+m*v*v
		}
		m := float64(sum) / float64(count)
		mean = append(mean, m/255)
		std = append(std, math.Sqrt(math.Max(float64(squares)/float64(count)-float64(m*m), 0))/255)
	}
	return mean, std, nil
}
