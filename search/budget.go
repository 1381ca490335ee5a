package search

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/internal/words"
)

// A search with a budget fits what is left to do into the time that is left,
// twice: how often the finalists are trained again, when the last rung has
// ended, and how much of the validation is done, whenever a worker is about to
// begin another block of it. The shape of the rungs stays: what a network went
// through must not depend on the load.

const (
	// planShare of a budget is forecast to be taken by a plan. The validation
	// goes on as long as its next part is forecast to end within finalShare: the
	// parts being what they are, a search ends about as much before its budget
	// as after it. To complete a pair of seeds it may take pairShare.
	planShare  = 0.95
	finalShare = 1.02
	pairShare  = 1.08
	// A factor that was given up comes back only where it is forecast to end
	// within backShare: its trainings are long, and a pace can change.
	backShare = 0.85
	// mostFinalSeeds bounds how often time to spare repeats the validation.
	mostFinalSeeds = 12
	// fewestFreshSeeds is to what the re-runs may be cut.
	fewestFreshSeeds = 2
)

// pace compares what trials take with the plan's forecast, the latest most.
type pace struct {
	took, hoped float64 // seconds, of the trials remembered
	memory      float64 // forecast seconds after which a trial counts for 1/e
}

// paceMemory is that, as a share of all trials' seconds.
const paceMemory = 0.05

// add counts a trial.
func (p *pace) add(took, hoped float64) {
	keep := 0.0
	if p.memory > 0 {
		keep = math.Exp(-hoped / p.memory)
	}
	p.took, p.hoped = keep*p.took+took, keep*p.hoped+hoped
}

// learn begins with what the ledger tells of earlier processes' trials.
func (p *pace) learn(r *Result) {
	p.memory = paceMemory * r.Plan.Forecast.Compute
	var took, hoped float64
	for _, j := range r.jobs() {
		if t := r.Trials[j.id()]; t != nil && t.Outcome != nil && t.Attempts == 1 {
			took += t.Seconds
			hoped += r.Plan.trained(&j, t.Outcome)
		}
	}
	if hoped > 0 {
		p.took, p.hoped = took/hoped*min(hoped, p.memory), min(hoped, p.memory)
	}
}

// slowness is how many times its forecast a trial takes at present. mu is held.
func (r *runner) slowness() float64 {
	took, hoped := r.pace.took, r.pace.hoped
	for _, s := range r.status {
		if did := s.Done - s.started; did > 0.1 {
			took += r.opt.now().Sub(s.since).Seconds()
			hoped += did * r.res.Plan.seconds(&s.job)
		}
	}
	if hoped == 0 {
		return 1
	}
	return took / hoped
}

// budget is what this process has decided about time.
type budget struct {
	reruns bool           // how many there are is settled
	opened map[block]bool // of the validation
}

// left is the time that the search may still take to end within a share of its
// budget, in seconds; infinite without one. mu is held.
func (r *runner) left(share float64) float64 {
	limit := r.res.Budget()
	if limit == 0 {
		return math.Inf(1)
	}
	return share*limit - r.spent()
}

// spent is the wall-clock of all processes so far, pauses left out. mu is held.
func (r *runner) spent() float64 {
	s := r.res.Worked
	if !r.res.Paused {
		s += r.opt.now().Sub(r.res.Finished).Seconds()
	}
	return s
}

// Budget is the wall-clock asked for, in seconds, extensions included; 0 for
// none.
func (r *Result) Budget() float64 {
	b := r.Config.BudgetSeconds
	for _, c := range r.Controls {
		if c.Op == OpExtend {
			b += c.Seconds
		}
	}
	return b
}

// left is how many seconds a running trial still takes: judged by itself where
// it has come far enough, else by the whole's forecast.
func (s *running) left(elapsed, whole float64) float64 {
	if did := s.Done - s.started; did > 0.1 {
		return elapsed * (1 - s.Done) / did
	}
	return whole * (1 - s.Done)
}

// mayRerun reports whether the finalists' fresh trials may begin. mu is held.
func (r *runner) mayRerun() bool {
	return r.res.Budget() == 0 || r.budget.reruns || r.res.Choice != nil
}

// certain reports whether a block is done however little time is left: the
// smallest factor's first.
func (p *Plan) certain(b block) bool {
	first := slices.IndexFunc(p.Finals, func(f Final) bool { return len(f.Seeds) > 0 })
	return b.final == first && slices.Contains(p.Finals[first].Seeds[:min(pairSeeds, len(p.Finals[first].Seeds))], b.seed)
}

// open reports whether a block's trials may begin. mu is held.
func (r *runner) open(b block) bool {
	if r.res.Budget() == 0 || r.budget.opened[b] || r.res.Plan.certain(b) {
		return true
	}
	for _, j := range r.res.blockJobs(b) {
		if t := r.res.Trials[j.id()]; j.final == b.final && t != nil && t.Attempts > 0 {
			return true
		}
	}
	return false
}

// openBlock opens the next block that there is time for. mu is held.
func (r *runner) openBlock() (bool, error) {
	if r.res.Budget() == 0 || r.res.Choice == nil {
		return false, nil
	}
	if err := r.replan(r.refitFinals()); err != nil {
		return false, err
	}
	for _, b := range r.res.Plan.blocks() {
		if !r.open(b) {
			if r.budget.opened == nil {
				r.budget.opened = map[block]bool{}
			}
			r.budget.opened[b] = true
			return true, nil
		}
	}
	return false, nil
}

// refitReruns settles how often the finalists are trained again, so that the
// validation's first blocks have room. mu is held.
func (r *runner) refitReruns() error {
	if r.budget.reruns || r.res.Budget() == 0 {
		return nil
	}
	r.budget.reruns = true
	p := r.res.Plan
	to := p.replan()
	fits := func() bool { return r.fits(to, pairSeeds, finalShare) }
	started := 0 // seeds and swept networks that are under way
	for k, seed := range p.FreshSeeds {
		for _, t := range r.res.Trials {
			if t.Phase == PhaseRerun && t.Seed == seed {
				started = k + 1
			}
		}
	}
	if !fits() {
		to.Sweep = r.swept()
	}
	for r.res.Config.FreshSeeds == 0 && len(to.FreshSeeds) > max(started, fewestFreshSeeds) && !fits() {
		to.FreshSeeds = to.FreshSeeds[:len(to.FreshSeeds)-1]
	}
	for f := len(p.Finals) - 1; f > 0 && !fits(); f-- {
		if !slices.ContainsFunc(r.res.Plan.blocks(), func(b block) bool { return b.final == f && r.open(b) }) {
			to.FinalSeeds[f] = []uint64{}
		}
	}
	return r.replan(to)
}

// swept is how many of the sweep's networks are under way or done: they are
// taken up in order.
func (r *runner) swept() int {
	last := 0
	for i := range r.res.Plan.Sweep {
		for _, seed := range r.res.Plan.SweepSeeds {
			if t := r.res.Trials[TrialID(r.res.Plan.Sweep[i].ID, r.res.Plan.Epochs, seed)]; t != nil && t.Attempts > 0 {
				last = i + 1
			}
		}
	}
	return last
}

// finalJobs are the trials of a final with its seed k.
func (r *Result) finalJobs(f, k int) []job {
	jobs := r.blockJobs(block{f, r.Plan.Finals[f].Seeds[k]})
	if r.Choice == nil {
		n := &r.Plan.Finals[f].Networks[0] // costs about what the chosen ratio's does
		jobs = append(jobs, job{net: n, phase: PhaseFinal, epochs: r.Plan.Epochs, seed: r.Plan.Finals[f].Seeds[k], final: f})
	}
	return jobs
}

// fits reports whether all but the validation's seeds beyond the first so many
// of every factor end within a share of the budget, were the plan what to says.
// mu is held.
func (r *runner) fits(to Replan, seeds int, share float64) bool {
	trial := *r.res
	trial.Plan = trial.Plan.apply(to)
	jobs := trial.rerunJobs(trial.standings())
	jobs = append(jobs, trial.Plan.sweepJobs()...)
	for f := range trial.Plan.Finals {
		for k := range min(seeds, len(trial.Plan.Finals[f].Seeds)) {
			jobs = append(jobs, trial.finalJobs(f, k)...)
		}
	}
	return r.under(&trial, jobs, share)
}

// under reports whether what is under way and those of the jobs that have not
// ended end within a share of the budget. mu is held.
func (r *runner) under(trial *Result, jobs []job, share float64) bool {
	slow := r.slowness()
	var work []float64
	for _, s := range r.status {
		work = append(work, s.left(r.opt.now().Sub(s.since).Seconds(), slow*trial.Plan.seconds(&s.job)))
	}
	slices.Sort(work) // a map has no order
	for _, j := range jobs {
		if r.status[j.id()] == nil && !trial.Trials[j.id()].Ended() {
			work = append(work, slow*trial.Plan.seconds(&j))
		}
	}
	return makespan(work, r.opt.Workers) <= r.left(share)
}

// refitFinals settles how much of the validation is done: what is open stays;
// then the first seeds of every factor, cheap factors first; then, where the
// user left their number open, as many more as there is time for. mu is held.
func (r *runner) refitFinals() Replan {
	p := r.res.Plan
	to := p.replan()
	most := r.res.Config.FinalSeeds
	all := seedsFrom(r.res.Config.Seed+firstFinalSeed, max(most, mostFinalSeeds))
	count := make([]int, len(p.Finals))
	for _, b := range p.blocks() {
		if r.open(b) {
			count[b.final] = max(count[b.final], slices.Index(all, b.seed)+1)
		}
	}
	for f, n := range count {
		to.FinalSeeds[f] = all[:n]
	}
	grow := func(f, n int, share float64) {
		was := len(to.FinalSeeds[f])
		if to.FinalSeeds[f] = all[:max(was, n)]; !r.fits(to, len(all), share) {
			to.FinalSeeds[f] = all[:was]
		}
	}
	for f, n := range count {
		if n > 0 {
			grow(f, pairSeeds, pairShare)
		}
		share := finalShare
		if len(p.Finals[f].Seeds) == 0 {
			share = backShare
		}
		grow(f, max(pairSeeds, most), share)
	}
	if most == 0 {
		for k := pairSeeds; k < mostFinalSeeds; k++ {
			for f := range to.FinalSeeds {
				if len(to.FinalSeeds[f]) == k {
					grow(f, k+1, finalShare)
				}
			}
		}
	}
	return to
}

// replan records what the rest was fitted to, where that is something new.
// mu is held.
func (r *runner) replan(to Replan) error {
	if r.res.Plan.follows(&to) {
		return nil
	}
	to.Spent, to.Budget, to.Pace = r.spent(), r.res.Budget(), r.slowness()
	changes := strings.Join(r.res.Plan.changes(&to), ", ")
	r.note("%s of the budget are spent; to keep it: %s", roundSeconds(to.Spent), changes)
	return r.record(&record{Kind: kindReplan, Replan: &to})
}

// changes says in words what to changes.
func (p *Plan) changes(to *Replan) (out []string) {
	if was, is := len(p.FreshSeeds), len(to.FreshSeeds); was != is {
		out = append(out, fmt.Sprintf("finalists are trained on %s, not %d", words.Plural(is, "fresh seed"), was))
	}
	if to.Sweep != len(p.Sweep) {
		out = append(out, fmt.Sprintf("%d of %d networks are swept", to.Sweep, len(p.Sweep)))
	}
	for i := range p.Finals {
		was, is := len(p.Finals[i].Seeds), len(to.FinalSeeds[i])
		switch at := fmt.Sprintf("at %gx the base's cost", p.Finals[i].Factor); {
		case was == is:
		case is == 0:
			out = append(out, "no comparison "+at)
		default:
			out = append(out, fmt.Sprintf("a comparison %s with %s, not %d", at, words.Plural(is, "seed"), was))
		}
	}
	return out
}

// replan is the plan as it stands.
func (p *Plan) replan() Replan {
	to := Replan{FreshSeeds: p.FreshSeeds, Sweep: len(p.Sweep), FinalSeeds: make([][]uint64, len(p.Finals))}
	for i := range p.Finals {
		to.FinalSeeds[i] = p.Finals[i].Seeds
	}
	return to
}

// follows reports whether the plan is what to says.
func (p *Plan) follows(to *Replan) bool {
	now := p.replan()
	return slices.Equal(now.FreshSeeds, to.FreshSeeds) && now.Sweep == to.Sweep &&
		slices.EqualFunc(now.FinalSeeds, to.FinalSeeds, slices.Equal[[]uint64])
}

// apply is the plan with what to says.
func (p *Plan) apply(to Replan) *Plan {
	q := *p
	q.FreshSeeds, q.Sweep = to.FreshSeeds, p.Sweep[:min(max(to.Sweep, 0), len(p.Sweep))]
	q.Finals = slices.Clone(p.Finals)
	for i := range q.Finals {
		q.Finals[i].Seeds = to.FinalSeeds[i]
	}
	return &q
}
