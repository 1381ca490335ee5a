package search

import (
	"math"

	"effnet/arch"
)

// RungSummary is a rung, its networks best first.
type RungSummary struct {
	Epochs   int            `json:"epochs"`
	Settled  bool           `json:"settled"`
	Networks []EntrySummary `json:"networks"`
}

// EntrySummary is a network in a rung.
type EntrySummary struct {
	Network  string   `json:"network"`
	Fate     Fate     `json:"fate"`
	Accuracy *float64 `json:"validation_mean,omitempty"` // percent
	Stopped  int      `json:"stopped_after_epoch,omitempty"`
}

// SurfaceSummary is the response surface; accuracies are percentages, errors
// percentage points.
type SurfaceSummary struct {
	Why       string          `json:"none_because,omitempty"`
	Trials    int             `json:"trials"`
	Networks  int             `json:"networks"`
	Optimum   *arch.Shares    `json:"optimum,omitempty"`
	Accuracy  *float64        `json:"accuracy,omitempty"`
	SE        *float64        `json:"standard_error,omitempty"`
	Sigma     *float64        `json:"training_sd,omitempty"`
	Tau       *float64        `json:"network_sd,omitempty"`
	R2        *float64        `json:"r2,omitempty"`
	LackOfFit *float64        `json:"lack_of_fit_p,omitempty"`
	Parallel  *float64        `json:"parallel_rungs_p,omitempty"`
	Area      *float64        `json:"region_share_of_triangle,omitempty"`
	Region    [][]arch.Shares `json:"region,omitempty"` // outlines, 95 %
}

// SaturationSummary is what growing one dimension alone does.
type SaturationSummary struct {
	Dimension string             `json:"dimension"`
	Text      string             `json:"text"`
	Best      Curve              `json:"best_curve,omitempty"`
	Saturates bool               `json:"saturates"`
	Support   float64            `json:"bootstrap_support,omitempty"`
	Knee      *float64           `json:"knee_cost,omitempty"`
	KneeLo    *float64           `json:"knee_low,omitempty"`
	KneeHi    *float64           `json:"knee_high,omitempty"`
	AICc      map[Curve]*float64 `json:"aicc,omitempty"`
}

func flowSummary(flow []RungFlow) (out []RungSummary) {
	for _, f := range flow {
		s := RungSummary{Epochs: f.Epochs, Settled: f.Settled}
		for _, e := range f.Entered {
			s.Networks = append(s.Networks, EntrySummary{Network: e.Network, Fate: e.Fate, Accuracy: percent(e.Accuracy), Stopped: e.Stopped})
		}
		out = append(out, s)
	}
	return out
}

func (s *Surface) summary() *SurfaceSummary {
	out := &SurfaceSummary{Why: s.Why, Trials: s.Trials, Networks: s.Networks}
	if s.Why != "" {
		return out
	}
	out.Optimum = &s.Optimum
	out.Accuracy, out.SE, out.Sigma, out.Tau = percent(s.Accuracy), percent(s.SE), percent(s.Sigma), percent(s.Tau)
	out.R2, out.LackOfFit, out.Parallel, out.Area = known(s.R2), known(s.LackOfFit), known(s.Parallel), known(s.Area)
	out.Region = s.Region
	return out
}

func (s *Saturation) summary() SaturationSummary {
	out := SaturationSummary{Dimension: s.Dimension, Text: s.Text, Best: s.Best, Saturates: s.Saturates, Support: s.Support}
	if s.Why != "" {
		return out
	}
	out.Knee, out.KneeLo, out.KneeHi = known(s.Knee), known(s.KneeLo), known(s.KneeHi)
	out.AICc = map[Curve]*float64{}
	for i := range s.Fits {
		out.AICc[s.Fits[i].Curve] = known(s.Fits[i].AICc)
	}
	return out
}

func (c *Comparison) summary() ComparisonSummary {
	return ComparisonSummary{
		Factor: c.Factor, First: c.First, Second: c.Second, Rule: c.Rule, Seeds: c.Seeds,
		Diff: 100 * c.Diff, Lo: 100 * c.Lo, Hi: 100 * c.Hi, BootLo: percent(c.BootLo), BootHi: percent(c.BootHi),
		P: c.P, Holm: known(c.Holm), SignFlip: known(c.SignFlip), Kernels: c.Kernels,
	}
}

// known is nil for a value that there is not.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
