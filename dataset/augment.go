package dataset

import (
	"errors"
	"fmt"
	"math"

	"effnet/autoaugment"
	"effnet/imageprep"
)

// Augment is the random change of training images. The zero value is none.
type Augment struct {
	Flip    bool // mirror left-right every other epoch
	PadCrop int  // pad this many black pixels on every side, then crop the original size at random
	// MinArea > 0 crops a random box of MinArea to 1 times the image's area
	// and aspect 3/4 to 4/3 and resizes it to the output, aspect not kept.
	MinArea float64
	// Auto is a policy of AutoAugment or RandAugment as [autoaugment.Parse]
	// takes it; "" is none. What it moves in from outside an image has the
	// Pipeline's Mean as its colour, or a medium grey.
	Auto string
	// Erasing is the probability of random erasing (arXiv:1708.04896), in timm's
	// mode "pixel": a box of the output, 2 % to 1/3 of its area and of an aspect
	// of 0.3 to 1/0.3, is replaced by standard normal noise after normalisation.
	Erasing float64
	// Mixup > 0 mixes the images of a batch (arXiv:1710.09412): image i of n
	// becomes lambda of itself and 1-lambda of image n-1-i, with lambda drawn
	// from Beta(Mixup, Mixup) for the batch.
	Mixup float64
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
	case !(a.Erasing >= 0 && a.Erasing <= 1):
		return fmt.Errorf("dataset: probability of erasing is %g, want 0 to 1", a.Erasing)
	case !(a.Mixup == 0 || a.Mixup >= 0.01 && a.Mixup <= 100):
		return fmt.Errorf("dataset: alpha of mixup is %g, want 0 (none) or 0.01 to 100", a.Mixup)
	}
	if _, err := autoaugment.Parse(a.Auto); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return nil
}

// mirrored reports whether image i is mirrored in an epoch: in the first by chance,
// then in every other one, so that two epochs show it both ways (Jordan, "94% on
// CIFAR-10 in 3.29 Seconds on a Single GPU", 2024).
func (a Augment) mirrored(seed uint64, epoch, i int) bool {
	r := newRNG(forMirror, seed, uint64(i))
	return a.Flip && (r.next()>>63+uint64(epoch))&1 == 1
}

// apply returns im cropped at random, and mirrored if flip says so, in dst.
func (a Augment) apply(dst []byte, im imageprep.Image, r rng, flip bool) imageprep.Image {
	y, x, h, w := 0, 0, im.H, im.W
	switch {
	case a.MinArea > 0:
		y, x, h, w = a.box(im.H, im.W, &r)
	case a.PadCrop > 0:
		y = r.IntN(2*a.PadCrop+1) - a.PadCrop
		x = r.IntN(2*a.PadCrop+1) - a.PadCrop
	}
	return imageprep.CropPadded(dst, im, y, x, h, w, flip)
}

// box chooses a random box as torchvision's RandomResizedCrop does: ten tries,
// then the largest centre box of a permitted aspect.
func (a Augment) box(H, W int, r *rng) (y, x, h, w int) {
	const lo, hi = 3.0 / 4, 4.0 / 3
	area := float64(H) * float64(W)
	for range 10 {
		target := area * (a.MinArea + (1-a.MinArea)*r.Float64())
		aspect := math.Exp(math.Log(lo) + (math.Log(hi)-math.Log(lo))*r.Float64())
		w = int(math.RoundToEven(math.Sqrt(target * aspect)))
		h = int(math.RoundToEven(math.Sqrt(target / aspect)))
		if w >= 1 && w <= W && h >= 1 && h <= H {
			return r.IntN(H - h + 1), r.IntN(W - w + 1), h, w
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

// erase replaces a random box of x [side,side,channels], normalised, by noise.
// After ten boxes that do not fit x stays whole, as in timm.
func (a Augment) erase(x []float32, side, channels int, r *rng) {
	const least, most, aspect = 0.02, 1.0 / 3, 0.3
	if r.Float64() >= a.Erasing {
		return
	}
	area := float64(side) * float64(side)
	for range 10 {
		target := area * (least + (most-least)*r.Float64())
		aspect := math.Exp(math.Log(aspect) * (2*r.Float64() - 1))
		h := int(math.RoundToEven(math.Sqrt(target * aspect)))
		w := int(math.RoundToEven(math.Sqrt(target / aspect)))
		if h < 1 || w < 1 || h >= side || w >= side {
			continue
		}
		top, left := r.IntN(side-h+1), r.IntN(side-w+1)
		for y := top; y < top+h; y++ {
			row := x[(y*side+left)*channels:][:w*channels]
			for i := range row {
				row[i] = float32(r.NormFloat64())
			}
		}
		return
	}
}
