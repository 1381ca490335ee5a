package search

import (
	"time"

	"effnet/arch"
)

// Summary is a result and what was derived from it, as data for other
// programs. Everything that depends on time or load is in Timing and in the
// trials' Attempts and Seconds.
type Summary struct {
	Verdict     Verdict             `json:"verdict"`
	Done        bool                `json:"done"`
	Config      Config              `json:"config"`
	Epochs      int                 `json:"epochs"`
	TrainImages int                 `json:"train_images"`
	Validation  int                 `json:"validation_images"`
	Test        int                 `json:"test_images"`
	Choice      *Choice             `json:"choice,omitempty"`
	Growth      *arch.Shares        `json:"growth,omitempty"` // how to grow: a single dimension where that wins, else the choice's
	Noise       map[string]float64  `json:"noise_points"`     // standard deviation over seeds, percentage points
	Networks    []NetworkSummary    `json:"networks"`
	Rungs       []RungSummary       `json:"rungs,omitempty"`
	Surface     *SurfaceSummary     `json:"surface,omitempty"`
	Saturation  []SaturationSummary `json:"saturation,omitempty"`
	Comparisons []ComparisonSummary `json:"comparisons"`
	Across      []ComparisonSummary `json:"comparisons_over_factors,omitempty"`
	Trials      []TrialSummary      `json:"trials"`
	Timing      Timing              `json:"timing"`
}

// NetworkSummary is one network; accuracies are percentages.
type NetworkSummary struct {
	Network
	Stage      Stage     `json:"stage"`
	Role       Role      `json:"role"`
	Accuracies []float64 `json:"validation_accuracies"`
	Mean       *float64  `json:"validation_mean,omitempty"`
	Shrunk     *float64  `json:"validation_shrunk,omitempty"`
	Tests      []float64 `json:"test_accuracies,omitempty"`
	TestMean   *float64  `json:"test_mean,omitempty"`
	Failed     int       `json:"failed,omitempty"`
}

// ComparisonSummary is the chosen ratio's network against another, in
// percentage points of test accuracy.
type ComparisonSummary struct {
	Factor   float64  `json:"factor,omitempty"`
	First    string   `json:"first,omitempty"`
	Second   string   `json:"second,omitempty"`
	Rule     Role     `json:"rule"`
	Seeds    int      `json:"seeds"`
	Diff     float64  `json:"difference"`
	Lo       float64  `json:"low"`
	Hi       float64  `json:"high"`
	BootLo   *float64 `json:"bootstrap_low,omitempty"`
	BootHi   *float64 `json:"bootstrap_high,omitempty"`
	P        float64  `json:"p"`
	Holm     *float64 `json:"p_holm,omitempty"`
	SignFlip *float64 `json:"sign_flip_p,omitempty"`
	Kernels  []string `json:"mixed_kernels,omitempty"` // that trained the two, where they are unlike
}

// TrialSummary is one trial.
type TrialSummary struct {
	ID       string   `json:"id"`
	Network  string   `json:"network"`
	Phase    Phase    `json:"phase"`
	Rung     int      `json:"rung,omitempty"`
	Epochs   int      `json:"epochs"`
	Seed     uint64   `json:"seed"`
	Outcome  *Outcome `json:"outcome,omitempty"`
	Error    string   `json:"error,omitempty"`
	Attempts int      `json:"attempts"`
	Seconds  float64  `json:"seconds"`
}

// Timing is when and how long.
type Timing struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Compute  float64   `json:"trial_seconds"`
	Sessions []Session `json:"sessions"`
	Forecast Forecast  `json:"forecast"`
	Trainers []Trainer `json:"trainers,omitempty"`
}

// Summary collects.
func (a *Analysis) Summary() *Summary {
	s := &Summary{
		Verdict: a.Verdict, Done: a.Done, Config: a.Config, Choice: a.Choice, Noise: map[string]float64{},
		Timing: Timing{Started: a.Started, Finished: a.Finished, Compute: a.Compute().Seconds(), Sessions: a.Sessions},
	}
	if a.Plan == nil {
		return s
	}
	s.Growth, _ = a.Growth()
	s.Epochs, s.TrainImages = a.Plan.Epochs, a.Plan.TrainImages
	s.Validation, s.Test = a.Plan.Validation, a.Plan.Test
	s.Timing.Forecast, s.Timing.Trainers = a.Plan.Forecast, a.Trainers()
	for name, n := range map[string]Noise{"first": a.First, "validation": a.Validation, "test": a.Test, "pooled": a.Pooled} {
		if n.DF > 0 {
			s.Noise[name] = 100 * n.SD
		}
	}
	for i := range a.Nets {
		n := &a.Nets[i]
		s.Networks = append(s.Networks, NetworkSummary{
			Network: *n.Network, Stage: n.Stage, Role: n.Role, Failed: n.Failed,
			Accuracies: percents(n.Accuracies), Mean: percent(n.Validation.Mean), Shrunk: percent(n.Shrunk),
			Tests: percents(n.Tests), TestMean: percent(n.Test.Mean),
		})
	}
	for _, j := range a.jobs() {
		if t := a.Trials[j.id()]; t != nil {
			s.Trials = append(s.Trials, TrialSummary{
				ID: t.ID, Network: t.Network, Phase: t.Phase, Rung: t.Rung, Epochs: t.Epochs, Seed: t.Seed,
				Outcome: t.Outcome, Error: t.Error, Attempts: t.Attempts, Seconds: t.Seconds,
			})
		}
	}
	for i := range a.Compare {
		s.Comparisons = append(s.Comparisons, a.Compare[i].summary())
	}
	for i := range a.Across {
		s.Across = append(s.Across, a.Across[i].summary())
	}
	s.Rungs = flowSummary(a.Flow)
	s.Surface = a.Surface.summary()
	for _, sat := range a.Saturation {
		s.Saturation = append(s.Saturation, sat.summary())
	}
	return s
}

// percent is nil for a value that there is not.
func percent(x float64) *float64 {
	return known(100 * x)
}

func percents(xs []float64) []float64 {
	var out []float64
	for _, x := range xs {
		out = append(out, 100*x)
	}
	return out
}
