// Package imageprep prepares one image for a network: decode it safely,
// orient, convert, resize, crop, flip, augment and normalise.
//
// Pixels stay 8-bit until the very last step, and every step on them follows
// Pillow's integer arithmetic bit for bit, because that is what published
// weights were trained and measured with.
//
// Functions that take dst write their result into dst's storage where it is
// large enough and allocate otherwise, so that a loop over many images reuses
// its buffers; dst may be nil and must not overlap the source.
package imageprep

import (
	"encoding/binary"
	"math"
)

// Image is 8-bit pixels [H,W,C], rows from the top, channels innermost: C is
// 1 (grey) or 3 (red, green, blue). Pix is not to be written to by anyone but
// its maker.
type Image struct {
	Pix     []byte
	H, W, C int
}

// reuse returns an image of the given shape with undefined pixels, in dst's
// storage where that suffices.
func reuse(dst []byte, h, w, c int) Image {
	n := h * w * c
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	return Image{Pix: dst[:n], H: h, W: w, C: c}
}

// Grey returns the number 0..255 that Pillow's mode "L" gives a colour
// (ITU-R 601 luma in 16-bit fixed point).
func Grey(r, g, b byte) byte {
	return byte((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

// Convert returns src with c channels, 1 or 3: src itself when it has them,
// else luma of colour, or grey three times.
func Convert(dst []byte, src Image, c int) Image {
	switch {
	case src.C == c:
		return src
	case src.C == 3 && c == 1:
		im := reuse(dst, src.H, src.W, 1)
		for i := range im.Pix {
			p := src.Pix[3*i : 3*i+3 : 3*i+3]
			im.Pix[i] = Grey(p[0], p[1], p[2])
		}
		return im
	case src.C == 1 && c == 3:
		im := reuse(dst, src.H, src.W, 3)
		for i, v := range src.Pix {
			p := im.Pix[3*i : 3*i+3 : 3*i+3]
			p[0], p[1], p[2] = v, v, v
		}
		return im
	}
	panic("imageprep: Convert: channels must be 1 or 3")
}

// Crop copies the h x w box with its corner at (y, x), which must lie inside
// src.
func Crop(dst []byte, src Image, y, x, h, w int) Image {
	im := reuse(dst, h, w, src.C)
	for i := range h {
		at := ((y+i)*src.W + x) * src.C
		copy(im.Pix[i*w*src.C:(i+1)*w*src.C], src.Pix[at:at+w*src.C])
	}
	return im
}

// CropPadded copies the h x w box with its corner at (y, x), which may lie
// partly or wholly outside src, where pixels are black. With flip the box is
// mirrored left-right as well.
func CropPadded(dst []byte, src Image, y, x, h, w int, flip bool) Image {
	im := reuse(dst, h, w, src.C)
	c := src.C
	left := min(max(-x, 0), w)       // black columns
	right := min(max(src.W-x, 0), w) // first black column after the image
	for i := range h {
		row := im.Pix[i*w*c : (i+1)*w*c]
		if sy := y + i; sy < 0 || sy >= src.H || left >= right {
			clear(row)
			continue
		}
		from := src.Pix[((y+i)*src.W+x+left)*c : ((y+i)*src.W+x+right)*c]
		if !flip {
			clear(row[:left*c])
			copy(row[left*c:], from)
			clear(row[right*c:])
			continue
		}
		clear(row[:(w-right)*c])
		reverseRow(row[(w-right)*c:(w-left)*c], from, c)
		clear(row[(w-left)*c:])
	}
	return im
}

// Flip mirrors src left-right.
func Flip(dst []byte, src Image) Image {
	return CropPadded(dst, src, 0, 0, src.H, src.W, true)
}

// reverseRow writes the pixels of src, c bytes each, in reverse order.
func reverseRow(dst, src []byte, c int) {
	n := len(src)
	if c == 1 {
		i := 0
		for ; i+8 <= n; i += 8 {
			v := binary.LittleEndian.Uint64(src[i : i+8 : i+8])
			binary.BigEndian.PutUint64(dst[n-8-i:n-i:n-i], v)
		}
		for ; i < n; i++ {
			dst[n-1-i] = src[i]
		}
		return
	}
	for i := 0; i < n; i += 3 {
		s, d := src[i:i+3:i+3], dst[n-3-i:n-i:n-i]
		d[0], d[1], d[2] = s[0], s[1], s[2]
	}
}

// CenterBox returns the corner of an h x w box in the middle of an H x W
// image, rounded as torchvision does (half to even).
func CenterBox(H, W, h, w int) (y, x int) {
	half := func(d int) int { return int(math.RoundToEven(float64(d) / 2)) }
	return half(H - h), half(W - w)
}

// ShortSide returns the size of an h x w image resized so that its short side
// is n and its aspect is kept, rounded as torchvision does (down).
func ShortSide(h, w, n int) (int, int) {
	if h <= w {
		return n, max(int(float64(n*w)/float64(h)), 1)
	}
	return max(int(float64(n*h)/float64(w)), 1), n
}

// A Normalizer maps 8-bit pixels to float32: (v/255 - mean) / std by channel.
type Normalizer struct {
	lut [][256]float32 // by channel
}

// NewNormalizer makes a Normalizer for len(mean) channels.
func NewNormalizer(mean, std []float32) *Normalizer {
	if len(mean) != len(std) {
		panic("imageprep: NewNormalizer: mean and std differ in length")
	}
	n := &Normalizer{lut: make([][256]float32, len(mean))}
	for c := range mean {
		for v := range 256 {
			n.lut[c][v] = (float32(v)/255 - mean[c]) / std[c]
		}
	}
	return n
}

// Apply writes src, normalised, to x [H,W,C].
func (n *Normalizer) Apply(x []float32, src Image) {
	if src.C != len(n.lut) || len(x) != len(src.Pix) {
		panic("imageprep: Normalizer.Apply: channels or length do not match")
	}
	if src.C == 1 {
		lut := &n.lut[0]
		for i, v := range src.Pix {
			x[i] = lut[v]
		}
		return
	}
	l0, l1, l2 := &n.lut[0], &n.lut[1], &n.lut[2]
	for i := 0; i+3 <= len(src.Pix); i += 3 {
		p, q := src.Pix[i:i+3:i+3], x[i:i+3:i+3]
		q[0], q[1], q[2] = l0[p[0]], l1[p[1]], l2[p[2]]
	}
}
