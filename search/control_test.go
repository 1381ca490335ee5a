package search

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// controlled runs a slow search and calls with what is running, at every
// status, until it has ended.
func controlled(t *testing.T, dir string, step func(running []string)) *Result {
	t.Helper()
	base := testBase()
	f := testFake()
	f.delay = time.Millisecond
	res, err := Run(t.Context(), dir, config(&base), base, f.engine(), Options{Workers: 2, Threads: 1, Tick: time.Millisecond, Status: func(st *Status) {
		var running []string
		for _, tr := range st.Trials {
			if tr.State == Running {
				running = append(running, tr.ID)
			}
		}
		step(running)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestPause: nothing runs while a search is paused, and what it finds is what
// it had found anyway. A new process takes it up again.
func TestPause(t *testing.T) {
	t.Parallel()
	want := canonical(t, runFake(t, t.TempDir(), testFake(), nil))
	dir := t.TempDir()
	var mu sync.Mutex
	looks, paused := 0, false
	res := controlled(t, dir, func(running []string) {
		mu.Lock()
		defer mu.Unlock()
		r, err := Load(dir)
		if err != nil {
			t.Error(err)
			return
		}
		switch {
		case !paused && len(running) == 2:
			paused = true
			if err := Control(dir, Command{Op: OpPause}); err != nil {
				t.Error(err)
			}
		case r.Paused && len(running) == 0:
			if looks++; looks == 5 {
				if err := Control(dir, Command{Op: OpResume}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if looks < 5 {
		t.Errorf("%d looks at the paused search", looks)
	}
	if got := canonical(t, res); got != want {
		t.Error("a pause changes what is found")
	}
	var ops []Op
	for _, c := range res.Controls {
		ops = append(ops, c.Op)
	}
	if !slices.Equal(ops, []Op{OpPause, OpResume}) {
		t.Errorf("the ledger has %v", ops)
	}
	if left, err := os.ReadDir(filepath.Join(dir, ControlFolder)); err != nil || len(left) > 0 {
		t.Errorf("%d commands are left, %v", len(left), err)
	}
}

// TestStopTrial stops a trial that runs and one that waits: both end without an
// outcome, and the rest goes on without them.
func TestStopTrial(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var once sync.Once
	var stopped []string
	res := controlled(t, dir, func(running []string) {
		if len(running) == 0 {
			return
		}
		once.Do(func() {
			stopped = []string{running[len(running)-1], "x2-04-e2-s1"}
			for _, id := range stopped {
				if err := Control(dir, Command{Op: OpStop, Trial: id}); err != nil {
					t.Error(err)
				}
			}
		})
	})
	for _, id := range stopped {
		if tr := res.Trials[id]; tr == nil || tr.Outcome != nil && id != stopped[0] || tr.Outcome == nil && tr.Error != errStopped.Error() {
			t.Errorf("%s: %+v", id, tr)
		}
	}
	if !slices.Contains(res.Cuts[0].Dropped, "x2-04") {
		t.Errorf("rung 0 drops %v", res.Cuts[0].Dropped)
	}
	if _, err := Load(dir); err != nil {
		t.Error(err)
	}
}

// TestStopKilled: a kill between the command's line and the trial's end.
func TestStopKilled(t *testing.T) {
	dir := t.TempDir()
	base := testBase()
	ctx, cancel := context.WithCancel(t.Context())
	f := testFake()
	f.fail = func(tr *Trial) error { cancel(); return ctx.Err() }
	if _, err := Run(ctx, dir, config(&base), base, f.engine(), Options{Workers: 1, Threads: 1}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	l, _, err := openLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.append(&record{Kind: kindControl, Control: &Command{Op: OpStop, Trial: "x2-04-e2-s1", ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	res := runFake(t, dir, testFake(), nil)
	if tr := res.Trials["x2-04-e2-s1"]; tr.Error != errStopped.Error() || tr.Network != "x2-04" {
		t.Errorf("%+v", tr)
	}
}

func TestControlErrors(t *testing.T) {
	dir := t.TempDir()
	if err := Control(dir, Command{Op: OpPause}); err == nil {
		t.Error("a folder without a search is paused")
	}
	base := testBase()
	ctx, cancel := context.WithCancel(t.Context())
	f := testFake()
	f.fail = func(tr *Trial) error {
		if tr.ID == "x2-depth-e2-s1" {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	if _, err := Run(ctx, dir, config(&base), base, f.engine(), Options{Workers: 1, Threads: 1}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, c := range []struct {
		c    Command
		want string
	}{
		{Command{Op: "jump"}, `unknown command "jump"`},
		{Command{Op: OpStop, Trial: "x9-e1-s1"}, `no trial "x9-e1-s1"`},
		{Command{Op: OpStop, Trial: "base-e2-s1"}, "base-e2-s1 has ended"},
		{Command{Op: OpExtend, Seconds: -1}, "cannot be extended by -1"},
		{Command{Op: OpExtend, Seconds: 60}, "no budget"},
	} {
		if err := Control(dir, c.c); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.c, err, c.want)
		}
	}
	// Files that are no commands are named and removed; one that is in the
	// ledger has no second effect.
	folder := filepath.Join(dir, ControlFolder)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"1.json": "{", "2.json": `{"op":"jump","id":"x"}`, "3.json": `{"op":"pause"}`, ".4.json": "{", "5.txt": "{"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	notes := 0
	res, err := Run(t.Context(), dir, config(&base), base, testFake().engine(), Options{Workers: 1, Threads: 1, Note: func(string, ...any) { notes++ }})
	if err != nil || notes != 3 || len(res.Controls) > 0 {
		t.Errorf("%d notes, %d commands, %v", notes, len(res.Controls), err)
	}
	if err := Control(dir, Command{Op: OpPause}); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a finished search is paused: %v", err)
	}
}
