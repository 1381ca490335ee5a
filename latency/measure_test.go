package latency

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"effnet/arch"
)

func TestMeasure(t *testing.T) {
	spec := arch.MustLookup("small_300k")
	wide, err := spec.Scale(arch.Factors{Depth: 2, Width: 2})
	if err != nil {
		t.Fatal(err)
	}
	last := 0.0
	samples, err := MeasureAll(t.Context(), []arch.Spec{spec, wide}, Options{Threads: 2, Batch: 3, Time: time.Millisecond}, func(part float64) { last = part })
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []arch.Spec{spec, wide} {
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		if got := samples[i]; !got.valid() || got.Runs < minRuns || got.Features != FeaturesOf(g) {
			t.Errorf("%s: %+v", s.Name, got)
		}
	}
	if last != 1 {
		t.Errorf("the last progress is %v", last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(ctx, spec, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	spec.Resolution = 1
	if _, err := Measure(t.Context(), spec, Options{}); err == nil {
		t.Error("a network of one pixel was measured")
	}
}

// A cache gives back what it was given to those of the same conditions alone,
// and is empty whatever else the file holds.
func TestCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	spec := arch.MustLookup("b0")
	here, err := ConditionsOf(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(here.Binary) != 64 || here.Kernel == "" || here.Machine == "" || here.Threads != 2 || here.Batch != 1 {
		t.Errorf("conditions %+v", here)
	}
	c, err := OpenCache(spec, here)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Load(); got != nil {
		t.Errorf("a new cache has %v", got)
	}
	m := plain()
	var samples []Sample
	for _, x := range star(t, spec) {
		samples = append(samples, m.sample(x))
	}
	for i := range maxCached { // the oldest give way
		s := m.sample(samples[0].Features)
		s.Runs = i + 1
		samples = append(samples, s)
	}
	if err := c.Store(samples); err != nil {
		t.Fatal(err)
	}
	want := samples[len(samples)-maxCached:]
	renamed := spec
	renamed.Name = "other"
	if c, err := OpenCache(renamed, here); err != nil || !reflect.DeepEqual(c.Load(), want) {
		t.Errorf("got %v %v, want %v", c.Load(), err, want)
	}

	wider := spec
	wider.Head *= 2
	for name, open := range map[string]func() (*Cache, error){
		"network": func() (*Cache, error) { return OpenCache(wider, here) },
		"binary":  func() (*Cache, error) { h := here; h.Binary = "1"; return OpenCache(spec, h) },
		"kernel":  func() (*Cache, error) { h := here; h.Kernel = "x"; return OpenCache(spec, h) },
		"machine": func() (*Cache, error) { h := here; h.Machine = "x"; return OpenCache(spec, h) },
		"threads": func() (*Cache, error) { h := here; h.Threads = 1; return OpenCache(spec, h) },
		"batch":   func() (*Cache, error) { h := here; h.Batch = 16; return OpenCache(spec, h) },
	} {
		if c, err := open(); err != nil || c.Load() != nil {
			t.Errorf("another %s has the samples too, %v", name, err)
		}
	}

	data, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := c.Load(); got != nil {
			t.Errorf("%.40q... has %d samples", text, len(got))
		}
	}
	for n := 0; n < len(data)-2; n += 97 {
		damaged(string(data[:n]))
	}
	damaged("[]")
	damaged("null")
	bad := want[0]
	bad.P90 = bad.P10 - 1
	if err := c.Store([]Sample{bad}); err != nil {
		t.Fatal(err)
	}
	if got := c.Load(); got != nil {
		t.Errorf("impossible times are taken: %v", got)
	}

	// A folder that cannot be made is an error.
	if err := os.RemoveAll(filepath.Dir(c.path)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Dir(c.path), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.Store(want); err == nil || c.Load() != nil {
		t.Error("samples were kept in a file that is no folder")
	}
}
