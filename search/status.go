package search

import (
	"slices"
	"time"
)

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
	Left     time.Duration // of a running trial: forecast
}

// Status is a search while it runs.
type Status struct {
	Trials  []TrialStatus // those known so far, in the order they are taken up
	Done    int           // ended
	Paused  bool          // by a command
	Total   int           // the chosen ratio's trials included, known or not
	Elapsed time.Duration // of this process
	Left    time.Duration // forecast, corrected by what the trials so far took
	Spent   time.Duration // wall-clock in this and earlier processes, pauses left out
	Budget  time.Duration // for that; 0: none
}

// snapshot is the present status.
func (r *runner) snapshot() *Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.res.Plan
	jobs := r.res.jobs()
	st := &Status{Elapsed: time.Since(r.began), Total: len(jobs)}
	// The seconds that each trial still takes, laid out over the workers.
	scale := 1.0
	if r.hoped > 0 {
		scale = r.spent / r.hoped
	}
	var busy, waiting []float64
	for _, j := range jobs {
		t := TrialStatus{ID: j.id(), Network: j.net, Seed: j.seed, Phase: j.phase, Rung: j.rung, Epochs: j.epochs}
		whole := scale * p.seconds(&j)
		res, run := r.res.Trials[j.id()], r.status[j.id()]
		switch {
		case res != nil && res.Outcome != nil:
			t.State, t.Progress.Done, t.Accuracy = Finished, 1, res.Outcome.Validation.Accuracy()
		case res != nil && res.Error != "":
			t.State, t.Progress.Done = Failed, 1
		case run != nil:
			t.State, t.Progress, t.Accuracy = Running, run.Progress, run.Accuracy
			left := whole * (1 - run.Done)
			if did := run.Done - run.started; did > 0.1 {
				left = time.Since(run.since).Seconds() * (1 - run.Done) / did
			}
			busy = append(busy, left)
			t.Left = time.Duration(left * float64(time.Second))
		default:
			waiting = append(waiting, whole)
		}
		if t.State == Finished || t.State == Failed {
			st.Done++
		}
		st.Trials = append(st.Trials, t)
	}
	for i := range p.Finals {
		if r.res.Choice == nil {
			for _, seed := range p.Finals[i].Seeds {
				st.Total++
				waiting = append(waiting, scale*p.seconds(&job{&p.Finals[i].Networks[0], PhaseFinal, 0, p.Epochs, seed}))
			}
		}
	}
	st.Left = time.Duration(makespan(append(busy, waiting...), r.opt.Workers) * float64(time.Second))
	return st
}

// makespan is when the last of the given stretches of work ends, each taken
// up in turn by the worker that is free first.
func makespan(work []float64, workers int) float64 {
	free := make([]float64, workers)
	for _, s := range work {
		w := 0
		for i := range free {
			if free[i] < free[w] {
				w = i
			}
		}
		free[w] += s
	}
	return slices.Max(free)
}
