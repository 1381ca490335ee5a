package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/dataset"
	"effnet/internal/atomicfile"
	"effnet/internal/kernel"
	"effnet/train"
)

// trainCmd is the train command under way.
type trainCmd struct {
	*cobra.Command
	data   dataFlags
	recipe recipeFlags

	out             string
	resume, json    bool
	threads         int
	resolution      int
	checkpointEvery time.Duration
	checkpointSteps int
}

func newTrainCmd() *cobra.Command {
	t := &trainCmd{}
	t.Command = &cobra.Command{
		Use:   "train NET --data DATA --out RUN | --resume RUN",
		Short: "Train a network on a data set",
		Long: `Train trains NET, a zoo name or a spec file, on a data set and keeps everything
about the run in the folder RUN: config.yaml (what was trained, how, on what),
metrics.jsonl, checkpoints, and in the end model.safetensors, which holds the
weights, the network, the class names and the preprocessing.

A run that was stopped goes on with 'effnet train --resume RUN', to the same
bits as if it had never stopped.`,
		Example: `  effnet train small_1m --data fashion-mnist --out run
  effnet train net.yaml --data photos/ --epochs 50 --recipe efficientnet --out run
  effnet train --resume run`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("train wants one network, got %q; see 'effnet train --help'", args)
			}
			return nil
		},
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return t.run(args) },
	}
	fs := t.Flags()
	fs.SortFlags = false
	t.data.register(fs)
	fs.StringVar(&t.out, "out", "", "run `folder`")
	fs.BoolVar(&t.resume, "resume", false, "go on with a run that was stopped")
	fs.IntVar(&t.resolution, "resolution", 0, "`pixels` a side that the network sees (default: the network's)")
	fs.IntVar(&t.threads, "threads", 0, "threads (default: all); does not change the result")
	fs.BoolVar(&t.json, "json", false, "print the result as JSON")
	t.recipe.register(fs)
	fs.DurationVar(&t.checkpointEvery, "checkpoint-every", 30*time.Second, "`time` between checkpoints; every epoch ends with one, too")
	fs.IntVar(&t.checkpointSteps, "checkpoint-steps", 0, "`steps` between checkpoints, instead of a time")
	return t.Command
}

func (t *trainCmd) run(args []string) error {
	if t.threads < 0 || t.resolution < 0 || t.checkpointSteps < 0 || t.checkpointEvery <= 0 {
		return usagef("train: --threads, --resolution and --checkpoint-steps cannot be negative, --checkpoint-every must be above 0")
	}
	job, err := t.job(args)
	if err != nil && t.Context().Err() != nil {
		return &interruptedError{"the same command"}
	}
	if err != nil {
		return err
	}
	job.Threads, job.Test = t.threads, true
	job.CheckpointEvery, job.CheckpointSteps = t.checkpointEvery, t.checkpointSteps
	progress := newTrainProgress(t.ErrOrStderr())
	job.Observer = progress.observer()
	res, err := t.result(job)
	progress.close()
	if errors.Is(err, train.ErrInterrupted) {
		return &interruptedError{t.resumeCommand()}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w; make room, then go on with: %s", err, t.resumeCommand())
	}
	if err != nil {
		return err
	}
	return t.print(res)
}

// resumeCommand goes on with this run.
func (t *trainCmd) resumeCommand() string {
	s := "effnet train --resume " + shellQuote(t.out)
	if t.resume && t.Flags().Changed("data") {
		s += " --data " + shellQuote(t.data.source)
	}
	return s
}

// job is what the command line asks for: a new run, or one to go on with.
func (t *trainCmd) job(args []string) (trainJob, error) {
	if !t.resume {
		return t.newJob(args)
	}
	if t.out == "" && len(args) == 1 { // effnet train --resume RUN
		t.out, args = args[0], nil
	}
	if t.out == "" {
		return trainJob{}, usagef("train: --resume needs the run folder: effnet train --resume RUN")
	}
	return t.oldJob(args)
}

func (t *trainCmd) newJob(args []string) (trainJob, error) {
	ctx, stderr := t.Context(), t.ErrOrStderr()
	switch {
	case len(args) == 0:
		return trainJob{}, usagef("train wants a network: a zoo name (see 'effnet models') or a spec file")
	case t.out == "":
		return trainJob{}, usagef("train: no run folder: add --out RUN")
	}
	if err := t.mustBeFree(); err != nil {
		return trainJob{}, err
	}
	spec, err := loadNet(args[0])
	if err != nil {
		return trainJob{}, err
	}
	recipe, err := t.recipe.load()
	if err != nil {
		return trainJob{}, err
	}
	data, err := t.data.open(ctx, stderr)
	if err != nil {
		return trainJob{}, err
	}
	spec, notes, err := adaptSpec(ctx, spec, data, t.resolution)
	if err != nil {
		return trainJob{}, err
	}
	fmt.Fprintf(stderr, "%s\n", describeData(data))
	for _, n := range notes {
		fmt.Fprintf(stderr, "%s: %s\n", spec.Name, n)
	}
	return trainJob{
		Spec: spec, Data: data, Source: t.data.stableSource(), Recipe: recipe, SplitSeed: t.data.splitSeed, Dir: t.out,
	}, nil
}

// mustBeFree refuses a folder in which a new run would mix with other files.
func (t *trainCmd) mustBeFree() error {
	name, err := train.Occupied(t.out)
	switch {
	case err != nil:
		return usagef("train: --out %s: %w", t.out, err)
	case name == train.ConfigFile:
		return usagef("train: %s holds a run already; go on with it by 'effnet train --resume %s', or choose another --out", t.out, shellQuote(t.out))
	case name != "":
		return usagef("train: %s is not empty (it holds %s) and is no run; choose another --out", t.out, name)
	}
	return nil
}

// oldJob is the run in t.out, exactly as it began. Flags that were given again
// must agree with it.
func (t *trainCmd) oldJob(args []string) (trainJob, error) {
	ctx, stderr := t.Context(), t.ErrOrStderr()
	old, err := train.ReadConfig(t.out)
	if errors.Is(err, fs.ErrNotExist) {
		return trainJob{}, usagef("train: %s holds no run to go on with: it has no %s", t.out, train.ConfigFile)
	}
	if err != nil {
		return trainJob{}, err
	}
	now := *old
	if t.Flags().Changed("recipe") {
		if now.Recipe, err = t.recipe.named(); err != nil {
			return trainJob{}, err
		}
	}
	if err := t.recipe.override(&now.Recipe); err != nil {
		return trainJob{}, err
	}
	if now.Recipe, err = now.Recipe.Resolve(old.Data.Train, *old.Recipe.Dropout, *old.Recipe.DropPath); err != nil {
		return trainJob{}, &usageError{err}
	}
	if t.Flags().Changed("split-seed") {
		now.Data.SplitSeed = t.data.splitSeed
	}
	if t.Flags().Changed("data") {
		now.Data.Source = t.data.stableSource()
	}
	if _, err := kernel.Lookup(old.Kernel); err != nil {
		return trainJob{}, fmt.Errorf("%w; %s was trained with it, and others round differently: train into another folder", err, t.out)
	}
	t.data.source, t.data.splitSeed = now.Data.Source, now.Data.SplitSeed
	data, err := t.data.open(ctx, stderr)
	if err != nil && !t.Flags().Changed("data") && ctx.Err() == nil {
		err = fmt.Errorf("%w; if the data has moved, add --data", err)
	}
	if err != nil {
		return trainJob{}, err
	}
	now.Data.Checksum = data.Checksum
	if now.Spec, err = t.sameSpec(args, old, data); err != nil {
		return trainJob{}, err
	}
	if err := old.Differ(&now); err != nil {
		return trainJob{}, &usageError{err}
	}
	return trainJob{
		Spec: old.Spec, Data: data, Source: old.Data.Source, Recipe: old.Recipe, SplitSeed: old.Data.SplitSeed,
		Kernel: old.Kernel, Dir: t.out,
	}, nil
}

// sameSpec is the network that the command line of a resumed run asks for: the
// run's own unless it names another.
func (t *trainCmd) sameSpec(args []string, old *train.RunConfig, data *dataset.Data) (arch.Spec, error) {
	spec := old.Spec
	if len(args) == 1 {
		var err error
		if spec, err = loadNet(args[0]); err != nil {
			return spec, err
		}
		if spec, _, err = adaptSpec(t.Context(), spec, data, t.resolution); err != nil {
			return spec, err
		}
		spec.Dropout, spec.DropPath = old.Spec.Dropout, old.Spec.DropPath
	}
	if t.resolution > 0 {
		spec.Resolution = t.resolution
	}
	return spec, nil
}

// trainReport is what the command prints, and the content of result.json.
type trainReport struct {
	Network    string      `json:"network"`
	Model      string      `json:"model"`
	Params     int64       `json:"params"`
	MACs       int64       `json:"macs"`
	Data       string      `json:"data"`
	Recipe     string      `json:"recipe"`
	Seed       uint64      `json:"seed"`
	Epochs     int         `json:"epochs"`
	Steps      int         `json:"steps"`
	Seconds    float64     `json:"seconds"`
	Validation *train.Eval `json:"validation,omitempty"`
	Test       *train.Eval `json:"test,omitempty"`
}

const resultFile = "result.json"

// result trains, unless the run has ended before: the test images are looked
// at once.
func (t *trainCmd) result(job trainJob) (*trainReport, error) {
	path := filepath.Join(job.Dir, resultFile)
	if src, err := os.ReadFile(path); err == nil {
		r := &trainReport{}
		if err := json.Unmarshal(src, r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		fmt.Fprintf(t.ErrOrStderr(), "%s has ended before\n", job.Dir)
		return r, nil
	}
	out, err := trainModel(t.Context(), job)
	if err != nil {
		return nil, err
	}
	cost, err := out.Config.Spec.CostAt(out.Config.Spec.Resolution)
	if err != nil {
		return nil, err
	}
	r := &trainReport{
		Network: out.Config.Spec.Name, Model: filepath.Join(job.Dir, train.ModelFile),
		Params: cost.Params, MACs: cost.MACs, Data: job.Data.Name, Recipe: out.Config.Recipe.Name, Seed: out.Config.Recipe.Seed,
		Epochs: len(out.Epochs), Steps: out.Steps, Seconds: out.Elapsed.Seconds(), Validation: out.Val, Test: out.Test,
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	return r, atomicfile.WriteBytes(path, append(text, '\n'))
}

func (t *trainCmd) print(r *trainReport) error {
	w := t.OutOrStdout()
	if t.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	eval := func(name string, e *train.Eval) {
		if e != nil {
			fmt.Fprintf(w, "%-21s%.2f %% of %d images, loss %.4f\n", name, 100*e.Accuracy, e.Images, e.Loss)
		}
	}
	eval("validation accuracy", r.Validation)
	eval("test accuracy", r.Test)
	_, err := fmt.Fprintf(w, "%-21s%s\n", "model", r.Model)
	return err
}
