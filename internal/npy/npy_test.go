package npy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/internal/alloctest"
)

func count(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i)
	}
	return x
}

func readAll(t testing.TB, r *Reader) []float32 {
	t.Helper()
	x := make([]float32, r.Len())
	if err := r.Read(x, 0); err != nil {
		t.Fatal(err)
	}
	return x
}

// The files are NumPy's: see scripts/golden/npy.py.
func TestReadNumPys(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.npy")
	if len(paths) < 25 {
		t.Fatalf("%d files in testdata", len(paths))
	}
	h := func(bits uint32) float32 { return math.Float32frombits(bits) }
	special := map[string]struct {
		shape []int
		data  []float32
	}{
		"special_f2": {[]int{9}, []float32{0, h(1 << 31), 5.9604645e-08, -6.097555e-05, 65504, h(0x7f800000), h(0xff800000), h(0x7fc00000), 0.33325195}},
		"bool":       {[]int{3}, []float32{1, 0, 1}},
		"scalar":     {[]int{}, []float32{2.5}},
		"empty":      {[]int{3, 0, 2}, []float32{}},
		"flat":       {[]int{24}, count(24)},
		"fortran_1d": {[]int{24}, count(24)},
	}
	refused := map[string]string{
		"complex": `the elements are of type "<c8", want floats`,
		"text":    `the elements are of type "<U3", want floats`,
		"object":  `the elements are of type "|O", want floats`,
		"record":  "the elements are records, want plain numbers",
	}
	bits := func(x []float32) []uint32 {
		var b []uint32
		for _, v := range x {
			b = append(b, math.Float32bits(v))
		}
		return b
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".npy")
		r, err := Open(path)
		if want, ok := refused[name]; ok {
			var un *UnsupportedError
			if !errors.As(err, &un) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error is %v, want an UnsupportedError with %q", path, err, want)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		want := special[name]
		if want.shape == nil {
			want.shape, want.data = []int{2, 3, 4}, count(24)
		}
		if got := readAll(t, r); !slices.Equal(r.Shape, want.shape) || !slices.Equal(bits(got), bits(want.data)) {
			t.Errorf("%s: %v %v, want %v %v", path, r.Shape, got, want.shape, want.data)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// file is a version 1 file with a header of the test's own.
func file(header string, data int) []byte {
	b := append([]byte(magic+"\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), make([]byte, data)...)
}

func TestRefused(t *testing.T) {
	good := "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "magic string"},
		{"short", []byte("\x93NUMPY\x01"), "magic string"},
		{"magic", []byte("PK\x03\x04aaaaaaaaaaaaaaaa"), "magic string"},
		{"version", []byte(magic + "\x04\x00\x10\x00\x00\x00"), "version 4.0, want 1 to 3"},
		{"header beyond the file", []byte(magic + "\x01\x00\x50\x00{}"), "the header would have 80 bytes, the file has 12"},
		{"header of gigabytes", []byte(magic + "\x02\x00\xff\xff\xff\xff{}"), "the header would have 4294967295 bytes"},
		{"cut short", file(good, 23), "shape [2 3] of type <f4 wants 24 bytes after the header, the file has 23"},
		{"too long", file(good, 25), "wants 24 bytes after the header, the file has 25"},
		{"product overflows", file("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776)}", 0), "is too large"},
		{"dimension overflows", file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 0), "want a size"},
		{"negative", file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 0), "want a size"},
		{"dimensions", file("{'descr': '<f4', 'fortran_order': False, 'shape': ("+strings.Repeat("1,", 33)+")}", 4), "more than 32 dimensions"},
		{"no tuple", file("{'descr': '<f4', 'fortran_order': False, 'shape': (3)}", 12), "want a tuple"},
		{"missing key", file("{'descr': '<f4', 'fortran_order': False}", 0), "lacks one of the keys"},
		{"double key", file("{'descr': '<f4', 'descr': '<f4', 'shape': ()}", 4), `the key "descr" comes twice`},
		{"unknown key", file("{'descr': '<f4', 'color': 3}", 4), `unexpected key "color"`},
		{"call", file("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}", 4), "want a string at \"__import__"},
		{"escape", file(`{'descr': '\x3cf4', 'fortran_order': False, 'shape': ()}`, 4), "want a plain string"},
		{"open string", file("{'descr", 4), "want a plain string"},
		{"number as boolean", file("{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", 4), `want "False"`},
		{"after the dict", file(good+"x", 24), "something comes after the dict"},
		{"open dict", file("{'descr': '<f4',", 24), "header: want"},
		{"sixteen bytes", file("{'descr': '<f16', 'fortran_order': False, 'shape': ()}", 16), `type "<f16"`},
	} {
		r, err := NewReader(bytes.NewReader(c.file), int64(len(c.file)))
		var fe *FormatError
		var un *UnsupportedError
		if r != nil || !errors.As(err, &fe) && !errors.As(err, &un) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
		}
	}
	for name, text := range map[string]string{
		"python 2": "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
		"tight":    `{"shape":(2,3),"fortran_order":False,"descr":"<f4"}`,
	} {
		b := file(text, 24)
		if r, err := NewReader(bytes.NewReader(b), int64(len(b))); err != nil || !slices.Equal(r.Shape, []int{2, 3}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that claims much and holds little costs nothing.
func TestClaimsAreChecked(t *testing.T) {
	b := file("{'descr': '|u1', 'fortran_order': True, 'shape': (1000000, 1000000)}", 10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(bytes.NewReader(b), int64(len(b)))
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("error %v, %d bytes allocated", err, after.TotalAlloc-before.TotalAlloc)
	}
}

// What is written is read back, whole and in pieces, and as NumPy lays it out.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		shape := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(rt, "shape")
		elems := 1
		for _, d := range shape {
			elems *= d
		}
		x := count(elems)
		path := filepath.Join(dir, fmt.Sprint(n))
		if err := WriteFile(path, x, shape...); err != nil {
			rt.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		if r.dataAt%64 != 0 {
			rt.Fatalf("elements start at %d", r.dataAt)
		}
		if !slices.Equal(r.Shape, shape) || !slices.Equal(readAll(t, r), x) {
			rt.Fatalf("read %v, wrote %v", r.Shape, shape)
		}
		first := rapid.IntRange(0, elems).Draw(rt, "first")
		part := make([]float32, rapid.IntRange(0, elems-first).Draw(rt, "n"))
		if err := r.Read(part, first); err != nil || !slices.Equal(part, x[first:first+len(part)]) {
			rt.Fatalf("part from %d: %v %v", first, part, err)
		}
	})
	want, err := os.ReadFile("testdata/le_f4.npy")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "numpy")
	if err := WriteFile(path, count(24), 2, 3, 4); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if d := cmp.Diff(string(want), string(got)); err != nil || d != "" {
		t.Errorf("not NumPy's bytes: %v %s", err, d)
	}
}

// A piece of an array in Fortran order is the same piece as in C order.
func TestFortranPieces(t *testing.T) {
	r, err := Open("testdata/fortran_f4.npy")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for first := range 24 {
		x := make([]float32, 24-first)
		if err := r.Read(x, first); err != nil || !slices.Equal(x, count(24)[first:]) {
			t.Errorf("from %d: %v %v", first, x, err)
		}
	}
}

func TestWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	w := Create(path, 100_000)
	for _, part := range [][]float32{count(1), count(70_000), count(29_998)} {
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "1 elements are missing") {
		t.Errorf("error of a file that is cut short: %v", err)
	}
	w = Create(path, 2)
	w.Abort()
	w.Abort()
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	w = Create(filepath.Join(path, "no", "folder"), 1_000_000)
	err := w.Write(count(1_000_000))
	if err == nil {
		err = w.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("no folder: %v", err)
	}
	w.Abort()
}

func FuzzReader(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.npy")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r *Reader
		var err error
		var x []float32
		alloctest.Bounded(t, len(b), func() {
			if r, err = NewReader(bytes.NewReader(b), int64(len(b))); err == nil && r.Len() < 1<<20 {
				x = readAll(t, r)
			}
		})
		if err != nil || x == nil {
			return
		}
		head := appendHeader(nil, r.Shape)
		again, err := NewReader(bytes.NewReader(append(head, make([]byte, 4*len(x))...)), int64(len(head)+4*len(x)))
		if err != nil || !slices.Equal(again.Shape, r.Shape) {
			t.Errorf("%v does not come back: %v", r.Shape, err)
		}
	})
}
