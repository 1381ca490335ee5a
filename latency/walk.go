package latency

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"effnet/arch"
)

// walk is the second part of a search: the networks of the line that have been
// measured, smallest first.
type walk struct {
	*run
	model  *Model
	points []point
}

type point struct {
	Measured
	predicted float64 // seconds
	confirmed bool    // measured twice
}

// Networks whose latencies differ by less than this, as a part, are taken for
// equally large: a measurement tells no more.
const resolution = 0.01

// walk measures networks where the model says the budget lies, and corrects
// that by what they take, until the largest that holds it is known or the
// measurements are used up. The answer is measured twice, together with the
// network above it.
func (r *run) walk(ctx context.Context, model *Model) (Found, error) {
	w := &walk{run: r, model: model}
	for n := 0; ; {
		lo, hi := w.bracket()
		most := maxWalk
		if w.open(lo, hi) {
			most += maxMore
		}
		if n >= most {
			break
		}
		next, err := w.propose(lo, hi)
		if err != nil {
			return Found{}, err
		}
		if lo >= 0 && (next == nil || n >= most-2) {
			if w.points[lo].confirmed {
				break
			}
			if err := w.confirm(ctx, lo, hi); err != nil {
				return Found{}, err
			}
			n += 2
			continue
		}
		n++
		if err := w.add(ctx, next); err != nil {
			return Found{}, err
		}
	}
	return w.answer()
}

// bracket is the largest network measured that holds the budget and the one
// above it, which does not; -1 where there is none.
func (w *walk) bracket() (lo, hi int) {
	lo = -1
	for i := range w.points {
		if w.points[i].Median <= w.Max {
			lo = i
		}
	}
	if hi = lo + 1; hi == len(w.points) {
		hi = -1
	}
	return lo, hi
}

// open reports that the answer may be much larger than lo.
func (w *walk) open(lo, hi int) bool {
	return lo < 0 || hi >= 0 && w.points[hi].predicted > 1.2*w.points[lo].predicted && w.Max > w.points[lo].Median*6/5
}

// propose is the network to measure next, nil when the answer is known.
func (w *walk) propose(lo, hi int) (*arch.Fitted, error) {
	budget := w.Max.Seconds()
	var limit float64 // of the model's prediction
	switch {
	case lo < 0 && hi < 0:
		limit = budget
	case lo < 0:
		// The more have failed, the further down.
		p := &w.points[hi]
		limit = p.predicted * budget / p.Median.Seconds() * (1 - resolution*float64(int(1)<<min(len(w.points), 6)))
	case budget/w.points[lo].Median.Seconds() < 1+resolution:
		return nil, nil
	case hi < 0:
		p := &w.points[lo]
		limit = p.predicted * min(budget/p.Median.Seconds(), 4)
	default:
		a, b := &w.points[lo], &w.points[hi]
		if b.predicted < a.predicted*(1+resolution) {
			return nil, nil
		}
		part := math.Log(budget/a.Median.Seconds()) / math.Log(b.Median.Seconds()/a.Median.Seconds())
		if len(w.points) > 3 { // there may be a step in between, which interpolation creeps up to
			part = 0.5
		}
		limit = a.predicted * math.Pow(b.predicted/a.predicted, min(max(part, 0.1), 0.9))
	}
	next := func(allowed func(x *Features) bool) (*arch.Fitted, error) {
		f, err := w.largest(allowed)
		if err != nil || lo >= 0 && w.known(f) {
			return nil, err
		}
		return f, nil
	}
	f, err := next(func(x *Features) bool { return w.model.fit.predict(x) <= limit })
	if f != nil || err != nil {
		return f, err
	}
	// Latency grows by a step above lo. Whatever comes next:
	if hi < 0 {
		for step := 1.2; step < 4; step *= 1.2 {
			f, err := next(func(x *Features) bool { return w.model.fit.predict(x) <= step*limit })
			if f != nil || err != nil {
				return f, err
			}
		}
		return nil, nil
	}
	a, b := w.points[lo].Features.macs(), w.points[hi].Features.macs()
	for part := 0.5; part < 0.999; part = (1 + part) / 2 {
		f, err := next(func(x *Features) bool { return x.macs() <= a*math.Pow(b/a, part) })
		if f != nil || err != nil {
			return f, err
		}
	}
	return next(func(x *Features) bool { return x.macs() < b })
}

// largest is the largest network that is allowed.
func (w *walk) largest(allowed func(x *Features) bool) (*arch.Fitted, error) {
	f, smallest, err := w.fit(allowed)
	if err != nil {
		return nil, err
	}
	if p := w.find(&f); smallest && p != nil && p.Median > w.Max {
		return nil, &TooSlowError{p.Measured, w.Shares, w.Max}
	}
	return &f, nil
}

// find is the point of f, nil where it was not measured.
func (w *walk) find(f *arch.Fitted) *point {
	i := slices.IndexFunc(w.points, func(p point) bool { return p.Totals == f.Totals })
	if i < 0 {
		return nil
	}
	return &w.points[i]
}

func (w *walk) known(f *arch.Fitted) bool { return w.find(f) != nil }

// add measures a network.
func (w *walk) add(ctx context.Context, f *arch.Fitted) error {
	samples, err := w.measure(ctx, "largest within the budget", f.Spec)
	if err != nil {
		return err
	}
	w.points = append(w.points, point{Measured{*f, samples[0]}, w.model.fit.predict(&samples[0].Features), false})
	slices.SortStableFunc(w.points, func(a, b point) int { return cmp.Compare(a.Totals.MACs, b.Totals.MACs) })
	return nil
}

// confirm measures the answer so far again, and the network above it.
func (w *walk) confirm(ctx context.Context, lo, hi int) error {
	at := []int{lo}
	if hi >= 0 {
		at = append(at, hi)
	}
	var specs []arch.Spec
	for _, i := range at {
		specs = append(specs, w.points[i].Spec)
	}
	samples, err := w.measure(ctx, "the answer again", specs...)
	if err != nil {
		return err
	}
	for k, i := range at {
		p := &w.points[i]
		if !samples[k].Busy() || p.Busy() {
			p.Sample = samples[k]
		}
		p.confirmed = true
	}
	return nil
}

func (w *walk) answer() (Found, error) {
	lo, hi := w.bracket()
	if lo < 0 {
		return Found{}, errors.New("latency: the measurements vary too much to find a network within the budget; is the machine busy?")
	}
	p := &w.points[lo]
	f := Found{Fitted: p.Fitted, Measured: p.Sample, Networks: len(w.distinct)}
	if hi >= 0 {
		f.Above = &w.points[hi].Measured
	}
	others := slices.DeleteFunc(slices.Clone(w.samples), func(s Sample) bool { return s.Features == p.Features })
	model, err := Fit(others)
	if err != nil {
		model = w.model
	}
	f.Predicted = model.Predict(p.Features)
	return f, nil
}
