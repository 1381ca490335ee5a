package search

import (
	"cmp"
	"fmt"
	"slices"
)

// job is a trial before it has a folder.
type job struct {
	net    *Network
	phase  Phase
	rung   int // of PhaseRung
	epochs int
	seed   uint64
	final  int // of PhaseFinal: which; -1: the base, which all have
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
	seeds := []uint64{}
	for i := range n {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

// jobs lists every trial that is certain to belong to the search, in the
// order of phases. More become certain as trials end.
func (r *Result) jobs() []job {
	jobs := r.Plan.noiseJobs()
	stands := r.standings()
	for k := range stands {
		jobs = append(jobs, r.Plan.rungJobs(k, stands[k].entered)...)
	}
	jobs = append(jobs, r.rerunJobs(stands)...)
	jobs = append(jobs, r.Plan.sweepJobs()...)
	for _, b := range r.Plan.blocks() {
		jobs = append(jobs, r.blockJobs(b)...)
	}
	return jobs
}

func (p *Plan) noiseJobs() (jobs []job) {
	for _, seed := range p.NoiseSeeds {
		jobs = append(jobs, job{net: &p.BaseNet, phase: PhaseNoise, epochs: p.Rungs[0].Epochs, seed: seed})
	}
	return jobs
}

// rungJobs go seed by seed, so that a first picture comes early.
func (p *Plan) rungJobs(rung int, nets []*Network) (jobs []job) {
	for _, seed := range p.Rungs[rung].Seeds {
		for _, n := range nets {
			jobs = append(jobs, job{net: n, phase: PhaseRung, rung: rung, epochs: p.Rungs[rung].Epochs, seed: seed})
		}
	}
	return jobs
}

// finalists are those certain so far.
func (r *Result) finalists(stands []standing) (nets []*Network) {
	for i := range r.Plan.Networks {
		if n := &r.Plan.Networks[i]; slices.Contains(stands[len(stands)-1].cut.Promoted, n.ID) {
			nets = append(nets, n)
		}
	}
	return nets
}

func (r *Result) rerunJobs(stands []standing) (jobs []job) {
	for _, seed := range r.Plan.FreshSeeds {
		for _, n := range r.finalists(stands) {
			jobs = append(jobs, job{net: n, phase: PhaseRerun, epochs: r.Plan.Epochs, seed: seed})
		}
	}
	return jobs
}

func (p *Plan) sweepJobs() (jobs []job) {
	for _, seed := range p.SweepSeeds {
		for i := range p.Sweep {
			jobs = append(jobs, job{net: &p.Sweep[i], phase: PhaseSweep, epochs: p.Epochs, seed: seed})
		}
	}
	return jobs
}

// block is a part of the validation that is of use only as a whole: every
// network of a final with one seed.
type block struct {
	final int
	seed  uint64
}

// pairSeeds is how many seeds of a final belong together: with one alone
// there is little to compare.
const pairSeeds = 2

// blocks lists those planned in the order they are done: the first seeds of
// every factor, cheap factors first, then the further ones, seed by seed.
func (p *Plan) blocks() (blocks []block) {
	add := func(f, from, to int) {
		for _, seed := range p.Finals[f].Seeds[min(from, len(p.Finals[f].Seeds)):min(to, len(p.Finals[f].Seeds))] {
			blocks = append(blocks, block{f, seed})
		}
	}
	most := 0
	for f := range p.Finals {
		add(f, 0, pairSeeds)
		most = max(most, len(p.Finals[f].Seeds))
	}
	for k := pairSeeds; k < most; k++ {
		for f := range p.Finals {
			add(f, k, k+1)
		}
	}
	return blocks
}

// blockJobs are a block's trials, the chosen ratio's only when it is known.
// The base belongs to the first block of its seed.
func (r *Result) blockJobs(b block) (jobs []job) {
	p := r.Plan
	f := &p.Finals[b.final]
	add := func(n *Network, final int) {
		jobs = append(jobs, job{net: n, phase: PhaseFinal, epochs: p.Epochs, seed: b.seed, final: final})
	}
	blocks := p.blocks()
	if first := slices.IndexFunc(blocks, func(o block) bool { return o.seed == b.seed }); blocks[first] == b {
		add(&p.BaseNet, -1)
	}
	for i := range f.Networks {
		add(&f.Networks[i], b.final)
	}
	if c := r.Choice; c != nil && c.Compounds[b.final].Network != nil {
		add(c.Compounds[b.final].Network, b.final)
	}
	return jobs
}

// unknown lists stand-ins for the trials that are still to become certain:
// networks of about their cost.
func (r *Result) unknown() (jobs []job) {
	p := r.Plan
	stands := r.standings()
	typical := p.typical()
	for k := 1; k < len(p.Rungs); k++ {
		if !stands[k-1].settled {
			for range p.Rungs[k].Networks - len(stands[k].entered) {
				jobs = append(jobs, p.rungJobs(k, []*Network{typical})...)
			}
		}
	}
	if !stands[len(stands)-1].settled {
		for range p.Finalists - len(r.finalists(stands)) {
			for _, seed := range p.FreshSeeds {
				jobs = append(jobs, job{net: typical, phase: PhaseRerun, epochs: p.Epochs, seed: seed})
			}
		}
	}
	if r.Choice == nil {
		for _, b := range p.blocks() {
			// All networks of a final cost about the same.
			jobs = append(jobs, job{net: &p.Finals[b.final].Networks[0], phase: PhaseFinal, epochs: p.Epochs, seed: b.seed, final: b.final})
		}
	}
	return jobs
}

// typical is the candidate of median cost among those that may be chosen.
func (p *Plan) typical() *Network {
	var nets []*Network
	chosen := p.choosable()
	for i := range p.Networks {
		if chosen(&p.Networks[i]) {
			nets = append(nets, &p.Networks[i])
		}
	}
	slices.SortStableFunc(nets, func(a, b *Network) int { return cmp.Compare(a.MACs, b.MACs) })
	return nets[len(nets)/2]
}

// needed lists the jobs that may start now and have not ended, in the order
// they are taken up. open says of a block whether it may start. Whatever the
// order in which trials end, the same ones are done in the end.
func (r *Result) needed(reruns bool, open func(block) bool) (jobs []job) {
	p := r.Plan
	stands := r.standings()
	add := func(more []job, wanted func(*job) bool) {
		for _, j := range more {
			if !r.Trials[j.id()].Ended() && (wanted == nil || wanted(&j)) {
				jobs = append(jobs, j)
			}
		}
	}
	scouts := r.scouts()
	scout := func(j *job) bool { return slices.Contains(scouts, j.net) }
	first := p.rungJobs(0, stands[0].entered)
	add(p.noiseJobs(), nil)
	add(first, scout)
	// The longer trials first: who waits for whom is then settled sooner.
	for k := len(p.Rungs) - 1; k > 0; k-- {
		add(p.rungJobs(k, stands[k].entered), nil)
	}
	if _, settled := r.floor(); settled {
		add(first, func(j *job) bool { return !scout(j) })
	}
	if reruns {
		add(r.rerunJobs(stands), nil)
	}
	add(p.sweepJobs(), nil)
	for _, b := range p.blocks() {
		if open(b) {
			add(r.blockJobs(b), nil)
		}
	}
	return jobs
}

// explored reports whether every trial that the choice rests on has ended.
func (r *Result) explored() bool {
	stands := r.standings()
	if !stands[len(stands)-1].settled {
		return false
	}
	for _, j := range r.rerunJobs(stands) {
		if !r.Trials[j.id()].Ended() {
			return false
		}
	}
	return true
}
