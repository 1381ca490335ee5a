package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"effnet/arch"
	"effnet/dataset"
	"effnet/infer"
	"effnet/internal/atomicfile"
	"effnet/search"
	"effnet/train"
	"effnet/weights"
)

// searchTrainer trains the trials of a search on one data set, which it holds
// in memory once.
type searchTrainer struct {
	data      *dataset.Data
	source    string
	recipe    train.Recipe
	kernel    string
	memory    int64       // limit of a trial
	rest, val dataset.Set // images to train on and to validate with

	checkpointEvery time.Duration
}

// newSearchTrainer splits the data. Every trial sees the same validation
// images.
func newSearchTrainer(d *dataset.Data, source string, r train.Recipe, splitSeed uint64, kernel string, every time.Duration) (*searchTrainer, error) {
	t := &searchTrainer{data: d, source: source, recipe: r, kernel: kernel, checkpointEvery: every, rest: d.Train, val: d.Val}
	if t.val == nil {
		if r.Validation == 0 {
			return nil, usagef("search: the recipe holds out no validation images, but the choice among networks needs them; add --validation 0.1")
		}
		t.rest, t.val = dataset.Split(d.Train, r.Validation, splitSeed)
	}
	switch {
	case t.rest.Len() == 0 || t.val.Len() == 0:
		return nil, fmt.Errorf("search: %s has %d training and %d validation images, want some of both", d.Name, t.rest.Len(), t.val.Len())
	case d.Test == nil || d.Test.Len() == 0:
		return nil, fmt.Errorf("search: %s has no test images to compare the scaled networks with", d.Name)
	}
	return t, nil
}

func (t *searchTrainer) engine() *search.Engine {
	return &search.Engine{
		Train: t.train, Probe: t.probe, Tidy: removeCheckpoints, Meter: newSearchMeter(t.kernel),
		TrainImages: t.rest.Len(), ValidationImages: t.val.Len(), TestImages: t.data.Test.Len(),
	}
}

// job is a training on the first images images.
func (t *searchTrainer) job(spec arch.Spec, images int, splitSeed uint64, epochs int, seed uint64, threads int) trainJob {
	d := *t.data
	d.Train, d.Val = dataset.Subset(t.rest, images, splitSeed), t.val
	r := t.recipe
	r.Epochs, r.Seed = epochs, seed
	return trainJob{Spec: spec, Data: &d, Source: t.source, Recipe: r, SplitSeed: splitSeed, Threads: threads, Kernel: t.kernel, Memory: t.memory}
}

func (t *searchTrainer) train(ctx context.Context, trial *search.Trial, progress func(search.Progress)) (*search.Outcome, error) {
	job := t.job(trial.Spec, trial.TrainImages, trial.SplitSeed, trial.Epochs, trial.Seed, trial.Threads)
	job.Dir, job.CheckpointEvery = trial.Dir, t.checkpointEvery
	epoch, acc := 0, 0.0
	moment := func(p train.Progress) {
		progress(search.Progress{Done: float64(p.Step) / float64(p.Steps), Epoch: epoch, Accuracy: acc, Rate: p.ImagesPerSecond})
	}
	start := func(p train.Progress) {
		epoch = p.Step * p.Epochs / p.Steps
		moment(p)
	}
	job.Observer = train.Observer{Start: start, Step: moment, Epoch: func(e train.EpochRecord, p train.Progress) {
		epoch, acc = e.Epoch, *e.ValAccuracy
		moment(p)
	}}
	if len(trial.Floor) > 0 {
		job.Stop = func(e train.EpochRecord) bool { return *e.ValAccuracy < trial.Floor[e.Epoch-1] }
	}
	res, err := trainModel(ctx, job)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, train.ErrDiverged):
		return nil, fmt.Errorf("%w: %w", search.ErrDiverged, err)
	case err != nil:
		return nil, err
	}
	out := &search.Outcome{
		Validation: search.Score{Correct: int(math.Round(res.Val.Accuracy * float64(res.Val.Images))), Total: res.Val.Images},
		Model:      train.ModelFile, Kernel: t.kernel,
	}
	if n := len(res.Epochs); n < trial.Epochs {
		out.Stopped = n
	}
	for _, e := range res.Epochs {
		out.Curve = append(out.Curve, search.Point{Epoch: e.Epoch, Loss: e.TrainLoss, Accuracy: *e.ValAccuracy})
	}
	if out.SHA256, err = atomicfile.SHA256(filepath.Join(trial.Dir, train.ModelFile)); err != nil {
		return nil, err
	}
	if trial.Test {
		err = t.test(ctx, res, trial.Threads, out)
	}
	return out, err
}

// test scores a trained network on the test images.
func (t *searchTrainer) test(ctx context.Context, res *trainOutcome, threads int, out *search.Outcome) error {
	g, err := res.Config.Spec.Graph()
	if err != nil {
		return err
	}
	n := t.data.Test.Len()
	out.Test, out.TestHits = &search.Score{Total: n}, make([]byte, (n+7)/8)
	return evaluateImages(ctx, g, res.Weights, t.data.Test, evalOptions{infer.Options{Threads: threads, Kernel: res.Config.Kernel}, evalBatch(g), false}, func(i int, _ float64, hit bool) {
		if hit {
			out.Test.Correct++
			out.TestHits[i/8] |= 1 << (i % 8)
		}
	})
}

// probeTime is how long a measurement takes at least.
const probeTime = 400 * time.Millisecond

// probe trains and scores for a moment, at the network's resolution.
func (t *searchTrainer) probe(ctx context.Context, spec *arch.Spec, threads int) (search.Speed, error) {
	var v search.Speed
	images := 3 * t.recipe.Batch
	for {
		images = min(images, t.rest.Len())
		job := t.job(*spec, images, 0, 1, 0, threads)
		job.Data.Val, job.Recipe.Validation = nil, 0
		job.Recipe.Batch, job.Recipe.WarmupEpochs = min(job.Recipe.Batch, max(1, images/3)), 0
		began := time.Now()
		res, err := trainModel(ctx, job)
		if err != nil {
			return v, err
		}
		took := time.Since(began)
		if rate := res.Epochs[0].ImagesPerSecond; rate > 0 {
			v.Train = 1 / rate
		} else {
			v.Train = took.Seconds() / float64(images)
		}
		if took >= probeTime || images == t.rest.Len() {
			break
		}
		images = int(float64(images)*1.3*probeTime.Seconds()/took.Seconds()) + t.recipe.Batch
	}
	share, err := t.relativeCost(spec)
	if err != nil {
		return v, err
	}
	v.Train *= share
	g, err := spec.Graph()
	if err != nil {
		return v, err
	}
	w := weights.Init(g, 0)
	for images = 64; ; {
		set := dataset.Subset(t.val, images, 0)
		began := time.Now()
		if err := evaluateImages(ctx, g, w, set, evalOptions{infer.Options{Threads: threads, Kernel: t.kernel}, evalBatch(g), false}, func(int, float64, bool) {}); err != nil {
			return v, err
		}
		took := time.Since(began)
		v.Score = took.Seconds() / float64(set.Len())
		if took >= probeTime/4 || set.Len() == t.val.Len() {
			return v, nil
		}
		images = int(float64(images) * max(1.3*probeTime.Seconds()/4/took.Seconds(), 2))
	}
}

// relativeCost is that of a trial whose epochs its stages share equally.
func (t *searchTrainer) relativeCost(spec *arch.Spec) (float64, error) {
	r := t.recipe
	r.Epochs = max(1, r.Progressive)
	r, err := r.Resolve(t.rest.Len(), spec.Dropout, spec.DropPath)
	if err != nil {
		return 0, err
	}
	return (&train.RunConfig{Spec: *spec, Recipe: r}).RelativeCost()
}

// removeCheckpoints keeps a finished trial's model, metrics and configuration.
func removeCheckpoints(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "ckpt-") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// recipeText is a recipe as a search's configuration holds it: without epochs
// and seed, which belong to the trial.
func recipeText(r train.Recipe) (string, error) {
	r.Epochs, r.Seed = 1, 0
	text, err := json.MarshalIndent(r, "", "  ")
	return string(text), err
}

func parseRecipeText(s string) (train.Recipe, error) {
	var r train.Recipe
	dec := json.NewDecoder(strings.NewReader(s))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("search: the ledger's recipe: %w", err)
	}
	return r, r.Validate()
}
