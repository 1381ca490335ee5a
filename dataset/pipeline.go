package dataset

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"effnet/imageprep"
)

// Pipeline turns images of a Set into normalised float32 NHWC batches at a
// network's resolution. Set it up as a literal and use it through a pointer;
// the fields must not change after the first call. All methods are safe for
// concurrent use.
//
// The order is fixed: convert to Channels, augment at the source's size,
// resize the short side to Resolution/Crop, take the centre, normalise. So the
// same seed shows networks of different resolutions the same crops and flips.
type Pipeline struct {
	Set        Set
	Resolution int              // height and width of the output
	Channels   int              // of the output, 1 or 3
	Mean, Std  []float32        // per channel, of pixels in [0,1]; nil: 0 and 1
	Filter     imageprep.Filter // of every resize; 0: bilinear
	Crop       float64          // side of the centre crop over the short side; 0: 1
	Squash     bool             // resize both sides to Resolution/Crop instead, aspect not kept
	Augment    Augment          // zero: none
	Seed       uint64           // of the augmentation

	once sync.Once
	err  error
	norm *imageprep.Normalizer
	pool sync.Pool // of *buffers
}

// Augment is the random change of training images. The zero value is none.
type Augment struct {
	Flip    bool // mirror left-right with probability 1/2
	PadCrop int  // pad this many black pixels on every side, then crop the original size at random
	// MinArea > 0 crops a random box of MinArea to 1 times the image's area
	// and aspect 3/4 to 4/3 and resizes it to the output, aspect not kept.
	MinArea float64
}

// Check reports a value that makes no sense.
func (a Augment) Check() error {
	switch {
	case a.PadCrop < 0 || a.PadCrop > 1024:
		return fmt.Errorf("dataset: padding is %d pixels, want 0 to 1024", a.PadCrop)
	case !(a.MinArea >= 0 && a.MinArea <= 1):
		return fmt.Errorf("dataset: smallest crop is %g of the area, want 0 to 1", a.MinArea)
	case a.MinArea > 0 && a.PadCrop > 0:
		return errors.New("dataset: choose one of padded crops and crops by area")
	}
	return nil
}

// buffers hold one image between the steps.
type buffers struct {
	convert, augment []byte
	fit              imageprep.FitBuffers
}

// setup checks the fields and makes what they imply, once.
func (p *Pipeline) setup() error {
	p.once.Do(func() {
		p.err = p.check()
		if p.err != nil {
			return
		}
		mean, std := p.Mean, p.Std
		if mean == nil {
			mean = make([]float32, p.Channels)
		}
		if std == nil {
			std = make([]float32, p.Channels)
			for c := range std {
				std[c] = 1
			}
		}
		p.norm = imageprep.NewNormalizer(mean, std)
		p.pool.New = func() any { return new(buffers) }
	})
	return p.err
}

func (p *Pipeline) check() error {
	switch {
	case p.Set == nil:
		return errors.New("dataset: pipeline without a set")
	case p.Resolution < 1:
		return fmt.Errorf("dataset: pipeline: resolution is %d, want at least 1", p.Resolution)
	case p.Channels != 1 && p.Channels != 3:
		return fmt.Errorf("dataset: pipeline: %d channels, want 1 or 3", p.Channels)
	case p.Mean != nil && len(p.Mean) != p.Channels, p.Std != nil && len(p.Std) != p.Channels:
		return fmt.Errorf("dataset: pipeline: %d means and %d standard deviations for %d channels", len(p.Mean), len(p.Std), p.Channels)
	case p.Filter > imageprep.TFBicubic:
		return fmt.Errorf("dataset: pipeline: no such filter: %v", p.Filter)
	case !(p.Crop >= 0 && p.Crop <= 1):
		return fmt.Errorf("dataset: pipeline: crop is %g, want a fraction of the short side", p.Crop)
	}
	if err := p.Augment.Check(); err != nil {
		return err
	}
	for _, s := range p.Std {
		if !(s > 0) {
			return fmt.Errorf("dataset: pipeline: standard deviation is %g, want above 0", s)
		}
	}
	return nil
}

// size is the number of float32 of one output image.
func (p *Pipeline) size() int { return p.Resolution * p.Resolution * p.Channels }

// Fill writes images idx[j] into x [len(idx),Resolution,Resolution,Channels]
// and their labels into labels [len(idx)]. The randomness of image j depends
// only on (Seed, epoch, idx[j]).
func (p *Pipeline) Fill(x []float32, labels []int32, idx []int, epoch int) error {
	if err := p.setup(); err != nil {
		return err
	}
	n := p.size()
	if len(x) != n*len(idx) || len(labels) != len(idx) {
		panic(fmt.Sprintf("dataset: Fill: %d floats and %d labels for %d images of %d floats", len(x), len(labels), len(idx), n))
	}
	b := p.pool.Get().(*buffers)
	defer p.pool.Put(b)
	for j, i := range idx {
		im, err := p.Set.Image(i)
		if err != nil {
			return err
		}
		if err := p.apply(x[j*n:(j+1)*n], im, i, epoch, b); err != nil {
			return err
		}
		labels[j] = p.Set.Label(i)
	}
	return nil
}

// apply writes image i to x.
func (p *Pipeline) apply(x []float32, im imageprep.Image, i, epoch int, b *buffers) error {
	if im.H < 1 || im.W < 1 || im.C != 1 && im.C != 3 || len(im.Pix) != im.H*im.W*im.C {
		return fmt.Errorf("dataset: image %d has %d bytes for [%d,%d,%d]", i, len(im.Pix), im.H, im.W, im.C)
	}
	if im.C != p.Channels {
		im = imageprep.Convert(b.convert, im, p.Channels)
		b.convert = im.Pix
	}
	if p.Augment != (Augment{}) {
		im = p.Augment.apply(b.augment, im, newRNG(forAugment, p.Seed, uint64(epoch), uint64(i)))
		b.augment = im.Pix
	}
	im = p.fit().Apply(&b.fit, im)
	p.norm.Apply(x, im)
	return nil
}

// fit is how images reach the output's size.
func (p *Pipeline) fit() imageprep.Fit {
	f := imageprep.Fit{Size: p.Resolution, Crop: p.Crop, Squash: p.Squash, Filter: p.Filter}
	if p.Augment.MinArea > 0 { // the box is the crop
		f.Crop, f.Squash = 1, true
	}
	if f.Crop == 0 {
		f.Crop = 1
	}
	if f.Filter == 0 {
		f.Filter = imageprep.Bilinear
	}
	return f
}

// apply returns im changed at random, in dst.
func (a Augment) apply(dst []byte, im imageprep.Image, r rng) imageprep.Image {
	flip := a.Flip && r.next()>>63 == 1
	y, x, h, w := 0, 0, im.H, im.W
	switch {
	case a.MinArea > 0:
		y, x, h, w = a.box(im.H, im.W, &r)
	case a.PadCrop > 0:
		y = r.intn(2*a.PadCrop+1) - a.PadCrop
		x = r.intn(2*a.PadCrop+1) - a.PadCrop
	}
	return imageprep.CropPadded(dst, im, y, x, h, w, flip)
}

// box chooses a random box as torchvision's RandomResizedCrop does: ten tries,
// then the largest centre box of a permitted aspect.
func (a Augment) box(H, W int, r *rng) (y, x, h, w int) {
	const lo, hi = 3.0 / 4, 4.0 / 3
	area := float64(H) * float64(W)
	for range 10 {
		target := area * (a.MinArea + (1-a.MinArea)*r.float64())
		aspect := math.Exp(math.Log(lo) + (math.Log(hi)-math.Log(lo))*r.float64())
		w = int(math.RoundToEven(math.Sqrt(target * aspect)))
		h = int(math.RoundToEven(math.Sqrt(target / aspect)))
		if w >= 1 && w <= W && h >= 1 && h <= H {
			return r.intn(H - h + 1), r.intn(W - w + 1), h, w
		}
	}
	h, w = H, W
	switch aspect := float64(W) / float64(H); {
	case aspect < lo:
		h = max(int(math.RoundToEven(float64(W)/lo)), 1)
	case aspect > hi:
		w = max(int(math.RoundToEven(float64(H)*hi)), 1)
	}
	return (H - h) / 2, (W - w) / 2, h, w
}
