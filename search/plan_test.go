package search

import (
	"strings"
	"testing"
	"time"
)

func planFor(t *testing.T, cfg Config, all, workers int) (*Plan, error) {
	t.Helper()
	base := testBase()
	eng := testFake().engine()
	eng.TrainImages = all
	return makePlan(t.Context(), &cfg, &base, eng, &Options{Workers: workers, Threads: 1, now: time.Now}, 0)
}

// TestPlanBudget: the longer the budget, the more is done, and never more than
// fits.
func TestPlanBudget(t *testing.T) {
	base := testBase()
	var last float64
	for _, budget := range []float64{20, 60, 200, 600, 3600, 36000} {
		cfg := config(&base)
		cfg.Networks, cfg.Seeds, cfg.Epochs, cfg.TrainImages, cfg.BudgetSeconds = 0, 0, 0, 0, budget
		p, err := planFor(t, cfg, 54000, 2)
		if err != nil {
			t.Fatal(err)
		}
		if f := p.Forecast.Seconds; f > budget || f < 0.6*budget && budget < 36000 {
			t.Errorf("budget %v s: forecast %v s", budget, f)
		}
		if len(p.Networks) < 8 || len(p.Rungs[0].Seeds) < 1 || p.TrainImages < fewestImages || p.TrainImages > 54000 {
			t.Errorf("budget %v s: %d networks, %d seeds, %d images", budget, len(p.Networks), len(p.Rungs[0].Seeds), p.TrainImages)
		}
		if p.TrainImages < 54000 && p.Epochs != fewestEpochs {
			t.Errorf("budget %v s: %d epochs of only %d images", budget, p.Epochs, p.TrainImages)
		}
		if p.Forecast.FLOPs <= last {
			t.Errorf("budget %v s: %v FLOPs, no more than with less", budget, p.Forecast.FLOPs)
		}
		last = p.Forecast.FLOPs
		t.Logf("%6.0f s: %d networks x %d seeds x %d epochs of %d images, %.0f s", budget, len(p.Networks), len(p.Rungs[0].Seeds), p.Epochs, p.TrainImages, p.Forecast.Seconds)
	}
}

// TestPlanFactors: the largest factors are given up before the exploration gets
// too poor, and at least one stays.
func TestPlanFactors(t *testing.T) {
	base := testBase()
	factors := 0
	for _, budget := range []float64{30, 300, 450, 1000, 2000, 20000} {
		cfg := config(&base)
		cfg.Networks, cfg.Seeds, cfg.Epochs, cfg.TrainImages, cfg.BudgetSeconds = 0, 0, 0, 0, budget
		cfg.NoiseSeeds, cfg.Finalists, cfg.FreshSeeds, cfg.FinalSeeds = 0, 0, 0, 0
		cfg.ValidateFactors = []float64{2, 4, 8}
		p, err := planFor(t, cfg, 54000, 2)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range p.Finals {
			if len(f.Seeds) > 0 {
				n++
			}
		}
		passes := float64(p.Epochs*p.TrainImages) / 54000
		t.Logf("%6.0f s: %d networks, %.1f passes, %d factors", budget, len(p.Networks), passes, n)
		if n < factors || n < 1 {
			t.Errorf("budget %v s: %d factors, %d with less", budget, n, factors)
		}
		if n > 1 && passes < fewestEpochs {
			t.Errorf("budget %v s: %v passes, and yet %d factors", budget, passes, n)
		}
		factors = n
	}
	if factors != 3 {
		t.Errorf("%d factors with the largest budget", factors)
	}
}

// TestPlanFixed: what the user says is kept, the rest gives way.
func TestPlanFixed(t *testing.T) {
	base := testBase()
	for _, c := range []struct{ networks, seeds, epochs, images int }{
		{8, 0, 0, 0}, {0, 5, 0, 0}, {0, 0, 4, 0}, {0, 0, 0, 2000}, {20, 3, 2, 0}, {10, 2, 3, 1000},
	} {
		cfg := config(&base)
		cfg.Networks, cfg.Seeds, cfg.Epochs, cfg.TrainImages, cfg.BudgetSeconds = c.networks, c.seeds, c.epochs, c.images, 120
		p, err := planFor(t, cfg, 54000, 2)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if c.networks > 0 && len(p.Networks) != c.networks || c.seeds > 0 && len(p.Rungs[0].Seeds) != c.seeds ||
			c.epochs > 0 && p.Epochs != c.epochs || c.images > 0 && p.TrainImages != c.images || p.Forecast.Seconds > 120 {
			t.Errorf("%+v: %d networks, %d seeds, %d epochs, %d images, %v s", c, len(p.Networks), len(p.Rungs[0].Seeds), p.Epochs, p.TrainImages, p.Forecast.Seconds)
		}
	}
}

func TestPlanErrors(t *testing.T) {
	base := testBase()
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.BudgetSeconds = 0.5; c.Epochs, c.TrainImages = 0, 0 }, "budget is too short"},
		{func(c *Config) { c.BudgetSeconds = 5; c.Epochs, c.TrainImages = 100, 50000 }, "budget is too short"},
		{func(c *Config) { c.TrainImages = 60000 }, "60000 training images are wanted"},
	} {
		cfg := config(&base)
		c.change(&cfg)
		if _, err := planFor(t, cfg, 54000, 2); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// TestPlanFew: a data set with fewer images than a step of the planner.
func TestPlanFew(t *testing.T) {
	base := testBase()
	cfg := config(&base)
	cfg.Epochs, cfg.TrainImages, cfg.BudgetSeconds = 0, 0, 60
	p, err := planFor(t, cfg, 40, 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.TrainImages != 40 {
		t.Errorf("%d images of 40", p.TrainImages)
	}
}

// TestCalibration: the cost model gives back what the probes measured.
func TestCalibration(t *testing.T) {
	base := testBase()
	p, err := planFor(t, config(&base), 54000, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "seconds per MAC", p.Model.TrainMAC, 3e-10, 1e-12)
	near(t, "deviation", p.Model.Deviation, 0, 1e-6)
	want := 2 * (1000*3e-10 + 400*1e-10) * float64(p.Networks[0].MACs)
	near(t, "seconds of a trial", p.seconds(&job{net: &p.Networks[0], phase: PhaseRung, epochs: 2}), want, 1e-9*want)
}

func TestMakespan(t *testing.T) {
	for _, c := range []struct {
		work    []float64
		workers int
		want    float64
	}{
		{nil, 2, 0}, {[]float64{3, 2, 2}, 1, 7}, {[]float64{3, 2, 2}, 2, 4}, {[]float64{1, 1, 1, 5}, 3, 6},
	} {
		if got := makespan(c.work, c.workers); got != c.want {
			t.Errorf("%v over %d: %v, want %v", c.work, c.workers, got, c.want)
		}
	}
}
