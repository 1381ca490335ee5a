package live

import (
	"fmt"

	"effnet/internal/words"
	"effnet/search"
)

// ofLedger is what the ledger alone says of a search. Without a sign of life
// of its process, it counts as stopped.
func ofLedger(run string, r *search.Result) *View {
	v := &View{Run: run, Data: r.Config.Data, State: Stopped, Budget: r.Budget()}
	if base, err := r.Config.BaseSpec(); err == nil {
		v.Base = base.Name
	}
	v.Ended, v.Total = r.Ended()
	v.Spent = r.Worked
	if r.Plan == nil {
		v.State = Planning
		return v
	}
	v.Parts, v.Best = parts(r), best(r)
	if r.Done {
		v.State = Done
		verdict := r.Analyse().Verdict
		v.Verdict, v.Detail = verdict.Text, verdict.Detail
	}
	return v
}

// key is the part that a trial belongs to: its phase, and the rung or the
// factor within it.
type key struct {
	phase search.Phase
	index int
}

// partOf finds a trial's part; finals, which share trials of the base, by the
// network.
func partOf(r *search.Result, t *search.TrialResult) key {
	switch t.Phase {
	case search.PhaseRung:
		return key{t.Phase, t.Rung}
	case search.PhaseFinal:
		return key{t.Phase, finalOf(r, t.Network)}
	}
	return key{t.Phase, 0}
}

// finalOf is the index of the comparison that a network is part of; -1 for the
// base, which is part of all.
func finalOf(r *search.Result, network string) int {
	for i := range r.Plan.Finals {
		f := &r.Plan.Finals[i]
		for k := range f.Networks {
			if f.Networks[k].ID == network {
				return i
			}
		}
		if r.Choice != nil && i < len(r.Choice.Compounds) && r.Choice.Compounds[i].ID == network {
			return i
		}
	}
	return -1
}

// order lists the parts of a plan in the order they are done.
func order(p *search.Plan) []key {
	keys := []key{{search.PhaseNoise, 0}}
	for i := range p.Rungs {
		keys = append(keys, key{search.PhaseRung, i})
	}
	keys = append(keys, key{search.PhaseRerun, 0}, key{search.PhaseSweep, 0}, key{search.PhaseFinal, -1})
	for i := range p.Finals {
		keys = append(keys, key{search.PhaseFinal, i})
	}
	return keys
}

// name says what a part is.
func (k key) name(p *search.Plan) string {
	switch k.phase {
	case search.PhaseRung:
		return fmt.Sprintf("%s of %d (%s)", search.RungTitle(k.index), len(p.Rungs), words.Plural(p.Rungs[k.index].Epochs, "epoch"))
	case search.PhaseFinal:
		factor := 1.0 // the base's
		if k.index >= 0 {
			factor = p.Finals[k.index].Factor
		}
		return search.FinalTitle(factor)
	}
	return k.phase.Title()
}

// parts counts trials by part.
func parts(r *search.Result) []Part {
	ended := map[key]int{}
	for _, t := range r.Trials {
		if t.Ended() {
			ended[partOf(r, t)]++
		}
	}
	var list []Part
	for _, k := range order(r.Plan) {
		if n := max(planned(r, k), ended[k]); n > 0 {
			list = append(list, Part{Name: k.name(r.Plan), Ended: ended[k], Total: n})
		}
	}
	return list
}

// planned counts the trials of a part, those not known yet included. Of a rung
// whose entrants are not settled it is the most there can be.
func planned(r *search.Result, k key) int {
	p := r.Plan
	switch k.phase {
	case search.PhaseNoise:
		return len(p.NoiseSeeds)
	case search.PhaseRung:
		nets := p.Rungs[k.index].Networks
		for i := range r.Cuts {
			if r.Cuts[i].Rung == k.index-1 {
				nets = len(r.Cuts[i].Promoted)
			}
		}
		return nets * len(p.Rungs[k.index].Seeds)
	case search.PhaseRerun:
		return p.Finalists * len(p.FreshSeeds)
	case search.PhaseSweep:
		return len(p.Sweep) * len(p.SweepSeeds)
	}
	if k.index < 0 {
		most := 0
		for i := range p.Finals {
			most = max(most, len(p.Finals[i].Seeds))
		}
		return most
	}
	nets := len(p.Finals[k.index].Networks)
	if r.Choice == nil || k.index < len(r.Choice.Compounds) && r.Choice.Compounds[k.index].Network != nil {
		nets++ // the chosen ratio's
	}
	return nets * len(p.Finals[k.index].Seeds)
}

// best looks for the highest mean accuracy in the furthest part that has
// results.
func best(r *search.Result) *Best {
	type sum struct {
		correct, images, trials int
	}
	var last key
	sums := map[key]map[string]sum{}
	for _, t := range r.Trials {
		if t.Outcome == nil || t.Outcome.Stopped > 0 {
			continue
		}
		k := partOf(r, t)
		if sums[k] == nil {
			sums[k] = map[string]sum{}
		}
		s := sums[k][t.Network]
		s.correct += t.Outcome.Validation.Correct
		s.images += t.Outcome.Validation.Total
		s.trials++
		sums[k][t.Network] = s
	}
	for _, k := range order(r.Plan) {
		if k.index >= 0 && len(sums[k]) > 0 {
			last = k
		}
	}
	var b *Best
	for name, s := range sums[last] {
		acc := float64(s.correct) / float64(s.images)
		if b == nil || acc > b.Accuracy || acc == b.Accuracy && name < b.Network {
			b = &Best{Network: name, Accuracy: acc, Trials: s.trials}
		}
	}
	return b
}
