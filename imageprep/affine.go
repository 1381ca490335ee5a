package imageprep

import (
	"math"
	"strconv"
)

// Affine returns src seen through a map of coordinates, as Pillow's
// Image.transform with AFFINE does it, byte for byte: the output, as large as
// src, shows at the point (x, y) what src has at
//
//	(m[0]x + m[1]y + m[2], m[3]x + m[4]y + m[5])
//
// and fill where that lies outside. f is Bilinear or Bicubic, and neither is
// widened. This bicubic kernel has a = -1, unlike that of Resize.
func Affine(dst []byte, src Image, m [6]float64, f Filter, fill [3]byte) Image {
	im := reuse(dst, src.H, src.W, src.C)
	sample := bilinear
	switch f {
	case Bilinear:
	case Bicubic:
		sample = bicubic
	default:
		panic("imageprep: Affine: no such filter: " + f.String())
	}
	w, h := float64(src.W), float64(src.H)
	out := im.Pix
	for y := range src.H {
		yo := float64(y) + 0.5
		xy, yy := float64(m[1]*yo), float64(m[4]*yo)
		for x := range src.W {
			xo := float64(x) + 0.5
			xi := float64(float64(m[0]*xo)+xy) + m[2]
			yi := float64(float64(m[3]*xo)+yy) + m[5]
			if xi >= 0 && xi < w && yi >= 0 && yi < h {
				sample(out[:src.C:src.C], src, xi-0.5, yi-0.5)
			} else {
				copy(out[:src.C], fill[:])
			}
			out = out[src.C:]
		}
	}
	return im
}

// bilinear writes to out [C] what src shows at (x, y), 0 being the middle of
// the first pixel. Outside its border src goes on with the same values.
func bilinear(out []byte, src Image, x, y float64) {
	x0, y0 := int(math.Floor(x)), int(math.Floor(y))
	dx, dy := x-float64(x0), y-float64(y0)
	left, right := max(x0, 0)*src.C, min(x0+1, src.W-1)*src.C
	row := src.W * src.C
	up, down := src.Pix[max(y0, 0)*row:][:row], src.Pix[min(y0+1, src.H-1)*row:][:row]
	for c := range out {
		v := linear(float64(up[left+c]), float64(up[right+c]), dx)
		if dy != 0 {
			v = linear(v, linear(float64(down[left+c]), float64(down[right+c]), dx), dy)
		}
		out[c] = byte(v)
	}
}

func linear(a, b, t float64) float64 { return a + float64((b-a)*t) }

// bicubic is bilinear with a cubic kernel of 4 by 4 pixels.
func bicubic(out []byte, src Image, x, y float64) {
	x0, y0 := int(math.Floor(x)), int(math.Floor(y))
	dx, dy := x-float64(x0), y-float64(y0)
	var at [4]int // of the columns
	for i := range at {
		at[i] = min(max(x0-1+i, 0), src.W-1) * src.C
	}
	row := src.W * src.C
	for c := range out {
		across := func(y int) float64 {
			p := src.Pix[min(max(y, 0), src.H-1)*row+c:]
			if dx == 0 {
				return float64(p[at[1]])
			}
			return cubic(float64(p[at[0]]), float64(p[at[1]]), float64(p[at[2]]), float64(p[at[3]]), dx)
		}
		v := across(y0)
		if dy != 0 {
			v = cubic(across(y0-1), v, across(y0+1), across(y0+2), dy)
		}
		out[c] = byte(min(max(v, 0), 255))
	}
}

// cubic goes from b to c as t goes from 0 to 1.
func cubic(a, b, c, d, t float64) float64 {
	p2 := c - a
	p3 := 2*(a-b) + c - d
	p4 := b - a - c + d
	return b + float64(t*(p2+float64(t*(p3+float64(t*p4)))))
}

// ShearX slants src: a row that is y from the top moves left by factor*y.
func ShearX(dst []byte, src Image, factor float64, f Filter, fill [3]byte) Image {
	return Affine(dst, src, [6]float64{1, factor, 0, 0, 1, 0}, f, fill)
}

// ShearY slants src: a column that is x from the left moves up by factor*x.
func ShearY(dst []byte, src Image, factor float64, f Filter, fill [3]byte) Image {
	return Affine(dst, src, [6]float64{1, 0, 0, factor, 1, 0}, f, fill)
}

// TranslateX moves src to the left by pixels.
func TranslateX(dst []byte, src Image, pixels float64, f Filter, fill [3]byte) Image {
	return Affine(dst, src, [6]float64{1, 0, pixels, 0, 1, 0}, f, fill)
}

// TranslateY moves src up by pixels.
func TranslateY(dst []byte, src Image, pixels float64, f Filter, fill [3]byte) Image {
	return Affine(dst, src, [6]float64{1, 0, 0, 0, 1, pixels}, f, fill)
}

// Rotate turns src counterclockwise about its middle, as Image.rotate does.
// Quarter turns of squares and half turns move pixels without interpolating.
func Rotate(dst []byte, src Image, degrees float64, f Filter, fill [3]byte) Image {
	degrees = math.Mod(degrees, 360)
	if degrees < 0 {
		degrees += 360
	}
	w, h := float64(src.W), float64(src.H)
	var m [6]float64
	switch square := src.H == src.W; {
	case degrees == 0:
		im := reuse(dst, src.H, src.W, src.C)
		copy(im.Pix, src.Pix)
		return im
	case degrees == 180:
		m = [6]float64{-1, 0, w, 0, -1, h}
	case degrees == 90 && square:
		m = [6]float64{0, -1, w, 1, 0, 0}
	case degrees == 270 && square:
		m = [6]float64{0, 1, 0, -1, 0, h}
	default:
		sin, cos := math.Sincos(-float64(degrees * (math.Pi / 180)))
		sin, cos = round15(sin), round15(cos)
		m = [6]float64{cos, sin, 0, -sin, cos, 0}
		m[2] = float64(cos*(-w/2)) + float64(sin*(-h/2)) + w/2
		m[5] = float64(-sin*(-w/2)) + float64(cos*(-h/2)) + h/2
	}
	return Affine(dst, src, m, f, fill)
}

// round15 is Python's round(v, 15).
func round15(v float64) float64 {
	var buf [32]byte
	r, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], v, 'f', 15, 64)), 64)
	if err != nil {
		panic("imageprep: round15: " + err.Error()) // a text of our own
	}
	return r
}
