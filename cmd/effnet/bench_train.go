package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"

	"effnet/arch"
	"effnet/dataset"
	"effnet/internal/kernel"
	"effnet/internal/npy"
	"effnet/train"
	"effnet/weights"
)

// benchTrain is how a job trains.
type benchTrain struct {
	Labels    string          `json:"labels"` // one a image of the input
	Optimizer train.Optimizer `json:"optimizer"`
	LR        float64         `json:"lr"`
	Smoothing float64         `json:"label_smoothing"`
	Memory    int64           `json:"memory,omitempty"` // limit of the process, bytes
}

// benchLosses answers "losses STEPS".
type benchLosses struct {
	Losses []float64 `json:"losses"`
}

const (
	checkedSteps = 3    // whose losses must agree: rounding grows from step to step
	maxLossDiff  = 1e-3 // relative
	// The input of training is of as many batches as fit in this many floats,
	// and images; of noise, fewer do.
	maxTrainFloats, maxTrainImages = 16 << 20, 4096
	maxNoiseBatches                = 4
	maxLossFloats                  = 128 << 20 // with --losses
)

// prepareTraining makes the job of training steps, and says what they are.
func (b *benchCmd) prepareTraining(arg string) (benchJob, benchSetting, error) {
	// The published training of EfficientNet, but for the data.
	recipe, err := train.LookupRecipe("efficientnet")
	if err != nil {
		return benchJob{}, benchSetting{}, err
	}
	how := &benchTrain{Smoothing: recipe.LabelSmoothing, Memory: b.memory.n}
	if err := recipe.SetOptimizer(b.optimizer); err != nil {
		return benchJob{}, benchSetting{}, usagef("bench: --optimizer is %q, want %s", b.optimizer, train.OptimizerChoices())
	}
	how.LR = float64(b.lr)
	if how.LR == 0 {
		how.LR = recipe.LRPer256 * float64(b.batch) / 256
	}
	if how.Optimizer, err = train.UsualOptimizer(b.optimizer); err != nil {
		return benchJob{}, benchSetting{}, err
	}
	m, err := b.load(arg)
	if err != nil {
		return benchJob{}, benchSetting{}, err
	}
	data, err := b.openData(m)
	if err != nil {
		return benchJob{}, benchSetting{}, err
	}
	if m.Path == "" { // a network starts as in training
		g, err := m.Spec.Graph()
		if err != nil {
			return benchJob{}, benchSetting{}, err
		}
		m.Set = weights.Init(g, 0)
	}
	// The measured step has no randomness, so that losses can be compared.
	m.Spec.Dropout, m.Spec.DropPath = 0, 0
	job, err := b.prepare(m)
	if err != nil {
		return job, benchSetting{}, err
	}
	how.Labels = filepath.Join(b.dir, "labels.npy")
	job.Train = how
	if err := b.writeBatches(&job, &m.Spec, data); err != nil {
		return job, benchSetting{}, err
	}
	r := b.setting(&m.Spec)
	r.Optimizer, r.Data = b.optimizer, "noise"
	if data != nil {
		r.Data = data.Name
	}
	return job, r, nil
}

func (b *benchCmd) runTrain(impl *kernel.Impl, arg string) error {
	job, setting, err := b.prepareTraining(arg)
	if err != nil {
		return err
	}
	r := &benchReport{benchSetting: setting}
	r.PeakGFLOPS = measurePeak(impl, b.threads, min(peakTime, b.time()))
	engines, err := b.startEngines(job)
	if err != nil {
		return err
	}
	defer engines.close()
	if err := engines.compareLosses(b.Context()); err != nil {
		return err
	}
	series, err := engines.measure(b.Context(), b.rounds, b.time())
	if err != nil {
		return err
	}
	engines.close()
	// Backwards, a convolution is computed twice: for its input and its weight.
	r.Failed = engines.failed
	r.finish(series, 3*2*float64(r.MACs)*float64(b.batch))
	return b.print(r, "step")
}

// openData opens the data set, if there is one, and makes the model fit it.
func (b *benchCmd) openData(m *loadedModel) (*dataset.Data, error) {
	if b.data == "" {
		return nil, nil
	}
	f := dataFlags{source: b.data}
	d, err := f.open(b.Context(), b.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	spec, notes, err := adaptSpec(b.Context(), m.Spec, d, 0)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		fmt.Fprintf(b.ErrOrStderr(), "note: %s\n", n)
	}
	m.Spec, m.Labels = spec, nil
	return d, nil
}

// writeBatches writes the input and the labels of a job: of the data set, or
// of noise where that is nil.
func (b *benchCmd) writeBatches(job *benchJob, s *arch.Spec, data *dataset.Data) error {
	elems := s.Channels * s.Resolution * s.Resolution
	batches := max(1, min(maxTrainFloats/(elems*b.batch), maxTrainImages/b.batch))
	if b.losses > 0 { // each is seen once if they fit
		batches = min(b.losses, max(1, maxLossFloats/(elems*b.batch)))
	}
	if data == nil {
		n := min(batches, maxNoiseBatches) * b.batch
		rng := rand.New(rand.NewPCG(3, 4))
		labels := make([]float32, n)
		for i := range labels {
			labels[i] = float32(rng.IntN(s.Classes))
		}
		if err := npy.WriteFile(job.Train.Labels, labels, n); err != nil {
			return err
		}
		return writeInput(job.Input, n, s)
	}
	if have := data.Train.Len() / b.batch; have == 0 {
		return fmt.Errorf("bench: %s has %d training images, a batch wants %d", data.Name, data.Train.Len(), b.batch)
	} else {
		batches = min(batches, have)
	}
	l, err := pipelineOf(s, data.Train).Load(b.Context(), dataset.LoaderOptions{Batch: b.batch, Shuffle: true, DropLast: true, Workers: b.threads})
	if err != nil {
		return err
	}
	defer l.Close()
	w := npy.Create(job.Input, batches*b.batch, s.Channels, s.Resolution, s.Resolution)
	defer w.Abort()
	var labels []float32
	image := make([]float32, elems)
	for range batches {
		batch, err := l.Next()
		if err != nil {
			return err
		}
		for i, label := range batch.Labels {
			toNCHW(image, batch.X[i*elems:][:elems], s.Resolution*s.Resolution, s.Channels)
			if err := w.Write(image); err != nil {
				return err
			}
			labels = append(labels, float32(label))
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return npy.WriteFile(job.Train.Labels, labels, len(labels))
}

// compareLosses has every engine take the first steps, whose losses must agree.
// One that cannot take them is dropped.
func (e *benchEngines) compareLosses(ctx context.Context) error {
	var own benchLosses
	for i := 0; i < len(e.list); i++ {
		p := e.list[i]
		var l benchLosses
		if err := p.ask(&l, "losses %d", checkedSteps); err != nil {
			if err := e.drop(ctx, i, err); err != nil {
				return err
			}
			i--
			continue
		}
		if i == 0 {
			own = l
			continue
		}
		if e.hellos[i].Params != e.hellos[0].Params {
			return fmt.Errorf("bench: %s has %d parameters, effnet %d: not the same network", p.name, e.hellos[i].Params, e.hellos[0].Params)
		}
		if len(l.Losses) != len(own.Losses) {
			return fmt.Errorf("bench: %s answered with %d losses, want %d", p.name, len(l.Losses), len(own.Losses))
		}
		for s, want := range own.Losses {
			if got := l.Losses[s]; !(math.Abs(got-want) <= maxLossDiff*math.Abs(want)) {
				return fmt.Errorf("bench: %s: the loss of step %d is %.6g, effnet's %.6g; want at most %.0e between them, relative", p.name, s+1, got, want, maxLossDiff)
			}
		}
	}
	return nil
}

// newTrainServer trains the model on the batches of the input, over and over.
func newTrainServer(ctx context.Context, job *benchJob) (*benchServer, error) {
	m, g, err := job.open()
	if err != nil {
		return nil, err
	}
	x, err := readImages(job.Input, m.Spec.Channels)
	if err != nil {
		return nil, err
	}
	cfg := train.Config{
		Batch: job.Batch, Threads: job.Threads, LabelSmoothing: job.Train.Smoothing, Optimizer: job.Train.Optimizer,
	}
	beside := programMemory + garbageMemory + 4*int64(len(x))
	if job.Train.Memory > 0 {
		cfg.Memory = max(1, job.Train.Memory-beside)
	}
	t, err := train.Compile(g, m.Set, cfg)
	if err != nil {
		return nil, limitError(err, job.Train.Memory, beside)
	}
	m.Set = nil
	setCollector(job.Train.Memory, t.Memory().Total()+beside)
	numbers, err := readFloats(job.Train.Labels)
	if err != nil {
		return nil, err
	}
	var labels []int32
	for _, v := range numbers {
		labels = append(labels, int32(v))
	}
	elems, next := g.Ops[0].Shape.Elems(), 0
	step := func() (train.StepStats, error) {
		i := next
		next = (next + job.Batch) % len(labels)
		return t.Step(ctx, x[i*elems:][:job.Batch*elems], train.Targets{Labels: labels[i:][:job.Batch]}, job.Train.LR)
	}
	s := &benchServer{close: t.Close, commands: map[string]func(float64) (any, error){
		"run": func(seconds float64) (any, error) {
			return timeRuns(seconds, func() error { _, err := step(); return err })
		},
		"losses": func(steps float64) (any, error) {
			var l benchLosses
			for range int(steps) {
				st, err := step()
				if err != nil {
					return nil, err
				}
				l.Losses = append(l.Losses, st.Loss)
			}
			return l, nil
		},
		"state": func(float64) (any, error) { return struct{}{}, writeState(ctx, job, g, t.Weights(), x) },
	}}
	for _, p := range g.Params() {
		if p.Role.Trainable() {
			s.hello.Params += int64(p.Elems())
		}
	}
	return s, nil
}
