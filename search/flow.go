package search

import (
	"cmp"
	"slices"
)

// Fate is what became of a network in a rung.
type Fate string

const (
	FateRunning  Fate = "running"  // not all its trials have ended, or it is not certain yet
	FatePromoted Fate = "promoted" // to the next rung; from the last, to fresh seeds
	FateDropped  Fate = "dropped"
	FateStopped  Fate = "stopped" // below the floor
	FateFailed   Fate = "failed"  // its training diverged
	FateSingle   Fate = "single"  // grew along one dimension: there is no ratio to choose
)

// RungFlow is who entered a rung and what became of them.
type RungFlow struct {
	Rung    int
	Epochs  int
	Settled bool        // all have ended
	Entered []RungEntry // best first
}

// RungEntry is a network in a rung.
type RungEntry struct {
	Network  string
	Fate     Fate
	Seeds    int     // trials that had their full length
	Accuracy float64 // their mean on the validation images; NaN without
	Half     float64 // half the width of its 95 % interval, by the pooled noise
	Stopped  int     // the epoch after which it was stopped
}

// flow follows the candidates through the rungs.
func (a *Analysis) flow() (flow []RungFlow) {
	entered := make([]string, len(a.Plan.Networks))
	for i := range entered {
		entered[i] = a.Plan.Networks[i].ID
	}
	for k := range a.Plan.Rungs {
		f := RungFlow{Rung: k, Epochs: a.Plan.Rungs[k].Epochs}
		var cut *Cut
		if k < len(a.Cuts) {
			cut = &a.Cuts[k]
		}
		f.Settled = cut != nil
		for _, id := range entered {
			f.Entered = append(f.Entered, a.rungEntry(id, k, cut))
		}
		slices.SortStableFunc(f.Entered, func(p, q RungEntry) int {
			return cmp.Or(cmp.Compare(min(q.Seeds, 1), min(p.Seeds, 1)), cmp.Compare(q.Accuracy, p.Accuracy))
		})
		flow = append(flow, f)
		if cut == nil {
			break
		}
		entered = cut.Promoted
	}
	return flow
}

// rungEntry is a network in rung k; cut is nil while that has not ended.
func (a *Analysis) rungEntry(id string, k int, cut *Cut) RungEntry {
	e := RungEntry{Network: id, Fate: FateRunning}
	var accs []float64
	for _, t := range a.Trials {
		if t.Network != id || t.Phase != PhaseRung || t.Rung != k {
			continue
		}
		switch {
		case t.Error != "":
			e.Fate = FateFailed
		case t.Outcome != nil && t.Outcome.Stopped > 0:
			e.Fate, e.Stopped = FateStopped, t.Outcome.Stopped
		case t.Outcome != nil:
			accs = append(accs, t.Outcome.Validation.Accuracy())
		}
	}
	slices.Sort(accs) // the trials of a map have no order, and a sum has one
	e.Seeds = len(accs)
	e.Accuracy, _ = meanSD(accs)
	e.Half = a.Validation.Half(e.Seeds)
	if cut == nil || e.Fate != FateRunning {
		return e
	}
	switch {
	case slices.Contains(cut.Promoted, id):
		e.Fate = FatePromoted
	case slices.Contains(cut.Singles, id):
		e.Fate = FateSingle
	case slices.Contains(cut.Dropped, id):
		e.Fate = FateDropped
	}
	return e
}
