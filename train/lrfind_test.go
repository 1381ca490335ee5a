package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

// lrEngine has a loss that follows from the learning rates so far: it falls by
// what each step gains, and beyond most it grows.
type lrEngine struct {
	fakeEngine
	at, most float64
	steps    int
	onLR     func(i int) error
}

func (e *lrEngine) Step(ctx context.Context, x []float32, y Targets, lr float64) (StepStats, error) {
	if e.onLR != nil {
		if err := e.onLR(e.steps); err != nil {
			return StepStats{}, err
		}
	}
	e.steps++
	loss := e.at
	if lr < e.most {
		e.at *= 1 - 0.5*lr/e.most
	} else {
		e.at *= 1.5
	}
	return StepStats{Loss: loss}, nil
}

func TestFindLR(t *testing.T) {
	job := fakeJob(t, "")
	r := DefaultLRRange()
	var told int
	res, err := findLR(t.Context(), job, r, &lrEngine{at: 2, most: 0.1}, func(LRPoint) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	// The learning rates are exponential.
	if res.Points[0].LR != r.From {
		t.Errorf("the first learning rate is %v, want %v", res.Points[0].LR, r.From)
	}
	want := math.Pow(r.To/r.From, 1/float64(r.Steps-1))
	for i := 1; i < len(res.Points); i++ {
		if got := res.Points[i].LR / res.Points[i-1].LR; math.Abs(got-want) > 1e-9 {
			t.Fatalf("step %d: factor %v, want %v", i, got, want)
		}
	}
	// It ends soon after the loss has begun to grow, which is at 0.1.
	last := res.Points[len(res.Points)-1]
	if told != len(res.Points) || last.LR < 0.1 || last.LR > 1 || !strings.Contains(res.Stopped, "more than 4 times its lowest") {
		t.Errorf("%d of %d points told, the last at %v; stopped: %q", told, len(res.Points), last.LR, res.Stopped)
	}
	if !(res.Steepest > 1e-4 && res.Steepest < res.Lowest) || res.Lowest < 0.05 || res.Lowest > 0.5 || res.Tenth != res.Lowest/10 {
		t.Errorf("lowest at %v, a tenth %v, steepest at %v", res.Lowest, res.Tenth, res.Steepest)
	}

	// The smoothed loss of equal losses is these, from the first on.
	res, err = findLR(t.Context(), job, r, &lrEngine{at: 3, most: math.Inf(1)}, nil)
	if err != nil || len(res.Points) != r.Steps || res.Stopped != "" {
		t.Fatalf("%d points, %v, stopped: %q", len(res.Points), err, res.Stopped)
	}
	for i, p := range res.Points {
		if math.Abs(p.Smoothed-3) > 1e-9 {
			t.Fatalf("point %d: smoothed %v, want 3", i, p.Smoothed)
		}
	}
	if res.Steepest > 0 && math.Abs(slope(res.Points[:lrWindow])) > 1e-6 {
		t.Errorf("a level loss is steepest at %v", res.Steepest)
	}
	if got := res.Points[r.Steps-1].LR; math.Abs(got-r.To) > 1e-9 {
		t.Errorf("the last learning rate is %v, want %v", got, r.To)
	}
}

func TestFindLREnds(t *testing.T) {
	job := fakeJob(t, "")
	r := DefaultLRRange()
	e := &lrEngine{at: 2, most: 0.1, onLR: func(i int) error {
		if i == 30 {
			return &NonFiniteError{Loss: math.NaN()}
		}
		return nil
	}}
	res, err := findLR(t.Context(), job, r, e, nil)
	if err != nil || len(res.Points) != 30 || !strings.HasPrefix(res.Stopped, "the loss is NaN at learning rate ") {
		t.Errorf("%d points, %v, stopped: %q", len(res.Points), err, res.Stopped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	e = &lrEngine{at: 2, most: 0.1, onLR: func(i int) error { cancel(); return ctx.Err() }}
	if _, err := findLR(ctx, job, r, e, nil); !errors.Is(err, ErrInterrupted) {
		t.Errorf("cancelled: %v", err)
	}
	for _, c := range []struct {
		change func(*LRRange)
		want   string
	}{
		{func(r *LRRange) { r.From = 0 }, "would go from 0 to 10"},
		{func(r *LRRange) { r.To = r.From }, "would go from 1e-06 to 1e-06"},
		{func(r *LRRange) { r.To = math.NaN() }, "to NaN"},
		{func(r *LRRange) { r.Steps = 10 }, "10 steps, want 11"},
		{func(r *LRRange) { r.Smoothing = 1 }, "smoothing is 1"},
		{func(r *LRRange) { r.Diverged = 1 }, "1 times the lowest"},
	} {
		r := DefaultLRRange()
		c.change(&r)
		if _, err := FindLR(t.Context(), job, r, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}
