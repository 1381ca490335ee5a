package search

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"effnet/arch"
)

// Choice is the ratio that the exploration chose and the network that stands
// for it in the validation.
type Choice struct {
	Winner   string      `json:"winner"` // the explored network
	Ratio    arch.Shares `json:"ratio"`  // its realised shares
	Compound string      `json:"compound,omitempty"`
	// Network is that network where it is not one of the plan's.
	Network *Network `json:"network,omitempty"`
}

// TrialResult is what a ledger says of one trial.
type TrialResult struct {
	ID       string
	Network  string
	Seed     uint64
	Attempts int
	Outcome  *Outcome // nil until finished
	Error    string   // why it failed for good
	Seconds  float64  // of the attempt that ended it
}

// Ended reports whether the trial needs no further attempt.
func (t *TrialResult) Ended() bool { return t.Outcome != nil || t.Error != "" }

// Result is a search as its ledger tells it, finished or not.
type Result struct {
	Config   Config
	Plan     *Plan // nil before it was made
	Choice   *Choice
	Sessions []Session
	Trials   map[string]*TrialResult
	Done     bool
	Started  time.Time
	Finished time.Time // of the last event
}

// ErrEmpty is wrapped by the error for a ledger without a first event.
var ErrEmpty = errors.New("the ledger is empty: nothing was searched yet")

// Load reads the search in the folder dir. It needs nothing but the ledger and
// may be called while the search runs.
func Load(dir string) (*Result, error) {
	events, _, err := readLedger(filepath.Join(dir, LedgerName))
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("search: %s: %w", dir, ErrEmpty)
	}
	r, err := replay(events)
	if err != nil {
		return nil, fmt.Errorf("search: %s: %w", filepath.Join(dir, LedgerName), err)
	}
	return r, nil
}

// replay adds events up. The first is kindSearch.
func replay(events []*record) (*Result, error) {
	r := &Result{Config: *events[0].Config, Started: events[0].Time, Trials: map[string]*TrialResult{}}
	for _, e := range events {
		r.Finished = e.Time
		switch e.Kind {
		case kindSession:
			r.Sessions = append(r.Sessions, *e.Session)
		case kindPlan:
			r.Plan = e.Plan
		case kindChoice:
			r.Choice = e.Choice
		case kindStart:
			r.trial(e.Trial).Attempts = e.Attempt
		case kindFinish, kindFail:
			t := r.trial(e.Trial)
			t.Outcome, t.Error, t.Seconds = e.Outcome, e.Error, e.Seconds
		case kindDone:
			r.Done = true
		}
	}
	return r, r.check()
}

// check reports a ledger whose lines are whole but do not belong together, and
// ties its trials to their networks.
func (r *Result) check() error {
	if r.Plan == nil {
		if len(r.Trials) > 0 || r.Choice != nil || r.Done {
			return errors.New("there are trials but no plan")
		}
		return nil
	}
	known := map[string]bool{}
	for _, n := range r.Networks() {
		if n.ID == "" || known[n.ID] {
			return fmt.Errorf("two networks have the name %q", n.ID)
		}
		known[n.ID] = true
		for _, x := range []float64{n.Realised.D, n.Realised.W, n.Realised.R, n.CostRatio} {
			if !(x >= 0 && x < 1e6) {
				return fmt.Errorf("network %s has %v among its shares and costs", n.ID, x)
			}
		}
	}
	if c := r.Choice; c != nil && (!known[c.Winner] || c.Compound != "" && !known[c.Compound] || r.Config.ValidateFactor > 0 && c.Compound == "") {
		return fmt.Errorf("the choice names a network that there is not: %q or %q", c.Winner, c.Compound)
	}
	if r.Done && r.Choice == nil {
		return errors.New("it is done but nothing was chosen")
	}
	tied := 0
	for _, n := range r.Networks() {
		for i, seed := range r.Plan.Seeds {
			if slices.Contains(r.Plan.Seeds[:i], seed) {
				return fmt.Errorf("seed %d is there twice", seed)
			}
			t := r.Trials[trialID(n.ID, seed)]
			if t == nil {
				continue
			}
			tied++
			t.Network, t.Seed = n.ID, seed
			if o := t.Outcome; o != nil {
				if err := o.check(&Trial{ID: t.ID, Test: o.Test != nil}, r.Plan); err != nil {
					return err
				}
			}
		}
	}
	if tied < len(r.Trials) {
		return errors.New("there is a trial of a network or seed that is not in the plan")
	}
	return nil
}

// trial finds or makes the entry of a trial.
func (r *Result) trial(id string) *TrialResult {
	t := r.Trials[id]
	if t == nil {
		t = &TrialResult{ID: id}
		r.Trials[id] = t
	}
	return t
}

// Networks lists the networks known so far: the base, the explored, the
// validated.
func (r *Result) Networks() []*Network {
	if r.Plan == nil {
		return nil
	}
	out := []*Network{&r.Plan.BaseNet}
	for i := range r.Plan.Networks {
		out = append(out, &r.Plan.Networks[i])
	}
	for i := range r.Plan.Final {
		out = append(out, &r.Plan.Final[i])
	}
	if r.Choice != nil && r.Choice.Network != nil {
		out = append(out, r.Choice.Network)
	}
	return out
}

// TrialsOf lists a network's finished trials by seed.
func (r *Result) TrialsOf(network string) []*TrialResult {
	var out []*TrialResult
	for _, seed := range r.Plan.Seeds {
		if t := r.Trials[trialID(network, seed)]; t != nil && t.Outcome != nil {
			out = append(out, t)
		}
	}
	return out
}

// Ended counts the trials that need no further attempt, and all of them,
// those not known yet included.
func (r *Result) Ended() (ended, all int) {
	for _, t := range r.Trials {
		if t.Ended() {
			ended++
		}
	}
	if r.Plan == nil {
		return ended, 0
	}
	all = len(r.Networks()) * len(r.Plan.Seeds)
	if r.Choice == nil && len(r.Plan.Final) > 0 {
		all += len(r.Plan.Seeds)
	}
	return ended, all
}

// Compute is the summed duration of the ended trials.
func (r *Result) Compute() time.Duration {
	var s float64
	for _, t := range r.Trials {
		s += t.Seconds
	}
	return time.Duration(s * float64(time.Second))
}
