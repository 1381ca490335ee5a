package search

import (
	"fmt"
	"math"
	"sort"
	"time"
)

// How a plan fills in what the user left open. Without a budget: the first
// choices, all images, defaultEpochs. With one: the most networks and seeds
// that leave every trial fullEpochs over all images; where even the fewest do
// not, those, and as much training as fits, fewer images before fewer epochs.
const (
	defaultNetworks = 16
	defaultSeeds    = 2
	defaultEpochs   = 5
	fullEpochs      = 10
	fewestEpochs    = 3
	mostEpochs      = 100
	fewestImages    = 500
	imageStep       = 100
	// budgetShare of a budget may be forecast to be taken by the trials.
	budgetShare = 0.93
)

func networkChoices(cfg *Config) []int {
	switch {
	case cfg.Networks > 0:
		return []int{cfg.Networks}
	case cfg.BudgetSeconds > 0:
		return []int{12, 16, 20, 24, 32}
	}
	return []int{defaultNetworks}
}

func seedChoices(cfg *Config) []int {
	switch {
	case cfg.Seeds > 0:
		return []int{cfg.Seeds}
	case cfg.BudgetSeconds > 0:
		return []int{2, 3, 5, 7, 10}
	}
	return []int{defaultSeeds}
}

// settle chooses networks out of pool (the first are the best spread), seeds,
// epochs and images. budget is in seconds, 0 for none; all is the number of
// training images there are.
func (p *Plan) settle(cfg *Config, pool []Network, all int, budget float64, workers int) error {
	if cfg.TrainImages > all {
		return fmt.Errorf("search: %d training images are wanted, but %s has %d", cfg.TrainImages, cfg.Data, all)
	}
	design := func(networks, seeds int) {
		p.Networks = pool[:min(networks, len(pool))]
		p.Rungs = []Rung{{Networks: len(p.Networks), Seeds: seedsFrom(cfg.Seed, seeds)}}
		for i := range p.Finals {
			p.Finals[i].Seeds = seedsFrom(cfg.Seed, seeds)
		}
	}
	defer func() { p.Rungs[0].Epochs = p.Epochs }()
	var nets, seeds int
	for _, n := range networkChoices(cfg) {
		for _, s := range seedChoices(cfg) {
			design(n, s)
			p.Epochs, p.TrainImages = cfg.Epochs, cfg.TrainImages
			if budget == 0 {
				if p.Epochs == 0 {
					p.Epochs = defaultEpochs
				}
				if p.TrainImages == 0 {
					p.TrainImages = all
				}
				return nil
			}
			fits := p.lengthen(all, budget, workers)
			full := fits && p.Epochs*p.TrainImages >= fullEpochs*all
			fixed := fits && cfg.Epochs > 0 && cfg.TrainImages > 0
			if nets == 0 || ((full || fixed) && len(p.Networks)*s > min(nets, len(pool))*seeds) {
				nets, seeds = n, s
			}
		}
	}
	design(nets, seeds)
	p.Epochs, p.TrainImages = cfg.Epochs, cfg.TrainImages
	if p.lengthen(all, budget, workers) {
		return nil
	}
	need := p.forecast(workers).Seconds
	return fmt.Errorf("search: the budget is too short: %d networks x %d seeds x %d epochs of %d images and the validation would take about %s, the budget leaves %s; give more, or fewer --networks, --seeds, --epochs or --train-images",
		len(p.Networks), len(p.Rungs[0].Seeds), p.Epochs, p.TrainImages, roundSeconds(need), roundSeconds(max(budget, 0)))
}

// lengthen chooses the epochs and images that are zero, as much as fits the
// budget, and reports whether even the least does.
func (p *Plan) lengthen(all int, budget float64, workers int) bool {
	fits := func() bool {
		p.Rungs[0].Epochs = p.Epochs
		return p.forecast(workers).Seconds <= budget
	}
	// most is the largest value below which all fit, at least 1.
	most := func(limit int, set func(int)) {
		k := sort.Search(limit, func(i int) bool { set(i + 1); return !fits() })
		set(max(k, 1))
	}
	epochs := func(k int) { p.Epochs = k }
	images := func(k int) { p.TrainImages = min(k*imageStep, all) }
	steps := (all + imageStep - 1) / imageStep
	least := min(fewestImages, all)
	switch {
	case p.Epochs > 0 && p.TrainImages > 0:
	case p.Epochs > 0:
		most(steps, images)
		p.TrainImages = max(p.TrainImages, least)
	case p.TrainImages > 0:
		most(mostEpochs, epochs)
	default:
		p.TrainImages = all
		most(mostEpochs, epochs)
		if p.Epochs < fewestEpochs {
			p.Epochs = fewestEpochs
			most(steps, images)
			p.TrainImages = max(p.TrainImages, least)
		}
	}
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
