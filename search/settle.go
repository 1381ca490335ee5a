package search

import (
	"fmt"
	"math"
	"sort"
	"time"

	"effnet/internal/words"
)

// design is how much of everything a search does, but for the length of its
// trainings.
type design struct {
	networks   int // explored
	seeds      int // of a rung
	noiseSeeds int
	finalists  int
	freshSeeds int
	finalSeeds int
	passes     float64 // over all images, that trainings in full length should have
}

// designs, from the poorest to the richest. Without a budget it is plain.
var (
	designs = []design{
		{8, 1, 2, 2, 2, 2, 3},
		{12, 1, 2, 2, 2, 2, 3},
		{16, 1, 3, 2, 3, 2, 3},
		{24, 1, 3, 3, 3, 3, 10},
		{32, 1, 3, 3, 5, 4, 10},
		{48, 1, 5, 4, 5, 6, 10},
	}
	plain = design{16, 1, 3, 3, 3, 3, 0}
)

const (
	defaultEta    = 3
	defaultEpochs = 9
	fewestEpochs  = 3
	mostEpochs    = 300
	fewestImages  = 500
	imageStep     = 100
	// shortestRung is the epochs below which no further rung is begun, where
	// the user leaves their number open and two are there.
	shortestRung = 2
	// mostRungs are begun unasked.
	mostRungs = 4
)

// wanted is the design with what the user gave in place.
func (d design) wanted(cfg *Config) design {
	for _, v := range []struct {
		to   *int
		from int
	}{
		{&d.networks, cfg.Networks}, {&d.seeds, cfg.Seeds}, {&d.noiseSeeds, cfg.NoiseSeeds},
		{&d.finalists, cfg.Finalists}, {&d.freshSeeds, cfg.FreshSeeds}, {&d.finalSeeds, cfg.FinalSeeds},
	} {
		if v.from > 0 {
			*v.to = v.from
		}
	}
	if cfg.Exhaustive && cfg.Seeds == 0 {
		d.seeds = d.freshSeeds
	}
	return d
}

// planner fills in what the user left open.
type planner struct {
	*Plan
	cfg     *Config
	pool    []Network // candidates, the first are the best spread
	finals  []Final   // all the user asks for
	all     int       // training images there are
	budget  float64   // seconds for the trials; 0: none
	workers int
	listed  bool // all of the pool are asked for, however many
}

// design lays the plan out, but for its length.
func (p *planner) design(d design, factors int) {
	if p.listed && p.cfg.Networks == 0 {
		d.networks = len(p.pool)
	}
	p.Networks = p.pool[:min(d.networks, len(p.pool))]
	p.Finalists = min(d.finalists, (p.choices()+1)/2)
	p.NoiseSeeds = seedsFrom(p.cfg.Seed, d.noiseSeeds)
	p.FreshSeeds = seedsFrom(p.cfg.Seed+firstFreshSeed, d.freshSeeds)
	p.Finals = nil
	for i, f := range p.finals {
		f.Seeds = []uint64{}
		if i < factors {
			f.Seeds = seedsFrom(p.cfg.Seed+firstFinalSeed, d.finalSeeds)
		}
		p.Finals = append(p.Finals, f)
	}
	p.Rungs = []Rung{{Seeds: seedsFrom(p.cfg.Seed, d.seeds)}}
}

// length gives the trainings their length and divides it into rungs.
func (p *planner) length(epochs, images int) {
	p.Epochs, p.TrainImages = epochs, images
	seeds := p.Rungs[0].Seeds
	eta := p.cfg.Eta
	if eta == 0 {
		eta = defaultEta
	}
	rungs := p.cfg.Rungs
	switch {
	case p.cfg.Exhaustive:
		rungs = 1
	case rungs == 0:
		// Two where there is any room, more where the first is not too short.
		rungs = 1
		for n := 2; n <= mostRungs; n++ {
			if ascends(epochs, eta, n) && (n == 2 || rungEpochs(epochs, eta, n-1) >= shortestRung) {
				rungs = n
			}
		}
	}
	p.Rungs = make([]Rung, rungs)
	enter := p.choices()
	for k := range p.Rungs {
		p.Rungs[k] = Rung{Epochs: max(1, rungEpochs(epochs, eta, rungs-1-k)), Networks: enter, Seeds: seeds}
		if k == 0 {
			p.Rungs[k].Networks = len(p.Networks)
		}
		enter = min(enter, max(p.Finalists+1, (enter+eta-1)/eta))
	}
}

// rungEpochs is the length of a rung that so many follow.
func rungEpochs(epochs, eta, follow int) int {
	return int(math.Round(float64(epochs) / math.Pow(float64(eta), float64(follow))))
}

// ascends reports whether so many rungs differ in length, the first at least
// one epoch.
func ascends(epochs, eta, rungs int) bool {
	last := 0
	for k := range rungs {
		e := rungEpochs(epochs, eta, rungs-1-k)
		if e <= last {
			return false
		}
		last = e
	}
	return true
}

// settle chooses what the user left open.
func (p *planner) settle() error {
	if p.cfg.TrainImages > p.all {
		return fmt.Errorf("search: %d training images are wanted, but %s has %d", p.cfg.TrainImages, p.cfg.Data, p.all)
	}
	if p.budget == 0 {
		p.design(plain.wanted(p.cfg), len(p.finals))
		epochs, images := p.cfg.Epochs, p.cfg.TrainImages
		if epochs == 0 {
			epochs = defaultEpochs
		}
		if images == 0 {
			images = p.all
		}
		p.length(epochs, images)
		return p.rungsFit()
	}
	// Each factor costs more than all below it together. So the largest is
	// given up before the exploration gets too poor to choose by.
	least := min(1, len(p.finals))
	for factors := len(p.finals); factors >= least; factors-- {
		for i := len(designs) - 1; i > 0; i-- {
			p.design(designs[i].wanted(p.cfg), factors)
			if p.lengthen() && p.passes() >= designs[i].passes {
				return p.rungsFit()
			}
		}
	}
	for factors := len(p.finals); factors >= least; factors-- {
		p.design(designs[0].wanted(p.cfg), factors)
		if p.lengthen() && (factors == least || p.passes() >= designs[0].passes) {
			return p.rungsFit()
		}
	}
	need := p.forecast(p.workers).Seconds
	return fmt.Errorf("search: the budget is too short: %d networks in %s, %d epochs of %d images and the validation would take about %s, the budget leaves %s; give more, or fewer --networks, --epochs, --train-images or factors to --validate at",
		len(p.Networks), words.Plural(len(p.Rungs), "rung"), p.Epochs, p.TrainImages, roundSeconds(need), roundSeconds(max(p.budget, 0)))
}

// passes is the length of a training in passes over the images that could be
// used; infinite where the user gave it.
func (p *planner) passes() float64 {
	switch {
	case p.cfg.Epochs > 0 && p.cfg.TrainImages > 0:
		return math.Inf(1)
	case p.cfg.TrainImages > 0:
		return float64(p.Epochs)
	case p.cfg.Epochs > 0:
		return designs[len(designs)-1].passes * float64(p.TrainImages) / float64(p.all)
	}
	return float64(p.Epochs) * float64(p.TrainImages) / float64(p.all)
}

// rungsFit reports rungs asked for that the epochs have no room for.
func (p *planner) rungsFit() error {
	for k := 1; k < len(p.Rungs); k++ {
		if p.Rungs[k].Epochs <= p.Rungs[k-1].Epochs {
			return fmt.Errorf("search: %d epochs have no room for %d rungs: rung %d would have %d epochs, the one before %d", p.Epochs, len(p.Rungs), k, p.Rungs[k].Epochs, p.Rungs[k-1].Epochs)
		}
	}
	return nil
}

// lengthen chooses the epochs and images that the user left open, as much as
// fits the budget, and reports whether even the least does.
func (p *planner) lengthen() bool {
	fits := func() bool { return p.forecast(p.workers).Seconds <= p.budget }
	epochs, images := p.cfg.Epochs, p.cfg.TrainImages
	// most is the largest value below which all fit, at least 1.
	most := func(limit int, set func(int)) {
		k := sort.Search(limit, func(i int) bool { set(i + 1); return !fits() })
		set(max(k, 1))
	}
	setEpochs := func(k int) { epochs = k; p.length(epochs, images) }
	setImages := func(k int) { images = min(k*imageStep, p.all); p.length(epochs, images) }
	steps := (p.all + imageStep - 1) / imageStep
	least := min(fewestImages, p.all)
	switch {
	case epochs > 0 && images > 0:
	case epochs > 0:
		most(steps, setImages)
		images = max(images, least)
	case images > 0:
		most(mostEpochs, setEpochs)
	default:
		images = p.all
		most(mostEpochs, setEpochs)
		if epochs < fewestEpochs {
			epochs = fewestEpochs
			most(steps, setImages)
			images = max(images, least)
		}
	}
	p.length(epochs, images)
	return fits()
}

// roundSeconds is a duration to read: tenths of seconds below ten, seconds
// below an hour, minutes beyond.
func roundSeconds(s float64) time.Duration {
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return 0
	}
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d < time.Hour:
		return d.Round(time.Second)
	}
	return d.Round(time.Minute)
}
