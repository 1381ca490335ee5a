package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/arch"
	"effnet/search"
)

var faults = flag.Int("faults", 8, "faults of TestFaults: workers killed and paused; with 100 or more, TestCluster fails six times")

// fake is an engine without networks. A trial is a chain of hashes, one a
// step, whose state after every step is in its folder: a trial that does not go
// on exactly where it stopped ends with another model file.
type fake struct {
	steps    int
	delay    time.Duration                 // of a step
	stubborn bool                          // does not stop when it is told to
	before   func(*search.Trial) error     // before anything else
	resumed  func(t *search.Trial, at int) // of a trial that goes on
}

// chain is a trial's state after so many steps.
func chain(t *search.Trial, steps int) [32]byte {
	s := sha256.Sum256(fmt.Append(nil, string(t.Spec.YAML()), t.Seed, t.SplitSeed, t.Epochs, t.TrainImages, t.Test))
	for range steps {
		s = sha256.Sum256(s[:])
	}
	return s
}

func (f *fake) engine() *search.Engine {
	tidy := func(dir string) error {
		if err := os.Remove(filepath.Join(dir, "state")); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return &search.Engine{Train: f.train, Tidy: tidy, TrainImages: 1000, ValidationImages: 256, TestImages: 256}
}

func (f *fake) train(ctx context.Context, t *search.Trial, progress func(search.Progress)) (*search.Outcome, error) {
	if f.before != nil {
		if err := f.before(t); err != nil {
			return nil, err
		}
	}
	name := filepath.Join(t.Dir, "state")
	step, state := 0, chain(t, 0)
	if b, err := os.ReadFile(name); err == nil && len(b) == 33 {
		step = int(b[0])
		copy(state[:], b[1:])
		if f.resumed != nil {
			f.resumed(t, step)
		}
	}
	for ; step < f.steps; step++ {
		progress(search.Progress{Done: float64(step) / float64(f.steps), Epoch: step})
		select {
		case <-ctx.Done():
			if !f.stubborn {
				return nil, ctx.Err()
			}
			time.Sleep(f.delay)
		case <-time.After(f.delay):
		}
		state = sha256.Sum256(state[:])
		tmp := name + ".tmp"
		if err := os.WriteFile(tmp, append([]byte{byte(step + 1)}, state[:]...), 0o666); err != nil {
			return nil, err
		}
		if err := os.Rename(tmp, name); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(t.Dir, "model"), state[:], 0o666); err != nil {
		return nil, err
	}
	return wanted(t, f.steps), nil
}

// wanted is the outcome of a trial, whoever trains it.
func wanted(t *search.Trial, steps int) *search.Outcome {
	state := chain(t, steps)
	sum := sha256.Sum256(state[:])
	o := &search.Outcome{Validation: search.Score{Correct: int(state[0]), Total: 256}, Model: "model", SHA256: hex.EncodeToString(sum[:])}
	if t.Test {
		o.Test = &search.Score{Correct: int(state[1]), Total: 256}
	}
	return o
}

// trials makes n different ones with folders in dir.
func trials(t testing.TB, dir string, n int) []*search.Trial {
	var out []*search.Trial
	for i := range n {
		tr := &search.Trial{ID: fmt.Sprintf("d%.1fw1-e2-s%d", 1+float64(i)/10, i), Spec: arch.MustLookup("small_300k"), Seed: uint64(i), SplitSeed: 3, Epochs: 2, TrainImages: 1000, Test: i%2 == 0, Threads: 1}
		tr.Dir = filepath.Join(dir, "trials", tr.ID)
		if err := os.MkdirAll(tr.Dir, 0o777); err != nil {
			t.Fatal(err)
		}
		out = append(out, tr)
	}
	return out
}

// notes collects what a queue says.
type notes struct {
	t    testing.TB
	mu   sync.Mutex
	text []string
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = append(n.text, fmt.Sprintf(format, args...))
	if testing.Verbose() {
		n.t.Logf(format, args...)
	}
}

func (n *notes) has(part string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(strings.Join(n.text, "\n"), part)
}

// open starts a queue for a fake engine, and closes it with the test.
func open(t testing.TB, dir string, f *fake, change func(*Options)) (*Queue, *notes) {
	t.Helper()
	n := &notes{t: t}
	opt := Options{Folder: filepath.Join(dir, FolderName), Engine: f.engine(), Name: "here", Kernel: "go", Slots: 2, Threads: 1, AckWait: 600 * time.Millisecond, Tries: 3, Note: n.note}
	if change != nil {
		change(&opt)
	}
	q, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, n
}

// trainAll trains all at once and holds every outcome and model against what
// it must be.
func trainAll(ctx context.Context, q *Queue, all []*search.Trial, steps int) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	eng := q.Engine()
	for i, t := range all {
		wg.Go(func() {
			out, err := eng.Train(ctx, t, func(search.Progress) {})
			if err == nil {
				err = checkOutcome(t, out, steps)
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", t.ID, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func checkOutcome(t *search.Trial, out *search.Outcome, steps int) error {
	want := wanted(t, steps)
	if out.Validation != want.Validation || out.SHA256 != want.SHA256 || (out.Test == nil) != (want.Test == nil) {
		return fmt.Errorf("outcome is %+v, want %+v", out, want)
	}
	if out.Kernel != "go" {
		return fmt.Errorf("kernel %q and worker %q", out.Kernel, out.Worker)
	}
	state := chain(t, steps)
	if b, err := os.ReadFile(filepath.Join(t.Dir, "model")); err != nil || string(b) != string(state[:]) {
		return fmt.Errorf("the model is not in the trial's folder: %v", err)
	}
	return nil
}
