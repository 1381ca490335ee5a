package dataset

import (
	"context"
	"errors"
	"time"
)

// Stage is a part of preparing an image.
type Stage int

const (
	Decoding    Stage = iota // reading the file and decoding it
	Augmenting               // channels, random crop, mirror, policy, erasing
	Resizing                 // and the centre crop
	Normalising              // to float32
	Stages
)

func (s Stage) String() string {
	return [Stages]string{"decode", "augment", "resize", "normalise"}[s]
}

// stopwatch tells how long each stage takes; nil measures nothing.
type stopwatch struct {
	last  time.Time
	spent [Stages]time.Duration
}

func (w *stopwatch) start() {
	if w != nil {
		w.last = time.Now()
	}
}

// lap ends a stage, at which the next begins.
func (w *stopwatch) lap(s Stage) {
	if w != nil {
		now := time.Now()
		w.spent[s] += now.Sub(w.last)
		w.last = now
	}
}

// Speed is what preparing images takes.
type Speed struct {
	Images int
	Spent  [Stages]time.Duration // in one goroutine, by stage
}

// PerSecond is images a second in one goroutine.
func (s *Speed) PerSecond() float64 {
	var all time.Duration
	for _, d := range s.Spent {
		all += d
	}
	return float64(s.Images) / all.Seconds()
}

// Measure prepares images in one goroutine, in the order of an epoch and as an
// epoch does, for some time, and at least one image.
func (p *Pipeline) Measure(ctx context.Context, least time.Duration) (*Speed, error) {
	if err := p.setup(); err != nil {
		return nil, err
	}
	if p.Set.Len() == 0 {
		return nil, errors.New("dataset: the set is empty")
	}
	w := &stopwatch{}
	b := &buffers{watch: w}
	x, labels := make([]float32, p.size()), make([]int32, 1)
	s := &Speed{}
	began := time.Now()
	for epoch := 0; ; epoch++ {
		for _, i := range Order(p.Set.Len(), p.Seed, epoch) {
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			if err := p.fillWith(b, x, labels, []int{i}, epoch); err != nil {
				return nil, err
			}
			if s.Images++; time.Since(began) >= least {
				s.Spent = w.spent
				return s, nil
			}
		}
	}
}
