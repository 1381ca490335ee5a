package search

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"effnet/arch"
)

// Choice is the ratio that the exploration chose and the networks that stand
// for it in the validation.
type Choice struct {
	Winner    string      `json:"winner"`              // the explored network
	Ratio     arch.Shares `json:"ratio"`               // its realised shares
	Compounds []Compound  `json:"compounds,omitempty"` // one for each of the plan's finals, in their order
}

// Cut is how a rung ended. Names are best first; those without a score (a
// training diverged or was stopped) come last.
type Cut struct {
	Rung     int      `json:"rung"`
	Promoted []string `json:"promoted"` // to the next rung; of the last rung, the finalists
	Dropped  []string `json:"dropped"`
	// Singles grew along one dimension only. They need no choice: the
	// validation trains the single dimensions in any case.
	Singles []string `json:"singles,omitempty"`
}

// Replan is what the rest of a search was fitted to, so that it ends within
// its budget. It replaces what the plan says.
type Replan struct {
	FreshSeeds []uint64   `json:"fresh_seeds"`
	Sweep      int        `json:"sweep"`       // networks of it that are trained
	FinalSeeds [][]uint64 `json:"final_seeds"` // of each of the plan's finals; none: it is left out
	Spent      float64    `json:"spent_seconds"`
	Budget     float64    `json:"budget_seconds"`
	Pace       float64    `json:"pace"` // of late, a trial took so many times the plan's forecast
}

// Compound is the chosen ratio's network at one factor.
type Compound struct {
	Factor float64 `json:"factor"`
	ID     string  `json:"id"`
	// Network is that network where it is none of the final's.
	Network *Network `json:"network,omitempty"`
}

// Compound names the chosen ratio's network at a factor; "" where there is
// none.
func (c *Choice) Compound(factor float64) string {
	for _, n := range c.Compounds {
		if n.Factor == factor {
			return n.ID
		}
	}
	return ""
}

// TrialResult is what a ledger says of one trial.
type TrialResult struct {
	ID       string
	Network  string
	Phase    Phase
	Rung     int // of PhaseRung
	Epochs   int
	Seed     uint64
	Attempts int
	Outcome  *Outcome // nil until finished
	Error    string   // why it failed for good
	Seconds  float64  // of the attempt that ended it
}

// Ended reports whether the trial needs no further attempt; one that a ledger
// says nothing of, nil, has not.
func (t *TrialResult) Ended() bool { return t != nil && (t.Outcome != nil || t.Error != "") }

// Result is a search as its ledger tells it, finished or not.
type Result struct {
	Config   Config
	Plan     *Plan // nil before it was made; as the last of Replans left it
	Cuts     []Cut // of the rungs that have ended
	Replans  []Replan
	Controls []Command
	Choice   *Choice
	Sessions []Session
	Trials   map[string]*TrialResult
	History  []Moment // in the order of the ledger
	Paused   bool     // by a command, in the newest session
	Done     bool
	Worked   float64 // seconds of wall-clock in all sessions, up to the last event, pauses left out
	Started  time.Time
	Finished time.Time // of the last event
}

// Moment is when an attempt at a trial began, or a trial ended.
type Moment struct {
	Time  time.Time
	Trial string
	End   bool
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
	r := &Result{Config: *events[0].Config, Started: events[0].Time, Finished: events[0].Time, Trials: map[string]*TrialResult{}}
	for _, e := range events {
		if err := r.apply(e); err != nil {
			return nil, fmt.Errorf("line %d: %w", e.Seq, err)
		}
	}
	return r, r.check()
}

// apply adds an event.
func (r *Result) apply(e *record) error {
	// Nothing was done between two sessions.
	if e.Kind != kindSession && !r.Paused {
		r.Worked += max(0, e.Time.Sub(r.Finished).Seconds())
	}
	r.Finished = e.Time
	if r.Plan == nil && e.Kind != kindSearch && e.Kind != kindSession && e.Kind != kindPlan && e.Kind != kindControl {
		return fmt.Errorf("a %q event before there is a plan", e.Kind)
	}
	switch e.Kind {
	case kindSession:
		r.Sessions = append(r.Sessions, *e.Session)
		r.Paused = false
	case kindPlan:
		if r.Plan != nil {
			return errors.New("a second plan")
		}
		r.Plan = e.Plan
		return r.Plan.check()
	case kindRung:
		stands := r.standings()
		switch k := len(r.Cuts); {
		case k >= len(stands) || e.Cut.Rung != k:
			return fmt.Errorf("the end of rung %d is not its turn", e.Cut.Rung)
		case !stands[k].settled:
			return fmt.Errorf("rung %d ends before its trials have", k)
		case !reflect.DeepEqual(*e.Cut, stands[k].cut):
			return fmt.Errorf("rung %d promotes %v and drops %v, but the outcomes promote %v and drop %v", k, e.Cut.Promoted, e.Cut.Dropped, stands[k].cut.Promoted, stands[k].cut.Dropped)
		}
		r.Cuts = append(r.Cuts, *e.Cut)
	case kindReplan:
		if len(e.Replan.FinalSeeds) != len(r.Plan.Finals) {
			return fmt.Errorf("seeds for %d factors, the plan validates at %d", len(e.Replan.FinalSeeds), len(r.Plan.Finals))
		}
		r.Plan = r.Plan.apply(*e.Replan)
		r.Replans = append(r.Replans, *e.Replan)
		return r.Plan.check()
	case kindControl:
		r.Controls = append(r.Controls, *e.Control)
		switch e.Control.Op {
		case OpPause:
			r.Paused = true
		case OpResume:
			r.Paused = false
		}
	case kindChoice:
		if len(e.Choice.Compounds) != len(r.Plan.Finals) {
			return fmt.Errorf("the choice has networks for %d factors, the plan validates at %d", len(e.Choice.Compounds), len(r.Plan.Finals))
		}
		if best := r.winner(); best == nil || best.ID != e.Choice.Winner {
			return fmt.Errorf("the choice is %s, but the outcomes make it another", e.Choice.Winner)
		}
		r.Choice = e.Choice
	case kindStart:
		r.trial(e.Trial).Attempts = e.Attempt
		r.History = append(r.History, Moment{e.Time, e.Trial, false})
	case kindFinish, kindFail:
		t := r.trial(e.Trial)
		if t.Ended() {
			return fmt.Errorf("trial %s ends a second time", e.Trial)
		}
		t.Outcome, t.Error, t.Seconds = e.Outcome, e.Error, e.Seconds
		r.History = append(r.History, Moment{e.Time, e.Trial, true})
	case kindDone:
		r.Done = true
	}
	return nil
}

// check reports a plan that no search can follow.
func (p *Plan) check() error {
	if len(p.Rungs) == 0 || len(p.Networks) == 0 || p.Finalists < 1 {
		return fmt.Errorf("the plan has %d rungs, %d networks and %d finalists, want some of each (ledgers of other versions are not read)", len(p.Rungs), len(p.Networks), p.Finalists)
	}
	if n := p.Rungs[0].Networks; n != len(p.Networks) || p.Finalists > n {
		return fmt.Errorf("%d networks enter the first rung and %d are finalists, of %d", n, p.Finalists, len(p.Networks))
	}
	lists := [][]uint64{p.NoiseSeeds, p.FreshSeeds, p.SweepSeeds}
	for k, r := range p.Rungs {
		if r.Epochs < 1 || r.Epochs > maxEpochs || r.Networks < 1 || len(r.Seeds) == 0 || k > 0 && (r.Epochs <= p.Rungs[k-1].Epochs || r.Networks > p.Rungs[k-1].Networks) {
			return fmt.Errorf("rung %d has %d networks, %d epochs and %d seeds: want some, and more epochs and no more networks than the rung before", k, r.Networks, r.Epochs, len(r.Seeds))
		}
		lists = append(lists, r.Seeds)
	}
	if last := p.Rungs[len(p.Rungs)-1].Epochs; last != p.Epochs {
		return fmt.Errorf("the last rung has %d epochs, the plan %d", last, p.Epochs)
	}
	for _, f := range p.Finals {
		if len(f.Networks) == 0 {
			return fmt.Errorf("there is no network to compare at %v times the base's cost", f.Factor)
		}
		lists = append(lists, f.Seeds)
	}
	for _, seeds := range lists {
		for i, s := range seeds {
			if slices.Contains(seeds[:i], s) {
				return fmt.Errorf("seed %d is there twice", s)
			}
		}
	}
	return nil
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
	if c := r.Choice; c != nil {
		if !known[c.Winner] {
			return fmt.Errorf("the choice names a network that there is not: %q", c.Winner)
		}
		for _, n := range c.Compounds {
			if !known[n.ID] {
				return fmt.Errorf("the choice names a network that there is not: %q", n.ID)
			}
		}
	}
	if r.Done && r.Choice == nil {
		return errors.New("it is done but nothing was chosen")
	}
	tied := 0
	known = map[string]bool{}
	for _, j := range r.jobs() {
		id := j.id()
		if known[id] {
			return fmt.Errorf("trial %s is planned twice", id)
		}
		known[id] = true
		t := r.Trials[id]
		if t == nil {
			continue
		}
		tied++
		t.tie(&j)
		if o := t.Outcome; o != nil {
			if err := o.check(&Trial{ID: t.ID, Epochs: j.epochs, Test: j.test()}, r.Plan); err != nil {
				return err
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

// tie fills in what the job says of the trial.
func (t *TrialResult) tie(j *job) {
	t.Network, t.Phase, t.Rung, t.Epochs, t.Seed = j.net.ID, j.phase, j.rung, j.epochs, j.seed
}

// carried reports whether a command is in the ledger.
func (r *Result) carried(id string) bool {
	return slices.ContainsFunc(r.Controls, func(c Command) bool { return c.ID == id })
}

// knows reports whether a trial of that name may take place.
func (r *Result) knows(id string) bool {
	return r.Plan != nil && slices.ContainsFunc(r.jobs(), func(j job) bool { return j.id() == id })
}

// Networks lists the networks known so far: the base, the explored, the swept,
// the validated.
func (r *Result) Networks() []*Network {
	if r.Plan == nil {
		return nil
	}
	out := []*Network{&r.Plan.BaseNet}
	for i := range r.Plan.Networks {
		out = append(out, &r.Plan.Networks[i])
	}
	for i := range r.Plan.Sweep {
		out = append(out, &r.Plan.Sweep[i])
	}
	for i := range r.Plan.Finals {
		f := &r.Plan.Finals[i]
		for k := range f.Networks {
			out = append(out, &f.Networks[k])
		}
		if r.Choice != nil && r.Choice.Compounds[i].Network != nil {
			out = append(out, r.Choice.Compounds[i].Network)
		}
	}
	return out
}

// TrialsOf lists a network's finished trials of a phase, shorter ones first,
// by seed; of every phase where phase is "".
func (r *Result) TrialsOf(network string, phase Phase) []*TrialResult {
	var out []*TrialResult
	for _, t := range r.Trials {
		if t.Network == network && t.Outcome != nil && (phase == "" || t.Phase == phase) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *TrialResult) int {
		return cmp.Or(cmp.Compare(a.Epochs, b.Epochs), cmp.Compare(a.Seed, b.Seed))
	})
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
	return ended, len(r.jobs()) + len(r.unknown())
}

// Compute is the summed duration of the ended trials.
func (r *Result) Compute() (sum time.Duration) {
	for _, t := range r.Trials {
		sum += duration(t.Seconds) // whole, so that the map's order does not matter
	}
	return sum
}
