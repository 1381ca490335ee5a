package search

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"gonum.org/v1/gonum/stat/distuv"

	"effnet/arch"
)

// simulations is how many searches each row of the table simulates. Without it
// a few rows are simulated a few times, which shows that nothing is badly
// broken; the table in docs/search.md is of 500 of each:
//
//	make simulation
var simulations = flag.Int("sims", 0, "simulated searches of each case; 0: some, of a few cases")

const quickSimulations = 24

// world is what is true in a simulated search.
type world struct {
	name  string
	bowl  bowl
	best  arch.Shares // best point of the triangle
	noise float64     // standard deviation of a training
	// common is the part of it that trainings of one length and seed share, own
	// by how much each network lies off the bowl, images how many validation
	// and test images there are: 0 for no error from that.
	common, own float64
	images      int
	cross       float64 // what depth gains with every rung: curves cross
	skew        float64 // how much steeper the bowl gets towards width: no quadratic
	// beyond: the model of the surface does not hold, so that it need not cover.
	beyond bool
	// single makes width alone as good as the bowl's best point.
	single bool
	change func(*Config)
	// wins, if it is set, is the verdict wanted in nine of ten.
	wins  VerdictKind
	quick bool // simulated in every test run
}

// accuracy is the true one of a full-length training.
func (w *world) accuracy(n *Network, base bool) float64 {
	if base {
		return 0.88
	}
	a := w.bowl.accuracy(n.Realised)
	d := Distance(n.Realised, w.bowl.best)
	a -= w.bowl.steep * d * d * w.skew * (n.Realised.W - w.bowl.best.W)
	if w.bowl != (bowl{}) {
		a += 0.02 * math.Log2(n.CostRatio/2)
	}
	if w.single && n.Realised == WidthCorner {
		a += 0.01
	}
	return a
}

// simulator runs searches through the real decisions, without trainings and
// without a ledger. The plan is made once for each configuration.
type simulator struct {
	cfg     Config
	base    arch.Spec
	plan    *Plan
	meter   *Meter
	choices map[string]*Choice
}

func newSimulator(t *testing.T, change func(*Config)) *simulator {
	t.Helper()
	s := &simulator{base: testBase(), choices: map[string]*Choice{}}
	s.cfg = config(&s.base)
	s.cfg.Networks, s.cfg.Seeds, s.cfg.Epochs, s.cfg.Rungs, s.cfg.Eta = 24, 1, 9, 3, 3
	s.cfg.Tolerance, s.cfg.NoiseSeeds, s.cfg.Finalists, s.cfg.FreshSeeds = 0.1, 4, 3, 3
	s.cfg.ValidateFactors, s.cfg.FinalSeeds = []float64{2, 4, 8}, 3
	if change != nil {
		change(&s.cfg)
	}
	p, err := planFor(t, s.cfg, 50000, 2)
	if err != nil {
		t.Fatal(err)
	}
	s.plan = p
	return s
}

// search runs the one with number run in a world to its end.
func (s *simulator) search(t *testing.T, w *world, run int) *Result {
	t.Helper()
	r := &Result{Config: s.cfg, Plan: s.plan, Trials: map[string]*TrialResult{}}
	for {
		jobs := r.needed(true, func(block) bool { return true })
		for i := range jobs {
			r.train(&jobs[i], w, run)
		}
		switch {
		case len(jobs) > 0:
		case r.Choice == nil:
			for k := range r.Plan.Rungs {
				r.Cuts = append(r.Cuts, r.standings()[k].cut)
			}
			r.Choice = s.choose(t, r)
		default:
			r.Done = true
			return r
		}
	}
}

// choose is the search's choice, found once for every winner.
func (s *simulator) choose(t *testing.T, r *Result) *Choice {
	t.Helper()
	winner := r.winner()
	if winner == nil {
		t.Fatal("no winner")
	}
	if s.choices[winner.ID] == nil {
		c, err := r.choose(t.Context(), s.base, s.meter)
		if err != nil {
			t.Fatal(err)
		}
		s.choices[winner.ID] = c
	}
	return s.choices[winner.ID]
}

// train draws a trial's outcome.
func (r *Result) train(j *job, w *world, run int) {
	p := r.Plan
	length := math.Log(float64(j.epochs)/float64(p.Epochs)) / math.Log(3) // rungs short of the last
	d := 0.0
	if j.net.ID != p.BaseNet.ID {
		d = j.net.Realised.D
	}
	acc := w.accuracy(j.net, j.net.ID == p.BaseNet.ID) + (0.015+w.cross*d)*length
	acc += w.own * source(run, "own", j.net.ID).NormFloat64()
	acc += w.common * source(run, "common", j.epochs, j.seed).NormFloat64()
	rnd := source(run, j.id())
	acc += math.Sqrt(w.noise*w.noise-w.common*w.common) * rnd.NormFloat64()
	images := max(w.images, 1<<40*b2i(w.images == 0))
	score := func(acc float64) Score {
		if w.images > 0 {
			acc += samplingError(acc, images) * rnd.NormFloat64()
		}
		return Score{int(math.Round(acc * float64(images))), images}
	}
	t := r.trial(j.id())
	t.tie(j)
	t.Attempts, t.Outcome = 1, &Outcome{Validation: score(acc)}
	for e := range j.epochs {
		t.Outcome.Curve = append(t.Outcome.Curve, Point{Epoch: e + 1, Accuracy: t.Outcome.Validation.Accuracy() - 0.05*(1-float64(e+1)/float64(j.epochs))})
	}
	if j.test() {
		s := score(acc)
		t.Outcome.Test = &s
	}
	if floor, _ := r.floor(); j.phase == PhaseRung && j.rung == 0 && !r.isScout(j.net) {
		for e, f := range floor {
			if t.Outcome.Curve[e].Accuracy < f {
				t.Outcome.Stopped = e + 1
				break
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tally counts over simulated searches.
type tally struct {
	surfaces, covered   int
	area, off           float64 // of the region; how far the chosen ratio's network is from the best candidate, in accuracy
	kinds               map[VerdictKind]int
	called, differ, hit int // some pair told apart; candidates said to differ; the best candidate, or one as good as half a training's noise, chosen
	intervals, held     int // comparisons' intervals, and those that hold the true difference
	boots               int
	stopped             int
}

func (s *simulator) tally(t *testing.T, w *world, sims int) *tally {
	t.Helper()
	c := &tally{kinds: map[VerdictKind]int{}}
	for run := range sims {
		r := s.search(t, w, run)
		a := r.analyse(10, 2)
		a.Surface = a.surface(300, 6)
		a.Compare, a.Across = nil, nil
		a.compare(300)
		if a.Surface.Why == "" {
			c.surfaces++
			if a.Surface.contains(w.best) {
				c.covered++
			}
			c.area += a.Surface.Area / float64(sims)
		}
		c.kinds[a.Verdict.Kind]++
		if slices.ContainsFunc(a.Compare, func(c Comparison) bool { return c.Differs() }) {
			c.called++
		}
		if a.Differing() {
			c.differ++
		}
		truth := func(n *Network) float64 {
			return w.accuracy(n, n.ID == s.plan.BaseNet.ID) + w.own*source(run, "own", n.ID).NormFloat64()
		}
		best := math.Inf(-1)
		for i := range s.plan.Networks {
			if n := &s.plan.Networks[i]; n.mixed() {
				best = max(best, truth(n))
			}
		}
		loss := best - truth(a.Net(r.Choice.Winner).Network)
		c.off += loss / float64(sims)
		if loss <= w.noise/2 {
			c.hit++
		}
		for i := range a.Compare {
			d := truth(a.Net(a.Compare[i].First).Network) - truth(a.Net(a.Compare[i].Second).Network)
			c.intervals++
			if a.Compare[i].Lo <= d && d <= a.Compare[i].Hi {
				c.held++
			}
			if a.Compare[i].BootLo <= d && d <= a.Compare[i].BootHi {
				c.boots++
			}
		}
		for _, tr := range r.Trials {
			if tr.Outcome.Stopped > 0 {
				c.stopped++
			}
		}
	}
	return c
}

// within reports whether so many of n can be when each has at most, or at
// least, the probability p: not one time in a thousand otherwise.
func within(k, n int, p float64, atMost bool) bool {
	b := distuv.Binomial{N: float64(n), P: p}
	if atMost {
		return k == 0 || 1-b.CDF(float64(k-1)) > 0.001
	}
	return b.CDF(float64(k)) > 0.001
}

func TestSimulation(t *testing.T) {
	inside := bowl{best: B0Shares, steep: 0.04}
	worlds := []world{
		{name: "optimum at B0's ratio", bowl: inside, best: B0Shares, noise: 0.003, quick: true},
		{name: "the same, steeper", bowl: bowl{best: B0Shares, steep: 0.1}, best: B0Shares, noise: 0.003, wins: CompoundWins},
		{name: "the same, trainings share noise", bowl: inside, best: B0Shares, noise: 0.003, common: 0.002},
		{name: "the same, 5,000 images", bowl: inside, best: B0Shares, noise: 0.003, images: 5000},
		{name: "the same, networks lie off it", bowl: inside, best: B0Shares, noise: 0.003, own: 0.002},
		{name: "the same, 2 seeds a rung", bowl: inside, best: B0Shares, noise: 0.003, change: func(c *Config) { c.Seeds = 2 }},
		{name: "the same, exhaustive", bowl: inside, best: B0Shares, noise: 0.003, change: func(c *Config) { c.Exhaustive, c.Rungs = true, 1 }},
		{name: "optimum near width", bowl: bowl{best: arch.Shares{D: 0.15, W: 0.65, R: 0.2}, steep: 0.04}, best: arch.Shares{D: 0.15, W: 0.65, R: 0.2}, noise: 0.003},
		{name: "optimum near depth, a ridge", bowl: bowl{best: arch.Shares{D: 0.6, W: 0.15, R: 0.25}, steep: 0.02, narrow: 0.05}, best: arch.Shares{D: 0.6, W: 0.15, R: 0.25}, noise: 0.003},
		{name: "optimum on the edge without depth", bowl: bowl{best: arch.Shares{D: 0, W: 0.5, R: 0.5}, steep: 0.04}, best: arch.Shares{W: 0.5, R: 0.5}, noise: 0.003, quick: true},
		{name: "optimum beyond the edge without width", bowl: bowl{best: arch.Shares{D: 0.6, W: -0.2, R: 0.6}, steep: 0.04}, best: arch.Shares{D: 0.5, R: 0.5}, noise: 0.003},
		{name: "a hollow, depth's corner is best", bowl: bowl{best: arch.Shares{D: 0.2, W: 0.4, R: 0.4}, steep: -0.04}, best: DepthCorner, noise: 0.003},
		{name: "much noise", bowl: inside, best: B0Shares, noise: 0.008},
		{name: "beyond the model: skew", bowl: inside, best: B0Shares, noise: 0.003, skew: 1, beyond: true},
		{name: "beyond the model: curves cross", bowl: inside, best: B0Shares, noise: 0.003, cross: 0.005, beyond: true},
		{name: "width alone is best", bowl: bowl{best: Centre, steep: 0.0}, single: true, noise: 0.003, wins: SingleWins, quick: true},
		{name: "all equal", noise: 0.003, quick: true},
		{name: "all equal, 8 seeds", noise: 0.003, change: func(c *Config) { c.FinalSeeds, c.Seeds = 8, 2 }},
		{name: "all equal, trainings share noise", noise: 0.003, common: 0.002},
		{name: "all equal, 5,000 images", noise: 0.003, images: 5000},
		{name: "all equal, exhaustive, 2 seeds", noise: 0.003, change: func(c *Config) { c.Exhaustive, c.Rungs, c.Seeds = true, 1, 2 }},
	}
	sims := *simulations
	if sims == 0 {
		sims = quickSimulations
		worlds = slices.DeleteFunc(worlds, func(w world) bool { return !w.quick })
	}
	rows := make([]string, len(worlds))
	t.Run("rows", func(t *testing.T) {
		for i := range worlds {
			t.Run(worlds[i].name, func(t *testing.T) {
				t.Parallel()
				rows[i] = worlds[i].row(t, sims)
			})
		}
	})
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 1, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "world\tcovers\tregion\tcompound\tsingle\tundecided\tpair apart\tdiffer\tgood ratio\tloss\tt holds\tbootstrap\tstopped\t\n"+strings.Join(rows, ""))
	if err := tw.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d simulated searches a row; percent, the loss in points\n%s", sims, table.String())
}

// row simulates a world, checks what came of it and writes it in a line.
func (w *world) row(t *testing.T, sims int) string {
	c := newSimulator(t, w.change).tally(t, w, sims)
	flat := w.bowl == bowl{}
	of := func(k, n int) string { return fmt.Sprintf("%.1f", 100*float64(k)/float64(n)) }
	covers := "-"
	if !flat && !w.single {
		covers = of(c.covered, max(c.surfaces, 1))
		// In a corner nothing but the slopes' signs is asked, which may be beyond doubt.
		most := 0.98
		if slices.Contains(corners[:], w.best) {
			most = 1
		}
		if !w.beyond && (!within(c.covered, c.surfaces, 0.92, false) || !within(c.covered, c.surfaces, most, true)) {
			t.Errorf("the region covers the optimum in %d of %d", c.covered, c.surfaces)
		}
		if c.surfaces < sims {
			t.Errorf("only %d of %d have a surface", c.surfaces, sims)
		}
	}
	if flat {
		for _, x := range []struct {
			what string
			k    int
		}{
			{"a winner is named", c.kinds[CompoundWins] + c.kinds[SingleWins]},
			{"a pair is told apart", c.called}, {"candidates are said to differ", c.differ},
		} {
			if !within(x.k, sims, 0.05, true) {
				t.Errorf("%s in %d of %d", x.what, x.k, sims)
			}
		}
	}
	if sims >= 100 && (!within(c.held, c.intervals, 0.93, false) || !within(c.boots, c.intervals, 0.92, false)) {
		t.Errorf("of %d intervals %d hold the true difference, of the bootstrap's %d", c.intervals, c.held, c.boots)
	}
	if w.wins != "" && !within(c.kinds[w.wins], sims, 0.9, false) {
		t.Errorf("the verdict is %q in %d of %d", w.wins, c.kinds[w.wins], sims)
	}
	if w.single && c.kinds[CompoundWins] > 0 {
		t.Errorf("compound is said to win in %d of %d", c.kinds[CompoundWins], sims)
	}
	line := fmt.Sprintf("%s\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t\n", w.name, covers, 100*c.area,
		of(c.kinds[CompoundWins], sims), of(c.kinds[SingleWins], sims), of(c.kinds[Undecided], sims),
		of(c.called, sims), of(c.differ, sims), of(c.hit, sims), Points(c.off), of(c.held, c.intervals), of(c.boots, c.intervals), float64(c.stopped)/float64(sims))
	t.Log(line)
	return line
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
		t.Fatalf("verdict %q", a.Verdict.Text)
	}
	// Then that is how to grow, and the networks of the file are those that did.
	r, err := a.Ratio()
	if err != nil || r.Shares != WidthCorner || r.Compared == nil || *r.Compared != a.Choice.Ratio || len(r.Points) != len(a.Plan.Finals) {
		t.Fatalf("the ratio is %+v, %v", r, err)
	}
	for i, p := range r.Points {
		if p.Factor != a.Plan.Finals[i].Factor || p.Depth != 1 || p.Width <= 1 || p.Resolution != a.Plan.BaseNet.Resolution {
			t.Errorf("point %d is %+v", i, p)
		}
	}
}
