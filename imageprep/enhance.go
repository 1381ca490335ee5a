package imageprep

// Every operation here mixes an image with a degenerate one: factor 0 is the
// degenerate image, 1 the image itself, and more goes beyond it.

// blend is Pillow's Image.blend of two values: in float32, truncated.
func blend(degenerate, v byte, factor float32) byte {
	d := float32(degenerate)
	return byte(min(max(d+float32(factor*(float32(v)-d)), 0), 255))
}

// Brightness mixes src with black (ImageEnhance.Brightness).
func Brightness(dst []byte, src Image, factor float64) Image {
	f := float32(factor)
	return point(dst, src, func(v int) int { return int(blend(0, byte(v), f)) })
}

// Contrast mixes src with the grey of its mean luma (ImageEnhance.Contrast).
func Contrast(dst []byte, src Image, factor float64) Image {
	sum := 0
	if src.C == 1 {
		for _, v := range src.Pix {
			sum += int(v)
		}
	} else {
		for i := 0; i+3 <= len(src.Pix); i += 3 {
			sum += int(Grey(src.Pix[i], src.Pix[i+1], src.Pix[i+2]))
		}
	}
	mean := byte(float64(sum)/float64(src.H*src.W) + 0.5)
	f := float32(factor)
	return point(dst, src, func(v int) int { return int(blend(mean, byte(v), f)) })
}

// Color mixes every pixel with its luma (ImageEnhance.Color). Grey images stay
// as they are.
func Color(dst []byte, src Image, factor float64) Image {
	im := reuse(dst, src.H, src.W, src.C)
	if src.C == 1 {
		copy(im.Pix, src.Pix)
		return im
	}
	f := float32(factor)
	for i := 0; i+3 <= len(src.Pix); i += 3 {
		p, q := src.Pix[i:i+3:i+3], im.Pix[i:i+3:i+3]
		g := Grey(p[0], p[1], p[2])
		q[0], q[1], q[2] = blend(g, p[0], f), blend(g, p[1], f), blend(g, p[2], f)
	}
	return im
}

// Sharpness mixes src with its smoothed self (ImageEnhance.Sharpness). Pixels
// on the border stay as they are, as do images less than 3 pixels wide or high.
func Sharpness(dst []byte, src Image, factor float64) Image {
	im := reuse(dst, src.H, src.W, src.C)
	copy(im.Pix, src.Pix)
	f := float32(factor)
	row := src.W * src.C
	for y := 1; y < src.H-1; y++ {
		up, at, down := src.Pix[(y-1)*row:y*row], src.Pix[y*row:(y+1)*row], src.Pix[(y+1)*row:(y+2)*row]
		out := im.Pix[y*row : (y+1)*row]
		for i := src.C; i < row-src.C; i++ {
			l, r := i-src.C, i+src.C
			// The filter SMOOTH of Pillow, in whole numbers: a sum over 13 is never
			// halfway between two.
			sum := int(up[l]) + int(up[i]) + int(up[r]) + int(at[l]) + 5*int(at[i]) + int(at[r]) + int(down[l]) + int(down[i]) + int(down[r])
			out[i] = blend(byte((2*sum+13)/26), at[i], f)
		}
	}
	return im
}
