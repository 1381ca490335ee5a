package jpeg

import (
	"bytes"
	"errors"
	"image"
	stdjpeg "image/jpeg"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"effnet/internal/alloctest"
)

// picture is noise on slopes, of the standard library's encoder.
func picture(t testing.TB, w, h, quality int, grey bool) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(w*h)))
	var m image.Image
	at := func(x, y int) byte { return byte(3*x + 5*y + r.IntN(60)) }
	if grey {
		g := image.NewGray(image.Rect(0, 0, w, h))
		for i := range g.Pix {
			g.Pix[i] = at(i%w, i/w)
		}
		m = g
	} else {
		c := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range c.Pix {
			c.Pix[i] = at(i%(4*w)*(i%4), i/w)
		}
		m = c
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, m, &stdjpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The samples are the standard library's but for the rounding of the inverse
// transform. That they are libjpeg's is for package imageprep to test, with
// Pillow's pixels.
func TestDecode(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(1, 70).Draw(rt, "w"), rapid.IntRange(1, 70).Draw(rt, "h")
		data := picture(t, w, h, rapid.IntRange(1, 100).Draw(rt, "quality"), rapid.Bool().Draw(rt, "grey"))
		im, err := Decode(data)
		if err != nil {
			rt.Fatal(err)
		}
		std, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			rt.Fatal(err)
		}
		if im.W != w || im.H != h {
			rt.Fatalf("%dx%d, want %dx%d", im.W, im.H, w, h)
		}
		compare := func(p *Plane, pix []byte, stride int) {
			for y := range p.H {
				for x := range p.W {
					if d := int(p.Pix[y*p.Stride+x]) - int(pix[y*stride+x]); d < -1 || d > 1 {
						rt.Fatalf("sample %d,%d of a plane of %dx%d differs by %d", x, y, p.W, p.H, d)
					}
				}
			}
		}
		switch std := std.(type) {
		case *image.Gray:
			compare(&im.Planes[0], std.Pix, std.Stride)
		case *image.YCbCr:
			compare(&im.Planes[0], std.Y, std.YStride)
			compare(&im.Planes[1], std.Cb, std.CStride)
			compare(&im.Planes[2], std.Cr, std.CStride)
		}
	})
}

// Every sample is within half a step, and a rounding, of the exact transform.
func TestIDCT(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var quant [64]int32
	for i := range quant {
		quant[i] = 1 + int32(i%5)
	}
	for range 200 {
		var coeffs [64]int16
		for range 1 + r.IntN(20) {
			coeffs[r.IntN(64)] = int16(r.IntN(161) - 80)
		}
		var pix [64]byte
		var q [64]int32
		for k, v := range quant {
			q[zigzag[k]] = int32(coeffs[zigzag[k]]) * v
		}
		idct(pix[:], 8, &q)
		for y := range 8 {
			for x := range 8 {
				sum := 128.0
				for k, q := range quant {
					n := int(zigzag[k])
					u, v := n%8, n/8
					c := float64(coeffs[n]) * float64(q) / 4
					if u == 0 {
						c /= math.Sqrt2
					}
					if v == 0 {
						c /= math.Sqrt2
					}
					sum += c * math.Cos(float64(2*x+1)*float64(u)*math.Pi/16) * math.Cos(float64(2*y+1)*float64(v)*math.Pi/16)
				}
				if d := float64(pix[8*y+x]) - min(max(sum, 0), 255); math.Abs(d) > 0.6 {
					t.Fatalf("sample %d,%d is %d, exactly %.3f", x, y, pix[8*y+x], sum)
				}
			}
		}
	}
}

// A block of a DC alone is what the transform makes of it.
func TestFlat(t *testing.T) {
	for dc := int32(-20000); dc <= 20000; dc += 7 {
		q := [64]int32{dc}
		var whole, fast [64]byte
		idct(whole[:], 8, &q)
		flat(fast[:], 8, dc)
		if whole != fast {
			t.Fatalf("DC of %d: %v, want %v", dc, fast[0], whole)
		}
	}
}

// A file cut short anywhere is an error.
func TestCutShort(t *testing.T) {
	data := picture(t, 40, 30, 80, false)
	for n := range data {
		if _, err := Decode(data[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a file", n, len(data))
		}
	}
	if _, err := Decode(data[:len(data)-2]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without its end: %v", err)
	}
}

// segment is a marker and what belongs to it.
func segment(m byte, body ...byte) []byte {
	return append([]byte{0xff, m, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
}

func TestRefused(t *testing.T) {
	start := []byte{0xff, soi}
	end := []byte{0xff, eoi}
	frame := func(m byte, body ...byte) []byte { return segment(m, body...) }
	grey := frame(sof0, 8, 0, 8, 0, 8, 1, 1, 0x11, 0)
	quant := segment(dqt, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)
	code := func(class byte, value byte) []byte {
		return segment(dht, append(append([]byte{class << 4, 1}, make([]byte, 15)...), value)...)
	}
	scan := segment(sos, 1, 1, 0, 0, 63, 0)
	file := func(parts ...[]byte) []byte {
		return append(bytes.Join(append([][]byte{start}, parts...), nil), end...)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"good", file(quant, code(0, 0), code(1, 0), grey, scan, []byte{0x3f}), ""},
		{"empty", nil, "does not start"},
		{"no image", file(), "no image"},
		{"no scan", file(quant, grey), "no image"},
		{"12 bits", file(frame(sof1, 12, 0, 8, 0, 8, 1, 1, 0x11, 0)), "a precision of 12 bits is not supported"},
		{"arithmetic", file(segment(dac, 0, 0)), "arithmetic coding is not supported"},
		{"lossless", file(frame(0xc3, 8, 0, 8, 0, 8, 1, 1, 0x11, 0)), "is not supported"},
		{"two components", file(frame(sof0, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0)), "an image of 2 components"},
		{"no height", file(frame(sof0, 8, 0, 0, 0, 8, 1, 1, 0x11, 0)), "the size is 8x0"},
		{"large", file(quant, frame(sof0, 8, 0xff, 0xff, 0xff, 0xff, 1, 1, 0x11, 0)), "unexpected EOF"},
		{"frame cut", file(frame(sof0, 8, 0, 8, 0, 8, 3, 1, 0x11, 0)), "the frame's header has 9 bytes"},
		{"two frames", file(grey, grey), "two frames"},
		{"same name", file(frame(sof0, 8, 0, 8, 0, 8, 3, 1, 0x11, 0, 1, 0x11, 0, 3, 0x11, 0)), "two components are called 1"},
		{"sampling of 0", file(frame(sof0, 8, 0, 8, 0, 8, 1, 1, 0x01, 0)), "sampling factors 0x1"},
		{"sampling of 5", file(frame(sof0, 8, 0, 8, 0, 8, 1, 1, 0x51, 0)), "sampling factors 5x1"},
		{"sampling of 2 for 3", file(frame(sof0, 8, 0, 8, 0, 8, 3, 1, 0x31, 0, 2, 0x21, 0, 3, 0x11, 0)), "sampling of 2x1 for 3x1 is not supported"},
		{"blocks", file(frame(sof0, 8, 0, 8, 0, 8, 3, 1, 0x44, 0, 2, 0x11, 0, 3, 0x11, 0)), "an MCU has 18 blocks"},
		{"scan first", file(scan), "before the frame"},
		{"scan of a stranger", file(quant, code(0, 0), code(1, 0), grey, segment(sos, 1, 7, 0, 0, 63, 0)), "component 7"},
		{"scan without tables", file(quant, grey, scan), "without its Huffman table"},
		{"scan without quantisation", file(code(0, 0), code(1, 0), grey, scan), "without its quantisation table"},
		{"scan of 5", file(quant, grey, segment(sos, 5, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 63, 0)), "the scan's header"},
		{"progressive, DC and AC", file(quant, code(0, 0), code(1, 0), frame(sof2, 8, 0, 8, 0, 8, 1, 1, 0x11, 0), segment(sos, 1, 1, 0, 0, 63, 0)), "coefficients 0 to 63"},
		{"broken code", file(quant, code(0, 0), code(1, 0), grey, scan, []byte{0xbf}), "a broken Huffman code"},
		{"no data", file(quant, code(0, 0), code(1, 0), grey, scan), "a scan ends early"},
		{"too many codes", file(segment(dht, append([]byte{0, 3}, make([]byte, 18)...)...)), "more codes than there are"},
		{"Huffman table cut", file(segment(dht, 0, 1)), "a broken Huffman table"},
		{"quantisation cut", file(segment(dqt, 0, 1)), "a broken quantisation table"},
		{"segment of 1", append(start, 0xff, dqt, 0, 1, 0xff, eoi), "a segment of 1 bytes"},
		{"restart", file(quant, code(0, 0), code(1, 0), segment(dri, 0, 1), frame(sof0, 8, 0, 8, 0, 16, 1, 1, 0x11, 0), scan, []byte{0x3f, 0xff, rst0 + 1, 0x3f}), "restart marker 0 is missing"},
		{"restarted", file(quant, code(0, 0), code(1, 0), segment(dri, 0, 1), frame(sof0, 8, 0, 8, 0, 16, 1, 1, 0x11, 0), scan, []byte{0x3f, 0xff, rst0, 0x3f}), ""},
	} {
		_, err := Decode(c.data)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(picture(f, 20, 17, 50, false))
	f.Add(picture(f, 9, 8, 90, true))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeConfig(data)
		if err != nil || c.W*c.H > 1<<16 {
			return
		}
		var im *Image
		alloctest.Bounded(t, len(data), func() { im, err = Decode(data) })
		if err == nil && (im.W != c.W || im.H != c.H || len(im.Planes) != c.Components) {
			t.Errorf("%dx%d with %d planes, the header says %v", im.W, im.H, len(im.Planes), c)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := picture(b, 512, 512, 85, false)
	b.SetBytes(512 * 512)
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStandardLibrary(b *testing.B) {
	data := picture(b, 512, 512, 85, false)
	b.SetBytes(512 * 512)
	for b.Loop() {
		if _, err := stdjpeg.Decode(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
