package imageprep

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"testing"

	"pgregory.net/rapid"
)

var testFill = [3]byte{128, 90, 200}

// op is one operation of AutoAugment by its name and argument.
func op(dst []byte, src Image, name string, arg float64, f Filter) Image {
	switch name {
	case "AutoContrast":
		return AutoContrast(dst, src)
	case "Equalize":
		return Equalize(dst, src)
	case "Invert":
		return Invert(dst, src)
	case "Solarize":
		return Solarize(dst, src, int(arg))
	case "SolarizeAdd":
		return SolarizeAdd(dst, src, int(arg))
	case "Posterize":
		return Posterize(dst, src, int(arg))
	case "Color":
		return Color(dst, src, arg)
	case "Contrast":
		return Contrast(dst, src, arg)
	case "Brightness":
		return Brightness(dst, src, arg)
	case "Sharpness":
		return Sharpness(dst, src, arg)
	case "ShearX":
		return ShearX(dst, src, arg, f, testFill)
	case "ShearY":
		return ShearY(dst, src, arg, f, testFill)
	case "TranslateX":
		return TranslateX(dst, src, arg, f, testFill)
	case "TranslateY":
		return TranslateY(dst, src, arg, f, testFill)
	case "Rotate":
		return Rotate(dst, src, arg, f, testFill)
	}
	panic("no operation " + name)
}

var opNames = []string{
	"AutoContrast", "Equalize", "Invert", "Solarize", "SolarizeAdd", "Posterize", "Color", "Contrast", "Brightness", "Sharpness",
	"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate",
}

// opImage is an image of scripts/golden/pillow_ops.py.
func opImage(kind string, h, w, c int) Image {
	im := noise(7, h, w, c)
	for i, v := range im.Pix {
		y, x, z := i/c/w, i/c%w, i%c
		switch kind {
		case "ramp":
			im.Pix[i] = byte(20 + 3*y + x*(4+z) + 10*z)
		case "flat":
			im.Pix[i] = byte(77 + 30*z)
		case "dull":
			im.Pix[i] = byte(90 + int(v)/32*5 + 9*z)
		}
	}
	return im
}

// TestOpsEqualPillow compares every operation with testdata/pillow_ops.txt,
// which scripts/golden/pillow_ops.py writes.
func TestOpsEqualPillow(t *testing.T) {
	src, err := os.ReadFile("testdata/pillow_ops.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines, wrong := 0, map[string]int{}
	var dst []byte
	for s := bufio.NewScanner(bytes.NewReader(src)); s.Scan(); {
		if s.Text()[0] == '#' {
			continue
		}
		var name, filter, kind string
		var arg float64
		var h, w, c int
		var want uint32
		if _, err := fmt.Sscan(s.Text(), &name, &arg, &filter, &kind, &h, &w, &c); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		if _, err := fmt.Sscanf(s.Text()[len(s.Text())-8:], "%x", &want); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		lines++
		im := op(dst, opImage(kind, h, w, c), name, arg, filters[filter])
		dst = im.Pix
		if crc32.ChecksumIEEE(im.Pix) != want {
			if wrong[name]++; wrong[name] <= 3 {
				t.Errorf("%s: pixels differ from Pillow's", s.Text())
			}
		}
	}
	if lines < 1000 || len(wrong) > 0 {
		t.Errorf("%d comparisons, differences: %v", lines, wrong)
	}
}

// TestPosterizeToNothing: what Pillow refuses is black, as the mask says.
func TestPosterizeToNothing(t *testing.T) {
	for _, v := range Posterize(nil, noise(1, 5, 4, 3), 0).Pix {
		if v != 0 {
			t.Fatalf("a pixel is %d, want black", v)
		}
	}
}

// TestOpsProperties: whatever the size and the argument, an operation gives an
// image of the same shape, leaves its source alone, and does the same again
// into storage that was used before.
func TestOpsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w, c := rapid.IntRange(1, 12).Draw(t, "h"), rapid.IntRange(1, 12).Draw(t, "w"), rapid.SampledFrom([]int{1, 3}).Draw(t, "c")
		src := noise(rapid.Uint32().Draw(t, "seed"), h, w, c)
		before := bytes.Clone(src.Pix)
		name := rapid.SampledFrom(opNames).Draw(t, "op")
		arg := rapid.Float64Range(-400, 400).Draw(t, "argument")
		f := rapid.SampledFrom([]Filter{Bilinear, Bicubic}).Draw(t, "filter")
		a := op(nil, src, name, arg, f)
		if a.H != h || a.W != w || a.C != c || len(a.Pix) != h*w*c {
			t.Fatalf("%s of [%d,%d,%d] is [%d,%d,%d]", name, h, w, c, a.H, a.W, a.C)
		}
		b := op(bytes.Repeat([]byte{0xa5}, 12*12*3), src, name, arg, f)
		if !bytes.Equal(a.Pix, b.Pix) {
			t.Fatalf("%s depends on its storage", name)
		}
		if !bytes.Equal(src.Pix, before) {
			t.Fatalf("%s wrote to its source", name)
		}
	})
}

// TestOpsDoNotAllocate, given storage.
func TestOpsDoNotAllocate(t *testing.T) {
	for _, c := range []int{1, 3} {
		src, dst := noise(1, 20, 30, c), make([]byte, 20*30*c)
		for _, name := range opNames {
			for _, f := range filters {
				if n := testing.AllocsPerRun(5, func() { op(dst, src, name, 0.7, f) }); n > 0 {
					t.Errorf("%s: %v allocations", name, n)
				}
			}
		}
	}
}

func BenchmarkOps(b *testing.B) {
	for _, size := range []struct{ h, w, c int }{{28, 28, 1}, {32, 32, 3}, {240, 320, 3}} {
		src := noise(1, size.h, size.w, size.c)
		for _, name := range opNames {
			for _, f := range []Filter{Bilinear, Bicubic} {
				geometric := name[0] == 'T' || name[:2] == "Sh" && name != "Sharpness" || name == "Rotate"
				if f == Bicubic && !geometric {
					continue
				}
				b.Run(fmt.Sprintf("%dx%dx%d/%s/%v", size.h, size.w, size.c, name, f), func(b *testing.B) {
					var dst []byte
					for b.Loop() {
						dst = op(dst, src, name, 0.7, f).Pix
					}
				})
			}
		}
	}
}
