package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"effnet/arch"
	"effnet/latency"
)

// latencyLimit is a time that a run may take; 0 is not given.
type latencyLimit time.Duration

// maxLatency keeps the measurements of a fit within hours.
const maxLatency = time.Minute

func (l *latencyLimit) String() string {
	if *l == 0 {
		return ""
	}
	return time.Duration(*l).String()
}
func (l *latencyLimit) Type() string { return "time" }
func (l *latencyLimit) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Microsecond || d > maxLatency {
		return fmt.Errorf("want a time with its unit, from 1us to %s, such as 12ms", shortTime(maxLatency))
	}
	*l = latencyLimit(d)
	return nil
}

// shortTime is d without zero minutes and seconds.
func shortTime(d time.Duration) string { return strings.TrimSuffix(d.String(), "0s") }

// milliseconds is d with its unit.
func milliseconds(d time.Duration) string { return msText(ms(d)) + " ms" }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// latencyReport is the part of 'effnet fit --json' about a latency budget;
// times are of one run, of a whole batch.
type latencyReport struct {
	Machine        string        `json:"machine"`
	Kernel         string        `json:"kernel"`
	Threads        int           `json:"threads"`
	Batch          int           `json:"batch"`
	Allowed        float64       `json:"allowed_ms"`
	Measured       timesReport   `json:"measured"`
	Predicted      float64       `json:"predicted_ms"`
	PredictedError float64       `json:"predicted_error"` // standard error, as a part of the prediction
	Networks       int           `json:"networks_measured"`
	Known          int           `json:"networks_known"` // from measurements kept before
	Above          *aboveReport  `json:"above,omitempty"`
	allowed        time.Duration // Allowed
	found          latency.Found
}

type timesReport struct {
	Median float64 `json:"p50_ms"`
	P10    float64 `json:"p10_ms"`
	P90    float64 `json:"p90_ms"`
	Runs   int     `json:"runs"`
}

// aboveReport is the next larger network that was measured.
type aboveReport struct {
	Factors  factorsReport `json:"factors"`
	MACs     int64         `json:"macs"`
	Measured timesReport   `json:"measured"`
}

func times(s *latency.Sample) timesReport {
	return timesReport{ms(s.Median), ms(s.P10), ms(s.P90), s.Runs}
}

// byLatency finds the largest network within budget and the time allowed, by
// measuring networks on this machine.
func (f *fitCmd) byLatency(base arch.Spec, budget arch.Budget, shares arch.Shares) (arch.Fitted, *latencyReport, error) {
	opt := latency.Options{Threads: f.threads, Batch: f.batch}
	here, err := latency.ConditionsOf(opt)
	if err != nil {
		return arch.Fitted{}, nil, err
	}
	p := newMeasureProgress(f.ErrOrStderr())
	defer p.close()
	s := latency.Search{
		Base: base, Shares: shares, Budget: budget, Max: time.Duration(f.latency),
		Meter: func(ctx context.Context, specs []arch.Spec, done func(float64)) ([]latency.Sample, error) {
			return latency.MeasureAll(ctx, specs, opt, done)
		},
		Progress: p.show,
	}
	cache, err := latency.OpenCache(base, here)
	if err == nil && !f.remeasure {
		s.Samples = cache.Load()
	}
	s.Keep = func(samples []latency.Sample) {
		if err == nil {
			err = cache.Store(samples)
		}
		if err != nil {
			p.warnOnce(fmt.Sprintf("the measurements are not kept: %v", err))
		}
	}
	found, runErr := s.Run(f.Context())
	p.close()
	var slow *latency.TooSlowError
	switch {
	case f.Context().Err() != nil:
		return arch.Fitted{}, nil, &interruptedError{}
	case errors.As(runErr, &slow):
		return arch.Fitted{}, nil, fmt.Errorf("fitting %s: no network on the ratio %s is fast enough: the smallest, of %s MACs, was measured at %s where %s are allowed with %d thread(s), batch %d",
			base.Name, slow.Shares, short(slow.Smallest.Totals.MACs), milliseconds(slow.Smallest.Median), milliseconds(slow.Max), here.Threads, here.Batch)
	case runErr != nil:
		return arch.Fitted{}, nil, runErr
	}
	if found.Measured.Busy() {
		p.warnOnce(fmt.Sprintf("the times vary by %.0f%%: something else keeps the machine busy, and the network may be smaller than it could be", 100*found.Measured.Spread()))
	}
	r := &latencyReport{
		Machine: here.Machine, Kernel: here.Kernel, Threads: here.Threads, Batch: here.Batch,
		Allowed: ms(s.Max), Measured: times(&found.Measured),
		Predicted: ms(found.Predicted.Latency), PredictedError: found.Predicted.Error,
		Networks: found.Networks, Known: len(s.Samples),
		allowed: s.Max, found: found,
	}
	if a := found.Above; a != nil {
		r.Above = &aboveReport{factorsReport{a.Factors.Depth, a.Factors.Width, a.Spec.Resolution}, a.Totals.MACs, times(&a.Sample)}
	}
	return found.Fitted, r, nil
}

// text is what was measured and predicted.
func (r *latencyReport) text() string {
	var b strings.Builder
	m := &r.found.Measured
	fmt.Fprintf(&b, "measured   %s median of %s runs, 10 to 90 %% of them %s to %s\n",
		milliseconds(m.Median), thousands(int64(m.Runs)), milliseconds(m.P10), milliseconds(m.P90))
	fmt.Fprintf(&b, "predicted  %s +- %.1f%% from the other networks\n", milliseconds(r.found.Predicted.Latency), 100*r.PredictedError)
	if a := r.found.Above; a != nil {
		fmt.Fprintf(&b, "next       %s for %s with %s MACs\n", milliseconds(a.Median), a.Spec.Name, short(a.Totals.MACs))
	}
	known := ""
	if r.Known > 0 {
		known = fmt.Sprintf(", %d known from before", r.Known)
	}
	fmt.Fprintf(&b, "%d networks measured%s; %d thread(s), batch %d, kernel %s\n%s\n", r.Networks, known, r.Threads, r.Batch, r.Kernel, r.Machine)
	return b.String()
}

// measureProgress shows how measurements get on: a bar on a terminal, plain
// lines elsewhere.
type measureProgress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil elsewhere
	doing string
	last  time.Time // of the last plain line

	warned map[string]bool
}

func newMeasureProgress(w io.Writer) *measureProgress {
	return &measureProgress{w: w, warned: map[string]bool{}}
}

// barSteps is how finely the bar divides one measurement.
const barSteps = 10

func (m *measureProgress) show(p latency.Progress) {
	left := ""
	if p.Left > 0 {
		left = fmt.Sprintf(", at most %s left", duration(p.Left))
	}
	if isTerminal(m.w) {
		if m.bar == nil {
			m.bar = newBar(m.w, int64(p.Most)*barSteps)
		}
		m.bar.ChangeMax(p.Most * barSteps)
		m.bar.Describe("measuring " + p.Doing + left)
		m.bar.Set(int(p.Done * barSteps))
		return
	}
	if p.Doing != m.doing || time.Since(m.last) >= lineInterval {
		m.doing, m.last = p.Doing, time.Now()
		fmt.Fprintf(m.w, "measuring %s: %d of at most %d networks%s\n", p.Doing, int(p.Done), p.Most, left)
	}
}

func (m *measureProgress) warnOnce(text string) {
	if m.warned[text] {
		return
	}
	m.warned[text] = true
	if m.bar != nil {
		m.bar.Clear()
	}
	fmt.Fprintf(m.w, "note: %s\n", text)
}

func (m *measureProgress) close() {
	if m.bar != nil {
		m.bar.Clear()
	}
}
