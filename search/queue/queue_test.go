package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/arch"
	"effnet/search"
)

// TestTaskRoundTrip: whatever fields a trial has, they travel.
func TestTaskRoundTrip(t *testing.T) {
	var want search.Trial
	v := reflect.ValueOf(&want).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("text" + v.Type().Field(i).Name)
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(i + 1))
		case reflect.Uint64:
			f.SetUint(1<<63 + uint64(i))
		case reflect.Float64:
			f.SetFloat(1 / float64(i+3))
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice:
			if f.Type().Elem().Kind() == reflect.Float64 {
				f.Set(reflect.ValueOf([]float64{0.1, 1.0 / 3}))
			}
		}
	}
	want.ID = "x2-d0.3-e1-s5"
	want.Spec = arch.MustLookup("efficientnet_b0")
	data, err := encodeTask(&want, 7)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeTask(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Attempt != 7 {
		t.Errorf("attempt %d, want 7", got.Attempt)
	}
	got.Trial.Spec.Name = want.Spec.Name
	if string(got.Trial.Spec.YAML()) != string(want.Spec.YAML()) {
		t.Errorf("the network changed:\n%s\nwant\n%s", got.Trial.Spec.YAML(), want.Spec.YAML())
	}
	a, b := want, got.Trial
	a.Spec, b.Spec = arch.Spec{}, arch.Spec{}
	for i := range v.NumField() { // fields that task shadows
		if v.Type().Field(i).Name == "Attempt" {
			reflect.ValueOf(&b).Elem().Field(i).SetInt(int64(i + 1))
		}
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("the trial changed:\n%s", d)
	}
}

func TestDecodeTaskBad(t *testing.T) {
	for _, text := range []string{"", "{", "{}", `{"ID":"x","Spec":"nonsense: ["}`, `{"ID":"","Spec":""}`} {
		if _, err := decodeTask([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func TestToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if strings.ContainsAny(token(a), " .*>\t\n/") {
			t.Fatalf("%q becomes %q", a, token(a))
		}
		if (a == b) != (token(a) == token(b)) {
			t.Fatalf("%q and %q become %q and %q", a, b, token(a), token(b))
		}
	})
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q, n := open(t, dir, &fake{steps: 3}, func(o *Options) { o.AckWait = time.Minute })
	if err := trainAll(t.Context(), q, trials(t, dir, 12), 3); err != nil {
		t.Fatal(err)
	}
	if s := q.Stats(); s != (Stats{}) {
		t.Errorf("%+v, want nothing out of the way", s)
	}
	if len(n.text) > 0 {
		t.Errorf("it said %q", n.text)
	}
}

// TestErrors: an engine's errors come through as they are.
func TestErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := errors.New("no room")
	f := &fake{steps: 1, before: func(t *search.Trial) error {
		switch t.Seed {
		case 0:
			return mine
		case 1:
			return fmt.Errorf("%w: loss is NaN", search.ErrDiverged)
		}
		return nil
	}}
	q, _ := open(t, dir, f, nil)
	all := trials(t, dir, 3)
	for i, want := range []error{mine, search.ErrDiverged, nil} {
		if _, err := q.Engine().Train(t.Context(), all[i], func(search.Progress) {}); !errors.Is(err, want) {
			t.Errorf("trial %d: %v, want %v", i, err, want)
		}
	}
	// Another attempt of the same trial in the same session.
	f.before = nil
	if err := trainAll(t.Context(), q, all, 1); err != nil {
		t.Error(err)
	}
}

// TestStop: a search that stops has its trials save their state first, and the
// next one goes on from there.
func TestStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var at atomic.Int64
	f := &fake{steps: 20, delay: 20 * time.Millisecond, resumed: func(_ *search.Trial, step int) { at.Store(int64(step)) }}
	all := trials(t, dir, 1)
	q, _ := open(t, dir, f, nil)
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	go func() {
		<-began
		time.Sleep(100 * time.Millisecond)
		cancel()
	}()
	first := true
	_, err := q.Engine().Train(ctx, all[0], func(search.Progress) {
		if first {
			first = false
			close(began)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(all[0].Dir, "state")); err != nil {
		t.Fatal(err)
	}
	if err := trainAll(t.Context(), q, all, 20); err != nil {
		t.Fatal(err)
	}
	if at.Load() == 0 {
		t.Error("it began anew")
	}
}

// TestFolderLocked: two coordinators never share a folder.
func TestFolderLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, &fake{steps: 1}, nil)
	if _, err := Open(t.Context(), Options{Folder: filepath.Join(dir, FolderName), Engine: (&fake{}).engine()}); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("error %v, want one of a lock", err)
	}
}

// BenchmarkTrial is what the embedded queue adds to a trial.
func BenchmarkTrial(b *testing.B) {
	dir := b.TempDir()
	q, _ := open(b, dir, &fake{}, nil)
	t := trials(b, dir, 1)[0]
	eng := q.Engine()
	for b.Loop() {
		if _, err := eng.Train(b.Context(), t, func(search.Progress) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is what the embedded queue adds to the start and the end of a
// search.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		q, err := Open(b.Context(), Options{Folder: filepath.Join(dir, FolderName), Engine: (&fake{}).engine(), Name: "here", Slots: 2, Threads: 1})
		if err != nil {
			b.Fatal(err)
		}
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
