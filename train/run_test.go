package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/arch"
	"effnet/weights"
)

// fakeEngine is an optimiser of four numbers whose result depends on every
// step's images, labels and learning rate, and on their order.
type fakeEngine struct {
	w      [4]float32
	m      [4]float32
	step   int64
	onStep func(step int64) error // before the step that follows step updates
	loss   func(step int64) float64
}

func (e *fakeEngine) Step(ctx context.Context, x []float32, y Targets, lr float64) (StepStats, error) {
	if e.onStep != nil {
		if err := e.onStep(e.step); err != nil {
			return StepStats{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return StepStats{}, err
	}
	var st StepStats
	for i, v := range x {
		k := i % 4
		e.m[k] = 0.9*e.m[k] + v*float32(y.Labels[i%len(y.Labels)]+1)
		e.w[k] -= float32(lr) * e.m[k]
		st.Loss += float64(v) / float64(len(x))
	}
	if v := e.w[0]; v > 0 {
		st.Correct = 1
	}
	if e.loss != nil {
		st.Loss = e.loss(e.step)
	}
	e.step++
	return st, nil
}

func (e *fakeEngine) tensor(v [4]float32) weights.Tensor {
	return weights.Tensor{Shape: []int{4}, Data: append([]float32{}, v[:]...)}
}

// Weights are a real network's, with the four numbers as its first biases.
func (e *fakeEngine) Weights() *weights.Set {
	s := fakeInit().Clone()
	copy(s.Tensors["classifier.bias"].Data, e.w[:])
	return s
}

var fakeInit = sync.OnceValue(func() *weights.Set {
	g, err := arch.MustLookup("small_300k").Graph()
	if err != nil {
		panic(err)
	}
	return weights.Init(g, 1)
})

func (e *fakeEngine) ViewWeights(bool) *weights.Set { return e.Weights() }
func (e *fakeEngine) Close()                        {}
func (e *fakeEngine) Release()                      {}
func (e *fakeEngine) View() State {
	return State{e.step, map[string]weights.Tensor{"model/w": e.tensor(e.w), "momentum/w": e.tensor(e.m)}}
}
func (e *fakeEngine) Restore(s State) error {
	e.step = s.Step
	copy(e.w[:], s.Tensors["model/w"].Data)
	copy(e.m[:], s.Tensors["momentum/w"].Data)
	return nil
}

// fakeSource has batches that follow from epoch and index.
type fakeSource struct{ images, batch int }

func (s fakeSource) Len() int { return s.images }
func (s fakeSource) Epoch(ctx context.Context, epoch, first int) (Batches, error) {
	return &fakeBatches{s, epoch, first}, nil
}

type fakeBatches struct {
	fakeSource
	epoch, next int
}

func (b *fakeBatches) Next() ([]float32, Targets, error) {
	if b.next >= b.images/b.batch {
		return nil, Targets{}, errors.New("read past the end of the epoch")
	}
	x, labels := make([]float32, 4*b.batch), make([]int32, b.batch)
	for i := range x {
		x[i] = float32(math.Sin(float64(1 + i + 100*b.next + 10000*b.epoch)))
	}
	for i := range labels {
		labels[i] = int32((i + b.next) % 3)
	}
	b.next++
	return x, Targets{Labels: labels}, nil
}
func (b *fakeBatches) Close() {}

// fakeJob has 3 epochs of 5 steps and an accuracy that follows from the weights.
func fakeJob(t *testing.T, dir string) Job {
	r, err := LookupRecipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	r.Epochs, r.Batch = 3, 4
	r, err = r.Resolve(22, 0.1, 0)
	if err != nil {
		t.Fatal(err)
	}
	return Job{
		Config: RunConfig{Spec: arch.MustLookup("small_300k"), Recipe: r, Data: DataID{Source: "fake", Checksum: "none", Train: 22}, Kernel: "go"},
		Source: fakeSource{22, 4},
		Labels: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		Dir:    dir,
		Evaluate: func(ctx context.Context, w *weights.Set) (Eval, error) {
			if err := ctx.Err(); err != nil {
				return Eval{}, err
			}
			return Eval{Images: 1, Loss: float64(w.Tensors["classifier.bias"].Data[0]), Accuracy: 0.5}, nil
		},
		CheckpointEvery: time.Hour,
	}
}

func runFake(ctx context.Context, job Job, e *fakeEngine) (*Result, error) {
	return run(ctx, job, func(*folder, Stage) (stepper, error) { return e, nil })
}

// timing matches the fields of metrics.jsonl that differ between equal runs.
var timing = regexp.MustCompile(`,"(images_per_second|data_wait|loader_images_per_second|elapsed_s)":[0-9.e+-]+`)

// finished is what must be equal between equal runs. What derives from the
// metrics must say what they say.
func finished(t *testing.T, dir string) (model, metrics string) {
	t.Helper()
	m, err := os.ReadFile(filepath.Join(dir, ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	best, err := os.ReadFile(filepath.Join(dir, BestFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	m = append(m, best...)
	checkDerived(t, dir)
	l, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(m), timing.ReplaceAllString(string(l), "")
}

// TestResumeEveryStep stops a run at every step, by a signal and by a crash
// that saves nothing, and lets it go on: the result must be the uninterrupted
// run's to the byte.
func TestResumeEveryStep(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, whole)
	want, err := runFake(t.Context(), job, &fakeEngine{})
	if err != nil {
		t.Fatal(err)
	}
	if want.Steps != 15 || len(want.Epochs) != 3 {
		t.Fatalf("%d steps, %d epochs, want 15 and 3", want.Steps, len(want.Epochs))
	}
	wantModel, wantMetrics := finished(t, whole)
	crash := errors.New("crash")
	for stop := int64(0); stop < 15; stop++ {
		for _, how := range []string{"signal", "crash", "crash with checkpoints"} {
			t.Run(fmt.Sprintf("%s/%d", how, stop), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "run")
				job := fakeJob(t, dir)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				wantErr := crash
				if how == "signal" {
					wantErr = ErrInterrupted
				}
				if how == "crash with checkpoints" {
					job.CheckpointSteps = 2
				}
				_, err := runFake(ctx, job, &fakeEngine{onStep: func(step int64) error {
					if step != stop {
						return nil
					}
					if how == "signal" {
						cancel()
						return nil
					}
					return crash
				}})
				if !errors.Is(err, wantErr) {
					t.Fatalf("stopped with %v, want %v", err, wantErr)
				}
				resumedAt := int64(-1)
				got, err := runFake(t.Context(), job, &fakeEngine{onStep: func(step int64) error {
					if resumedAt < 0 {
						resumedAt = step
					}
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				wantAt := map[string]int64{"signal": stop, "crash": stop / 5 * 5, "crash with checkpoints": max(stop/2*2, stop/5*5)}[how]
				if resumedAt != wantAt {
					t.Errorf("went on at step %d, want %d", resumedAt, wantAt)
				}
				if got.Steps != want.Steps || len(got.Epochs) != len(want.Epochs) {
					t.Errorf("%d steps and %d epochs, want %d and %d", got.Steps, len(got.Epochs), want.Steps, len(want.Epochs))
				}
				model, metrics := finished(t, dir)
				if model != wantModel {
					t.Error("the model differs from the uninterrupted run's")
				}
				if metrics != wantMetrics {
					t.Errorf("metrics differ:\n%s\nwant:\n%s", metrics, wantMetrics)
				}
			})
		}
	}
}

// TestInterruptedValidation stops a run between an epoch and its record.
func TestInterruptedValidation(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "run")
	if _, err := runFake(t.Context(), fakeJob(t, whole), &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	evaluate := job.Evaluate
	job.Evaluate = func(ctx context.Context, w *weights.Set) (Eval, error) {
		cancel()
		return evaluate(ctx, w)
	}
	if _, err := runFake(ctx, job, &fakeEngine{}); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("got %v, want ErrInterrupted", err)
	}
	job.Evaluate = evaluate
	if _, err := runFake(t.Context(), job, &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	wantModel, wantMetrics := finished(t, whole)
	model, metrics := finished(t, dir)
	if model != wantModel || metrics != wantMetrics {
		t.Errorf("the resumed run differs; metrics:\n%s\nwant:\n%s", metrics, wantMetrics)
	}
}

// TestNoFolder trains without anything on disk.
func TestNoFolder(t *testing.T) {
	job := fakeJob(t, "")
	var epochs []int
	var notes []string
	job.Observer = Observer{
		Epoch: func(e EpochRecord, p Progress) { epochs = append(epochs, e.Epoch) },
		Note:  func(msg string) { notes = append(notes, msg) },
	}
	res, err := runFake(t.Context(), job, &fakeEngine{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Steps != 15 || fmt.Sprint(epochs) != "[1 2 3]" || notes != nil {
		t.Errorf("%d steps, epochs %v, notes %q", res.Steps, epochs, notes)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runFake(ctx, job, &fakeEngine{}); !errors.Is(err, ErrInterrupted) {
		t.Errorf("got %v, want ErrInterrupted", err)
	}
}

// TestLocked starts a second run in a folder where one is under way.
func TestLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, dir)
	var second error
	_, err := runFake(t.Context(), job, &fakeEngine{onStep: func(step int64) error {
		if step == 7 {
			_, second = runFake(t.Context(), job, &fakeEngine{})
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if second == nil || !strings.Contains(second.Error(), "locked by process") {
		t.Errorf("second run: %v", second)
	}
}

// TestChanged resumes with a changed configuration.
func TestChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, dir)
	if _, err := runFake(t.Context(), job, &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field  string
		change func(c *RunConfig)
	}{
		{"recipe.lr", func(c *RunConfig) { c.Recipe.LR *= 2 }},
		{"recipe.dropout", func(c *RunConfig) { c.Recipe.Dropout = new(float64) }},
		{"recipe.epochs", func(c *RunConfig) { c.Recipe.Epochs++ }},
		{"recipe.auto_augment", func(c *RunConfig) { c.Recipe.AutoAugment = "v0" }},
		{"recipe.erasing", func(c *RunConfig) { c.Recipe.Erasing = 0.2 }},
		{"recipe.mixup", func(c *RunConfig) { c.Recipe.Mixup = 0.2 }},
		{"recipe.momentum", func(c *RunConfig) { c.Recipe.Momentum = 0.5 }},
		{"data.checksum", func(c *RunConfig) { c.Data.Checksum = "other" }},
		{"kernel", func(c *RunConfig) { c.Kernel = "avx2" }},
		{"network.head", func(c *RunConfig) { c.Spec.Head += 8 }},
	} {
		changed := job
		c.change(&changed.Config)
		_, err := runFake(t.Context(), changed, &fakeEngine{})
		var d *DifferError
		if !errors.As(err, &d) || d.Field != c.field {
			t.Errorf("%s: got %v", c.field, err)
		}
	}
	moved := job
	moved.Config.Data.Source = "elsewhere"
	if _, err := runFake(t.Context(), moved, &fakeEngine{}); err != nil {
		t.Errorf("moved data: %v", err)
	}
}

// TestDiverged makes the loss, or a weight, stop being a number.
func TestDiverged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, dir)
	e := &fakeEngine{}
	e.onStep = func(step int64) error {
		if step == 7 {
			return &NonFiniteError{Step: step, Loss: math.NaN()}
		}
		return nil
	}
	_, err := runFake(t.Context(), job, e)
	want := "train: step 7 (epoch 2 of 3): the loss is NaN at learning rate 0.0004523; lower the learning rate or lengthen the warm-up; the last good checkpoint is " +
		filepath.Join(dir, "ckpt-000000005.bin")
	if !errors.As(err, new(*NonFiniteError)) || !errors.Is(err, ErrDiverged) || err.Error() != want {
		t.Errorf("non-finite loss: %v\nwant %s", err, want)
	}
	// The same run would end so again: it does not even start.
	stepped := false
	_, err = runFake(t.Context(), job, &fakeEngine{onStep: func(int64) error { stepped = true; return nil }})
	again := dir + " diverged and would do so again: step 7 (epoch 2 of 3): the loss is NaN at learning rate 0.0004523"
	if stepped || !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), again) || !strings.Contains(err.Error(), "ckpt-000000005.bin") {
		t.Errorf("resumed: %v, want %s", err, again)
	}
	if _, err := weights.OpenModel(filepath.Join(dir, BestFile)); err != nil {
		t.Errorf("the best epoch's model: %v", err)
	}
	job.Dir = filepath.Join(t.TempDir(), "run")
	e = &fakeEngine{}
	e.onStep = func(step int64) error {
		if step == 9 {
			e.m[2] = float32(math.Inf(1))
		}
		return nil
	}
	_, err = runFake(t.Context(), job, e)
	if err == nil || !strings.Contains(err.Error(), "model/w is no longer finite") || !strings.Contains(err.Error(), "ckpt-000000005.bin") {
		t.Errorf("non-finite weight: %v", err)
	}
	if names, _ := checkpoints(job.Dir); fmt.Sprint(names) != "[ckpt-000000005.bin]" {
		t.Errorf("checkpoints %v, want the good one only", names)
	}
}

// TestFolderGone stands for a disk that takes no more.
func TestFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, dir)
	_, err := runFake(t.Context(), job, &fakeEngine{onStep: func(step int64) error {
		if step == 7 {
			return os.Rename(dir, dir+".gone")
		}
		return nil
	}})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "the last good checkpoint is") {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(dir+".gone", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := runFake(t.Context(), job, &fakeEngine{}); err != nil {
		t.Errorf("after the disk came back: %v", err)
	}
}

// TestHopeless has a loss that stays finite, but far above a guess's.
func TestHopeless(t *testing.T) {
	job := fakeJob(t, "")
	job.Config.Recipe.Epochs = 60
	e := &fakeEngine{}
	e.loss = func(step int64) float64 {
		if step >= 50 && step < 100 || step >= 150 { // the first is over in time
			return 300
		}
		return 1
	}
	_, err := runFake(t.Context(), job, e)
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "step 250 (epoch 50 of 60): the loss is 300, mean over 50 steps, where a guess has 2.3, at learning rate") {
		t.Errorf("got %v", err)
	}
}

// TestBest keeps the model and the checkpoint of the best epoch, the earliest
// of equals, whatever interrupts the run.
func TestBest(t *testing.T) {
	accuracies := []float64{0.3, 0.7, 0.7, 0.1}
	newJob := func(dir string) Job {
		job := fakeJob(t, dir)
		job.Config.Recipe.Epochs, job.Keep = 4, 1
		evaluate, epoch := job.Evaluate, 0
		job.Observer.Start = func(p Progress) { epoch = p.Step / 5 }
		job.Evaluate = func(ctx context.Context, w *weights.Set) (Eval, error) {
			v, err := evaluate(ctx, w)
			v.Accuracy = accuracies[epoch]
			epoch++
			return v, err
		}
		return job
	}
	whole := filepath.Join(t.TempDir(), "run")
	if _, err := runFake(t.Context(), newJob(whole), &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	m, err := weights.OpenModel(filepath.Join(whole, BestFile))
	if err != nil {
		t.Fatal(err)
	}
	meta := m.Set.Meta
	if meta[MetaEpoch] != "2" || meta[MetaStep] != "10" || meta[MetaAccuracy] != "0.7" || len(m.Labels) != 10 {
		t.Errorf("metadata %v, want epoch 2, step 10, accuracy 0.7", meta)
	}
	c, err := readCheckpoint(filepath.Join(whole, "ckpt-000000010.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Set.Tensors["classifier.bias"].Data[0], c.State.Tensors["model/w"].Data[0]; got != want {
		t.Errorf("the best model begins with %v, its checkpoint with %v", got, want)
	}
	if names, _ := checkpoints(whole); fmt.Sprint(names) != "[ckpt-000000020.bin ckpt-000000010.bin]" {
		t.Errorf("checkpoints %v, want the newest and the best", names)
	}
	wantModel, wantMetrics := finished(t, whole)
	for stop := int64(0); stop < 20; stop += 3 {
		dir := filepath.Join(t.TempDir(), "run")
		crash := errors.New("crash")
		if _, err := runFake(t.Context(), newJob(dir), &fakeEngine{onStep: func(step int64) error {
			if step == stop {
				return crash
			}
			return nil
		}}); !errors.Is(err, crash) {
			t.Fatal(err)
		}
		if _, err := runFake(t.Context(), newJob(dir), &fakeEngine{}); err != nil {
			t.Fatal(err)
		}
		model, metrics := finished(t, dir)
		if model != wantModel || metrics != wantMetrics {
			t.Errorf("stopped at step %d, the result differs", stop)
		}
		if names, _ := checkpoints(dir); fmt.Sprint(names) != "[ckpt-000000020.bin ckpt-000000010.bin]" {
			t.Errorf("stopped at step %d, checkpoints %v", stop, names)
		}
	}
}

func TestTooFewImages(t *testing.T) {
	job := fakeJob(t, "")
	job.Source = fakeSource{3, 4}
	if _, err := runFake(t.Context(), job, &fakeEngine{}); err == nil || !strings.Contains(err.Error(), "3 training images do not fill a batch of 4") {
		t.Errorf("got %v", err)
	}
}
