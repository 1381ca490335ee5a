package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"effnet/search"
)

// worker is one with a fake engine.
func worker(t testing.TB, url, name string, f *fake) (*Worker, *notes) {
	n := &notes{t: t}
	return f.worker(url, name, filepath.Join(t.TempDir(), name), n.note), n
}

// worker is one that trains with f.
func (f *fake) worker(url, name, folder string, note func(string, ...any)) *Worker {
	return &Worker{
		Server: Server{URL: url}, Name: name, Kernels: []string{"go"}, Slots: 1, Threads: 1, Folder: folder,
		Open: func(context.Context, *Description, string, func(context.Context, string) error) (*search.Engine, error) {
			return f.engine(), nil
		},
		Note: note,
	}
}

// start runs a worker until the returned function is called, or the test ends.
func start(t testing.TB, w *Worker) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := w.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("worker %s: %v", w.Name, err)
		}
	}()
	stop = func() { cancel(); <-over }
	t.Cleanup(stop)
	return stop
}

// remote has the queue use servers elsewhere and no workers of its own.
func remote(c *cluster) func(*Options) {
	return func(o *Options) { o.Server.URL, o.Slots = c.url(), 0 }
}

// apart has workers not see the folder of the queue in dir, as if they were on
// another machine.
func apart(dir string) { os.Remove(filepath.Join(dir, FolderName, hereFile)) }

// TestRemote: the outcomes and models of workers that see no common folder. They
// keep their trials' states until the search has recorded the outcomes.
func TestRemote(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	f := &fake{steps: 3}
	q, n := open(t, dir, f, func(o *Options) { remote(c)(o); o.AckWait = time.Minute }) // nobody is lost on a slow machine
	apart(dir)
	var folders []string
	for i := range 2 {
		w, _ := worker(t, c.url(), fmt.Sprint("w", i), f)
		start(t, w)
		folders = append(folders, w.Folder)
	}
	states := func() (n int) {
		for _, dir := range folders {
			all, _ := filepath.Glob(filepath.Join(dir, "*", "*", "state"))
			n += len(all)
		}
		return n
	}
	if err := trainAll(t.Context(), q, trials(t, dir, 8), 3); err != nil {
		t.Fatal(err)
	}
	if n := states(); n != 8 {
		t.Errorf("the workers hold the states of %d trials, want 8", n)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "trials", "*", "state")); len(all) != 0 {
		t.Errorf("states came along: %q", all)
	}
	if s := q.Stats(); s != (Stats{}) {
		t.Errorf("%+v, want nothing out of the way", s)
	}
	if !n.has("worker w0 joins: kernels go, 1 at a time") {
		t.Errorf("it said %q", n.text)
	}
	for wait := 200 * time.Millisecond; ; wait *= 4 {
		workers, slots := q.Roll(t.Context(), wait)
		if workers == 2 && slots == 2 {
			break
		}
		if wait > 10*time.Second {
			t.Errorf("%d workers with %d slots answer, want 2 with 2", workers, slots)
			break
		}
	}
	l := q.current()
	q.confirm(l, 0)
	for end := time.Now().Add(time.Minute); states() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the workers still hold the states of %d trials", states())
		}
	}
}

// TestSharedFolder: workers that see the run folder hand files in there.
func TestSharedFolder(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	f := &fake{steps: 2}
	q, _ := open(t, dir, f, remote(c))
	w, _ := worker(t, c.url(), "w", f)
	start(t, w)
	if err := trainAll(t.Context(), q, trials(t, dir, 3), 2); err != nil {
		t.Fatal(err)
	}
	l := q.current()
	if s, err := l.objects.Status(t.Context()); err != nil || s.Size() != 0 {
		t.Errorf("the object store was used: %v %v", s, err)
	}
}

func TestUnfitWorkers(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	f := &fake{steps: 1}
	for _, tt := range []struct {
		name   string
		mixed  bool
		change func(*Worker)
		want   string // of what the coordinator says; "": it works
	}{
		{"kernels", false, func(w *Worker) { w.Kernels = []string{"neon"} }, "worker w cannot help: it trains with kernels go, this machine has neon"},
		{"mixed", true, func(w *Worker) { w.Kernels = []string{"neon"} }, ""},
		{"second kernel", false, func(w *Worker) { w.Kernels = []string{"avx2", "go"} }, ""},
		{"data", false, func(w *Worker) {
			w.Open = func(_ context.Context, _ *Description, _ string, fetch func(context.Context, string) error) (*search.Engine, error) {
				return nil, fetch(t.Context(), t.TempDir())
			}
		}, "worker w cannot help: the search was not started with --share-data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			q, n := open(t, dir, f, func(o *Options) { remote(c)(o); o.Mixed = tt.mixed })
			w, _ := worker(t, c.url(), "w", f)
			tt.change(w)
			start(t, w)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if tt.want != "" {
				for !n.has(tt.want) {
					if sleep(ctx, 10*time.Millisecond) != nil {
						t.Fatalf("it said %q", n.text)
					}
				}
				return
			}
			out, err := q.Engine().Train(ctx, trials(t, dir, 1)[0], func(search.Progress) {})
			if err != nil || out.Worker != "w" || (out.Kernel == "neon") != tt.mixed {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}

// TestDrain: a worker that is told to end gives its trial back with its state,
// and another goes on from there.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	q, _ := open(t, dir, &fake{}, func(o *Options) { remote(c)(o); o.AckWait = time.Minute })
	apart(dir)
	began, at := make(chan struct{}, 9), 0
	first := &fake{steps: 40, delay: 20 * time.Millisecond, before: func(*search.Trial) error { began <- struct{}{}; return nil }}
	second := &fake{steps: 40, resumed: func(_ *search.Trial, step int) { at = step }}
	w, _ := worker(t, c.url(), "first", first)
	stop := start(t, w)
	go func() {
		<-began
		time.Sleep(200 * time.Millisecond)
		stop()
		w, _ := worker(t, c.url(), "second", second)
		start(t, w)
	}()
	if err := trainAll(t.Context(), q, trials(t, dir, 1), 40); err != nil {
		t.Fatal(err)
	}
	if at < 3 {
		t.Errorf("the second worker began at step %d", at)
	}
	if s := q.Stats(); s != (Stats{Returned: 1}) {
		t.Errorf("%+v, want one trial given back", s)
	}
}

// TestWorkerErrors: a trial that fails on one worker is done by another, and
// one that fails on all is given up with its reason.
func TestWorkerErrors(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	q, _ := open(t, dir, &fake{}, func(o *Options) { remote(c)(o); o.AckWait = 200 * time.Millisecond })
	bad := func(t *search.Trial) error {
		if t.Seed == 0 {
			return errors.New("no room on the disk")
		}
		return nil
	}
	for i := range 3 {
		w, _ := worker(t, c.url(), fmt.Sprint("w", i), &fake{steps: 1, before: bad})
		start(t, w)
	}
	all := trials(t, dir, 3)
	_, err := q.Engine().Train(t.Context(), all[0], func(search.Progress) {})
	if !errors.Is(err, search.ErrAbandoned) || !strings.Contains(err.Error(), "it took down 3 workers") || !strings.Contains(err.Error(), "no room on the disk") {
		t.Errorf("error %v", err)
	}
	if err := trainAll(t.Context(), q, all[1:], 1); err != nil {
		t.Error(err)
	}
}

func TestShareData(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir, data := t.TempDir(), t.TempDir()
	content := strings.Repeat("images ", 500_000) // several chunks, and above a message's limit
	if err := os.WriteFile(filepath.Join(data, "a"), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	f := &fake{steps: 1}
	q, _ := open(t, dir, f, func(o *Options) {
		remote(c)(o)
		o.Share = PackFiles(data, []string{"a"})
	})
	w, _ := worker(t, c.url(), "w", f)
	got := t.TempDir()
	w.Open = func(ctx context.Context, _ *Description, _ string, fetch func(context.Context, string) error) (*search.Engine, error) {
		return f.engine(), fetch(ctx, got)
	}
	start(t, w)
	if err := trainAll(t.Context(), q, trials(t, dir, 1), 1); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(got, "a")); err != nil || string(b) != content {
		t.Errorf("%d bytes arrived, want %d: %v", len(b), len(content), err)
	}
}

// TestOnce: a worker ends after one trial.
func TestOnce(t *testing.T) {
	t.Parallel()
	c := startServers(t, 1)
	dir := t.TempDir()
	f := &fake{steps: 1}
	q, _ := open(t, dir, f, remote(c))
	all := trials(t, dir, 2)
	done := make(chan error, 2)
	for _, tr := range all {
		go func() {
			_, err := q.Engine().Train(t.Context(), tr, func(search.Progress) {})
			done <- err
		}()
	}
	for range all {
		w, _ := worker(t, c.url(), "w", f)
		w.Once = true
		if err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
