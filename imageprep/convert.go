package imageprep

import (
	"fmt"
	"image"
	"image/color"
)

// FromGo converts an image of Go's own packages to 8-bit grey or RGB without
// alpha. Files are better given to [Decode], whose pixels are Pillow's: what Go
// has decoded as YCbCr becomes RGB by Go's arithmetic.
func FromGo(m image.Image) Image {
	switch m.(type) {
	case *image.YCbCr, *image.NYCbCrA: // of any sampling and origin
	default:
		if im, err := fromGo(m); err == nil {
			return im
		}
	}
	b := m.Bounds()
	im := Image{Pix: make([]byte, 0, 3*b.Dx()*b.Dy()), H: b.Dy(), W: b.Dx(), C: 3}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b := rgbOf(m.At(x, y))
			im.Pix = append(im.Pix, r, g, b)
		}
	}
	return im
}

// fromGo converts what a decoder returned to 8-bit grey or RGB without alpha.
func fromGo(m image.Image) (Image, error) {
	b := m.Bounds()
	h, w := b.Dy(), b.Dx()
	im := Image{H: h, W: w, C: 3}
	switch m := m.(type) {
	case *image.Gray:
		im.C = 1
		im.Pix = make([]byte, h*w)
		for y := range h {
			copy(im.Pix[y*w:(y+1)*w], m.Pix[y*m.Stride:])
		}
	case *image.Gray16:
		im.C = 1
		im.Pix = every(m.Pix, m.Stride, h, w, 2, 1, 1)
	case *image.RGBA:
		im.Pix = every(m.Pix, m.Stride, h, w, 4, 3, 1)
	case *image.NRGBA:
		im.Pix = every(m.Pix, m.Stride, h, w, 4, 3, 1)
	case *image.RGBA64:
		im.Pix = every(m.Pix, m.Stride, h, w, 8, 3, 2)
	case *image.NRGBA64:
		im.Pix = every(m.Pix, m.Stride, h, w, 8, 3, 2)
	case *image.Paletted:
		return fromPaletted(m), nil
	case *image.YCbCr:
		return fromWebP(m), nil
	case *image.NYCbCrA:
		return fromWebP(&m.YCbCr), nil
	default:
		return Image{}, fmt.Errorf("pixels of type %T", m)
	}
	return im, nil
}

// every copies n samples of each pixel of size bytes; samples lie step bytes
// apart, and of a wider one the first, high byte is taken.
func every(pix []byte, stride, h, w, size, n, step int) []byte {
	out := make([]byte, h*w*n)
	for y := range h {
		row, to := pix[y*stride:], out[y*w*n:]
		for x := range w {
			for c := range n {
				to[x*n+c] = row[x*size+c*step]
			}
		}
	}
	return out
}

// rgbOf is a palette entry without its alpha.
func rgbOf(c color.Color) (r, g, b byte) {
	switch c := c.(type) {
	case color.RGBA:
		return c.R, c.G, c.B
	case color.NRGBA:
		return c.R, c.G, c.B
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return n.R, n.G, n.B
}

func fromPaletted(m *image.Paletted) Image {
	var lut [256][3]byte
	for i, c := range m.Palette {
		lut[i&255][0], lut[i&255][1], lut[i&255][2] = rgbOf(c)
	}
	im := Image{H: m.Rect.Dy(), W: m.Rect.Dx(), C: channels(m.Palette)}
	im.Pix = make([]byte, im.H*im.W*im.C)
	for y := range im.H {
		row, to := m.Pix[y*m.Stride:], im.Pix[y*im.W*im.C:]
		for x := range im.W {
			copy(to[x*im.C:], lut[row[x]][:im.C])
		}
	}
	return im
}

// lessInk is Pillow's conversion of an ink and black, given as 255-k, to what
// light they leave: (255-k) - ink*(255-k)/255 with its rounding.
func lessInk(ink, light byte) byte {
	nk := int(light)
	t := int(ink)*nk + 128
	return byte(nk - ((t>>8)+t)>>8)
}
