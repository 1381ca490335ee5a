package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"effnet/arch"
)

// simulate makes the analysis of a finished search whose true accuracies are
// known, without running it: the plan is made once, trials are drawn.
type simulation struct {
	plan *Plan
	cfg  Config
}

func newSimulation(t *testing.T, seeds int) *simulation {
	t.Helper()
	base := testBase()
	cfg := config(&base)
	cfg.Networks, cfg.Seeds = 12, seeds
	p, err := planFor(t, cfg, 50000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return &simulation{plan: p, cfg: cfg}
}

// draw fills in trials: truth by network name, noise of a training, and
// common, a part of the noise that networks trained with the same seed share.
// The test images are so many that they add nothing where images is 0.
func (s *simulation) draw(run int, truth func(id string) float64, noise, common float64, images int) *Result {
	r := &Result{Config: s.cfg, Plan: s.plan, Trials: map[string]*TrialResult{}, Done: true}
	if images == 0 {
		images = 1 << 40
	}
	add := func(n *Network, phase Phase) {
		for _, seed := range s.plan.Rungs[0].Seeds {
			rnd := source(run, n.ID, seed)
			acc := truth(n.ID) + common*source(run, "seed", seed).NormFloat64()
			acc += math.Sqrt(noise*noise-common*common) * rnd.NormFloat64()
			at := func() Score {
				e := 0.0
				if images < 1<<40 {
					e = samplingError(acc, images) * rnd.NormFloat64()
				}
				return Score{int(math.Round((acc + e) * float64(images))), images}
			}
			o := &Outcome{Validation: at()}
			if phase == PhaseFinal {
				v := at()
				o.Test = &v
			}
			id := TrialID(n.ID, s.plan.Epochs, seed)
			r.Trials[id] = &TrialResult{ID: id, Network: n.ID, Phase: phase, Epochs: s.plan.Epochs, Seed: seed, Attempts: 1, Outcome: o}
		}
	}
	p := s.plan
	add(&p.BaseNet, PhaseFinal)
	for i := range p.Networks {
		add(&p.Networks[i], PhaseRung)
	}
	rules := p.Finals[0].Networks
	for i := range rules {
		add(&rules[i], PhaseFinal)
	}
	comp := rules[len(rules)-1]
	comp.ID = "v4-compound"
	comp.Stem++ // another network than the rule's
	r.Choice = &Choice{Winner: "x2-04", Ratio: comp.Realised, Compounds: []Compound{{p.Finals[0].Factor, comp.ID, &comp}}}
	add(&comp, PhaseFinal)
	return r
}

// TestEqualNetworks: where nothing differs, a winner is claimed in at most 5 %.
func TestEqualNetworks(t *testing.T) {
	t.Parallel()
	const sims = 400
	for _, c := range []struct {
		seeds  int
		common float64
		images int
	}{
		{2, 0, 0}, {2, 0.001, 10000}, {3, 0, 2000}, {6, 0, 0}, {8, 0.0015, 10000},
	} {
		t.Run(fmt.Sprintf("%d seeds", c.seeds), func(t *testing.T) {
			s := newSimulation(t, c.seeds)
			wrong, differ := 0, 0
			for i := range sims {
				a := s.draw(i, func(string) float64 { return 0.9 }, 0.002, c.common, c.images).analyse(10, 2)
				if k := a.Verdict.Kind; k == CompoundWins || k == SingleWins {
					wrong++
				} else if k != Undecided {
					t.Fatalf("verdict %q", a.Verdict.Text)
				}
				if a.Differ < 0.05 {
					differ++
				}
			}
			// Twice the standard error of 5 % in 400 is 2.2 %.
			if share := float64(wrong) / sims; share > 0.05 {
				t.Errorf("a winner among equals in %.1f %%", 100*share)
			}
			if share := float64(differ) / sims; share > 0.08 {
				t.Errorf("equal networks said to differ in %.1f %%", 100*share)
			}
			t.Logf("wrong winners %.1f %%, said to differ %.1f %%", 100*float64(wrong)/sims, 100*float64(differ)/sims)
		})
	}
}

// TestInterval: the interval of a difference covers it in about 95 %.
func TestInterval(t *testing.T) {
	t.Parallel()
	const sims = 400
	for _, seeds := range []int{2, 4, 7} {
		s := newSimulation(t, seeds)
		covered, of := 0, 0
		for i := range sims {
			truth := func(id string) float64 {
				if id == "v4-compound" {
					return 0.91
				}
				return 0.9
			}
			a := s.draw(i, truth, 0.003, 0, 0).analyse(10, 2)
			for _, c := range a.Compare[:1] {
				of++
				if c.Lo <= 0.01 && 0.01 <= c.Hi {
					covered++
				}
			}
		}
		if share := float64(covered) / float64(of); share < 0.92 || share > 0.98 {
			t.Errorf("%d seeds: intervals cover the truth in %.1f %%", seeds, 100*share)
		}
	}
}

// TestPower: a difference well above the noise is seen, and the right side
// named.
func TestPower(t *testing.T) {
	const sims = 100
	s := newSimulation(t, 3)
	for _, c := range []struct {
		best string
		want VerdictKind
	}{{"v4-compound", CompoundWins}, {"v4-width", SingleWins}} {
		right := 0
		for i := range sims {
			a := s.draw(i, func(id string) float64 {
				if id == c.best {
					return 0.91
				}
				return 0.9
			}, 0.002, 0, 0).analyse(10, 2)
			if a.Verdict.Kind == c.want {
				right++
			} else if a.Verdict.Kind != Undecided {
				t.Fatalf("%s is best, verdict %q", c.best, a.Verdict.Text)
			}
		}
		if right < 90 {
			t.Errorf("%s better by 5 sd of a training: seen in %d of %d", c.best, right, sims)
		}
	}
}

// TestLuck: the best of equal networks looks better than it is by what the
// analysis says, and shrinking takes that back.
func TestLuck(t *testing.T) {
	const sims = 200
	s := newSimulation(t, 2)
	var above, said, shrunk float64
	for i := range sims {
		a := s.draw(i, func(string) float64 { return 0.9 }, 0.002, 0, 0).analyse(10, 2)
		best := bestOf(a)
		above += best.Validation.Mean - 0.9
		said += a.Luck
		shrunk += best.Shrunk - 0.9
	}
	near(t, "mean excess of the best", above/sims, said/sims, 0.1*said/sims)
	if shrunk > 0.35*above {
		t.Errorf("shrinking leaves %.0f %% of the luck", 100*shrunk/above)
	}
}

// TestSearchFinds runs whole searches on a surface with its best ratio inside
// the triangle: compound is found to win, and the chosen ratio is a good one.
func TestSearchFinds(t *testing.T) {
	f := &fake{surface: balanced(0.1), noise: 0.001, images: 1 << 20, steps: 1}
	a := runFake(t, t.TempDir(), f, func(c *Config) { c.Networks, c.Seeds = 12, 3 }).Analyse()
	if a.Verdict.Kind != CompoundWins {
		t.Errorf("verdict %q", a.Verdict.Text)
	}
	if d := Distance(a.Choice.Ratio, B0Shares); d > 0.45 {
		t.Errorf("chosen ratio %v is %v from the best", a.Choice.Ratio, d)
	}
	// On a surface where only width counts, no compound win is claimed.
	f.surface = func(s *arch.Spec) float64 { return 0.8 + 0.02*math.Log(float64(s.Stages[3].Width)/32) }
	a = runFake(t, t.TempDir(), f, func(c *Config) { c.Networks, c.Seeds = 12, 3 }).Analyse()
	if a.Verdict.Kind != SingleWins || a.Verdict.Single != "width" {
		t.Errorf("verdict %q", a.Verdict.Text)
	}
}

// bestOf is the candidate with the best mean.
func bestOf(a *Analysis) *NetworkResult {
	return slices.MaxFunc(a.Of(StageExplore), func(p, q *NetworkResult) int { return cmp.Compare(p.Validation.Mean, q.Validation.Mean) })
}
