package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"effnet/arch"
	"effnet/internal/tfevents"
	"effnet/weights"
)

// stepper is what the loop needs of a [Trainer].
type stepper interface {
	Step(ctx context.Context, x []float32, y Targets, lr float64) (StepStats, error)
	ViewWeights(average bool) *weights.Set
	View() State
	Restore(State) error
	Release()
	Close()
}

// loop is a run under way. Between two steps, step and Position say exactly
// where it stands, whatever was interrupted there.
type loop struct {
	Job
	Position
	engine   stepper // of stage
	stage    Stage
	stages   Stages
	costs    []float64 // of an image, by stage
	start    func(*folder, Stage) (stepper, error)
	folder   *folder
	metrics  *metricsFile
	schedule Schedule

	step     int // updates made
	perEpoch int
	steps    int           // of the whole run
	epochs   []EpochRecord // finished
	batches  Batches       // of the current epoch; nil: not open

	started    time.Time     // of this process's part of the run
	before     time.Duration // Elapsed when it began
	meter      meter
	validating time.Duration // the last validation's
	reported   time.Time
	saved      struct {
		at              time.Time
		step, evaluated int // of the newest checkpoint; -1: none
		name            string
	}
}

// Run trains. When ctx ends it saves a checkpoint and returns ErrInterrupted;
// called again with the same job, it goes on from there to the same bits that
// an uninterrupted run ends with.
func Run(ctx context.Context, job Job) (*Result, error) {
	return run(ctx, job, func(f *folder, s Stage) (stepper, error) {
		spec := s.spec(job.Config.Spec)
		g, err := spec.Graph()
		if err != nil {
			return nil, err
		}
		return compile(g, job, f)
	})
}

func compile(g *arch.Graph, job Job, f *folder) (stepper, error) {
	cfg, err := job.Config.Trainer(len(g.Spec.Stages))
	if err != nil {
		return nil, err
	}
	cfg.Threads, cfg.Memory = job.Threads, job.Memory
	if cfg.MicroBatch == 0 { // the run's choice, not that of its memory now
		cfg.MicroBatch = cfg.Batch
	}
	start, w := job.Config.Start, job.Start
	switch {
	case start == nil:
		w = weights.Init(g, cfg.Seed)
	case w == nil:
		if w, err = f.start(start); err != nil {
			return nil, err
		}
	}
	return Compile(g, w, cfg)
}

func run(ctx context.Context, job Job, start func(*folder, Stage) (stepper, error)) (res *Result, err error) {
	r := &job.Config.Recipe
	l := &loop{Job: job, perEpoch: r.StepsPerEpoch(job.Source.Len()), start: start}
	if err := l.plan(); err != nil {
		return nil, err
	}
	l.steps = r.Epochs * l.perEpoch
	if l.perEpoch < 1 {
		return nil, fmt.Errorf("train: %d training images do not fill a batch of %d", job.Source.Len(), r.Batch)
	}
	l.schedule = r.schedule(l.perEpoch)
	if err := l.schedule.Check(); err != nil {
		return nil, err
	}
	if l.CheckpointEvery == 0 {
		l.CheckpointEvery = 30 * time.Second
	}
	if l.Keep == 0 {
		l.Keep = 2
	}
	if l.ConfigSum, err = job.Config.Sum(); err != nil {
		return nil, err
	}
	if job.Dir != "" {
		if l.folder, err = openFolder(job.Dir, &job.Config, job.Start); err != nil {
			return nil, err
		}
		defer l.folder.close()
		if err := l.folder.checkDiverged(); err != nil {
			return nil, err
		}
	}
	c, err := l.load()
	if err != nil {
		return nil, err
	}
	if l.engine, err = start(l.folder, l.stage); err != nil {
		return nil, err
	}
	defer l.closeEngine()
	defer func() {
		if cerr := l.metrics.close(); err == nil {
			err = cerr
		}
	}()
	if err := l.resume(ctx, c); err != nil {
		return nil, err
	}
	defer l.closeBatches()

	l.started, l.before = time.Now(), l.Elapsed
	l.saved.at = l.started
	if l.Observer.Start != nil {
		l.Observer.Start(l.progress())
	}
	for l.Evaluated < r.Epochs && !l.hopeless() {
		if l.Evaluated < l.step/l.perEpoch {
			err = l.endEpoch(ctx)
		} else {
			err = l.trainStep(ctx)
		}
		if err != nil {
			return nil, l.stopped(ctx, err)
		}
	}
	w := l.result()
	if err := l.writeModel(ModelFile, w); err != nil {
		return nil, err
	}
	if err := l.metrics.ended(l.step, tfevents.Success); err != nil {
		return nil, err
	}
	return &Result{Weights: w, Epochs: l.epochs, Steps: l.step, Elapsed: l.Elapsed}, nil
}

// load reads the newest checkpoint, nil if there has not been one, and brings
// the position to it.
func (l *loop) load() (*checkpoint, error) {
	l.saved.step = -1
	if l.folder == nil {
		return nil, nil
	}
	c, err := l.folder.load(l.ConfigSum, l.note)
	if c == nil || err != nil {
		return nil, err
	}
	if c.State.Step < 0 || c.State.Step > int64(l.steps) {
		return nil, fmt.Errorf("train: %s is at step %d of a run of %d", l.folder.path(checkpointName(c.State.Step)), c.State.Step, l.steps)
	}
	l.step, l.Position = int(c.State.Step), c.Position
	l.saved.step, l.saved.evaluated, l.saved.name = l.step, l.Evaluated, checkpointName(c.State.Step)
	l.stage = l.stages.At(l.step / l.perEpoch)
	return c, nil
}

// resume brings the engine and the metrics to the checkpoint, and what derives
// from the metrics to these.
func (l *loop) resume(ctx context.Context, c *checkpoint) (err error) {
	if l.folder == nil {
		return nil
	}
	if c != nil {
		if err := l.engine.Restore(c.State); err != nil {
			return err
		}
	}
	var held []byte
	if l.metrics, held, l.epochs, err = openMetrics(l.folder.path(MetricsFile), l.step, l.Evaluated); err != nil {
		return err
	}
	if l.metrics.events, err = l.openEvents(ctx, held); err != nil {
		return err
	}
	if err := l.folder.writeSummary(l.epochs); err != nil {
		return err
	}
	return l.folder.prune(l.Keep, l.Best)
}

func (l *loop) trainStep(ctx context.Context) error {
	began := time.Now()
	if l.batches == nil {
		if s := l.stages.At(l.step / l.perEpoch); s != l.stage {
			if err := l.enter(s); err != nil {
				return err
			}
			began = time.Now()
		}
		b, err := l.Source.Epoch(ctx, l.step/l.perEpoch, l.step%l.perEpoch)
		if err != nil {
			return err
		}
		l.batches = b
	}
	x, y, err := l.batches.Next()
	if err != nil {
		return err
	}
	wait, load := time.Since(began), time.Duration(0)
	if t, ok := l.batches.(Timed); ok {
		load = t.Took()
	}
	lr := l.schedule.LR(int64(l.step))
	stats, err := l.engine.Step(ctx, x, y, lr)
	if bad := (*NonFiniteError)(nil); errors.As(err, &bad) {
		return l.diverged(fmt.Sprintf("the loss is %v", bad.Loss), err)
	}
	if err != nil {
		return err
	}
	l.step++
	busy := time.Since(began)
	n := len(y.Labels)
	l.Current.add(n, stats, busy, wait, load)
	l.Window.add(n, stats, busy, wait, load)
	l.meter.add(n, busy, wait)
	l.clock()
	if l.step%metricsSteps == 0 {
		w := &l.Window
		err := l.metrics.step(StepRecord{
			Step: l.step, Epoch: l.epoch(), Resolution: l.stage.Resolution, LR: lr, Loss: w.loss(), Accuracy: w.accuracy(),
			ImagesPerSecond: round(w.rate()), DataWait: round(w.waited()), LoaderImagesPerSecond: round(w.loading()),
			ElapsedSeconds: round(l.Elapsed.Seconds()),
		})
		if err != nil {
			return err
		}
		if err := l.watch(w.loss()); err != nil {
			return err
		}
		*w = tally{}
	}
	if l.Observer.Step != nil && time.Since(l.reported) > 100*time.Millisecond {
		l.reported = time.Now()
		l.Observer.Step(l.progress())
	}
	if l.step%l.perEpoch == 0 {
		l.closeBatches()
		return nil // endEpoch saves
	}
	if l.CheckpointSteps > 0 {
		if l.step%l.CheckpointSteps != 0 {
			return nil
		}
	} else if time.Since(l.saved.at) < l.CheckpointEvery {
		return nil
	}
	return l.save()
}

// hopeless reports whether Stop ends the run after the epoch that has just
// ended.
func (l *loop) hopeless() bool {
	n := len(l.epochs)
	return l.Stop != nil && n > 0 && l.Evaluated == n && l.step == n*l.perEpoch && l.Stop(l.epochs[n-1])
}

// endEpoch validates and records an epoch whose steps are done.
func (l *loop) endEpoch(ctx context.Context) error {
	e := EpochRecord{
		Epoch: l.Evaluated + 1, Step: l.step, Resolution: l.stages.At(l.Evaluated).Resolution, LR: l.schedule.LR(int64(l.step - 1)),
		TrainLoss: l.Current.loss(), TrainAccuracy: l.Current.accuracy(), ImagesPerSecond: round(l.Current.rate()),
		DataWait: round(l.Current.waited()), LoaderImagesPerSecond: round(l.Current.loading()),
	}
	var w *weights.Set
	if l.Evaluate != nil {
		began := time.Now()
		l.engine.Release()
		w = l.result()
		v, err := l.Evaluate(ctx, w)
		if err != nil {
			return err
		}
		if math.IsNaN(v.Loss) || math.IsInf(v.Loss, 0) {
			return l.diverged(fmt.Sprintf("the validation loss is %v", v.Loss), nil)
		}
		l.validating = time.Since(began)
		e.ValLoss, e.ValAccuracy = &v.Loss, &v.Accuracy
	}
	l.clock()
	e.ElapsedSeconds = round(l.Elapsed.Seconds())
	if err := l.metrics.epoch(e); err != nil {
		return err
	}
	if err := l.folder.writeSummary(append(l.epochs, e)); err != nil {
		return err
	}
	if err := l.keepBest(&e, w); err != nil {
		return err
	}
	l.epochs = append(l.epochs, e)
	l.Evaluated++
	l.Current = tally{}
	if l.Observer.Epoch != nil {
		l.Observer.Epoch(e, l.progress())
	}
	return l.save()
}

// result is the weights that the run would end with now, until the next step.
func (l *loop) result() *weights.Set { return l.engine.ViewWeights(l.Config.Recipe.EMADecay > 0) }

// save writes a checkpoint, unless the newest one says the same.
func (l *loop) save() error {
	l.saved.at = time.Now()
	if l.folder == nil || l.saved.step == l.step && l.saved.evaluated == l.Evaluated {
		return nil
	}
	c := &checkpoint{l.Position, l.engine.View()}
	if name, ok := c.finite(); !ok {
		return l.diverged(fmt.Sprintf("%s is no longer finite, the loss of the epoch so far is %.4g,", name, l.Current.loss()), nil)
	}
	if err := l.metrics.sync(); err != nil {
		return err
	}
	if err := l.folder.save(c, l.Keep); err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	l.saved.step, l.saved.evaluated, l.saved.name = l.step, l.Evaluated, checkpointName(c.State.Step)
	return nil
}

// stopped is the end of a run by err: what it says, and what is kept.
func (l *loop) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ErrDiverged) {
		if err = l.save(); err == nil {
			return ErrInterrupted
		}
	}
	if d := (*DivergedError)(nil); errors.As(err, &d) {
		if err := l.folder.keepDiverged(d); err != nil {
			return err
		}
		if err := l.metrics.ended(l.step, tfevents.Failure); err != nil {
			return err
		}
		return d
	}
	if l.saved.step >= 0 {
		return fmt.Errorf("%w (epoch %d of %d; the last good checkpoint is %s)", err, l.epoch(), l.Config.Recipe.Epochs, filepath.Join(l.Dir, l.saved.name))
	}
	return fmt.Errorf("%w (epoch %d of %d)", err, l.epoch(), l.Config.Recipe.Epochs)
}

func (l *loop) closeBatches() {
	if l.batches != nil {
		l.batches.Close()
		l.batches = nil
	}
}

func (l *loop) clock() { l.Elapsed = l.before + time.Since(l.started) }

// epoch is the number, from 1, of the epoch of the last step.
func (l *loop) epoch() int { return max(0, l.step-1)/l.perEpoch + 1 }

func (l *loop) note(msg string) {
	if l.Observer.Note != nil {
		l.Observer.Note(msg)
	}
}

func (l *loop) progress() Progress {
	p := Progress{
		Step: l.step, Steps: l.steps, Epoch: l.epoch(), Epochs: l.Config.Recipe.Epochs, Batch: l.Config.Recipe.Batch,
		Loss: l.Current.loss(), Accuracy: l.Current.accuracy(), LR: l.schedule.LR(int64(max(0, l.step-1))),
		Stage: l.stage, ImagesPerSecond: l.meter.rate(), DataWait: l.meter.waited(), Elapsed: l.Elapsed,
	}
	if p.ImagesPerSecond > 0 {
		training := l.work() * float64(p.Batch) / p.ImagesPerSecond
		p.Left = time.Duration(training*float64(time.Second)) + time.Duration(p.Epochs-l.Evaluated)*l.validating
	}
	return p
}

// writeModel writes the network with weights w to a file of the run folder.
func (l *loop) writeModel(name string, w *weights.Set) error {
	if l.folder == nil {
		return nil
	}
	m := weights.Model{Spec: l.Config.Spec, Labels: l.Labels, Set: w}
	return m.Write(l.folder.path(name))
}
