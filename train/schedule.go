package train

import (
	"fmt"
	"math"
)

// ScheduleKind names the course of the learning rate after warm-up.
type ScheduleKind string

const (
	Constant    ScheduleKind = "constant"
	Exponential ScheduleKind = "exponential" // staircase: times Rate every Every steps, counted from step 0
	Cosine      ScheduleKind = "cosine"      // from the end of warm-up to Floor at Total
)

// Schedule is the learning rate as a function of the step.
type Schedule struct {
	Kind   ScheduleKind
	Base   float64 // learning rate that warm-up leads to
	Warmup int64   // steps of linear warm-up from 0
	Total  int64   // Cosine: steps of the whole run
	Floor  float64 // Cosine: learning rate at Total and after
	Rate   float64 // Exponential: factor, EfficientNet's 0.97
	Every  float64 // Exponential: steps between factors, EfficientNet's 2.4 epochs
}

// Check reports the first thing that makes s unusable.
func (s Schedule) Check() error {
	switch {
	case !(s.Base > 0) || math.IsInf(s.Base, 0):
		return fmt.Errorf("train: learning rate is %v, want above 0", s.Base)
	case s.Warmup < 0:
		return fmt.Errorf("train: warm-up is %d steps, want 0 or more", s.Warmup)
	}
	switch s.Kind {
	case Constant:
	case Exponential:
		if !(s.Rate > 0 && s.Rate <= 1) {
			return fmt.Errorf("train: decay rate is %v, want above 0, at most 1", s.Rate)
		}
		if !(s.Every > 0) {
			return fmt.Errorf("train: steps between decays are %v, want above 0", s.Every)
		}
	case Cosine:
		if s.Total <= s.Warmup {
			return fmt.Errorf("train: the run has %d steps, want more than the %d of warm-up", s.Total, s.Warmup)
		}
		if !(s.Floor >= 0 && s.Floor <= s.Base) {
			return fmt.Errorf("train: final learning rate is %v, want 0 to %v", s.Floor, s.Base)
		}
	default:
		return fmt.Errorf("train: unknown schedule %q, have %q, %q and %q", s.Kind, Constant, Exponential, Cosine)
	}
	return nil
}

// LR is the learning rate of the step that follows step updates.
func (s Schedule) LR(step int64) float64 {
	if step < s.Warmup {
		return s.Base * float64(step) / float64(s.Warmup)
	}
	switch s.Kind {
	case Exponential:
		return s.Base * math.Pow(s.Rate, math.Floor(float64(step)/s.Every))
	case Cosine:
		t := min(1, float64(step-s.Warmup)/float64(s.Total-s.Warmup))
		return s.Floor + (s.Base-s.Floor)*(1+math.Cos(math.Pi*t))/2
	}
	return s.Base
}
