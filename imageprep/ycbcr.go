package imageprep

import (
	"image"

	"effnet/internal/jpeg"
)

// fromWebP converts decoded planes to RGB with the arithmetic of libwebp, which
// interpolates chroma with a triangle filter, and whose luma spans 16..235. The
// standard library's conversion repeats chroma and is a bit off in rounding.
func fromWebP(m *image.YCbCr) Image {
	h, w := m.Rect.Dy(), m.Rect.Dx()
	im := Image{Pix: make([]byte, h*w*3), H: h, W: w, C: 3}
	up := newUpsampler(m.CStride, (h+1)/2, (w+1)/2, 2, 2)
	up.webp = true
	cb, cr := make([]byte, w+2), make([]byte, w+2)
	for y := range h {
		up.row(cb, m.Cb, y)
		up.row(cr, m.Cr, y)
		at := m.YOffset(m.Rect.Min.X, m.Rect.Min.Y+y)
		webpRow(im.Pix[y*w*3:(y+1)*w*3], m.Y[at:at+w], cb, cr)
	}
	return im
}

// decodeJPEG decodes a file to the pixels that Pillow, with libjpeg-turbo,
// gives.
func decodeJPEG(data []byte) (Image, error) {
	m, err := jpeg.Decode(data)
	if err != nil {
		return Image{}, err
	}
	h, w := m.H, m.W
	im := Image{H: h, W: w, C: 3}
	if m.Space == jpeg.Grey {
		im.C = 1
	}
	im.Pix = make([]byte, h*w*im.C)
	rows := make([][]byte, len(m.Planes)) // of the planes, a sample a pixel
	ups := make([]*upsampler, len(m.Planes))
	for i, p := range m.Planes {
		ups[i] = newUpsampler(p.Stride, p.H, p.W, p.SX, p.SY)
		rows[i] = make([]byte, w+4) // what spans the edge reaches beyond
	}
	for y := range h {
		for i, p := range m.Planes {
			ups[i].row(rows[i], p.Pix, y)
		}
		to := im.Pix[y*w*im.C:][:w*im.C]
		a := rows[0][:w]
		switch m.Space {
		case jpeg.Grey:
			copy(to, a)
		case jpeg.YCbCr:
			jpegRow(to, a, rows[1], rows[2])
		case jpeg.RGB:
			for x, r := range a {
				to[3*x], to[3*x+1], to[3*x+2] = r, rows[1][x], rows[2][x]
			}
		case jpeg.CMYK:
			for x, c := range a {
				k := rows[3][x]
				to[3*x], to[3*x+1], to[3*x+2] = lessInk(255-c, k), lessInk(255-rows[1][x], k), lessInk(255-rows[2][x], k)
			}
		case jpeg.YCCK:
			jpegRow(to, a, rows[1], rows[2]) // to ink: two inversions cancel out
			for x := range a {
				for c := range 3 {
					to[3*x+c] = lessInk(to[3*x+c], rows[3][x])
				}
			}
		}
	}
	return im, nil
}

// jpegRow is the JFIF conversion in 16-bit fixed point.
func jpegRow(rgb, luma, cb, cr []byte) {
	const half = 1 << 15
	for x, l := range luma {
		y, b, r := int32(l), int32(cb[x])-128, int32(cr[x])-128
		p := rgb[3*x : 3*x+3 : 3*x+3]
		p[0] = clamp(y + (91881*r+half)>>16)
		p[1] = clamp(y + (-22554*b-46802*r+half)>>16)
		p[2] = clamp(y + (116130*b+half)>>16)
	}
}

// webpRow is the ITU-R 601 conversion of libwebp.
func webpRow(rgb, luma, cb, cr []byte) {
	hi := func(v byte, c int32) int32 { return int32(v) * c >> 8 }
	for x, l := range luma {
		y, u, v := hi(l, 19077), cb[x], cr[x]
		p := rgb[3*x : 3*x+3 : 3*x+3]
		p[0] = clamp((y + hi(v, 26149) - 14234) >> 6)
		p[1] = clamp((y - hi(u, 6419) - hi(v, 13320) + 8708) >> 6)
		p[2] = clamp((y + hi(u, 33050) - 17685) >> 6)
	}
}

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }

// upsampler makes full rows of a chroma plane.
type upsampler struct {
	stride, h, w int // of the plane; h and w count samples inside the image
	sx, sy       int // luma pixels a sample
	webp         bool
	sum          []int // one weighted pair of rows
}

func newUpsampler(stride, h, w, sx, sy int) *upsampler {
	return &upsampler{stride: stride, h: h, w: w, sx: sx, sy: sy, sum: make([]int, w)}
}

// row writes the samples of image row y, one a pixel; dst has room for two
// beyond the width.
func (u *upsampler) row(dst, plane []byte, y int) {
	near := plane[y/u.sy*u.stride:][:u.w]
	far := near // the other row that has a part in y
	if u.sy == 2 {
		if other := y/2 + y%2*2 - 1; other >= 0 && other < u.h {
			far = plane[other*u.stride:][:u.w]
		}
	}
	switch {
	case u.webp:
		webpUpsample(dst, near, far)
	case u.sx == 1 && u.sy == 1:
		copy(dst, near)
	case u.sx == 1 && u.sy == 2:
		for x, v := range near {
			dst[x] = byte((3*int(v) + int(far[x]) + 1 + y%2) >> 2)
		}
	case u.sx == 2 && u.sy <= 2 && u.w > 2:
		// libjpeg-turbo interpolates only planes wider than two samples.
		u.triangle(dst, near, far)
	default:
		for x, v := range near {
			for i := range min(u.sx, len(dst)-x*u.sx) {
				dst[x*u.sx+i] = v
			}
		}
	}
}

// triangle doubles a row: every new sample is 3/4 of the nearer and 1/4 of the
// further old one, in x and, when the plane is subsampled in y, in y. The
// rounding alternates.
func (u *upsampler) triangle(dst, near, far []byte) {
	shift, round := 2, [2]int{1, 2}
	if u.sy == 2 {
		shift, round = 4, [2]int{8, 7}
	}
	s := u.sum
	for x, v := range near {
		s[x] = int(v)
		if u.sy == 2 {
			s[x] = 3*int(v) + int(far[x])
		}
	}
	last := len(s) - 1
	for x, v := range s {
		left, right := s[max(x-1, 0)], s[min(x+1, last)]
		dst[2*x] = byte((3*v + left + round[0]) >> shift)
		dst[2*x+1] = byte((3*v + right + round[1]) >> shift)
	}
}

// webpUpsample doubles a row in x and y with weights 9, 3, 3, 1 in libwebp's
// two roundings.
func webpUpsample(dst, near, far []byte) {
	n := len(near)
	edge := func(x int) byte { return byte((3*int(near[x]) + int(far[x]) + 2) >> 2) }
	dst[0], dst[2*n-1] = edge(0), edge(n-1)
	for x := 1; x < n; x++ {
		m0, m1, o0, o1 := int(near[x-1]), int(near[x]), int(far[x-1]), int(far[x])
		sum := m0 + m1 + o0 + o1 + 8
		dst[2*x-1] = byte(((sum+2*(m1+o0))>>3 + m0) >> 1)
		dst[2*x] = byte(((sum+2*(m0+o1))>>3 + m1) >> 1)
	}
}
