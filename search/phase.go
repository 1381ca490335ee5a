package search

import "fmt"

// Phase is a part of a search. Each has its own trials.
type Phase string

const (
	PhaseNoise Phase = "noise" // the base with several seeds, as long as the first rung
	PhaseRung  Phase = "rung"  // candidates, rung by rung fewer and longer
	PhaseRerun Phase = "rerun" // the best of them in full length on fresh seeds
	PhaseSweep Phase = "sweep" // widths at several depths and resolutions
	PhaseFinal Phase = "final" // the chosen ratio against the rules, on the test images
)

// Phases are in the order that a search goes through them.
var Phases = []Phase{PhaseNoise, PhaseRung, PhaseRerun, PhaseSweep, PhaseFinal}

// Title is the phase as people read it.
func (p Phase) Title() string {
	switch p {
	case PhaseRung:
		return "rungs"
	case PhaseRerun:
		return "re-runs"
	case PhaseSweep:
		return "width sweeps"
	case PhaseFinal:
		return "comparison"
	}
	return string(p)
}

// RungTitle is the title of a rung; the first is 0.
func RungTitle(rung int) string { return fmt.Sprintf("rung %d", rung+1) }

// FinalTitle is the title of the comparison at a factor; at 1 stands the base,
// which takes part in all.
func FinalTitle(factor float64) string {
	if factor == 1 {
		return "base for the comparison"
	}
	return fmt.Sprintf("comparison at %g×", factor)
}

// Title is what the trial is for.
func (t *TrialStatus) Title() string {
	if t.Phase == PhaseRung {
		return RungTitle(t.Rung)
	}
	return t.Phase.Title()
}

// Title is the part's.
func (p *ForecastPart) Title() string {
	switch p.Phase {
	case PhaseRung:
		return RungTitle(p.Rung)
	case PhaseFinal:
		return FinalTitle(p.Factor)
	}
	return p.Phase.Title()
}
