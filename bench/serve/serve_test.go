//go:build unix

package main

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/weights"
)

// folder holds a picture of 60 x 90 pixels and a file that is none.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 60, 90))); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.png": b.Bytes(), "notes.txt": []byte("no picture")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPictures(t *testing.T) {
	pictures, err := makePictures(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	var heights []int
	for _, p := range pictures {
		m, err := jpeg.DecodeConfig(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if m.Width != m.Height*2/3 {
			t.Errorf("%d x %d pixels of 60 x 90", m.Width, m.Height)
		}
		heights = append(heights, m.Height)
	}
	if !slices.Equal(heights, longSides) {
		t.Errorf("heights %v, want %v", heights, longSides)
	}
	if _, err := makePictures(t.TempDir()); err == nil {
		t.Error("an empty folder has pictures")
	}
}

// Decoders prepare pictures of a model's file.
func TestDecoders(t *testing.T) {
	pictures, err := makePictures(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	spec := arch.MustLookup("efficientnet_lite0")
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := (&weights.Model{Spec: spec, Set: weights.Random(g, 1)}).Write(path); err != nil {
		t.Fatal(err)
	}
	d, err := newDecoders(path, pictures)
	if err != nil {
		t.Fatal(err)
	}
	if rate, err := d.rate(1); err != nil || !(rate >= 0) || math.IsInf(rate, 0) {
		t.Errorf("%v/s, %v", rate, err)
	}
	d.pictures = [][]byte{[]byte("no picture")}
	if _, err := d.rate(1e9); err == nil {
		t.Error("what is no picture was decoded")
	}
}

// Ratios are of figures of one round, and their median is what is printed.
func TestPrint(t *testing.T) {
	f := func(rate ...float64) figure {
		return figure{Rate: rate, P50: []float64{4, 5, 6}, P99: []float64{8, 10, 12}}
	}
	r := report{
		options: options{Net: "a net", Clients: []int{1, 8}, Rounds: 3, Threads: 2, Batch: 8}, CPU: "a CPU", Cores: 2, Pictures: 4, Kilobyte: 20,
		Possible: []possible{{200, 200, 100}, {200, 200, 100}, {200, 200, 100}}, Rate: 30, ClientMS: []float64{0.5, 0.5, 0.5}, Others: []float64{0.01, 0.01, 0.03},
		Servers: []*result{
			{Name: "effnet", Closed: []figure{f(90, 80, 70), f(120, 95, 60)}, Half: f(40, 40, 40), Same: f(30, 30, 30), PeakMB: 70},
			{Name: "peer", Closed: []figure{f(45, 20, 70), f(60, 95, 30)}, Half: f(20, 20, 20), Same: f(30, 30, 30), PeakMB: 140},
		},
	}
	var b bytes.Buffer
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"one after the other 100.0; effnet serve with 8 clients 0.95 of that",
		"1 clients peer 45.0 5.00 10.0 2.00 x",
		"8 clients peer 60.0 5.00 10.0 2.00 x",
		"effnet: at most 70 MB; p99 at half its capacity is 2.00 x the time of a request with 1 client(s), 0.47 x that of a picture on one core with 8",
	} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
}

func TestSet(t *testing.T) {
	for _, c := range []struct {
		o       options
		clients string
		ok      bool
	}{
		{options{Rounds: 1, Turn: 1, Threads: 1, Batch: 1}, "1,2", true},
		{options{Rounds: 1, Turn: 1, Threads: 1, Batch: 1}, "1,x", false},
		{options{Rounds: 1, Turn: 1, Threads: 1, Batch: 1}, "0", false},
		{options{Turn: 1, Threads: 1, Batch: 1}, "1", false},
	} {
		if err := c.o.set("", c.clients); (err == nil) != c.ok {
			t.Errorf("%+v, clients %s: %v", c.o, c.clients, err)
		}
	}
}
