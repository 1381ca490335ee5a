package search

import "slices"

// Forecast is what a plan is expected to take.
type Forecast struct {
	Trials  int            `json:"trials"`
	FLOPs   float64        `json:"flops"`         // of training: six a MAC, forwards and backwards
	Seconds float64        `json:"seconds"`       // wall-clock
	Compute float64        `json:"trial_seconds"` // summed over trials
	Parts   []ForecastPart `json:"parts"`
	// Exhaustive is what the search for the ratio would take, in FLOPs, were
	// every candidate trained in full length with as many seeds as the
	// finalists are: the grid that successive halving takes the place of.
	Exhaustive float64 `json:"exhaustive_flops"`
}

// ForecastPart is a phase, or one rung of it.
type ForecastPart struct {
	Phase   Phase   `json:"phase"`
	Rung    int     `json:"rung,omitempty"`
	Factor  float64 `json:"factor,omitempty"` // of PhaseFinal
	Trials  int     `json:"trials"`
	Epochs  int     `json:"epochs"`
	FLOPs   float64 `json:"flops"`
	Compute float64 `json:"trial_seconds"`
}

// Explore is what finding the ratio takes, in FLOPs: noise, rungs, re-runs.
func (f *Forecast) Explore() (flops float64) {
	for _, p := range f.Parts {
		if p.Phase == PhaseNoise || p.Phase == PhaseRung || p.Phase == PhaseRerun {
			flops += p.FLOPs
		}
	}
	return flops
}

// flops is what a training takes.
func (p *Plan) flops(j *job) float64 {
	return 6 * float64(j.net.MACs) * float64(p.TrainImages) * float64(j.epochs)
}

// seconds is how long a trial is expected to take on its worker.
func (p *Plan) seconds(j *job) float64 {
	s := float64(j.epochs) * (float64(p.TrainImages)*p.Model.train(j.net) + float64(p.Validation)*p.Model.score(j.net))
	if j.test() {
		s += float64(p.Test) * p.Model.score(j.net)
	}
	return s
}

// trained is what a finished trial was expected to take, given how far it went.
func (p *Plan) trained(j *job, o *Outcome) float64 {
	k := *j
	if o.Stopped > 0 {
		k.epochs = o.Stopped
	}
	return p.seconds(&k)
}

// forecast adds up all trials, those to become certain included, and lays
// them out over the workers.
func (p *Plan) forecast(workers int) Forecast {
	r := &Result{Plan: p, Trials: map[string]*TrialResult{}}
	jobs := append(r.jobs(), r.unknown()...)
	var f Forecast
	var work []float64
	for _, j := range jobs {
		s, flops := p.seconds(&j), p.flops(&j)
		work = append(work, s)
		f.Trials++
		f.Compute += s
		f.FLOPs += flops
		at := p.part(&j)
		i := slices.IndexFunc(f.Parts, func(o ForecastPart) bool {
			return o.Phase == at.Phase && o.Rung == at.Rung && o.Factor == at.Factor
		})
		if i < 0 {
			i = len(f.Parts)
			f.Parts = append(f.Parts, at)
		}
		f.Parts[i].Trials++
		f.Parts[i].FLOPs += flops
		f.Parts[i].Compute += s
	}
	slices.SortStableFunc(f.Parts, func(a, b ForecastPart) int {
		return slices.Index(Phases, a.Phase) - slices.Index(Phases, b.Phase)
	})
	f.Seconds = makespan(work, workers)
	for i := range p.Networks {
		j := job{net: &p.Networks[i], epochs: p.Epochs}
		f.Exhaustive += float64(len(p.FreshSeeds)) * p.flops(&j)
	}
	return f
}

// part is where in a forecast a job counts.
func (p *Plan) part(j *job) ForecastPart {
	at := ForecastPart{Phase: j.phase, Epochs: j.epochs, Rung: j.rung}
	if j.phase == PhaseFinal {
		at.Factor = 1
		if j.final >= 0 {
			at.Factor = p.Finals[j.final].Factor
		}
	}
	return at
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
