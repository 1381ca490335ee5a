package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"effnet/arch"
	"effnet/internal/words"
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
func calibrate(ctx context.Context, eng *Engine, base *arch.Spec, nets []Network, workers, threads int, say *preparing) (CostModel, error) {
	say.begin("timing networks", len(nets))
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
				say.step()
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

// makePlan enumerates, measures and settles. worked is how many seconds of a
// budget went before.
func makePlan(ctx context.Context, cfg *Config, base *arch.Spec, eng *Engine, opt *Options, worked float64) (*Plan, error) {
	began := opt.now()
	say := preparing{tell: opt.Preparing}
	say.begin("listing candidates", 0)
	meter := say.meter(eng.Meter)
	src, err := ParseSource(cfg.Candidates)
	if err != nil {
		return nil, err
	}
	most := cfg.Networks // 0: all that a grid, a star or a list has
	if most == 0 && src.Kind == SourceTriangle {
		most = plain.networks
		if cfg.BudgetSeconds > 0 {
			most = designs[len(designs)-1].networks
		}
	}
	found, err := Candidates(ctx, *base, cfg.budget(), src, most, meter)
	if err != nil {
		return nil, err
	}
	if len(found.Networks) < 2 {
		return nil, fmt.Errorf("search: only %s cost %v times %s within %v %%%s: raise the tolerance or the factor",
			words.Plural(len(found.Networks), "network"), cfg.Factor, base.Name, 100*found.Tolerance, cfg.limitText())
	}
	p := &Plan{
		Enumerated: found.Enumerated, Tolerance: found.Tolerance, Note: found.Note,
		Validation: eng.ValidationImages, Test: eng.TestImages,
	}
	if p.BaseNet, err = found.baseNet(base); err != nil {
		return nil, err
	}
	s := planner{Plan: p, cfg: cfg, pool: found.Networks, all: eng.TrainImages, workers: opt.Workers, listed: src.Kind != SourceTriangle}
	for _, f := range cfg.ValidateFactors {
		say.begin(fmt.Sprintf("listing networks of %g times the cost", f), 0)
		final, err := newFinal(ctx, cfg, base, f, meter)
		if err != nil {
			return nil, err
		}
		s.finals = append(s.finals, final)
	}
	if cfg.Sweep {
		say.begin("listing width sweeps", 0)
		if p.Sweep, err = WidthSweeps(base, max(2, cfg.Factor), sweepWidths); err != nil {
			return nil, err
		}
		p.SweepSeeds = seedsFrom(cfg.Seed, 1)
	}
	probes := []Network{p.BaseNet}
	probes = append(probes, found.Networks[:min(4, len(found.Networks))]...)
	for _, f := range s.finals {
		probes = append(probes, f.Networks...)
	}
	p.Model, err = calibrate(ctx, eng, base, probes, opt.Workers, opt.Threads, &say)
	if err != nil {
		return nil, err
	}
	if cfg.BudgetSeconds > 0 {
		s.budget = planShare*cfg.BudgetSeconds - worked - opt.now().Sub(began).Seconds()
		s.budget = max(s.budget, 1e-9) // none would be no limit
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	p.Forecast = p.forecast(opt.Workers)
	return p, nil
}

// sweepWidths are the steps of width at each depth and resolution swept.
const sweepWidths = 4

// newFinal finds the networks that are compared at a factor, but for the
// chosen ratio's. It has no seeds.
func newFinal(ctx context.Context, cfg *Config, base *arch.Spec, factor float64, m *Meter) (Final, error) {
	space, err := NewSpace(ctx, *base, cfg.finalBudget(factor), m)
	if err != nil {
		return Final{}, err
	}
	f := Final{Factor: factor}
	f.Networks, err = space.Measured(ctx, func() []Network {
		f.Target = space.Target(cfg.Tolerance)
		return space.rules(f.Target)
	})
	if err == nil && len(f.Networks) == 0 {
		err = fmt.Errorf("search: no network costs %v times %s within %v %%: raise the tolerance or another factor to validate at",
			factor, base.Name, 100*cfg.Tolerance)
	}
	return f, err
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
