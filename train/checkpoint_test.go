package train

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDamagedCheckpoint damages the newest checkpoint of a stopped run.
func TestDamagedCheckpoint(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "run")
	if _, err := runFake(t.Context(), fakeJob(t, whole), &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	wantModel, wantMetrics := finished(t, whole)
	for _, c := range []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"one bit", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
		{"truncated", func(b []byte) []byte { return b[:len(b)-7] }},
		{"empty", func(b []byte) []byte { return nil }},
		{"longer", func(b []byte) []byte { return append(b, 0) }},
		{"huge header", func(b []byte) []byte { copy(b[8:], "\xff\xff\xff\xff"); return b }},
	} {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/all=%v", c.name, all), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "run")
				job := fakeJob(t, dir)
				job.CheckpointSteps = 3
				crash := errors.New("crash")
				stop := func(step int64) error {
					if step == 13 {
						return crash
					}
					return nil
				}
				if _, err := runFake(t.Context(), job, &fakeEngine{onStep: stop}); !errors.Is(err, crash) {
					t.Fatal(err)
				}
				names, err := checkpoints(dir)
				if err != nil || fmt.Sprint(names) != "[ckpt-000000012.bin ckpt-000000010.bin ckpt-000000005.bin]" {
					t.Fatalf("checkpoints %v, %v", names, err)
				}
				if !all {
					names = names[:1]
				}
				for _, name := range names {
					b, err := os.ReadFile(filepath.Join(dir, name))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, name), c.damage(b), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				var notes []string
				job.Observer.Note = func(msg string) { notes = append(notes, msg) }
				first := int64(-1)
				_, err = runFake(t.Context(), job, &fakeEngine{onStep: func(step int64) error {
					if first < 0 {
						first = step
					}
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				want, wantNote := int64(10), "going back to ckpt-000000010.bin"
				if all {
					want, wantNote = 0, "starting again from the beginning"
				}
				if len(notes) != len(names) || !strings.Contains(notes[len(notes)-1], wantNote) || !strings.Contains(notes[0], names[0]) {
					t.Errorf("notes %q, want %d, the last with %q", notes, len(names), wantNote)
				}
				if first != want {
					t.Errorf("went on at step %d, want %d", first, want)
				}
				if _, err := os.Stat(filepath.Join(dir, names[0]+".damaged")); err != nil {
					t.Error(err)
				}
				model, metrics := finished(t, dir)
				if model != wantModel || metrics != wantMetrics {
					t.Error("the result differs from the undamaged run's")
				}
			})
		}
	}
}

// TestDamagedAnywhere cuts the newest checkpoint at random lengths and flips
// random bits of it: it is never taken for whole, and the one before it is
// named.
func TestDamagedAnywhere(t *testing.T) {
	dir := t.TempDir()
	f := &folder{dir: dir}
	for step := int64(1); step <= 2; step++ {
		e := &fakeEngine{w: [4]float32{1, 2, 3, float32(step)}, step: step}
		if err := f.save(&checkpoint{Position{ConfigSum: "x"}, e.View()}, 2); err != nil {
			t.Fatal(err)
		}
	}
	newest := f.path(checkpointName(2))
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(whole)
		if rapid.Bool().Draw(t, "cut") {
			b = b[:rapid.IntRange(0, len(b)-1).Draw(t, "length")]
		} else {
			bit := rapid.IntRange(0, 8*len(b)-1).Draw(t, "bit")
			b[bit/8] ^= 1 << (bit % 8)
		}
		if err := os.WriteFile(newest, b, 0o644); err != nil {
			t.Fatal(err)
		}
		var notes []string
		c, err := f.load("x", func(msg string) { notes = append(notes, msg) })
		if err != nil || c == nil || c.State.Step != 1 {
			t.Fatalf("loaded %+v, %v, want step 1", c, err)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], newest+" is damaged: ") || !strings.HasSuffix(notes[0], "; going back to ckpt-000000001.bin") {
			t.Fatalf("notes %q", notes)
		}
	})
}

// TestLeftovers kills nothing, but leaves what a killed run may leave.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	leave := func(names ...string) {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(want string) {
		t.Helper()
		if got, err := Occupied(dir); err != nil || got != want {
			t.Errorf("occupied by %q, %v, want %q", got, err, want)
		}
	}
	check("")
	leave("lock", ".config.yaml.0123abcd.tmp")
	check("")
	job := fakeJob(t, dir)
	job.CheckpointSteps = 2
	crash := errors.New("crash")
	stop := func(step int64) error {
		if step == 7 {
			return crash
		}
		return nil
	}
	if _, err := runFake(t.Context(), job, &fakeEngine{onStep: stop}); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	check(ConfigFile)
	leave(".ckpt-000000008.bin.0123abcd.tmp", "ckpt-note.txt")
	if _, err := runFake(t.Context(), job, &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), eventsPrefix) {
			names = append(names, e.Name())
		}
	}
	want := "[best.safetensors ckpt-000000005.bin ckpt-000000014.bin ckpt-000000015.bin ckpt-note.txt config.yaml lock metrics.jsonl model.safetensors summary.csv]"
	if fmt.Sprint(names) != want {
		t.Errorf("the folder holds %v, want %s", names, want)
	}
	if got, err := Occupied(filepath.Join(dir, "none")); err != nil || got != "" {
		t.Errorf("no folder: occupied by %q, %v", got, err)
	}
	if _, err := Occupied(filepath.Join(dir, "lock")); err == nil {
		t.Error("a file: no error")
	}
}

func FuzzDecodeCheckpoint(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "c")
	e := &fakeEngine{w: [4]float32{1, 2, 3, 4}}
	c := &checkpoint{Position{ConfigSum: "x", Evaluated: 1}, e.View()}
	if err := c.write(path); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:40])
	f.Add([]byte(checkpointMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCheckpoint(bytes.NewReader(b), int64(len(b)))
		if err == nil && c.State.Tensors == nil {
			t.Error("no tensors and no error")
		}
	})
}
