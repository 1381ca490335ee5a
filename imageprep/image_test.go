package imageprep

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawImage makes an image of a random shape; extreme ones are all black and
// white, which reaches both clips of a cubic.
func drawImage(t *rapid.T, limit int) Image {
	im := noise(rapid.Uint32().Draw(t, "seed"), rapid.IntRange(1, limit).Draw(t, "h"), rapid.IntRange(1, limit).Draw(t, "w"), rapid.SampledFrom([]int{1, 3}).Draw(t, "c"))
	if rapid.Bool().Draw(t, "extreme") {
		for i, v := range im.Pix {
			im.Pix[i] = byte(int8(v) >> 7)
		}
	}
	return im
}

// resizeAxis is one pass, straight from the definition.
func resizeAxis(src Image, n int, f Filter, vertical bool) Image {
	out := Image{H: src.H, W: n, C: src.C}
	in := src.W
	if vertical {
		out.H, out.W, in = n, src.W, src.H
	}
	a := newAxis(in, n, f)
	for y := range out.H {
		for x := range out.W {
			for c := range out.C {
				s := int64(oneHalf)
				for i := range a.width {
					if vertical {
						s += int64(a.k[y*a.width+i]) * int64(src.Pix[((int(a.first[y])+i)*src.W+x)*src.C+c])
					} else {
						s += int64(a.k[x*a.width+i]) * int64(src.Pix[(y*src.W+int(a.first[x])+i)*src.C+c])
					}
				}
				out.Pix = append(out.Pix, byte(min(max(s>>precision, 0), 255)))
			}
		}
	}
	return out
}

func TestResizeEqualsDefinition(t *testing.T) {
	dst := make([]byte, 0, 64)
	rapid.Check(t, func(t *rapid.T) {
		src := drawImage(t, 40)
		h, w := rapid.IntRange(1, 60).Draw(t, "oh"), rapid.IntRange(1, 60).Draw(t, "ow")
		f := rapid.SampledFrom([]Filter{Bilinear, Bicubic}).Draw(t, "filter")
		want := src
		for _, vertical := range []bool{src.H-h > 2*(src.W-w) && src.H > h, src.H-h <= 2*(src.W-w) || src.H <= h} {
			if vertical && h != src.H {
				want = resizeAxis(want, h, f, true)
			}
			if !vertical && w != src.W {
				want = resizeAxis(want, w, f, false)
			}
		}
		got := Resize(dst, src, h, w, f)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		dst = got.Pix
	})
}

// TestAxesAreBounded meets more sizes than the cache holds.
func TestAxesAreBounded(t *testing.T) {
	for n := range maxAxes + 10 {
		axisOf(n+1, 3, Bilinear)
	}
	if n := len(axes.m); n > maxAxes {
		t.Errorf("%d axes are cached, limit is %d", n, maxAxes)
	}
}

func TestCropPaddedEqualsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := drawImage(t, 20)
		y, x := rapid.IntRange(-25, 25).Draw(t, "y"), rapid.IntRange(-25, 25).Draw(t, "x")
		h, w := rapid.IntRange(1, 40).Draw(t, "oh"), rapid.IntRange(1, 40).Draw(t, "ow")
		flip := rapid.Bool().Draw(t, "flip")
		want := Image{Pix: make([]byte, h*w*src.C), H: h, W: w, C: src.C}
		for i := range h {
			for j := range w {
				sy, sx := y+i, x+j
				if flip {
					sx = x + w - 1 - j
				}
				if sy >= 0 && sy < src.H && sx >= 0 && sx < src.W {
					copy(want.Pix[(i*w+j)*src.C:][:src.C], src.Pix[(sy*src.W+sx)*src.C:])
				}
			}
		}
		// Stale bytes in dst must not show.
		got := CropPadded(bytes.Repeat([]byte{77}, h*w*src.C), src, y, x, h, w, flip)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if y >= 0 && x >= 0 && y+h <= src.H && x+w <= src.W && !flip {
			if d := cmp.Diff(want, Crop(nil, src, y, x, h, w)); d != "" {
				t.Fatal("Crop: ", d)
			}
		}
	})
}

func TestFlip(t *testing.T) {
	src := Image{Pix: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, H: 2, W: 2, C: 3}
	want := Image{Pix: []byte{4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9}, H: 2, W: 2, C: 3}
	if d := cmp.Diff(want, Flip(nil, src)); d != "" {
		t.Error(d)
	}
}

func TestConvert(t *testing.T) {
	grey := Image{Pix: []byte{0, 7, 255}, H: 1, W: 3, C: 1}
	rgb := Convert(nil, grey, 3)
	if d := cmp.Diff([]byte{0, 0, 0, 7, 7, 7, 255, 255, 255}, rgb.Pix); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(grey, Convert(nil, rgb, 1)); d != "" {
		t.Error("grey to colour and back: ", d)
	}
	for v := range 256 {
		if b := byte(v); Grey(b, b, b) != b {
			t.Errorf("Grey(%d, %[1]d, %[1]d) = %d", v, Grey(b, b, b))
		}
	}
}

func TestNormalizer(t *testing.T) {
	mean, std := []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	src := noise(1, 5, 7, 3)
	x := make([]float32, len(src.Pix))
	NewNormalizer(mean, std).Apply(x, src)
	for i, v := range src.Pix {
		want := (float64(v)/255 - float64(mean[i%3])) / float64(std[i%3])
		if math.Abs(float64(x[i])-want) > 1e-6 {
			t.Fatalf("pixel %d: %g, want %g", i, x[i], want)
		}
	}
	grey := noise(2, 5, 7, 1)
	NewNormalizer([]float32{0.5}, []float32{0.25}).Apply(x[:35], grey)
	for i, v := range grey.Pix {
		if want := (float32(v)/255 - 0.5) / 0.25; x[i] != want {
			t.Fatalf("grey pixel %d: %g, want %g", i, x[i], want)
		}
	}
}

func TestShortSide(t *testing.T) {
	for _, c := range []struct{ h, w, n, wantH, wantW int }{
		{28, 28, 40, 40, 40}, {100, 50, 25, 50, 25}, {50, 100, 25, 25, 50},
		{3, 5, 224, 224, 373}, {1000, 1, 4, 4000, 4}, {480, 641, 256, 256, 341},
	} {
		if h, w := ShortSide(c.h, c.w, c.n); h != c.wantH || w != c.wantW {
			t.Errorf("ShortSide(%d, %d, %d) = %d, %d, want %d, %d", c.h, c.w, c.n, h, w, c.wantH, c.wantW)
		}
	}
}
