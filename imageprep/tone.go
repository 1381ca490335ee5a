package imageprep

// The operations here and in enhance.go change the tones of an image; each is
// what Pillow's ImageOps or ImageEnhance makes of it, byte for byte, for grey
// and for colour.

// lut is a table of new values by channel.
type lut [3][256]byte

// apply writes src, looked up, to dst.
func (t *lut) apply(dst []byte, src Image) Image {
	im := reuse(dst, src.H, src.W, src.C)
	if src.C == 1 {
		l := &t[0]
		for i, v := range src.Pix {
			im.Pix[i] = l[v]
		}
		return im
	}
	l0, l1, l2 := &t[0], &t[1], &t[2]
	for i := 0; i+3 <= len(src.Pix); i += 3 {
		p, q := src.Pix[i:i+3:i+3], im.Pix[i:i+3:i+3]
		q[0], q[1], q[2] = l0[p[0]], l1[p[1]], l2[p[2]]
	}
	return im
}

// point gives every channel of src the values f(0) to f(255), clipped.
func point(dst []byte, src Image, f func(v int) int) Image {
	var t lut
	for v := range 256 {
		t[0][v] = byte(min(max(f(v), 0), 255))
	}
	t[1], t[2] = t[0], t[0]
	return t.apply(dst, src)
}

// histogram counts the values of each channel.
func histogram(src Image) (h [3][256]int) {
	if src.C == 1 {
		for _, v := range src.Pix {
			h[0][v]++
		}
		return h
	}
	for i := 0; i+3 <= len(src.Pix); i += 3 {
		p := src.Pix[i : i+3 : i+3]
		h[0][p[0]]++
		h[1][p[1]]++
		h[2][p[2]]++
	}
	return h
}

// AutoContrast stretches every channel so that its least value becomes 0 and
// its greatest 255 (ImageOps.autocontrast).
func AutoContrast(dst []byte, src Image) Image {
	var t lut
	counts := histogram(src)
	for c := range src.C {
		h := &counts[c]
		lo, hi := 0, 255
		for lo < 255 && h[lo] == 0 {
			lo++
		}
		for hi > 0 && h[hi] == 0 {
			hi--
		}
		scale := 1.0
		if hi > lo {
			scale = 255 / float64(hi-lo)
		} else {
			lo = 0
		}
		offset := float64(-lo) * scale
		for v := range 256 {
			t[c][v] = byte(min(max(int(float64(float64(v)*scale)+offset), 0), 255))
		}
	}
	return t.apply(dst, src)
}

// Equalize spreads the values of every channel so that each is about as
// frequent as the others (ImageOps.equalize).
func Equalize(dst []byte, src Image) Image {
	var t lut
	counts := histogram(src)
	for c := range src.C {
		h := &counts[c]
		last := 255
		for last > 0 && h[last] == 0 {
			last--
		}
		step := (src.H*src.W - h[last]) / 255
		below := step / 2 // of v: half a step and the pixels below v
		for v := range 256 {
			if step == 0 { // few pixels, or a single value: left as it is
				t[c][v] = byte(v)
				continue
			}
			t[c][v] = byte(min(below/step, 255))
			below += h[v]
		}
	}
	return t.apply(dst, src)
}

// Invert makes the negative (ImageOps.invert).
func Invert(dst []byte, src Image) Image {
	return point(dst, src, func(v int) int { return 255 - v })
}

// Solarize inverts values of threshold and above (ImageOps.solarize).
func Solarize(dst []byte, src Image, threshold int) Image {
	return point(dst, src, func(v int) int {
		if v < threshold {
			return v
		}
		return 255 - v
	})
}

// SolarizeAdd adds add to values below 128 (AutoAugment's operation, which
// Pillow has no name for).
func SolarizeAdd(dst []byte, src Image, add int) Image {
	return point(dst, src, func(v int) int {
		if v < 128 {
			return v + add
		}
		return v
	})
}

// Posterize keeps the upper bits of every value (ImageOps.posterize): 8 change
// nothing, and 0, which Pillow refuses, leave a black image.
func Posterize(dst []byte, src Image, bits int) Image {
	mask := 0xff00 >> min(max(bits, 0), 8) & 0xff
	return point(dst, src, func(v int) int { return v & mask })
}
