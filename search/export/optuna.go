package export

import (
	"math"

	"effnet/search"
)

// optuna is the search as one study: maximise the accuracy on the validation
// images over depth, width, resolution and epochs. Its lines follow the
// ledger's, so that the journal of a search under way begins as that of the
// finished one does.
//
// A trial that ended early counts as pruned, one that diverged or was given up
// as failed. The seed, the phase and the costs are attributes.
func optuna(a *search.Analysis) ([]byte, error) {
	j := &journal{}
	study := j.study(studyName(a), "validation accuracy")
	j.attribute(study, "data", a.Config.Data)
	j.attribute(study, "data checksum", a.Config.DataChecksum)
	j.attribute(study, "base network", a.Config.Base)
	nets := networks(a)
	ranges := rangesOf(a)
	number := map[string]int{}
	for _, m := range a.History {
		t := a.Trials[m.Trial]
		id, begun := number[m.Trial]
		if !begun {
			id = j.trial(study, m.Time, ranges.of(nets[t.Network], t.Epochs), attributes(nets[t.Network], t))
			number[m.Trial] = id
		}
		if !m.End {
			continue
		}
		if t.Outcome == nil {
			j.note(id, "error", t.Error)
			j.end(id, trialFail, m.Time)
			continue
		}
		for _, p := range t.Outcome.Curve {
			j.report(id, p.Epoch, p.Accuracy)
		}
		if s := t.Outcome.Test; s != nil {
			j.note(id, "test accuracy", s.Accuracy())
		}
		j.note(id, "seconds", t.Seconds)
		for _, v := range []struct{ key, value string }{{"kernels", t.Outcome.Kernel}, {"worker", t.Outcome.Worker}} {
			if v.value != "" {
				j.note(id, v.key, v.value)
			}
		}
		state := trialComplete
		if t.Outcome.Stopped > 0 {
			state = trialPruned
		}
		j.end(id, state, m.Time, t.Outcome.Validation.Accuracy())
	}
	if a.Done {
		j.attribute(study, "verdict", a.Verdict.Text)
	}
	return j.buf.Bytes(), j.err
}

// studyName says what was searched.
func studyName(a *search.Analysis) string {
	name := "effnet"
	if base, err := a.Config.BaseSpec(); err == nil && base.Name != "" {
		name = base.Name
	}
	return name + " on " + a.Config.Data
}

func attributes(n *search.Network, t *search.TrialResult) map[string]any {
	m := map[string]any{
		"trial": t.ID, "network": t.Network, "seed": t.Seed, "phase": t.Phase,
		"cost": n.CostRatio, "MACs": n.MACs, "params": n.Params, "activations": n.Activations,
		"share of depth": n.Realised.D, "share of width": n.Realised.W, "share of resolution": n.Realised.R,
	}
	if t.Phase == search.PhaseRung {
		m["rung"] = t.Rung + 1
	}
	return m
}

// ranges are what the parameters of a search lie in. They follow from the
// plan: networks that join later lie between those that are there.
type ranges struct {
	depth, width, resolution, epochs span
}

type span struct{ low, high float64 }

func (s *span) include(x float64) { s.low, s.high = min(s.low, x), max(s.high, x) }

func rangesOf(a *search.Analysis) ranges {
	none := span{math.Inf(1), math.Inf(-1)}
	r := ranges{none, none, none, none}
	if a.Plan == nil {
		return r
	}
	p := a.Plan
	lists := [][]search.Network{{p.BaseNet}, p.Networks, p.Sweep}
	for i := range p.Finals {
		lists = append(lists, p.Finals[i].Networks)
	}
	for _, list := range lists {
		for i := range list {
			n := &list[i]
			r.depth.include(n.Depth)
			r.width.include(n.Width)
			r.resolution.include(float64(n.Resolution))
		}
	}
	r.epochs.include(float64(p.Epochs))
	for _, rung := range p.Rungs {
		r.epochs.include(float64(rung.Epochs))
	}
	return r
}

// of lists the parameters of a trial of n.
func (r *ranges) of(n *search.Network, epochs int) []param {
	parameter := func(name string, x float64, s span, whole bool) param {
		s.include(x)
		return param{name: name, value: x, low: s.low, high: s.high, whole: whole}
	}
	return []param{
		parameter("depth", n.Depth, r.depth, false),
		parameter("width", n.Width, r.width, false),
		parameter("resolution", float64(n.Resolution), r.resolution, true),
		parameter("epochs", float64(epochs), r.epochs, true),
	}
}
