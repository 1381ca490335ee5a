package live

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/search"
	"effnet/search/searchtest"
)

// verdictPage stands for the report.
func verdictPage(a *search.Analysis) ([]byte, error) {
	return []byte("<html><body><main>" + a.Verdict.Text + "</main></body></html>"), nil
}

// TestWatch looks at a search from outside while it runs, after it was
// interrupted, and after its end.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	cfg := searchtest.Config()
	cfg.Exhaustive = true
	w := NewWatcher(dir, verdictPage)
	if v, err := w.View(); err != nil || v.State != Planning {
		t.Errorf("an empty folder: %+v, %v", v, err)
	}
	if html, _, err := w.Page(); html != nil || err != nil {
		t.Errorf("an empty folder has the page %s, %v", html, err)
	}
	eng := &searchtest.Engine{Delay: 5 * time.Millisecond}
	rec := NewRecorder(dir)
	if v, err := w.View(); err != nil || v.State != Planning {
		t.Errorf("before the first event: %+v, %v", v, err)
	}
	rec.Preparing(search.Preparation{Doing: "timing networks", Done: 3, Total: 12})
	if v, err := w.View(); err != nil || v.State != Planning || v.Doing != "timing networks, 3 of 12" || v.Total != 0 {
		t.Errorf("while it is planned: %+v, %v", v, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var seen []View
	opt := search.Options{Workers: 2, Threads: 1, Tick: time.Millisecond, Status: func(st *search.Status) {
		rec.Status(st)
		v, err := w.View()
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, *v)
		if v.Ended >= 4 && len(v.Running) > 0 {
			stop()
		}
	}}
	_, err := search.Run(ctx, dir, cfg, searchtest.Base(), eng.Engine(), opt)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	rec.Close(false)
	checkRunning(t, seen)

	v, err := w.View()
	if last := seen[len(seen)-1]; err != nil || v.State != Stopped || v.Ended < 4 || v.Ended >= v.Total || v.Ended != last.Ended || len(v.Running) != len(last.Running) {
		t.Errorf("interrupted: %+v, %v; last seen %+v", v, err, last)
	}
	html, version, err := w.Page()
	if err != nil || !strings.Contains(string(html), "<main>") || version == 0 {
		t.Errorf("the report of an interrupted search: %s, %d, %v", html, version, err)
	}

	rec = NewRecorder(dir)
	opt.Status = rec.Status
	if _, err := search.Run(t.Context(), dir, cfg, searchtest.Base(), eng.Engine(), opt); err != nil {
		t.Fatal(err)
	}
	rec.Close(true)
	v, err = w.View()
	if err != nil || v.State != Done || v.Ended != v.Total || v.Verdict == "" || len(v.Running) > 0 || v.Left != 0 {
		t.Errorf("at the end: %+v, %v", v, err)
	}
	ended := 0
	for _, p := range v.Parts {
		ended += p.Ended
		if p.Ended != p.Total {
			t.Errorf("at the end %s has %d of %d", p.Name, p.Ended, p.Total)
		}
	}
	if ended != v.Total {
		t.Errorf("the parts have %d trials, want %d", ended, v.Total)
	}
	if _, longer, err := w.Page(); longer <= version || err != nil {
		t.Errorf("the last report has version %d after %d, %v", longer, version, err)
	}
	if err := w.Control(search.Command{Op: search.OpPause}); err == nil {
		t.Error("a search that has ended can be paused")
	}
}

// checkRunning looks at what was seen of running trials.
func checkRunning(t *testing.T, seen []View) {
	t.Helper()
	running, best := 0, 0
	for _, v := range seen {
		if v.State != Running || v.Doing != "" || v.Base != "tiny" || v.Data != "made-up" || v.Total == 0 {
			t.Fatalf("while it runs: %+v", v)
		}
		if v.Best != nil {
			best++
		}
		for _, r := range v.Running {
			running++
			if r.Network == "" || r.Epochs != 4 || r.Depth < 1 || r.Width < 1 || r.Resolution < 28 || r.Phase == "" || !(r.Done >= 0 && r.Done <= 1) {
				t.Fatalf("running: %+v", r)
			}
			for i, p := range r.Curve {
				if p.Epoch > r.Epoch || p.Accuracy <= 0 || i > 0 && p.Epoch <= r.Curve[i-1].Epoch {
					t.Fatalf("curve %+v after %d epochs", r.Curve, r.Epoch)
				}
			}
		}
	}
	if running == 0 || best == 0 {
		t.Errorf("%d looks show %d running trials and %d times a best network", len(seen), running, best)
	}
}

// TestLost: a process that gives no sign of life is not said to search.
func TestLost(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		state State
		age   time.Duration
		want  State
	}{
		{Running, time.Second, Running},
		{Paused, 10 * time.Second, Paused},
		{Running, time.Minute, Lost},
		{Planning, time.Hour, Lost},
		{Stopped, time.Hour, Stopped},
		{Done, time.Second, Stopped},   // its ledger does not say so
		{"dancing", 0, Stopped},        // of another version
		{Running, -time.Hour, Running}, // the clock was set back
	} {
		v := View{Ended: 3, Total: 10}
		v.join(&status{State: c.state, Time: now.Add(-c.age)}, now)
		if v.State != c.want || v.Total != 10 {
			t.Errorf("%s of %v ago: %+v, want %s", c.state, c.age, v, c.want)
		}
	}
}

// TestDamage: a damaged ledger is an error, a damaged status file is not.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	searchtest.Run(t, dir, searchtest.Config(), &searchtest.Engine{})
	w := NewWatcher(dir, verdictPage)
	for _, text := range []string{"", "{", "[]", `{"state":"running","total":-1}`, `{"time":5}`} {
		if err := os.WriteFile(filepath.Join(dir, StatusName), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if v, err := w.View(); err != nil || v.State != Done {
			t.Errorf("status %q: %+v, %v", text, v, err)
		}
	}
	path := filepath.Join(dir, search.LedgerName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, append(data, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := w.View(); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged ledger: %v", err)
	}
}

func record(dir string, st ...*search.Status) *status {
	r := NewRecorder(dir)
	for _, s := range st {
		r.Status(s)
	}
	r.Close(false)
	s, err := readStatus(r.path)
	if err != nil {
		panic(err)
	}
	return s
}

// TestCurves: a point an epoch; a trial that goes on from a checkpoint keeps
// what was before, also in another process.
func TestCurves(t *testing.T) {
	dir := t.TempDir()
	at := func(epoch int, acc float64) *search.Status {
		n := &search.Network{ID: "x2-01", Depth: 1, Width: 2, Resolution: 28}
		return &search.Status{Total: 2, Trials: []search.TrialStatus{
			{ID: "x2-01-e9-s1", Network: n, Epochs: 9, State: search.Running, Progress: search.Progress{Epoch: epoch, Accuracy: acc}},
			{ID: "x2-01-e9-s2", Network: n, Epochs: 9},
		}}
	}
	epochs := func(s *status) (list []int) {
		for _, p := range s.Running[0].Curve {
			list = append(list, p.Epoch)
		}
		return list
	}
	s := record(dir, at(0, 0), at(1, 0.5), at(1, 0.5), at(2, 0.6), at(3, 0.7))
	if s.State != Stopped || len(s.Running) != 1 || !slices.Equal(epochs(s), []int{1, 2, 3}) {
		t.Errorf("%+v", s)
	}
	// It had a checkpoint after two epochs.
	s = record(dir, at(2, 0), at(2, 0), at(3, 0.7), at(4, 0.8))
	if !slices.Equal(epochs(s), []int{1, 2, 3, 4}) || s.Running[0].Curve[3].Accuracy != 0.8 {
		t.Errorf("after a restart: %+v", s.Running)
	}
	if text, err := json.Marshal(s); err != nil || strings.Contains(string(text), "loss\":null") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestSteer pauses a search by way of its page's source, gives up a trial and
// lets the rest go on, and finds all of it in what is shown.
func TestSteer(t *testing.T) {
	dir := t.TempDir()
	w := NewWatcher(dir, verdictPage)
	cfg := searchtest.Config()
	cfg.Exhaustive = true // no trial of one epoch
	eng := (&searchtest.Engine{Delay: 20 * time.Millisecond}).Engine()
	train, goOn := eng.Train, make(chan struct{})
	eng.Train = func(ctx context.Context, trial *search.Trial, progress func(search.Progress)) (*search.Outcome, error) {
		return train(ctx, trial, func(p search.Progress) {
			progress(p)
			select {
			case <-goOn:
			case <-ctx.Done():
			}
		})
	}
	rec := NewRecorder(dir)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	until := func(what string, ok func(*View) bool) View {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			v, err := w.View()
			if err != nil {
				t.Fatal(err)
			}
			if ok(v) {
				return *v
			}
			if time.Now().After(end) {
				t.Fatalf("%s: never; now %+v", what, v)
			}
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := search.Run(ctx, dir, cfg, searchtest.Base(), eng,
			search.Options{Workers: 2, Threads: 1, Tick: time.Millisecond, Status: rec.Status})
		rec.Close(err == nil)
		done <- err
	}()
	until("trials run", func(v *View) bool {
		return v.State == Running && len(v.Running) == 2 && v.Running[0].Epoch > 0 && v.Running[1].Epoch > 0
	})
	if err := w.Control(search.Command{Op: search.OpPause}); err != nil {
		t.Fatal(err)
	}
	v := until("a pause", func(v *View) bool {
		return v.State == Paused && len(v.Running) > 0 && !slices.ContainsFunc(v.Running, func(t Trial) bool { return !t.Resting })
	})
	rests := v.Running[0].ID
	if err := w.Control(search.Command{Op: search.OpStop, Trial: rests}); err != nil {
		t.Fatal(err)
	}
	v = until("a trial given up", func(v *View) bool {
		r, err := w.Result()
		return err == nil && r.Trials[rests].Ended()
	})
	if v.State != Paused {
		t.Errorf("giving up a trial ends the pause: %+v", v)
	}
	if err := w.Control(search.Command{Op: search.OpStop, Trial: rests}); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("giving it up twice: %v", err)
	}
	close(goOn)
	if err := w.Control(search.Command{Op: search.OpResume}); err != nil {
		t.Fatal(err)
	}
	until("going on", func(v *View) bool { return v.State == Running && len(v.Running) > 0 })
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	until("the stop", func(v *View) bool { return v.State == Stopped })
	if r, err := w.Result(); err != nil || r.Trials[rests].Error == "" {
		t.Errorf("%s was given up, the ledger says %+v, %v", rests, r.Trials[rests], err)
	}
}
