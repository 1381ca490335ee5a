package search

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// clock is a time that passes only while something is trained.
type clock struct{ now time.Time }

// budgeted is a search of the fake engine in made-up time: speed tells by how
// much trials take longer than was measured, from the share of the budget that
// has passed.
type budgeted struct {
	clock
	f      *fake
	cfg    Config
	began  time.Time
	cancel func(trials int) bool // whether to be killed, so many trials on
}

const testBudget = 3600

func newBudgeted(speed func(passed float64) float64) *budgeted {
	base := testBase()
	b := &budgeted{f: testFake(), cfg: config(&base)}
	b.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.began = b.now
	b.cfg.BudgetSeconds, b.cfg.ValidateFactors = testBudget, []float64{2, 4, 8}
	b.cfg.Networks, b.cfg.Epochs, b.cfg.TrainImages = 0, 0, 0
	b.cfg.NoiseSeeds, b.cfg.Finalists, b.cfg.FreshSeeds, b.cfg.FinalSeeds = 0, 0, 0, 0
	b.f.steps = 10
	b.f.step = func(t *Trial) {
		c, err := t.Spec.CostAt(t.Spec.Resolution)
		if err != nil {
			panic(err)
		}
		images := float64(t.Epochs) * (3e-10*float64(t.TrainImages) + 1e-10*float64(b.f.images))
		if t.Test {
			images += 1e-10 * float64(b.f.images)
		}
		s := images * float64(c.MACs) / float64(b.f.steps) * speed(b.now.Sub(b.began).Seconds()/testBudget)
		b.now = b.now.Add(time.Duration(s * float64(time.Second)))
	}
	return b
}

// run searches in dir; once killed, ErrCanceled.
func (b *budgeted) run(t *testing.T, dir string) (*Result, error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := 0
	b.f.fail = func(*Trial) error {
		if begun++; b.cancel != nil && b.cancel(begun) {
			cancel()
		}
		return nil
	}
	return Run(ctx, dir, b.cfg, testBase(), b.f.engine(), Options{Workers: 1, Threads: 1, Tick: time.Hour, now: func() time.Time { return b.now }})
}

var drifts = []struct {
	name    string
	factors int // compared at, at least
	speed   func(passed float64) float64
}{
	{"as measured", 2, func(float64) float64 { return 1 }},
	{"twice as slow", 1, func(float64) float64 { return 2 }},
	{"twice as fast", 3, func(float64) float64 { return 0.5 }},
	{"slow from the middle", 2, func(p float64) float64 {
		if p > 0.5 {
			return 2
		}
		return 1
	}},
	{"fast from the middle", 2, func(p float64) float64 {
		if p > 0.5 {
			return 0.5
		}
		return 1
	}},
	{"slow near the end", 2, func(p float64) float64 {
		if p > 0.8 {
			return 2
		}
		return 1
	}},
	{"to and fro", 2, func(p float64) float64 { return math.Exp2(math.Sin(20 * p)) }},
	{"ever slower", 2, func(p float64) float64 { return 1 + p }},
}

// TestBudgetKept: whatever the speed does, up to a factor of two, a search
// takes its budget within a tenth, and compares at two factors at least where
// it has the time that was measured.
func TestBudgetKept(t *testing.T) {
	for _, d := range drifts {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := newBudgeted(d.speed)
			r, err := b.run(t, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			took := b.now.Sub(b.began).Seconds()
			var seeds []int
			for _, f := range r.Plan.Finals {
				seeds = append(seeds, len(f.Seeds))
			}
			t.Logf("%.0f s; %d networks, %d epochs, %d fresh seeds, final seeds %v, %d replans", took, len(r.Plan.Networks), r.Plan.Epochs, len(r.Plan.FreshSeeds), seeds, len(r.Replans))
			for _, n := range seeds[:d.factors] {
				if n < pairSeeds {
					t.Errorf("final seeds %v", seeds)
				}
			}
			if took > 1.1*testBudget || took < 0.9*testBudget {
				t.Errorf("took %.0f s of %d", took, testBudget)
			}
			if math.Abs(r.Worked-took) > 1 {
				t.Errorf("the ledger says %.1f s", r.Worked)
			}
		})
	}
}

// TestBudgetKilled: killed now and then, a search with a budget still keeps
// it, and what was decided before stays.
func TestBudgetKilled(t *testing.T) {
	t.Parallel()
	for _, every := range []int{3, 7, 20} {
		b := newBudgeted(drifts[6].speed)
		dir := t.TempDir()
		b.cancel = func(n int) bool { return n == every }
		var before []byte
		var r *Result
		var err error
		for {
			r, err = b.run(t, dir)
			data, rerr := os.ReadFile(filepath.Join(dir, LedgerName))
			if rerr != nil {
				t.Fatal(rerr)
			}
			if !bytes.HasPrefix(data, before) {
				t.Fatal("the ledger was rewritten")
			}
			before = data
			if !errors.Is(err, context.Canceled) {
				break
			}
			b.now = b.now.Add(time.Hour) // that nobody worked
			b.began = b.began.Add(time.Hour)
		}
		if err != nil {
			t.Fatal(err)
		}
		// The step that a kill cut short is done again.
		if took := b.now.Sub(b.began).Seconds(); took > 1.1*testBudget || took < 0.9*testBudget {
			t.Errorf("killed every %d trials: took %.0f s of %d", every, took, testBudget)
		}
		for _, f := range r.Plan.Finals {
			for _, n := range f.Networks {
				if got := len(r.TrialsOf(n.ID, PhaseFinal)); got != len(f.Seeds) {
					t.Errorf("%s has %d trials, planned are %d", n.ID, got, len(f.Seeds))
				}
			}
		}
	}
}

// TestBudgetExtended: more time makes for more seeds.
func TestBudgetExtended(t *testing.T) {
	count := func(extend float64) (seeds int, took float64) {
		b := newBudgeted(drifts[0].speed)
		dir := t.TempDir()
		b.cancel = func(n int) bool { return n == 30 }
		if _, err := b.run(t, dir); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if extend > 0 {
			if err := Control(dir, Command{Op: OpExtend, Seconds: extend}); err != nil {
				t.Fatal(err)
			}
		}
		b.cancel = nil
		r, err := b.run(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Plan.Finals {
			seeds += len(f.Seeds)
		}
		return seeds, b.now.Sub(b.began).Seconds()
	}
	few, _ := count(0)
	more, took := count(testBudget)
	if more <= few {
		t.Errorf("%d seeds in twice the time, %d before", more, few)
	}
	if took > 2.2*testBudget || took < 1.8*testBudget {
		t.Errorf("took %.0f s of %d", took, 2*testBudget)
	}
}

// TestBlocks: the first seeds of every factor come first.
func TestBlocks(t *testing.T) {
	p := &Plan{Finals: []Final{{Seeds: seedsFrom(1, 3)}, {Seeds: seedsFrom(1, 2)}, {Seeds: seedsFrom(1, 4)}, {}}}
	want := []block{{0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 1}, {2, 2}, {0, 3}, {2, 3}, {2, 4}}
	if got := p.blocks(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
