package imageprep

import (
	"context"

	"encoding/binary"
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
func decodeJPEG(ctx context.Context, data []byte) (Image, error) {
	m, err := jpeg.DecodeUntil(data, ctx.Err)
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

// Coefficients of the JFIF conversion in 16-bit fixed point.
const (
	jfifHalf = 1 << 15
	redCr    = 91881  // 1.402
	greenCb  = 22554  // 0.344136
	greenCr  = 46802  // 0.714136
	blueCb   = 116130 // 1.772
)

// jpegRow is the JFIF conversion. Two pixels at a time lie in the halves of a
// 64-bit word, which a bias keeps positive, as in resizing.
func jpegRow(rgb, luma, cb, cr []byte) {
	const (
		rest  = jfifHalf + 256<<16 // what rounds, and the bias
		red   = (rest - 128*redCr) * pair
		green = (rest + 128*(greenCb+greenCr)) * pair
		blue  = (rest - 128*blueCb) * pair
	)
	x, n := 0, len(luma)
	cb, cr = cb[:n], cr[:n]
	for ; 3*x+8 <= 3*n; x += 2 {
		l := (uint64(luma[x]) | uint64(luma[x+1])<<32) << 16
		b := uint64(cb[x]) | uint64(cb[x+1])<<32
		r := uint64(cr[x]) | uint64(cr[x+1])<<32
		p := clipPair((l+redCr*r+red)>>16) | clipPair((l+green-greenCb*b-greenCr*r)>>16)<<8 | clipPair((l+blueCb*b+blue)>>16)<<16
		binary.LittleEndian.PutUint64(rgb[3*x:3*x+8:3*x+8], p&0xffffff|p>>32<<24)
	}
	for ; x < n; x++ {
		y, b, r := int32(luma[x]), int32(cb[x])-128, int32(cr[x])-128
		p := rgb[3*x : 3*x+3 : 3*x+3]
		p[0] = clamp(y + (redCr*r+jfifHalf)>>16)
		p[1] = clamp(y + (-greenCb*b-greenCr*r+jfifHalf)>>16)
		p[2] = clamp(y + (blueCb*b+jfifHalf)>>16)
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
}

func newUpsampler(stride, h, w, sx, sy int) *upsampler {
	return &upsampler{stride: stride, h: h, w: w, sx: sx, sy: sy}
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
	if u.sy == 1 {
		far = nil
	}
	t := newTriangle(near, far)
	last := len(near) - 1
	t.one(dst, 0, last)
	x := 1
	for ; x+8 <= last; x += 8 {
		t.eight((*[16]byte)(dst[2*x:]), x)
	}
	for ; x <= last; x++ {
		t.one(dst, x, last)
	}
}

// triangleRow is the sums that new samples are made of.
type triangleRow struct {
	near, far []byte // far is nil where the plane is not subsampled in y
	shift     int
	even, odd uint64 // what rounds
}

func newTriangle(near, far []byte) triangleRow {
	if far == nil {
		return triangleRow{near, nil, 2, 1, 2}
	}
	return triangleRow{near, far[:len(near)], 4, 8, 7}
}

// sum is the old samples at x, by their weights in y.
func (t *triangleRow) sum(x int) uint64 {
	if t.far == nil {
		return uint64(t.near[x])
	}
	return 3*uint64(t.near[x]) + uint64(t.far[x])
}

// one makes the two samples at x.
func (t *triangleRow) one(dst []byte, x, last int) {
	v := 3 * t.sum(x)
	dst[2*x] = byte((v + t.sum(max(x-1, 0)) + t.even) >> t.shift)
	dst[2*x+1] = byte((v + t.sum(min(x+1, last)) + t.odd) >> t.shift)
}

// eight makes the samples at x to x+7, which have neighbours. The sums, of less
// than 16 bits, lie four in a word: e has those at x, x+2, x+4, x+6, o the others.
func (t *triangleRow) eight(dst *[16]byte, x int) {
	const lanes, low = 0x0001000100010001, 0x00ff00ff00ff00ff
	v := binary.LittleEndian.Uint64(t.near[x : x+8 : x+8])
	e, o := v&low, v>>8&low
	if t.far != nil {
		w := binary.LittleEndian.Uint64(t.far[x : x+8 : x+8])
		e, o = 3*e+w&low, 3*o+w>>8&low
	}
	even, odd, shift := t.even*lanes, t.odd*lanes, t.shift&15
	e3, o3 := 3*e, 3*o
	a := (e3+(o<<16|t.sum(x-1))+even)>>shift&low | (e3+o+odd)>>shift&low<<8
	b := (o3+e+even)>>shift&low | (o3+(e>>16|t.sum(x+8)<<48)+odd)>>shift&low<<8
	binary.LittleEndian.PutUint64(dst[:8], spread(uint32(a))|spread(uint32(b))<<16)
	binary.LittleEndian.PutUint64(dst[8:], spread(uint32(a>>32))|spread(uint32(b>>32))<<16)
}

// spread puts the halves of v into those of a 64-bit word.
func spread(v uint32) uint64 { return uint64(v&0xffff) | uint64(v>>16)<<32 }

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
