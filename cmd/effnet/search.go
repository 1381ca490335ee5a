package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/dataset"
	"effnet/internal/atomicfile"
	"effnet/internal/kernel"
	searchreport "effnet/report"
	"effnet/search"
	"effnet/search/queue"
	"effnet/train"
)

// searchCmd is the search command under way.
type searchCmd struct {
	*cobra.Command
	data       dataFlags
	recipe     recipeFlags
	queue      queueFlags
	candidates candidateFlags
	ui         uiFlags

	out                     string
	resume, json            bool
	factor, tolerance       float64
	networks, seeds, epochs int
	eta, rungs              int
	exhaustive, sweep       bool
	noiseSeeds, finalists   int
	freshSeeds, finalSeeds  int
	validate                []float64
	trainImages             int
	seed                    uint64
	budget                  time.Duration
	threads, workers        int
	memory                  amount
	checkpointEvery         time.Duration
}

func newSearchCmd() *cobra.Command {
	s := &searchCmd{}
	s.Command = &cobra.Command{
		Use:   "search BASE --data DATA --out RUN | --resume RUN",
		Short: "Find the balance of depth, width and resolution for a base network by trials",
		Long: `Search finds how a network is best grown. It enumerates the networks that cost
--factor times BASE and trains a well-spread few of them briefly, the best of
these for longer, and the best of those again on fresh seeds (successive
halving). The ratio of depth, width and resolution that comes out is compared
with growing a single dimension, with EfficientNet-B0's ratio and with fast
scaling, at each of --validate times the cost, on test images that nothing
before looked at.

A forecast comes first. With --budget, how much is done is chosen to fit it, and
fitted again to the time left as the search goes on. What is given on the
command line stays as given, but for the dearest of --validate where there is no
time for them; that is said.
Everything that happens goes to RUN/ledger.jsonl; RUN/report.html tells it with
figures. A search that was stopped goes on with 'effnet search --resume RUN',
repeats no finished trial, and ends with the same bits.`,
		Example: `  effnet search small_300k --data fashion-mnist --budget 10m --out run
  effnet search net.yaml --data photos/ --factor 2 --seeds 3 --epochs 20 --out run
  effnet search --resume run`,
		Args:              atMostOne("one base network"),
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return s.run(args) },
	}
	f := s.Flags()
	f.SortFlags = false
	s.data.register(f)
	f.StringVar(&s.out, "out", "", "run `folder`")
	f.BoolVar(&s.resume, "resume", false, "go on with a search that was stopped")
	f.Float64Var(&s.factor, "factor", 2, "cost of the explored networks over the base's")
	f.Float64Var(&s.tolerance, "tolerance", 0.08, "how far realised costs may be from the factor, as a `share` of it")
	s.candidates.register(f)
	f.DurationVar(&s.budget, "budget", 0, "wall-clock `time` to fit the search into, such as 10m")
	f.IntVar(&s.networks, "networks", 0, "explored networks at most (default: 16, or as the budget holds)")
	f.IntVar(&s.epochs, "epochs", 0, "passes over the training images in full length (default: 9, or as the budget holds)")
	f.IntVar(&s.eta, "eta", 0, "a rung promotes one network in so many, to so many times the epochs (default: 3)")
	f.IntVar(&s.rungs, "rungs", 0, "rungs of successive halving (default: as the epochs have room for)")
	f.BoolVar(&s.exhaustive, "exhaustive", false, "train every network in full length: one rung")
	f.IntVar(&s.seeds, "seeds", 0, "trainings of each network of a rung (default: 1; exhaustive: as many as --fresh-seeds)")
	f.IntVar(&s.noiseSeeds, "noise-seeds", 0, "trainings of the base that measure the noise (default: 3, or as the budget holds)")
	f.IntVar(&s.finalists, "finalists", 0, "networks of the last rung that are trained again (default: 3, or as the budget holds)")
	f.IntVar(&s.freshSeeds, "fresh-seeds", 0, "trainings of each finalist (default: 3, or as the budget holds)")
	f.BoolVar(&s.sweep, "sweep", false, "sweep the width at several depths and resolutions, too")
	f.Float64SliceVar(&s.validate, "validate", []float64{2, 4, 8}, "costs of the compared networks over the base's, 0 for no comparison (shrinking: the factor)")
	f.IntVar(&s.finalSeeds, "final-seeds", 0, "trainings of each network compared (default: 3, or as the budget holds)")
	f.IntVar(&s.trainImages, "train-images", 0, "training `images` of every trial (default: all, or as the budget holds)")
	f.Uint64Var(&s.seed, "seed", 1, "the first of the seeds; rungs, fresh seeds and comparison have a range of their own each")
	f.IntVar(&s.threads, "threads", 0, "threads in all (default: all); does not change the result")
	f.IntVar(&s.workers, "workers", 0, "trials at a time (default: one a thread); does not change the result")
	s.memory.base = 1024
	f.Var(&s.memory, "memory", "limit of the memory of each trial, as of 'effnet train'")
	f.BoolVar(&s.json, "json", false, "print the result as JSON")
	f.DurationVar(&s.checkpointEvery, "checkpoint-every", 30*time.Second, "`time` between a trial's checkpoints; every epoch ends with one, too")
	s.ui.register(f)
	s.queue.register(f)
	s.recipe.register(f, "epochs", "seed")
	return s.Command
}

func (s *searchCmd) run(args []string) error {
	if s.resume && s.out == "" && len(args) == 1 { // effnet search --resume RUN
		s.out, args = args[0], nil
	}
	if s.out == "" {
		return usagef("search: no run folder: add --out RUN")
	}
	if s.threads < 0 || s.workers < 0 || s.checkpointEvery <= 0 || s.budget < 0 {
		return usagef("search: --threads, --workers and --budget cannot be negative, --checkpoint-every must be above 0")
	}
	if err := s.queue.check(s.Flags()); err != nil {
		return err
	}
	if err := s.ui.check(s.Flags()); err != nil {
		return err
	}
	cfg, base, data, err := s.settle(args)
	if err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return &usageError{err}
	}
	recipe, err := parseRecipeText(cfg.Recipe)
	if err != nil {
		return err
	}
	trainer, err := newSearchTrainer(data, cfg.Source, recipe, cfg.SplitSeed, cfg.Kernel, s.checkpointEvery)
	if err != nil {
		return err
	}
	trainer.memory = cfg.Memory
	live := newSearchLive(s.ErrOrStderr(), cfg, base)
	opt := search.Options{Preparing: live.preparing, Planned: live.planned, Status: live.status, Note: live.note}
	opt.Workers, opt.Threads = s.share()
	trials, err := s.openQueue(cfg, trainer.engine(), &opt)
	if err != nil {
		return err
	}
	live.workers, live.threads = opt.Workers, opt.Threads
	show, err := showSearch(s.out, &s.ui, s.ErrOrStderr(), &opt)
	if err != nil {
		trials.close()
		return err
	}
	defer show.close()
	res, err := search.Run(s.Context(), s.out, *cfg, *base, trials.engine(), opt)
	show.ended(err == nil)
	live.close()
	trials.close()
	if err != nil {
		return s.stopped(err)
	}
	return s.finish(res, data.Test)
}

// share divides the threads: trials with one thread each leave nothing idle.
func (s *searchCmd) share() (workers, threads int) {
	return shareThreads(s.threads, s.workers)
}

// stopped turns an error of the search into the command's.
func (s *searchCmd) stopped(err error) error {
	again := "effnet search --resume " + shellQuote(s.out)
	switch {
	case s.Context().Err() != nil:
		return &interruptedError{again}
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w; make room, then go on with: %s", err, again)
	}
	return err
}

// settle is what the command line asks for: a new search, or one to go on
// with, whose flags must then agree with it.
func (s *searchCmd) settle(args []string) (*search.Config, *arch.Spec, *dataset.Data, error) {
	old, err := s.old(args)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg := &search.Config{}
	if old != nil {
		*cfg = *old
	}
	set := func(name string) bool { return old == nil || s.Flags().Changed(name) }
	for _, v := range []struct {
		name string
		to   *float64
		from float64
	}{{"factor", &cfg.Factor, s.factor}, {"tolerance", &cfg.Tolerance, s.tolerance}, {"budget", &cfg.BudgetSeconds, s.budget.Seconds()}} {
		if set(v.name) {
			*v.to = v.from
		}
	}
	for _, v := range []struct {
		name string
		to   *int
		from int
	}{{"networks", &cfg.Networks, s.networks}, {"seeds", &cfg.Seeds, s.seeds}, {"epochs", &cfg.Epochs, s.epochs}, {"train-images", &cfg.TrainImages, s.trainImages},
		{"eta", &cfg.Eta, s.eta}, {"rungs", &cfg.Rungs, s.rungs}, {"noise-seeds", &cfg.NoiseSeeds, s.noiseSeeds}, {"finalists", &cfg.Finalists, s.finalists},
		{"fresh-seeds", &cfg.FreshSeeds, s.freshSeeds}, {"final-seeds", &cfg.FinalSeeds, s.finalSeeds}} {
		if set(v.name) {
			*v.to = v.from
		}
	}
	if set("exhaustive") {
		cfg.Exhaustive = s.exhaustive
	}
	if set("sweep") {
		cfg.Sweep = s.sweep
	}
	if set("validate") {
		if cfg.ValidateFactors = s.validate; len(s.validate) == 1 && s.validate[0] == 0 {
			cfg.ValidateFactors = nil
		}
		if old == nil && !s.Flags().Changed("validate") && cfg.Factor < 1 { // the default is for growth
			cfg.ValidateFactors = []float64{cfg.Factor}
		}
	}
	if err := s.candidates.settle(cfg, set); err != nil {
		return nil, nil, nil, err
	}
	if set("memory") {
		cfg.Memory = s.memory.n
	}
	if set("seed") {
		cfg.Seed = s.seed
	}
	if set("split-seed") {
		cfg.SplitSeed = s.data.splitSeed
	}
	if err := s.settleRecipe(cfg, old); err != nil {
		return nil, nil, nil, err
	}
	impl, err := kernel.Lookup(cfg.Kernel)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w; the search in %s was begun with it, and others round differently", err, s.out)
	}
	cfg.Kernel = impl.Name
	if set("data") {
		cfg.Source = s.data.stableSource()
	}
	if set("on-bad-image") {
		cfg.BadImages = s.data.badImages()
	}
	s.data.source, s.data.splitSeed, s.data.onBad = cfg.Source, cfg.SplitSeed, cfg.BadImages
	if cfg.Memory > 0 {
		if err := s.data.withinMemory("search"); err != nil {
			return nil, nil, nil, err
		}
	}
	data, err := s.data.open(s.Context(), s.ErrOrStderr())
	if err != nil {
		return nil, nil, nil, err
	}
	if old != nil && data.Checksum == old.DataChecksum {
		cfg.Source = old.Source // the same images at another place
	}
	cfg.Data, cfg.DataChecksum = data.Name, data.Checksum
	base, err := s.base(args, old, data)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg.Base = string(base.YAML())
	if old != nil {
		// The ledger may have been written by a version with other fields.
		if was, err := old.BaseSpec(); err == nil && string(was.YAML()) == cfg.Base {
			cfg.Base = old.Base
		}
	}
	return cfg, base, data, nil
}

// old is the configuration of the search to go on with; nil to start one.
func (s *searchCmd) old(args []string) (*search.Config, error) {
	res, err := search.Load(s.out)
	switch {
	case err == nil && s.resume:
		return &res.Config, nil
	case err == nil:
		return nil, usagef("search: %s holds a search already; go on with it by 'effnet search --resume %s', or choose another --out", s.out, shellQuote(s.out))
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, search.ErrEmpty):
		return nil, err
	case len(args) == 0 && s.resume:
		return nil, usagef("search: %s holds no search to go on with", s.out)
	case len(args) == 0:
		return nil, usagef("search wants a base network: a zoo name (see 'effnet models') or a spec file")
	}
	// What a search leaves before its first event does not count.
	entries, err := os.ReadDir(s.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("search: --out %s: %w", s.out, err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "lock" && name != search.LedgerName && name != queue.FolderName {
			return nil, usagef("search: %s is not empty (it holds %s) and is no search; choose another --out", s.out, name)
		}
	}
	return nil, nil
}

// settleRecipe puts together how trials train.
func (s *searchCmd) settleRecipe(cfg, old *search.Config) error {
	var r train.Recipe
	var err error
	if old != nil && !s.Flags().Changed("recipe") {
		if r, err = parseRecipeText(old.Recipe); err != nil {
			return err
		}
		if err = s.recipe.override(&r); err == nil {
			err = r.Validate()
		}
		if err != nil {
			return &usageError{err}
		}
	} else if r, err = s.recipe.load(); err != nil {
		return err
	}
	if cfg.Recipe, err = recipeText(r); err != nil || old == nil {
		return err
	}
	// The ledger may have been written by a version with other fields.
	if was, err := parseRecipeText(old.Recipe); err == nil {
		if text, err := recipeText(was); err == nil && text == cfg.Recipe {
			cfg.Recipe = old.Recipe
		}
	}
	return nil
}

// base is the network to grow, made to fit the data.
func (s *searchCmd) base(args []string, old *search.Config, data *dataset.Data) (*arch.Spec, error) {
	if len(args) == 0 {
		spec, err := old.BaseSpec()
		return &spec, err
	}
	spec, err := loadNet(args[0])
	if err != nil {
		return nil, err
	}
	spec, notes, err := adaptSpec(s.Context(), spec, data, 0)
	if err != nil {
		return nil, err
	}
	if old == nil {
		for _, n := range notes {
			fmt.Fprintf(s.ErrOrStderr(), "%s: %s\n", spec.Name, n)
		}
	}
	return &spec, nil
}

// Names of the winner's files in a run folder.
const (
	bestModelName = train.ModelFile
	bestSpecName  = "network.yaml"
)

// finish writes the report and the best network, and prints what was found.
func (s *searchCmd) finish(res *search.Result, test dataset.Set) error {
	a := res.Analyse()
	if err := s.keepBest(a); err != nil {
		return err
	}
	// The report shows the maps; a search is none the worse without.
	if err := drawMaps(s.Context(), s.out, a, test, s.threads); err != nil {
		fmt.Fprintf(s.ErrOrStderr(), "search: no class activation maps: %v\n", err)
	}
	path, err := searchreport.Write(s.out, a)
	if err != nil {
		return err
	}
	ratio, err := writeRatio(s.out, a)
	if err != nil {
		return err
	}
	w := s.OutOrStdout()
	if s.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(a.Summary())
	}
	fmt.Fprint(w, searchTable(a))
	fmt.Fprintf(w, "\n%s\n", a.Verdict.Text)
	if a.Verdict.Detail != "" {
		fmt.Fprintln(w, a.Verdict.Detail)
	}
	fmt.Fprintf(w, "\n%s\n", a.Surface)
	for _, s := range a.Saturation {
		if s.Why == "" {
			fmt.Fprintln(w, s.Text)
		}
	}
	fmt.Fprintln(w, a.Validation)
	fmt.Fprintf(w, "\nbest model  %s\nreport      %s\n", filepath.Join(s.out, bestModelName), path)
	if ratio != "" {
		fmt.Fprintf(w, "ratio       %s: %s\n", ratio, growth(a))
	}
	return nil
}

// keepBest copies the model and the spec of the best network's first seed to
// the run folder: by the test images, or by the validation images where none
// were used.
func (s *searchCmd) keepBest(a *search.Analysis) error {
	best := a.Overall()
	if best == nil || len(best.Seeds) == 0 {
		return nil
	}
	t := a.Trials[search.TrialID(best.ID, a.Plan.Epochs, best.Seeds[0])]
	base, err := a.Config.BaseSpec()
	if err != nil {
		return err
	}
	spec, err := best.Spec(&base)
	if err != nil {
		return err
	}
	model, err := os.ReadFile(filepath.Join(s.out, search.TrialsFolder, t.ID, t.Outcome.Model))
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(s.out, bestModelName), model); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(s.out, bestSpecName), spec.YAML())
}

// searchTable lists every network for a terminal, 80 columns wide: means over
// seeds and the spread of the validation accuracy.
func searchTable(a *search.Analysis) string {
	t := newTable("network", "stands for", ">depth", ">width", ">px", ">cost", ">params", ">val %", ">sd", ">test %")
	for i := range a.Nets {
		n := &a.Nets[i]
		role := string(n.Role)
		if n.Role == search.RoleMixed {
			role = ""
		}
		val, sd, test := "", "", ""
		if n.Validation.N > 0 {
			val = search.Points(n.Validation.Mean)
		}
		if n.Validation.N > 1 {
			sd = search.Points(n.Validation.SD)
		}
		if n.Test.N > 0 {
			test = search.Points(n.Test.Mean)
		}
		if n.Failed > 0 {
			role = strings.TrimSpace(role + fmt.Sprintf(" (%d failed)", n.Failed))
		}
		t.add(n.ID, role, fmt.Sprintf("%.2f", n.Depth), fmt.Sprintf("%.2f", n.Width), fmt.Sprint(n.Resolution),
			factor(n.CostRatio)+"x", short(n.Params), val, sd, test)
	}
	return t.String()
}
