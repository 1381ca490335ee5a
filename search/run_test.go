package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// canonical is a result without what depends on time, load and attempts.
func canonical(t *testing.T, r *Result) string {
	t.Helper()
	s := r.Analyse().Summary()
	s.Timing = Timing{}
	for i := range s.Trials {
		s.Trials[i].Attempts, s.Trials[i].Seconds = 0, 0
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// models is the content of every trial's model file.
func models(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, err := filepath.Glob(filepath.Join(dir, TrialsFolder, "*", "model"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(filepath.Dir(name))] = string(b)
	}
	return out
}

func testFake() *fake {
	return &fake{surface: balanced(0.05), noise: 0.003, gap: 0.1, images: 400, steps: 3, hits: true}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	res := runFake(t, dir, testFake(), nil)
	if !res.Done || res.Choice == nil {
		t.Fatalf("done %v, choice %v", res.Done, res.Choice)
	}
	a := res.Analyse()
	if len(a.Of(StageExplore)) != 10 || len(a.Of(StageFinal)) < 4 {
		t.Errorf("%d explored and %d validated networks", len(a.Of(StageExplore)), len(a.Of(StageFinal)))
	}
	for i := range a.Nets {
		n := &a.Nets[i]
		if n.Stage == StageFinal && len(n.Tests) != 2 {
			t.Errorf("%s has %d tests, want 2", n.ID, len(n.Tests))
		}
		// The test images are for the validation alone, which the base is in.
		if want := n.Stage != StageExplore; (len(n.Tests) > 0) != want {
			t.Errorf("%s (%s): test scores %v", n.ID, n.Stage, n.Tests)
		}
	}
	// What the file says is what Run returned.
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(canonical(t, res), canonical(t, loaded)); diff != "" {
		t.Errorf("loaded result differs (-run +loaded):\n%s", diff)
	}
	// A finished search is not run again.
	f := testFake()
	f.fail = func(*Trial) error { return errors.New("trained again") }
	if again := runFake(t, dir, f, nil); canonical(t, again) != canonical(t, res) {
		t.Error("running a finished search again changes it")
	}
}

// TestWorkers: the result does not depend on how many trials run at a time.
func TestWorkers(t *testing.T) {
	base := testBase()
	var first string
	for _, workers := range []int{1, 2, 5} {
		res, err := Run(t.Context(), t.TempDir(), config(&base), base, testFake().engine(), Options{Workers: workers, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := canonical(t, res); first == "" {
			first = got
		} else if got != first {
			t.Errorf("%d workers give another result:\n%s", workers, cmp.Diff(first, got))
		}
	}
}

// TestKilledAnywhere resumes from every state that a kill can leave the ledger
// in, whole lines and torn ones, with one to four workers: the end is the same,
// bit for bit, and no finished trial is done again.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	want := runFake(t, whole, testFake(), nil)
	wantModels := models(t, whole)
	data, err := os.ReadFile(filepath.Join(whole, LedgerName))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines = lines[:len(lines)-1]
	for n := range lines {
		dir := t.TempDir()
		prefix := bytes.Join(lines[:n], nil)
		torn := lines[n][:len(lines[n])*(n%3)/3]
		if err := os.WriteFile(filepath.Join(dir, LedgerName), append(prefix, torn...), 0o666); err != nil {
			t.Fatal(err)
		}
		finished := map[string]bool{}
		if n > 0 {
			before, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			for id, tr := range before.Trials {
				finished[id] = tr.Ended()
			}
		}
		f := testFake()
		var mu sync.Mutex
		done := map[string]int{}
		f.fail = func(tr *Trial) error {
			mu.Lock()
			defer mu.Unlock()
			done[tr.ID]++
			return nil
		}
		base := testBase()
		got, err := Run(t.Context(), dir, config(&base), base, f.engine(), Options{Workers: 1 + n%4, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if canonical(t, got) != canonical(t, want) {
			t.Fatalf("killed after line %d: another result (-whole +killed):\n%s", n, cmp.Diff(canonical(t, want), canonical(t, got)))
		}
		for id, k := range done {
			if k != 1 || finished[id] {
				t.Errorf("killed after line %d: trial %s was done %d times, finished before: %v", n, id, k, finished[id])
			}
		}
		for id, m := range models(t, dir) {
			if m != wantModels[id] {
				t.Errorf("killed after line %d: model of %s differs", n, id)
			}
		}
	}
}

// TestInterrupted cancels again and again while trials are under way; they go
// on from what they saved.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	want := runFake(t, whole, testFake(), nil)
	dir := t.TempDir()
	base := testBase()
	f := testFake()
	f.delay = 2 * time.Millisecond
	interrupts := 0
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		res, err := Run(ctx, dir, config(&base), base, f.engine(), Options{Workers: 2, Threads: 1, Tick: time.Millisecond, Status: func(s *Status) {
			if s.Done > s.Total || s.Left < 0 {
				t.Errorf("status: %d of %d, %v left", s.Done, s.Total, s.Left)
			}
		}})
		cancel()
		if err == nil {
			if got := canonical(t, res); got != canonical(t, want) {
				t.Errorf("another result (-whole +interrupted):\n%s", cmp.Diff(canonical(t, want), got))
			}
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if interrupts++; interrupts > 1000 {
			t.Fatal("it never ends")
		}
	}
	if interrupts < 3 {
		t.Errorf("%d interruptions, too few to tell", interrupts)
	}
	if diff := cmp.Diff(models(t, whole), models(t, dir)); diff != "" {
		t.Errorf("models differ (-whole +interrupted):\n%s", diff)
	}
}

// change sets a field of a configuration to another value that makes sense.
func change(v reflect.Value) {
	switch to := v.Addr().Interface().(type) {
	case *Measure:
		*to = MeasureParams
	case *[]Limit:
		*to = []Limit{{MeasureParams, 3}}
	case *[]float64:
		*to = append(*to, 8)
	case *string:
		if *to += "x"; *to == "x" {
			*to = "star"
		}
	case *float64:
		*to += 0.25
	case *int:
		*to += 2
	case *int64:
		*to += 2
	case *uint64:
		*to++
	case *bool:
		*to = !*to
	}
}

// TestChangedConfig: every field of a resumed search is held against the
// ledger's, and named.
func TestChangedConfig(t *testing.T) {
	dir := t.TempDir()
	runFake(t, dir, testFake(), nil)
	base := testBase()
	cfg := config(&base)
	typ := reflect.TypeOf(cfg)
	for i := range typ.NumField() {
		changed := cfg
		change(reflect.ValueOf(&changed).Elem().Field(i))
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		_, err := Run(t.Context(), dir, changed, base, testFake().engine(), Options{Workers: 1, Threads: 1})
		if err == nil || !strings.Contains(err.Error(), "has another "+name) && !strings.Contains(err.Error(), "has "+name+" ") {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// TestDiverged: a trial that fails for good is recorded, not repeated, and the
// rest is compared without it.
func TestDiverged(t *testing.T) {
	dir := t.TempDir()
	f := testFake()
	f.fail = func(tr *Trial) error {
		if tr.ID == "x2-04-e2-s1" || strings.HasPrefix(tr.ID, "x2-06-e6-s10") || tr.ID == "v4-width-e6-s202" {
			return fmt.Errorf("step 7: %w", ErrDiverged)
		}
		return nil
	}
	a := runFake(t, dir, f, nil).Analyse()
	if !a.Done {
		t.Fatal("not done")
	}
	if n := a.Net("x2-04"); n.Failed != 1 || !slices.Contains(a.Cuts[0].Dropped, "x2-04") {
		t.Errorf("x2-04: %d failed; dropped are %v", n.Failed, a.Cuts[0].Dropped)
	}
	// A finalist without one rerun, a rule without one seed.
	if n := a.Net("x2-06"); n.Failed != 2 || a.Choice.Winner == "x2-06" {
		t.Errorf("x2-06: %d failed; winner %s; finalists %v", n.Failed, a.Choice.Winner, a.Cuts[len(a.Cuts)-1].Promoted)
	}
	if n := a.Net("v4-width"); n.Failed != 1 || len(n.Tests) != 1 {
		t.Errorf("v4-width: %d failed, %d tests, want 1 and 1", n.Failed, len(n.Tests))
	}
	if _, err := json.Marshal(a.Summary()); err != nil {
		t.Error(err)
	}
}

// TestEngineError: any other error stops the search and names the trial; the
// next run takes it up again.
func TestEngineError(t *testing.T) {
	dir := t.TempDir()
	base := testBase()
	f := testFake()
	f.fail = func(tr *Trial) error {
		if tr.ID == "x2-width-e2-s1" {
			return errors.New("disk is full")
		}
		return nil
	}
	_, err := Run(t.Context(), dir, config(&base), base, f.engine(), Options{Workers: 2, Threads: 1})
	if err == nil || !strings.Contains(err.Error(), "x2-width-e2-s1: disk is full") {
		t.Fatalf("error %v", err)
	}
	res := runFake(t, dir, testFake(), nil)
	if got := res.Trials["x2-width-e2-s1"].Attempts; got != 2 {
		t.Errorf("x2-width-e2-s1 took %d attempts, want 2", got)
	}
	if got := canonical(t, res); got != canonical(t, runFake(t, t.TempDir(), testFake(), nil)) {
		t.Error("the result is not that of an undisturbed search")
	}
}

func TestWrongOutcome(t *testing.T) {
	hits := []byte{3}
	for _, c := range []struct {
		test bool
		o    Outcome
		want string
	}{
		{false, Outcome{Validation: Score{5, 4}}, "validation"},
		{false, Outcome{}, "validation"},
		{true, Outcome{Validation: Score{1, 2}}, "scored on the test images: false"},
		{false, Outcome{Validation: Score{1, 2}, Test: &Score{1, 2}}, "scored on the test images: true"},
		{true, Outcome{Validation: Score{1, 2}, Test: &Score{1, 2}, TestHits: hits}, "hits"},
		{true, Outcome{Validation: Score{1, 2}, Test: &Score{2, 9}, TestHits: hits}, "hits"},
		{false, Outcome{Validation: Score{1, 4}}, "4 validation images, want 2"},
		{true, Outcome{Validation: Score{1, 2}, Test: &Score{1, 2}}, "2 test images, want 3"},
	} {
		err := c.o.check(&Trial{ID: "a", Test: c.test}, &Plan{Validation: 2, Test: 3})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.o, err, c.want)
		}
	}
	ok := Outcome{Validation: Score{1, 2}, Test: &Score{2, 3}, TestHits: hits}
	if err := ok.check(&Trial{ID: "a", Test: true}, &Plan{Validation: 2, Test: 3}); err != nil {
		t.Error(err)
	}
}

func TestNoValidation(t *testing.T) {
	a := runFake(t, t.TempDir(), testFake(), func(c *Config) { c.ValidateFactors = nil }).Analyse()
	if a.Verdict.Kind != NotValidated || a.Choice.Winner == "" || a.Choice.Compounds != nil {
		t.Errorf("verdict %q, choice %+v", a.Verdict.Text, a.Choice)
	}
	for id, tr := range a.Trials {
		if tr.Outcome.Test != nil {
			t.Errorf("%s looked at the test images", id)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	base := testBase()
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Factor = 1 }, "factor"},
		{func(c *Config) { c.Tolerance = 0 }, "tolerance"},
		{func(c *Config) { c.ValidateFactors = []float64{0.5} }, "validate"},
		{func(c *Config) { c.Networks = 2 }, "networks"},
		{func(c *Config) { c.Seeds = -1 }, "seeds"},
		{func(c *Config) { c.Epochs = -1 }, "epochs"},
		{func(c *Config) { c.TrainImages = -1 }, "training images"},
		{func(c *Config) { c.BudgetSeconds = -1 }, "budget"},
	} {
		cfg := config(&base)
		c.change(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	cfg := config(&base)
	if err := cfg.Check(); err != nil {
		t.Error(err)
	}
}
