package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"effnet/arch"
)

// Plan is what a search will do: which networks, how often, how long. It is
// settled before the first trial, by measuring this machine and, with a
// budget, by making the trials fit it.
type Plan struct {
	BaseNet     Network   `json:"base_net"`
	Networks    []Network `json:"networks"`            // to explore, at Config.Factor
	Enumerated  int       `json:"enumerated"`          // distinct networks that these were picked from
	Tolerance   float64   `json:"tolerance,omitempty"` // of their cost: wider than Config.Tolerance where too few lay within that
	Note        string    `json:"note,omitempty"`      // what the user should know of the choice
	NoiseSeeds  []uint64  `json:"noise_seeds"`         // of the base, as long as the first rung
	Rungs       []Rung    `json:"rungs"`               // the last is Epochs long
	Finalists   int       `json:"finalists"`           // of the last rung, trained again
	FreshSeeds  []uint64  `json:"fresh_seeds"`         // with these
	Sweep       []Network `json:"sweep,omitempty"`
	SweepSeeds  []uint64  `json:"sweep_seeds,omitempty"`
	Finals      []Final   `json:"finals"` // one for each of Config.ValidateFactors
	Epochs      int       `json:"epochs"` // of a training in full length
	TrainImages int       `json:"train_images"`
	Validation  int       `json:"validation_images"`
	Test        int       `json:"test_images"`
	Model       CostModel `json:"cost_model"`
	Forecast    Forecast  `json:"forecast"`
}

// Rung is a round of the exploration: networks compared after so many epochs.
// The first rung's are all candidates; of each rung the best go on to the
// next, where they are trained from the start, for longer.
type Rung struct {
	Epochs   int      `json:"epochs"`
	Networks int      `json:"networks"` // that enter, at most
	Seeds    []uint64 `json:"seeds"`    // each is trained with all of them
}

// Final is the comparison at one cost.
type Final struct {
	Factor   float64   `json:"factor"`   // cost over the base's
	Target   float64   `json:"target"`   // realised cost over the base's that its networks aim at
	Networks []Network `json:"networks"` // of the rules; the chosen ratio's joins by Choice
	Seeds    []uint64  `json:"seeds"`    // each is trained with all of them; none: the budget has no room for this factor
}

// Forecast is what a plan is expected to take.
type Forecast struct {
	Trials  int     `json:"trials"`
	FLOPs   float64 `json:"flops"`         // of training: six a MAC, forwards and backwards
	Seconds float64 `json:"seconds"`       // wall-clock
	Compute float64 `json:"trial_seconds"` // summed over trials
}

// CostModel predicts the seconds an image takes from a network's MACs and
// activations, measured with as many trials at a time as the search runs.
type CostModel struct {
	TrainMAC  float64 `json:"train_s_per_mac"`
	TrainAct  float64 `json:"train_s_per_activation"`
	ScoreMAC  float64 `json:"score_s_per_mac"`
	ScoreAct  float64 `json:"score_s_per_activation"`
	Deviation float64 `json:"deviation"` // largest relative error over the measured networks
}

func (m *CostModel) train(n *Network) float64 {
	return m.TrainMAC*float64(n.MACs) + m.TrainAct*float64(n.Activations)
}

func (m *CostModel) score(n *Network) float64 {
	return m.ScoreMAC*float64(n.MACs) + m.ScoreAct*float64(n.Activations)
}

// fitTwo fits y = a*u + b*v, a and b not negative, by least squares of the
// relative errors.
func fitTwo(u, v, y []float64) (a, b float64) {
	var uu, uv, vv, us, vs float64
	for i := range y {
		p, q := u[i]/y[i], v[i]/y[i]
		uu += p * p
		uv += p * q
		vv += q * q
		us += p
		vs += q
	}
	if det := uu*vv - uv*uv; det > 1e-9*uu*vv {
		a, b = (us*vv-vs*uv)/det, (vs*uu-us*uv)/det
	} else {
		a, b = -1, -1
	}
	if a >= 0 && b >= 0 {
		return a, b
	}
	// One of them is zero: the one whose absence leaves the smaller error.
	if us*us/uu >= vs*vs/vv {
		return us / uu, 0
	}
	return 0, vs / vv
}

// calibrate measures the networks, as many at a time as the search will run.
func calibrate(ctx context.Context, eng *Engine, base *arch.Spec, nets []Network, workers, threads int) (CostModel, error) {
	speeds := make([]Speed, len(nets))
	errs := make([]error, len(nets))
	var wg sync.WaitGroup
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				spec, err := nets[i].Spec(base)
				if err == nil {
					speeds[i], err = eng.Probe(ctx, &spec, threads)
				}
				if err == nil && !(speeds[i].Train > 0 && speeds[i].Score >= 0) {
					err = fmt.Errorf("%v seconds an image cannot be", speeds[i].Train)
				}
				errs[i] = err
			}
		})
	}
	for i := range nets {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return CostModel{}, fmt.Errorf("search: measuring %s: %w", nets[i].ID, err)
		}
	}
	macs, acts := make([]float64, len(nets)), make([]float64, len(nets))
	train, score := make([]float64, len(nets)), make([]float64, len(nets))
	for i := range nets {
		macs[i], acts[i] = float64(nets[i].MACs), float64(nets[i].Activations)
		train[i], score[i] = speeds[i].Train, max(speeds[i].Score, 1e-12)
	}
	var m CostModel
	m.TrainMAC, m.TrainAct = fitTwo(macs, acts, train)
	m.ScoreMAC, m.ScoreAct = fitTwo(macs, acts, score)
	for i := range nets {
		m.Deviation = max(m.Deviation, math.Abs(m.train(&nets[i])/train[i]-1))
	}
	return m, nil
}

// seconds is how long a trial is expected to take on its worker.
func (p *Plan) seconds(j *job) float64 {
	s := float64(j.epochs) * (float64(p.TrainImages)*p.Model.train(j.net) + float64(p.Validation)*p.Model.score(j.net))
	if j.test() {
		s += float64(p.Test) * p.Model.score(j.net)
	}
	return s
}

// job is a trial before it has a folder.
type job struct {
	net    *Network
	phase  Phase
	rung   int // of PhaseRung
	epochs int
	seed   uint64
}

// id names the trial.
func (j *job) id() string { return TrialID(j.net.ID, j.epochs, j.seed) }

// test reports whether the trial is scored on the test images.
func (j *job) test() bool { return j.phase == PhaseFinal }

// TrialID names a network's training of so many epochs with a seed.
func TrialID(network string, epochs int, seed uint64) string {
	return fmt.Sprintf("%s-e%d-s%d", network, epochs, seed)
}

// Phases draw their seeds from ranges of their own, so that what one has
// chosen is looked at by the next with fresh ones. The seeds of noise, rungs
// and sweep begin at Config.Seed.
const (
	seedRange      = 100
	firstFreshSeed = seedRange     // over Config.Seed
	firstFinalSeed = 2 * seedRange // over Config.Seed
)

// seedsFrom lists n seeds.
func seedsFrom(first uint64, n int) []uint64 {
	var seeds []uint64
	for i := range n {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

// jobs lists the plan's trials in the order they are taken up: the
// exploration, seed by seed so that a first picture comes early, then the
// validation.
func (p *Plan) jobs() (explore, final []job) {
	for k, rung := range p.Rungs {
		for _, seed := range rung.Seeds {
			for i := range p.Networks {
				explore = append(explore, job{&p.Networks[i], PhaseRung, k, rung.Epochs, seed})
			}
		}
	}
	for _, seed := range p.finalSeeds() {
		final = append(final, job{&p.BaseNet, PhaseFinal, 0, p.Epochs, seed})
	}
	for f := range p.Finals {
		for _, seed := range p.Finals[f].Seeds {
			for i := range p.Finals[f].Networks {
				final = append(final, job{&p.Finals[f].Networks[i], PhaseFinal, 0, p.Epochs, seed})
			}
		}
	}
	return explore, final
}

// finalSeeds are those that the base is trained with for the comparison: all
// that any of its factors has.
func (p *Plan) finalSeeds() []uint64 {
	var seeds []uint64
	for _, f := range p.Finals {
		if len(f.Seeds) > len(seeds) {
			seeds = f.Seeds
		}
	}
	return seeds
}

// forecast adds up the trials and lays them out over the workers.
func (p *Plan) forecast(workers int) Forecast {
	explore, final := p.jobs()
	jobs := append(explore, final...)
	for i := range p.Finals {
		// The chosen ratio's network costs what the others do.
		for _, seed := range p.Finals[i].Seeds {
			jobs = append(jobs, job{&p.Finals[i].Networks[0], PhaseFinal, 0, p.Epochs, seed})
		}
	}
	var f Forecast
	var work []float64
	for _, j := range jobs {
		s := p.seconds(&j)
		work = append(work, s)
		f.Trials++
		f.Compute += s
		f.FLOPs += 6 * float64(j.net.MACs) * float64(p.TrainImages) * float64(j.epochs)
	}
	f.Seconds = makespan(work, workers)
	return f
}

// makePlan enumerates, measures and settles.
func makePlan(ctx context.Context, cfg *Config, base *arch.Spec, eng *Engine, opt *Options) (*Plan, error) {
	began := time.Now()
	src, err := ParseSource(cfg.Candidates)
	if err != nil {
		return nil, err
	}
	most := cfg.Networks // 0: all that a grid, a star or a list has
	if src.Kind == SourceTriangle {
		most = slices.Max(networkChoices(cfg))
	}
	found, err := Candidates(ctx, *base, cfg.budget(), src, most, eng.Meter)
	if err != nil {
		return nil, err
	}
	pool := found.Networks
	if len(pool) < 2 {
		return nil, fmt.Errorf("search: only %d network(s) cost %v times %s within %v %%%s: raise the tolerance or the factor",
			len(pool), cfg.Factor, base.Name, 100*found.Tolerance, cfg.limitText())
	}
	p := &Plan{
		Enumerated: found.Enumerated, Tolerance: found.Tolerance, Note: found.Note,
		Validation: eng.ValidationImages, Test: eng.TestImages,
	}
	if p.BaseNet, err = found.baseNet(base); err != nil {
		return nil, err
	}
	for _, f := range cfg.ValidateFactors {
		large, err := NewSpace(ctx, *base, cfg.finalBudget(f), eng.Meter)
		if err != nil {
			return nil, err
		}
		final := Final{Factor: f}
		final.Networks, err = large.Measured(ctx, func() []Network {
			final.Target = large.Target(cfg.Tolerance)
			return large.rules(final.Target)
		})
		if err != nil {
			return nil, err
		}
		if len(final.Networks) == 0 {
			return nil, fmt.Errorf("search: no network costs %v times %s within %v %%: raise the tolerance or another factor to validate at",
				f, base.Name, 100*cfg.Tolerance)
		}
		p.Finals = append(p.Finals, final)
	}
	probes := []Network{p.BaseNet}
	probes = append(probes, pool[:min(4, len(pool))]...)
	for _, f := range p.Finals {
		probes = append(probes, f.Networks...)
	}
	p.Model, err = calibrate(ctx, eng, base, probes, opt.Workers, opt.Threads)
	if err != nil {
		return nil, err
	}
	budget := 0.0
	if cfg.BudgetSeconds > 0 {
		budget = budgetShare*cfg.BudgetSeconds - time.Since(began).Seconds()
	}
	if err := p.settle(cfg, pool, eng.TrainImages, budget, opt.Workers); err != nil {
		return nil, err
	}
	p.Forecast = p.forecast(opt.Workers)
	return p, nil
}

// rules are the networks every validation trains: the single dimensions, B0's
// ratio and the fast one.
func (sp *Space) rules(target float64) []Network {
	var nets []Network
	add := func(n Network, ok bool, name string) {
		if ok && !slices.ContainsFunc(nets, func(m Network) bool { return m.key() == n.key() }) {
			n.ID = finalPrefix(sp.Factor) + name
			nets = append(nets, n)
		}
	}
	for dim, name := range dimNames {
		n, ok := sp.Corner(dim, target)
		add(n, ok, name)
	}
	for _, rule := range []struct {
		ratio arch.Shares
		name  string
	}{{B0Shares, "b0"}, {FastShares, "fast"}} {
		// A network stands for one rule, and no ratio for a single dimension.
		p := sp.near(rule.ratio, target, validateWeight, func(p *point) bool {
			return Distance(p.realised, rule.ratio) <= ruleDistance && max(p.realised.D, p.realised.W, p.realised.R) < 0.95 && !slices.ContainsFunc(nets, func(m Network) bool { return sp.places[m.key()] == p.at })
		})
		if p != nil {
			add(sp.network(p), true, rule.name)
		}
	}
	return nets
}
