package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	lib "effnet"
	"effnet/arch"
	"effnet/dataset"
	"effnet/infer"
	"effnet/internal/kernel"
	"effnet/train"
	"effnet/weights"
)

// trainJob is one network trained on one data set. The commands that train
// all go this way.
type trainJob struct {
	Spec      arch.Spec // fits Data; see adaptSpec
	Data      *dataset.Data
	Source    string       // what Data was opened as
	Recipe    train.Recipe // need not be resolved
	SplitSeed uint64       // of the validation part: equal seeds compare on equal images
	Subset    int          // Data.Train is this many of the data set's training images; 0: all
	Threads   int          // 0: all
	Kernel    string       // "": the best this machine has
	Memory    int64        // limit of the process, in bytes; 0: none
	Alone     bool         // the process does nothing else: its collector is set for the job
	// MicroBatch is that of a run that goes on; 0: the batch, or as Memory allows.
	MicroBatch int
	Start      *train.Start // nil: from random weights
	Weights    *weights.Set // that Start speaks of; nil: those in Dir
	Test       bool         // measure the test part when training has ended

	// Dir is the run folder; "" keeps nothing on disk. If it holds a run of
	// this job, training goes on where that stopped.
	Dir             string
	CheckpointEvery time.Duration // 0: 30 s
	CheckpointSteps int           // above 0: instead of CheckpointEvery
	Keep            int           // newest checkpoints that stay; 0: 2

	Stop     func(train.EpochRecord) bool // after an epoch: whether to end there
	Observer train.Observer
}

// trainOutcome is a trained network.
type trainOutcome struct {
	Config  train.RunConfig
	Weights *weights.Set // the moving average where the recipe has one
	Epochs  []train.EpochRecord
	Steps   int
	Val     *train.Eval // of Weights; nil without a validation part
	Test    *train.Eval // nil unless asked for
	// TestMirror is Test by the means of the logits of each image and its mirror
	// image; nil where training mirrors none.
	TestMirror *train.Eval
	Elapsed    time.Duration
}

// trainModel trains. When ctx ends it returns an error that wraps
// train.ErrInterrupted; with a run folder, the same job then goes on.
func trainModel(ctx context.Context, job trainJob) (*trainOutcome, error) {
	parts, cfg, err := job.settle()
	if err != nil {
		return nil, err
	}
	g, err := cfg.Spec.Graph()
	if err != nil {
		return nil, err
	}
	threads := job.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	batch := evalBatch(g)
	if cfg.Memory > 0 {
		batch = smallBatch(g)
	}
	evaluate := func(ctx context.Context, w *weights.Set, part dataset.Set, mirror bool) (train.Eval, error) {
		return evaluateWeights(ctx, g, w, part, evalOptions{infer.Options{Threads: threads, Kernel: cfg.Kernel}, batch, mirror})
	}
	limit, err := job.plan(&cfg, g, threads)
	if err != nil {
		return nil, err
	}
	src, err := newSource(&cfg, parts.train, threads)
	if err != nil {
		return nil, &usageError{err}
	}
	run := train.Job{
		Start: job.Weights, Config: cfg, Source: src, Labels: job.Data.Classes, Threads: threads, Memory: limit,
		Dir: job.Dir, CheckpointEvery: job.CheckpointEvery, CheckpointSteps: job.CheckpointSteps, Keep: job.Keep, Stop: job.Stop, Observer: job.Observer,
	}
	if parts.val != nil {
		run.Evaluate = func(ctx context.Context, w *weights.Set) (train.Eval, error) {
			return evaluate(ctx, w, parts.val, false)
		}
	}
	res, err := train.Run(ctx, run)
	if err != nil {
		return nil, err
	}
	out := &trainOutcome{Config: cfg, Weights: res.Weights, Epochs: res.Epochs, Steps: res.Steps, Elapsed: res.Elapsed}
	if last := res.Epochs[len(res.Epochs)-1]; last.ValLoss != nil {
		out.Val = &train.Eval{Images: parts.val.Len(), Loss: *last.ValLoss, Accuracy: *last.ValAccuracy}
	}
	if !job.Test || parts.test == nil {
		return out, nil
	}
	test := func(mirror bool) (*train.Eval, error) {
		e, err := evaluate(ctx, res.Weights, parts.test, mirror)
		if ctx.Err() != nil {
			return nil, train.ErrInterrupted
		}
		return &e, err
	}
	if out.Test, err = test(false); err != nil {
		return nil, err
	}
	if cfg.Recipe.Flip {
		if out.TestMirror, err = test(true); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dataParts are the three uses of a data set; val and test may be nil.
type dataParts struct{ train, val, test dataset.Set }

// parts takes the validation images from the data set's own validation part,
// else from its training part.
func (job *trainJob) parts() (dataParts, error) {
	p := dataParts{train: job.Data.Train, val: job.Data.Val, test: job.Data.Test}
	if p.val == nil && job.Recipe.Validation > 0 {
		p.train, p.val = dataset.Split(job.Data.Train, job.Recipe.Validation, job.SplitSeed)
		if p.val.Len() == 0 {
			p.val = nil
		}
	}
	if p.train.Len() == 0 {
		return p, fmt.Errorf("%s has no training images left: %d in all, %v of them for validation", job.Data.Name, job.Data.Train.Len(), job.Recipe.Validation)
	}
	return p, nil
}

// settle divides the data and settles everything that decides the result.
func (job *trainJob) settle() (parts dataParts, cfg train.RunConfig, err error) {
	if parts, err = job.parts(); err == nil {
		cfg, err = job.config(parts)
	}
	return parts, cfg, err
}

// config settles everything that decides the result.
func (job *trainJob) config(parts dataParts) (train.RunConfig, error) {
	s := job.Spec
	if d := job.Data; s.Classes != len(d.Classes) {
		return train.RunConfig{}, fmt.Errorf("%s has %d classes, network %s has %d", d.Name, len(d.Classes), s.Name, s.Classes)
	}
	r, err := job.Recipe.Resolve(parts.train.Len(), s.Dropout, s.DropPath)
	if err != nil {
		return train.RunConfig{}, err
	}
	s.Dropout, s.DropPath = *r.Dropout, *r.DropPath
	impl, err := kernel.Lookup(job.Kernel)
	if err != nil {
		return train.RunConfig{}, err
	}
	id := train.DataID{Source: job.Source, Checksum: job.Data.Checksum, SplitSeed: job.SplitSeed, Subset: job.Subset, Train: parts.train.Len()}
	if parts.val != nil {
		id.Validation = parts.val.Len()
	}
	if job.Data.SkipBad {
		id.BadImages, id.LeftOut = skipBad, job.Data.LeftOut
	}
	return train.RunConfig{Spec: s, Recipe: r, Data: id, Start: job.Start, Kernel: impl.Name, MicroBatch: job.MicroBatch, Memory: job.Memory}, nil
}

// adaptSpec makes s fit the data: classes, channels, normalisation by the
// data's own statistics unless the network's are near, and the resolution
// where one is given (0: the network's). The notes say what it changed, one
// line each.
func adaptSpec(ctx context.Context, s arch.Spec, d *dataset.Data, resolution int) (adapted arch.Spec, notes []string, err error) {
	return fitSpec(ctx, s, d, resolution, dataset.Stats)
}

// statistics finds the mean and standard deviation of images by channel.
type statistics func(ctx context.Context, s dataset.Set, channels, most int) (mean, std []float64, err error)

// fitSpec is adaptSpec with the statistics to normalise by; nil keeps the
// network's.
func fitSpec(ctx context.Context, s arch.Spec, d *dataset.Data, resolution int, stats statistics) (adapted arch.Spec, notes []string, err error) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	s.Stages = slices.Clone(s.Stages)
	if n := len(d.Classes); s.Classes != n {
		note("classes: %d of the data instead of %d", n, s.Classes)
		s.Classes = n
	}
	if s.Channels != d.Channels {
		note("image channels: %d of the data instead of %d", d.Channels, s.Channels)
		s.Channels = d.Channels
	}
	if resolution > 0 && s.Resolution != resolution {
		note("resolution: %d as asked instead of %d", resolution, s.Resolution)
		s.Resolution = resolution
	}
	if stats != nil {
		mean, std, err := stats(ctx, d.Train, s.Channels, 10000)
		if err != nil {
			return s, nil, err
		}
		for i := range mean {
			mean[i] = math.Round(mean[i]*1000) / 1000
			std[i] = max(0.001, math.Round(std[i]*1000)/1000)
		}
		if !near(mean, s.Prep.Mean) || !near(std, s.Prep.Std) {
			note("normalisation: mean %v and std %v of the training images", mean, std)
			s.Prep.Mean, s.Prep.Std = mean, std
		}
	}
	side, err := commonSide(d.Train)
	if err != nil {
		return s, nil, err
	}
	if side > 0 && s.Prep.Crop != 1 {
		note("crop: none, as all images are %dx%d", side, side)
		s.Prep.Crop = 1
	}
	if side > 0 && side < s.Resolution {
		note("the %dx%d images are enlarged to the network's %dx%d; a lower --resolution would cost less", side, side, s.Resolution, s.Resolution)
	}
	_, err = s.Graph()
	return s, notes, err
}

// near reports whether normalising by a or by b makes no difference to speak of.
func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 0.02 })
}

// commonSide is the side of the images if they are all squares of one size, 0
// otherwise, by a sample of them.
func commonSide(set dataset.Set) (int, error) {
	const sample = 32
	side := 0
	for k := range min(sample, set.Len()) {
		img, err := set.Image(k * (set.Len() - 1) / max(1, min(sample, set.Len())-1))
		if err != nil {
			return 0, err
		}
		if img.H != img.W || side != 0 && img.H != side {
			return 0, nil
		}
		side = img.H
	}
	return side, nil
}

// pipelineOf feeds images to a network, not augmented.
func pipelineOf(s *arch.Spec, set dataset.Set) *dataset.Pipeline {
	p := &dataset.Pipeline{Set: set, Resolution: s.Resolution, Channels: s.Channels, Filter: lib.FilterOf(s.Prep.Filter), Crop: s.Prep.Crop, Squash: s.Prep.Squash}
	for i := range s.Prep.Mean {
		p.Mean = append(p.Mean, float32(s.Prep.Mean[i]))
		p.Std = append(p.Std, float32(s.Prep.Std[i]))
	}
	return p
}

// source is a train.Source over a data set.
type source struct {
	set       dataset.Set
	stages    train.Stages
	pipelines []*dataset.Pipeline // by stage
	opt       dataset.LoaderOptions
}

func newSource(cfg *train.RunConfig, set dataset.Set, threads int) (*source, error) {
	r := &cfg.Recipe
	stages, err := cfg.Stages()
	if err != nil {
		return nil, err
	}
	ahead := threads + 1
	if cfg.Memory > 0 {
		ahead = min(ahead, batchesWithin(&cfg.Spec, r.Batch)-1)
	}
	src := &source{set: set, stages: stages, opt: dataset.LoaderOptions{
		Batch: r.Batch, Shuffle: true, Seed: r.Seed, DropLast: true, Workers: threads, Ahead: ahead,
	}}
	for _, s := range stages {
		p := pipelineOf(&cfg.Spec, set)
		p.Resolution = s.Resolution
		p.Augment = dataset.Augment{Flip: r.Flip, PadCrop: r.PadCrop, MinArea: r.MinArea, Auto: s.AutoAugment, Erasing: r.Erasing, Mixup: s.Mixup}
		p.Seed = r.Seed
		src.pipelines = append(src.pipelines, p)
	}
	return src, nil
}

func (s *source) Len() int { return s.set.Len() }

func (s *source) Epoch(ctx context.Context, epoch, first int) (train.Batches, error) {
	opt := s.opt
	opt.Epoch, opt.Start = epoch, first
	l, err := s.pipelines[s.stages.At(epoch).Index].Load(ctx, opt)
	if err != nil {
		return nil, err
	}
	return &batches{Loader: l, workers: opt.Workers}, nil
}

// batches is train.Batches, and train.Timed.
type batches struct {
	*dataset.Loader
	workers int
	took    time.Duration
}

func (b *batches) Took() time.Duration { return b.took / time.Duration(b.workers) }

func (b *batches) Next() ([]float32, train.Targets, error) {
	batch, err := b.Loader.Next()
	if err != nil {
		return nil, train.Targets{}, err
	}
	b.took = batch.Took
	return batch.X, train.Targets{Labels: batch.Labels, Others: batch.Others, Share: batch.Share}, nil
}

// evalOptions is how a network is run on images.
type evalOptions struct {
	infer.Options
	batch  int  // images at a time, which does not change the result
	mirror bool // the logits are means over the image and its mirror image
}

// evaluateWeights runs the network g with weights w on every image of set.
func evaluateWeights(ctx context.Context, g *arch.Graph, w *weights.Set, set dataset.Set, opt evalOptions) (train.Eval, error) {
	var e train.Eval
	correct := 0
	err := evaluateImages(ctx, g, w, set, opt, func(_ int, loss float64, hit bool) {
		e.Images++
		e.Loss += loss
		if hit {
			correct++
		}
	})
	if err == nil && e.Images > 0 {
		e.Loss /= float64(e.Images)
		e.Accuracy = float64(correct) / float64(e.Images)
	}
	return e, err
}

// evaluateImages tells of every image of set, in order, how the network g with
// weights w does on it: its cross-entropy, and whether its label has the
// largest logit.
func evaluateImages(ctx context.Context, g *arch.Graph, w *weights.Set, set dataset.Set, opt evalOptions, each func(i int, loss float64, hit bool)) error {
	plan, err := infer.Compile(g, w, opt.Options)
	if err != nil {
		return err
	}
	defer plan.Close()
	run := runPlan(plan, &g.Spec, opt.mirror)
	l, err := pipelineOf(&g.Spec, set).Load(ctx, dataset.LoaderOptions{Batch: opt.batch, Workers: opt.Threads})
	if err != nil {
		return err
	}
	defer l.Close()
	all := make([]float32, opt.batch*plan.Classes())
	for {
		b, err := l.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		logits := all[:b.N*plan.Classes()]
		if err := run(ctx, b.X, b.N, logits); err != nil {
			return err
		}
		for i, label := range b.Labels {
			loss, hit := crossEntropy(logits[i*plan.Classes():][:plan.Classes()], label)
			each(b.IDs[i], loss, hit)
		}
	}
}

// evalBatch is a batch of about 4 MiB of input.
func evalBatch(g *arch.Graph) int { return max(1, min(256, 1<<20/g.Ops[0].Shape.Elems())) }

// smallBatch is one of about 256 KiB of input.
func smallBatch(g *arch.Graph) int { return max(1, evalBatch(g)/16) }

// crossEntropy is the loss of one image, and whether its label has the largest
// logit.
func crossEntropy(logits []float32, label int32) (loss float64, correct bool) {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - float64(logits[best]))
	}
	return math.Log(sum) + float64(logits[best]) - float64(logits[label]), best == int(label)
}
