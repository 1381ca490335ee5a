package imageprep

import "math"

// Fit is how evaluation brings an image to a network's resolution: resize by
// Filter, then take the centre. It follows timm's and torchvision's
// transforms to the pixel. With TFBicubic the order is TensorFlow's: the centre,
// Crop of the short side, is resized.
type Fit struct {
	Size   int     // height and width of the result
	Crop   float64 // Size over what is resized to, in (0, 1]: floor(Size/Crop) pixels
	Squash bool    // resize both sides to that, instead of the short one with the aspect kept
	Filter Filter
}

// FitBuffers is the memory of Apply between images; the zero value will do.
type FitBuffers struct{ resize, crop []byte }

// Apply returns src at f's size, in b's storage or src's own.
func (f Fit) Apply(b *FitBuffers, src Image) Image {
	if f.Filter == TFBicubic && !f.Squash {
		side, y, x := tfCentre(src.H, src.W, f.Crop)
		im := Crop(b.crop, src, y, x, side, side)
		b.crop = im.Pix
		if side != f.Size {
			im = Resize(b.resize, im, f.Size, f.Size, f.Filter)
			b.resize = im.Pix
		}
		return im
	}
	h, w := f.resized(src.H, src.W)
	im := src
	if h != im.H || w != im.W {
		im = Resize(b.resize, im, h, w, f.Filter)
		b.resize = im.Pix
	}
	if h != f.Size || w != f.Size {
		y, x := CenterBox(h, w, f.Size, f.Size)
		im = Crop(b.crop, im, y, x, f.Size, f.Size)
		b.crop = im.Pix
	}
	return im
}

// Seen is the part of an h x w image that is left of it after Apply, in its own
// pixels: the upper left corner and the size.
func (f Fit) Seen(h, w int) (y, x, height, width float64) {
	if f.Filter == TFBicubic && !f.Squash {
		side, y, x := tfCentre(h, w, f.Crop)
		return float64(y), float64(x), float64(side), float64(side)
	}
	rh, rw := f.resized(h, w)
	top, left := CenterBox(rh, rw, f.Size, f.Size)
	sy, sx := float64(h)/float64(rh), float64(w)/float64(rw)
	return float64(top) * sy, float64(left) * sx, float64(f.Size) * sy, float64(f.Size) * sx
}

// resized is the size that an h x w image is brought to before its centre is
// cut out.
func (f Fit) resized(h, w int) (int, int) {
	n := int(math.Floor(float64(f.Size) / f.Crop))
	if f.Squash {
		return n, n
	}
	return ShortSide(h, w, n)
}
