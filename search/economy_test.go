package search

import "testing"

// TestEconomy: beside a grid of the same candidates in full length, the search
// finds as good a ratio, and comes to the same verdict, with at most a third of
// the compute.
func TestEconomy(t *testing.T) {
	t.Parallel()
	run := func(exhaustive bool) (flops float64, a *Analysis) {
		f := &fake{surface: balanced(0.1), noise: 0.0015, gap: 0.1, images: 1 << 20, steps: 1}
		a = runFake(t, t.TempDir(), f, func(c *Config) {
			c.Networks, c.Epochs, c.Exhaustive, c.Seeds = 24, 18, exhaustive, 0
			c.NoiseSeeds, c.Finalists, c.FreshSeeds, c.FinalSeeds = 3, 3, 3, 3
		}).Analyse()
		for _, j := range a.jobs() {
			tr := a.Trials[j.id()]
			if j.phase == PhaseFinal || tr == nil || tr.Outcome == nil {
				continue
			}
			if s := tr.Outcome.Stopped; s > 0 {
				j.epochs = s
			}
			flops += a.Plan.flops(&j)
		}
		return flops, a
	}
	grid, want := run(true)
	halving, got := run(false)
	t.Logf("%.3g FLOP beside %.3g: %.2f of it; chosen %v and %v", halving, grid, halving/grid, got.Choice.Ratio, want.Choice.Ratio)
	if halving > grid/3 {
		t.Errorf("the search takes %.2f of the grid's compute", halving/grid)
	}
	if got.Verdict.Kind != want.Verdict.Kind || got.Verdict.Kind != CompoundWins {
		t.Errorf("verdicts %q and %q", got.Verdict.Text, want.Verdict.Text)
	}
	if d := Distance(got.Choice.Ratio, want.Choice.Ratio); d > 0.25 {
		t.Errorf("the ratios are %v and %v, %v apart", got.Choice.Ratio, want.Choice.Ratio, d)
	}
	if f := got.Plan.Forecast; f.Explore() < 0.95*halving || f.Explore() > 1.2*halving {
		t.Errorf("forecast were %.3g FLOP, it took %.3g", f.Explore(), halving)
	}
}
