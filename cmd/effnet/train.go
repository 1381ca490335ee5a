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
	start  startFlags

	out             string
	resume, json    bool
	threads         int
	memory          amount
	resolution      int
	trainImages     int
	checkpointEvery time.Duration
	checkpointSteps int
	keep            int
}

func newTrainCmd() *cobra.Command {
	t := &trainCmd{}
	t.Command = &cobra.Command{
		Use:   "train {NET|MODEL} --data DATA --out RUN | --resume RUN",
		Short: "Train a network on a data set",
		Long: `Train trains NET, a zoo name or a spec file, on a data set and keeps everything
about the run in the folder RUN: config.yaml (what was trained, how, on what),
metrics.jsonl and the same as summary.csv and for TensorBoard, checkpoints, the
best epoch's network as best.safetensors, and in the end model.safetensors, which
holds the weights, the network, the class names and the preprocessing.

Given a MODEL (a weights file, a run folder or a name on the hub) it goes on from
those weights, by the recipe finetune unless --recipe says otherwise. The
classifier starts anew unless the classes are the same; the stem is made to fit
grey or colour images. --freeze keeps parts as they are: stem, stages (1, 2-4),
head, or all, which is everything but the classifier.

A run that was stopped goes on with 'effnet train --resume RUN', to the same
bits as if it had never stopped.`,
		Example: `  effnet train small_1m --data fashion-mnist --out run
  effnet train net.yaml --data photos/ --epochs 50 --recipe efficientnet --out run
  effnet train photos.pth --net tf_efficientnet_lite0 --data photos/ --freeze stem,1-3 --out run
  effnet train --resume run`,
		Args:              atMostOne("one network"),
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return t.run(args) },
	}
	fs := t.Flags()
	fs.SortFlags = false
	t.data.register(fs)
	fs.IntVar(&t.trainImages, "train-images", 0, "train on this `many` of the training images, every class in proportion (default: all)")
	fs.StringVar(&t.out, "out", "", "run `folder`")
	fs.BoolVar(&t.resume, "resume", false, "go on with a run that was stopped")
	fs.IntVar(&t.resolution, "resolution", 0, "`pixels` a side that the network sees (default: the network's)")
	t.start.register(fs)
	fs.IntVar(&t.threads, "threads", 0, "threads (default: all); does not change the result")
	t.memory.base = 1024
	fs.Var(&t.memory, "memory", "limit of the process's memory, such as 600M or 2G: more arithmetic, and if need be smaller parts of a batch")
	fs.BoolVar(&t.json, "json", false, "print the result as JSON")
	t.recipe.register(fs)
	fs.DurationVar(&t.checkpointEvery, "checkpoint-every", 30*time.Second, "`time` between checkpoints; every epoch ends with one, too")
	fs.IntVar(&t.checkpointSteps, "checkpoint-steps", 0, "`steps` between checkpoints, instead of a time")
	fs.IntVar(&t.keep, "keep", 2, "newest checkpoints to keep, beside the best epoch's")
	return t.Command
}

func (t *trainCmd) run(args []string) error {
	if t.keep < 1 {
		return usagef("train: --keep is %d, want 1 or more", t.keep)
	}
	if t.threads < 0 || t.resolution < 0 || t.checkpointSteps < 0 || t.trainImages < 0 || t.checkpointEvery <= 0 {
		return usagef("train: --threads, --resolution, --train-images and --checkpoint-steps cannot be negative, --checkpoint-every must be above 0")
	}
	job, err := t.job(args)
	if err != nil && t.Context().Err() != nil {
		return &interruptedError{"the same command"}
	}
	if err != nil {
		return err
	}
	job.Threads, job.Test, job.Alone = t.threads, true, true
	if t.Flags().Changed("memory") {
		job.Memory = t.memory.n
	}
	job.CheckpointEvery, job.CheckpointSteps, job.Keep = t.checkpointEvery, t.checkpointSteps, t.keep
	progress := newTrainProgress(t.ErrOrStderr())
	job.Observer = progress.observer()
	res, err := t.result(job)
	progress.close()
	if errors.Is(err, train.ErrInterrupted) {
		return &interruptedError{t.resumeCommand()}
	}
	if errors.Is(err, syscall.ENOSPC) {
		next := t.resumeCommand()
		if !exists(filepath.Join(t.out, train.ConfigFile)) { // it has not even begun
			next = "the same command"
		}
		return fmt.Errorf("%w; make room, then go on with: %s", err, next)
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
	switch {
	case len(args) == 0:
		return trainJob{}, usagef("train wants a network: a zoo name (see 'effnet models') or a spec file")
	case t.out == "":
		return trainJob{}, usagef("train: no run folder: add --out RUN")
	}
	if err := t.mustBeFree(); err != nil {
		return trainJob{}, err
	}
	return t.prepare(args[0])
}

// prepare makes the network or model arg fit the data, and says on stderr what
// that changed.
func (t *trainCmd) prepare(arg string) (trainJob, error) {
	ctx, stderr := t.Context(), t.ErrOrStderr()
	fromModel := t.start.namesModel(arg)
	if err := t.start.check(fromModel); err != nil {
		return trainJob{}, err
	}
	var model *loadedModel
	var spec arch.Spec
	var err error
	if fromModel {
		if !t.Flags().Changed("recipe") {
			t.recipe.recipe = "finetune"
		}
		model, err = t.start.model.load(t.Command, arg)
	} else {
		spec, err = loadNet(arg)
	}
	if err != nil {
		return trainJob{}, err
	}
	recipe, err := t.recipe.load()
	if err != nil {
		return trainJob{}, err
	}
	data, err := t.openData()
	if err != nil {
		return trainJob{}, err
	}
	job := trainJob{
		Data: data, Source: t.data.stableSource(), Recipe: recipe, SplitSeed: t.data.splitSeed, Subset: t.trainImages, Dir: t.out,
	}
	var notes []string
	if fromModel {
		s, err := adaptModel(ctx, model, data, t.resolution)
		if err != nil {
			return trainJob{}, err
		}
		spec, notes = s.spec, s.notes
		if job.Weights, job.Start, err = t.start.weights(model, s, stablePath(arg), recipe.Seed); err != nil {
			return trainJob{}, err
		}
	} else if spec, notes, err = adaptSpec(ctx, spec, data, t.resolution); err != nil {
		return trainJob{}, err
	}
	job.Spec = spec
	fmt.Fprintf(stderr, "%s\n", describeData(data))
	for _, n := range notes {
		fmt.Fprintf(stderr, "%s: %s\n", spec.Name, n)
	}
	return job, nil
}

// openData opens the data set and takes the part of the training images that
// --train-images asks for.
func (t *trainCmd) openData() (*dataset.Data, error) {
	if t.Flags().Changed("memory") {
		if err := t.data.withinMemory("train"); err != nil {
			return nil, err
		}
	}
	data, err := t.data.open(t.Context(), t.ErrOrStderr())
	if err != nil || t.trainImages == 0 {
		return data, err
	}
	d := *data
	d.Train = dataset.Subset(data.Train, t.trainImages, t.data.splitSeed)
	return &d, nil
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
	ctx := t.Context()
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
	if t.Flags().Changed("train-images") {
		now.Data.Subset = t.trainImages
	}
	if now.Start, err = t.sameStart(args, old.Start); err != nil {
		return trainJob{}, err
	}
	if t.Flags().Changed("on-bad-image") {
		now.Data.BadImages = t.data.badImages()
	}
	t.data.onBad = now.Data.BadImages
	t.data.source, t.data.splitSeed, t.trainImages = now.Data.Source, now.Data.SplitSeed, now.Data.Subset
	data, err := t.openData()
	if err != nil && !t.Flags().Changed("data") && ctx.Err() == nil {
		err = fmt.Errorf("%w; if the data has moved, add --data", err)
	}
	if err != nil {
		return trainJob{}, err
	}
	now.Data.Checksum, now.Data.LeftOut = data.Checksum, data.LeftOut
	if now.Spec, err = t.sameSpec(args, old, data); err != nil {
		return trainJob{}, err
	}
	if err := old.Differ(&now); err != nil {
		return trainJob{}, &usageError{err}
	}
	return trainJob{
		Spec: old.Spec, Data: data, Source: old.Data.Source, Recipe: old.Recipe, SplitSeed: old.Data.SplitSeed, Subset: old.Data.Subset,
		Start:  old.Start,
		Kernel: old.Kernel, Dir: t.out, Memory: old.Memory, MicroBatch: old.MicroBatch,
	}, nil
}

// sameStart is the start that the command line of a resumed run asks for.
func (t *trainCmd) sameStart(args []string, old *train.Start) (*train.Start, error) {
	flags := t.Flags().Changed("freeze") || t.Flags().Changed("freeze-bn")
	switch {
	case old == nil && flags:
		return nil, usagef("train: %s started from random weights; --freeze and --freeze-bn do not apply", t.out)
	case old == nil:
		return nil, nil
	case len(args) > 0 || t.start.model.net != "":
		return nil, usagef("train: %s keeps the weights it started with; leave the model and --net out", t.out)
	}
	now := *old
	if t.Flags().Changed("freeze") {
		now.Freeze = t.start.freeze
	}
	if t.Flags().Changed("freeze-bn") {
		now.FreezeBN = t.start.freezeBN
	}
	return &now, nil
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
	BadImages  int         `json:"bad_images,omitempty"` // left out, as they cannot be read
	Seed       uint64      `json:"seed"`
	Epochs     int         `json:"epochs"`
	Steps      int         `json:"steps"`
	Seconds    float64     `json:"seconds"`
	Validation *train.Eval `json:"validation,omitempty"`
	Test       *train.Eval `json:"test,omitempty"`
	TestMirror *train.Eval `json:"test_mirror,omitempty"` // by the means of the logits of each image and its mirror image
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
		Params: cost.Params, MACs: cost.MACs, Data: job.Data.Name, BadImages: job.Data.LeftOut, Recipe: out.Config.Recipe.Name, Seed: out.Config.Recipe.Seed,
		Epochs: len(out.Epochs), Steps: out.Steps, Seconds: out.Elapsed.Seconds(), Validation: out.Val, Test: out.Test, TestMirror: out.TestMirror,
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
	eval("  with mirror images", r.TestMirror)
	_, err := fmt.Fprintf(w, "%-21s%s\n", "model", r.Model)
	return err
}
