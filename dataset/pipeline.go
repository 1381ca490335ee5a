package dataset

import (
	"errors"
	"fmt"
	"sync"

	"effnet/autoaugment"
	"effnet/imageprep"
)

// Pipeline turns images of a Set into normalised float32 NHWC batches at a
// network's resolution. Set it up as a literal and use it through a pointer;
// the fields must not change after the first call. All methods are safe for
// concurrent use.
//
// The order is fixed: convert to Channels, augment at the source's size (crop
// and flip, then the policy), resize the short side to Resolution/Crop, take the
// centre, normalise, erase, and of whole batches mix the images. So the same
// seed shows networks of different resolutions the same crops and flips.
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

	once   sync.Once
	err    error
	norm   *imageprep.Normalizer
	policy autoaugment.Policy // of Augment.Auto
	fill   [3]byte            // what comes in from outside an image that the policy moves
	pool   sync.Pool          // of *buffers
}

// buffers hold one image between the steps.
type buffers struct {
	convert, augment []byte
	policy           policyBuffers
	fit              imageprep.FitBuffers
	watch            *stopwatch // usually nil
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
		p.policy, p.err = autoaugment.Parse(p.Augment.Auto)
		p.fill = fillOf(p.Mean)
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
	return p.fillWith(b, x, labels, idx, epoch)
}

// fillWith is Fill with checked arguments.
func (p *Pipeline) fillWith(b *buffers, x []float32, labels []int32, idx []int, epoch int) error {
	n := p.size()
	for j, i := range idx {
		b.watch.start()
		im, err := p.Set.Image(i)
		if err != nil {
			return err
		}
		b.watch.lap(Decoding)
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
	if a := &p.Augment; a.Flip || a.PadCrop > 0 || a.MinArea > 0 {
		im = a.apply(b.augment, im, newRNG(forAugment, p.Seed, uint64(epoch), uint64(i)), a.mirrored(p.Seed, epoch, i))
		b.augment = im.Pix
	}
	if p.policy != (autoaugment.Policy{}) {
		im = b.policy.apply(p.policy, im, p.fill, newRNG(forPolicy, p.Seed, uint64(epoch), uint64(i)))
	}
	b.watch.lap(Augmenting)
	im = p.fit().Apply(&b.fit, im)
	b.watch.lap(Resizing)
	p.norm.Apply(x, im)
	b.watch.lap(Normalising)
	if p.Augment.Erasing > 0 {
		r := newRNG(forErasing, p.Seed, uint64(epoch), uint64(i))
		p.Augment.erase(x, p.Resolution, p.Channels, &r)
		b.watch.lap(Augmenting)
	}
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
