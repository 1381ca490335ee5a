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
	n := int(math.Floor(float64(f.Size) / f.Crop))
	h, w := n, n
	if !f.Squash {
		h, w = ShortSide(src.H, src.W, n)
	}
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
