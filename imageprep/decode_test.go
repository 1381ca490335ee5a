package imageprep

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"effnet/internal/alloctest"
)

// pngHeader is a PNG that claims to be w x h and ends after its header.
func pngHeader(w, h uint32, depth, colour byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	b = binary.BigEndian.AppendUint32(b, w)
	b = binary.BigEndian.AppendUint32(b, h)
	b = append(b, depth, colour, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
	return append(b, "\x00\x00\x00\x00IDAT"...)
}

// allocated is the bytes allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// jpegOf encodes an image.
func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// jpegHeader replaces the size in a JPEG's frame header.
func jpegHeader(t testing.TB, w, h uint16) []byte {
	b := jpegOf(t, image.NewGray(image.Rect(0, 0, 8, 8)))
	at := bytes.Index(b, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(b[at+5:], h)
	binary.BigEndian.PutUint16(b[at+7:], w)
	return b
}

// manyScans is a progressive JPEG of n scans.
func manyScans(t testing.TB, n int) []byte {
	b := jpegOf(t, image.NewGray(image.Rect(0, 0, 64, 64)))
	b[bytes.Index(b, []byte{0xff, 0xc0})+1] = 0xc2
	sos := bytes.Index(b, []byte{0xff, 0xda})
	scan := []byte{0xff, 0xda, 0, 8, 1, 1, 0, 1, 5, 0, 0x12, 0x34}
	out := append([]byte{}, b[:sos]...)
	for range n {
		out = append(out, scan...)
	}
	return append(out, 0xff, 0xd9)
}

// pngBomb is a grey PNG whose pixels expand to n bytes.
func pngBomb(w, h uint32, depth byte, n int) []byte {
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	_, _ = zw.Write(make([]byte, n)) // into memory
	_ = zw.Close()
	b := pngHeader(w, h, depth, 0)
	b = append(b[:len(b)-8], 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[len(b)-4:], uint32(z.Len()))
	chunk := len(b)
	b = append(append(b, "IDAT"...), z.Bytes()...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[chunk:]))
	return append(b, "\x00\x00\x00\x00IEND\xaeB\x60\x82"...)
}

// gifBomb is a GIF of n x n pixels of one colour.
func gifBomb(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, image.NewPaletted(image.Rect(0, 0, n, n), color.Palette{color.Black, color.White}), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRefused holds the limits: a bomb is refused by a typed error, quickly and
// without memory for its pixels.
func TestRefused(t *testing.T) {
	small := pngOf(t, image.NewGray(image.Rect(0, 0, 9, 9)))
	cases := []struct {
		name   string
		data   []byte
		limits Limits
		want   string // part of the error
		limit  bool   // a LimitError, else a FormatError
	}{
		{"png 50000 square", pngHeader(50000, 50000, 8, 6), Limits{}, "2500000000 pixels", true},
		{"png largest", pngHeader(1<<31-1, 1<<31-1, 8, 6), Limits{}, "", false},
		{"png within limits but empty", pngHeader(8000, 8000, 8, 6), Limits{}, "cut short", false},
		{"jpeg 65535 square", jpegHeader(t, 65535, 65535), Limits{}, "pixels", true},
		{"jpeg 6000 square", jpegHeader(t, 6000, 6000), Limits{}, "cut short", false},
		{"jpeg 1000 scans", manyScans(t, 1000), Limits{}, "65 scans, limit is 64", true},
		{"too many bytes", small, Limits{MaxBytes: 20}, "bytes, limit is 20", true},
		{"too many pixels", small, Limits{MaxPixels: 80}, "81 pixels, limit is 80", true},
		{"empty", nil, Limits{}, "empty file", false},
		{"text", []byte("hello"), Limits{}, "not a JPEG", false},
		{"tiff", []byte("II*\x00\x08\x00\x00\x00"), Limits{}, "not a JPEG", false},
		{"png cut", small[:len(small)-20], Limits{}, "PNG", false},
		{"jpeg cut", jpegOf(t, image.NewGray(image.Rect(0, 0, 99, 99)))[:300], Limits{}, "JPEG", false},
		{"progressive jpeg cut", manyScans(t, 3)[:400], Limits{}, "JPEG", false},
		{"gif header", []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), Limits{}, "pixels", true},
		{"bmp", append([]byte("BM"), make([]byte, 60)...), Limits{}, "BMP", false},
		{"webp", []byte("RIFF\x04\x00\x00\x00WEBP"), Limits{}, "WebP", false},
		{"png zlib bomb, 20000 square", pngBomb(20000, 20000, 1, 20000*2501), Limits{}, "400000000 pixels", true},
		{"png zlib bomb, 9 pixels wide", pngBomb(9, 9, 8, 64<<20), Limits{}, "too much pixel data", false},
		{"gif lzw bomb, 3000 square", gifBomb(t, 3000), Limits{MaxPixels: 1 << 20}, "9000000 pixels", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var err error
			before := allocated()
			took := alloctest.Quick(t, 100*time.Millisecond, func() { _, err = Decode(c.data, c.limits) })
			memory := allocated() - before
			var le *LimitError
			var fe *FormatError
			if c.limit && !errors.As(err, &le) || !c.limit && !errors.As(err, &fe) {
				t.Fatalf("error is %T %v", err, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want %q in it", err, c.want)
			}
			t.Logf("%s: %v, %d bytes allocated: %v", c.name, took, memory, err)
			if memory > 1<<20 {
				t.Errorf("allocated %d bytes", memory)
			}
		})
	}
}

func TestSmallScanCountsPass(t *testing.T) {
	if _, err := DecodeConfig(manyScans(t, 64), Limits{}); err != nil {
		t.Error(err)
	}
}

// exifOf is an EXIF block (TIFF, big-endian) that holds just an orientation.
func exifOf(o int) []byte {
	b := []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	b = binary.BigEndian.AppendUint16(b, uint16(o))
	return append(b, 0, 0, 0, 0, 0, 0)
}

// withEXIF puts an orientation into an encoded image.
func withEXIF(data []byte, o int) []byte {
	e := exifOf(o)
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8")):
		seg := append([]byte("\xff\xe1"), 0, 0)
		seg = append(append(seg, "Exif\x00\x00"...), e...)
		binary.BigEndian.PutUint16(seg[2:], uint16(len(seg)-2))
		return append(append([]byte("\xff\xd8"), seg...), data[2:]...)
	default: // PNG: after the header chunk
		chunk := binary.BigEndian.AppendUint32(nil, uint32(len(e)))
		chunk = append(append(chunk, "eXIf"...), e...)
		chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
		return append(append(append([]byte{}, data[:33]...), chunk...), data[33:]...)
	}
}

// TestOrientation compares with the transpositions of Pillow's exif_transpose.
func TestOrientation(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(m.Pix, []byte{1, 2, 3, 4, 5, 6})
	src := Image{Pix: m.Pix, H: 2, W: 3, C: 1}
	wants := map[int]Image{
		1: src,
		2: {Pix: []byte{3, 2, 1, 6, 5, 4}, H: 2, W: 3, C: 1},
		3: {Pix: []byte{6, 5, 4, 3, 2, 1}, H: 2, W: 3, C: 1},
		4: {Pix: []byte{4, 5, 6, 1, 2, 3}, H: 2, W: 3, C: 1},
		5: {Pix: []byte{1, 4, 2, 5, 3, 6}, H: 3, W: 2, C: 1},
		6: {Pix: []byte{4, 1, 5, 2, 6, 3}, H: 3, W: 2, C: 1},
		7: {Pix: []byte{6, 3, 5, 2, 4, 1}, H: 3, W: 2, C: 1},
		8: {Pix: []byte{3, 6, 2, 5, 1, 4}, H: 3, W: 2, C: 1},
		9: src, // no such orientation
	}
	for o, want := range wants {
		if d := cmp.Diff(want, Orient(src, o)); d != "" {
			t.Errorf("Orient %d: %s", o, d)
		}
		got, err := Decode(withEXIF(pngOf(t, m), o), Limits{})
		if err != nil {
			t.Errorf("PNG with orientation %d: %v", o, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("PNG with orientation %d: %s", o, d)
		}
	}
	// JPEG is lossy: compare with the upright decoding.
	rgb := image.NewRGBA(image.Rect(0, 0, 19, 13))
	for i := range rgb.Pix {
		rgb.Pix[i] = byte(i * 7)
	}
	data := jpegOf(t, rgb)
	upright, err := Decode(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for o := 1; o <= 8; o++ {
		got, err := Decode(withEXIF(data, o), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(Orient(upright, o), got); d != "" {
			t.Errorf("JPEG with orientation %d: %s", o, d)
		}
	}
	// A lossless WebP of red 10 to 60 with orientation 6, written by Pillow.
	webp, err := hex.DecodeString("524946465a00000057454250565038580a0000000800000002000001000056" +
		"50384c190000002f024000002f105588f98f006ada3660439d7f3935a2ff31bd00455849461a0000004d4d002a00" +
		"000008000101120003000000010006000000000000")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(webp, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := Image{Pix: []byte{40, 0, 0, 10, 0, 0, 50, 0, 0, 20, 0, 0, 60, 0, 0, 30, 0, 0}, H: 3, W: 2, C: 3}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("WebP: %s", d)
	}
	// Damaged metadata must not lose the picture.
	bad := withEXIF(data, 6)
	copy(bad[12:], "XXXXXXXXXX")
	if _, err := Decode(bad, Limits{}); err != nil {
		t.Errorf("damaged EXIF: %v", err)
	}
}

// webpAnimations are two frames of 3x2 pixels each, written by Pillow, and the
// first frame's pixels.
var webpAnimations = map[string]struct{ file, pixels string }{
	"lossless": {
		"52494646e800000057454250565038580a00000002000000020000010000414e494d06000000000000000000414e" +
			"4d465c0000000000000000000200000100000a0000025650384c430000002f024000002f4016601ac518ca04f248" +
			"218788b46da36c68ec424eefeb8a194982e67a8de01a2ccf5aadd6fcc7d9fb682339ee614121db08706af7289cc8" +
			"45f43fc60b00414e4d46580000000000000000000200000100000a0000005650384c400000002f024000002fa0a8" +
			"6d23e65b98c53b6ea253cc48121c9ccb62bec3b2304b166022379f19c5924a10fdf31f3f77eb3fe841a03b2848db" +
			"80c5dd73b288fec77201",
		"ffe42279f3bd068366a852c1bb9651f3cd18"},
	"lossy": {
		"524946464e01000057454250565038580a00000002000000020000010000414e494d06000000000000000000414e" +
			"4d468e0000000000000000000200000100000a00000256503820760000005001009d012a0300020001402625a800" +
			"058c0000fef25dfbef97ffed081ee7f9b677ec673b7787ffcd28ff5ff3f3fccbff1ffbd3e7ffdfffec68bfdf459f" +
			"ff7fffb1a2ff7d167ffdfffec68bfdf4ffff6398effff6399bfffd8e66fffffcc3f10bfe5d7fa7e5af7fbffb948d" +
			"6c4f75f9f90ae9d4a000414e4d468c0000000000000000000200000100000a00000056503820740000003401009d" +
			"012a0300020000002625a000037000fb3ff99af7d51ffdd7ff09e7f8c9d50bfffa5bd18ef7ec65bfb7b7ee3ffd2e" +
			"7caf23c0b3ffe973e5791e059fff4b9f2bc8f07fffcc97f0d2dfff325fc390fff992fe1c87ff7ac62f8fb4beeff5" +
			"e70cf4fb499dfffcb0617ef67f42be593a000000",
		"d5d293c9d58d4875178480429aa55dafdc7d"},
}

func TestWebPAnimation(t *testing.T) {
	for name, c := range webpAnimations {
		file, _ := hex.DecodeString(c.file)
		pixels, _ := hex.DecodeString(c.pixels)
		got, err := Decode(file, Limits{})
		if d := cmp.Diff(Image{Pix: pixels, H: 2, W: 3, C: 3}, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", name, err, d)
		}
		at := bytes.Index(file, []byte("ANMF"))
		part := bytes.Clone(file)
		part[at+8] = 1 // x/2
		alone := bytes.Clone(file)
		copy(alone[at+24:], "VP9 ")
		for want, file := range map[string][]byte{"does not fill it": part, "no frame": file[:at], "no image": alone} {
			if _, err := Decode(file, Limits{}); !errors.As(err, new(*FormatError)) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error is %v, want %q", name, err, want)
			}
		}
	}
}

// TestGIFCanvas has a first frame that is smaller than the canvas and a
// transparent colour, whose colour dropping alpha must show.
func TestGIFCanvas(t *testing.T) {
	frame := image.NewPaletted(image.Rect(1, 1, 3, 2), color.Palette{
		color.RGBA{10, 20, 30, 255}, color.RGBA{40, 50, 60, 255}, color.RGBA{70, 80, 90, 255}, color.RGBA{0, 0, 0, 0},
	})
	frame.Pix = []byte{1, 3}
	var b bytes.Buffer
	g := gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 4, Height: 3}}
	if err := gif.EncodeAll(&b, &g); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	// The encoder writes a transparent colour as black: give it another one.
	at := bytes.Index(data, []byte{10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0, 0})
	copy(data[at+9:], []byte{100, 110, 120})
	im, err := Decode(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := Image{H: 3, W: 4, C: 3}
	for range 12 {
		want.Pix = append(want.Pix, 100, 110, 120)
	}
	copy(want.Pix[5*3:], []byte{40, 50, 60})
	if d := cmp.Diff(want, im); d != "" {
		t.Error(d)
	}
}

// TestAlphaIsDropped keeps the colour of transparent pixels, and the high byte
// of 16-bit samples.
func TestAlphaIsDropped(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	copy(m.Pix, []byte{200, 100, 50, 0, 1, 2, 3, 128})
	wide := image.NewNRGBA64(image.Rect(0, 0, 1, 1))
	copy(wide.Pix, []byte{200, 1, 100, 2, 50, 255, 7, 7})
	grey := image.NewGray16(image.Rect(0, 0, 2, 1))
	copy(grey.Pix, []byte{200, 255, 1, 128})
	for _, c := range []struct {
		m    image.Image
		want Image
	}{
		{m, Image{Pix: []byte{200, 100, 50, 1, 2, 3}, H: 1, W: 2, C: 3}},
		{wide, Image{Pix: []byte{200, 100, 50}, H: 1, W: 1, C: 3}},
		{grey, Image{Pix: []byte{200, 1}, H: 1, W: 2, C: 1}},
	} {
		got, err := Decode(pngOf(t, c.m), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%T: %s", c.m, d)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "a.png"), filepath.Join(dir, "b.png")
	data := pngOf(t, image.NewGray(image.Rect(0, 0, 4, 4)))
	os.WriteFile(good, data, 0o644)
	os.WriteFile(bad, data[:40], 0o644)
	if im, err := ReadFile(good, Limits{}); err != nil || im.H != 4 || im.C != 1 {
		t.Errorf("ReadFile: %v, %v", im, err)
	}
	for _, path := range []string{bad, dir, filepath.Join(dir, "absent.png")} {
		if _, err := ReadFile(path, Limits{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadFile(%s): error is %v, want one that names it", path, err)
		}
	}
	if _, err := ReadFile(good, Limits{MaxBytes: 10}); !errors.As(err, new(*LimitError)) {
		t.Errorf("ReadFile beyond the limit: %v", err)
	}
}

// FuzzDecode holds that any input gives a typed error or a whole image.
func FuzzDecode(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 5, 3))
	f.Add(pngOf(f, m))
	f.Add(jpegOf(f, m))
	f.Add(withEXIF(jpegOf(f, m), 6))
	f.Add(withEXIF(pngOf(f, m), 8))
	f.Add(manyScans(f, 3))
	f.Add(pngHeader(100, 100, 1, 0))
	var g bytes.Buffer
	gif.Encode(&g, m, nil)
	f.Add(g.Bytes())
	f.Add([]byte("BM"))
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"))
	for _, c := range webpAnimations {
		file, _ := hex.DecodeString(c.file)
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lim := Limits{MaxBytes: 1 << 20, MaxPixels: 1 << 19, MaxScans: 8}
		var im Image
		var err error
		alloctest.Bounded(t, len(data), func() { im, err = Decode(data, lim) })
		if err != nil {
			if !errors.As(err, new(*LimitError)) && !errors.As(err, new(*FormatError)) {
				t.Fatalf("error is %T: %v", err, err)
			}
			return
		}
		if im.C != 1 && im.C != 3 || len(im.Pix) != im.H*im.W*im.C || im.H*im.W > 1<<19 {
			t.Fatalf("image is [%d,%d,%d] with %d bytes", im.H, im.W, im.C, len(im.Pix))
		}
	})
}

// A decoder ends with its context, between two looks at it.
func TestDecodeContext(t *testing.T) {
	pic := image.NewRGBA(image.Rect(0, 0, 1500, 1500))
	for i := range pic.Pix {
		pic.Pix[i] = byte(i * i >> 7)
	}
	var asPNG, asJPEG bytes.Buffer
	if err := png.Encode(&asPNG, pic); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&asJPEG, pic, nil); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"PNG": asPNG.Bytes(), "JPEG": asJPEG.Bytes()} {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		_, err := DecodeContext(ended, data, Limits{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		early := time.Since(start)
		if _, err := DecodeContext(t.Context(), data, Limits{}); err != nil {
			t.Error(err)
		}
		if whole := time.Since(start) - early; early > whole/2 {
			t.Errorf("%s: ended after %v, decodes in %v", name, early, whole)
		}
	}
}
