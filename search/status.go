package search

import "time"

// TrialState is where a trial stands.
type TrialState uint8

const (
	Waiting TrialState = iota
	Running
	Finished
	Failed
)

// TrialStatus is one trial while the search runs.
type TrialStatus struct {
	ID       string
	Network  *Network
	Seed     uint64
	Phase    Phase
	Rung     int // of PhaseRung
	Epochs   int
	State    TrialState
	Progress Progress
	Accuracy float64       // on the validation images: so far, or the outcome's
	Stopped  int           // the epoch after which it was given up for hopeless
	Left     time.Duration // of a running trial: forecast
}

// Status is a search while it runs.
type Status struct {
	Trials  []TrialStatus // those known so far, in the order they are taken up
	Done    int           // ended
	Paused  bool          // by a command
	Total   int           // those of networks included that are still to be chosen
	Elapsed time.Duration // of this process
	Left    time.Duration // forecast, corrected by what the trials so far took
	Compute time.Duration // the same, summed over the trials: what is left to pay
	Spent   time.Duration // wall-clock in this and earlier processes, pauses left out
	Budget  time.Duration // for that; 0: none
}

// snapshot is the present status.
func (r *runner) snapshot() *Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.res.Plan
	jobs := r.res.jobs()
	unknown := r.res.unknown()
	st := &Status{
		Total: len(jobs) + len(unknown), Paused: r.res.Paused, Elapsed: r.opt.now().Sub(r.began),
		Spent: duration(r.spent()), Budget: duration(r.res.Budget()),
	}
	// The seconds that each trial still takes, laid out over the workers.
	slow := r.slowness()
	var busy, waiting []float64
	for _, j := range jobs {
		t := TrialStatus{ID: j.id(), Network: j.net, Seed: j.seed, Phase: j.phase, Rung: j.rung, Epochs: j.epochs}
		whole := slow * p.seconds(&j)
		res, run := r.res.Trials[j.id()], r.status[j.id()]
		switch {
		case res != nil && res.Outcome != nil:
			t.State, t.Progress.Done, t.Accuracy = Finished, 1, res.Outcome.Validation.Accuracy()
			t.Stopped = res.Outcome.Stopped
			st.Done++
		case res != nil && res.Error != "":
			t.State, t.Progress.Done = Failed, 1
			st.Done++
		case run != nil:
			t.State, t.Progress, t.Accuracy = Running, run.Progress, run.Accuracy
			left := run.left(r.opt.now().Sub(run.since).Seconds(), whole)
			busy = append(busy, left)
			t.Left = duration(left)
			st.Compute += t.Left
		default:
			waiting = append(waiting, whole)
		}
		st.Trials = append(st.Trials, t)
	}
	for _, j := range unknown {
		waiting = append(waiting, slow*p.seconds(&j))
	}
	for _, s := range waiting {
		st.Compute += duration(s)
	}
	st.Left = duration(makespan(append(busy, waiting...), r.opt.Workers))
	return st
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
