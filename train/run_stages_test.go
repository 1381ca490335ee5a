package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
)

// stagedJob has 3 epochs of 3 steps, each a stage of its own.
func stagedJob(t *testing.T, dir string) Job {
	t.Helper()
	spec, err := arch.ParseSpec("tiny", []byte(strings.Replace(tinyNet, "resolution: 8", "resolution: 12", 1)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := LookupRecipe("efficientnetv2")
	if err != nil {
		t.Fatal(err)
	}
	r.Epochs, r.Batch, r.WarmupEpochs, r.EMADecay = 3, 5, 0.5, 0.9
	r.Progressive, r.FirstResolution, r.FirstDropout, r.FirstDropPath = 3, 4, new(float64), new(float64)
	if r, err = r.Resolve(17, spec.Dropout, spec.DropPath); err != nil {
		t.Fatal(err)
	}
	cfg := RunConfig{Spec: spec, Recipe: r}
	stages, err := cfg.Stages()
	if err != nil {
		t.Fatal(err)
	}
	return Job{
		Config: cfg, Source: stagedSource{fakeSource{17, 5}, stages},
		Dir: dir, Threads: 1, CheckpointEvery: time.Hour,
	}
}

// stagedSource has images [side,side,2] that follow from epoch and index.
type stagedSource struct {
	fakeSource
	stages Stages
}

func (s stagedSource) Epoch(ctx context.Context, epoch, first int) (Batches, error) {
	return &stagedBatches{fakeBatches{s.fakeSource, epoch, first}, s.stages.At(epoch).Resolution}, nil
}

type stagedBatches struct {
	fakeBatches
	side int
}

func (b *stagedBatches) Next() ([]float32, Targets, error) {
	few, y, err := b.fakeBatches.Next()
	x := make([]float32, len(y.Labels)*b.side*b.side*2)
	for i := range x {
		x[i] = few[i%len(few)] * float32(1+i%7)
	}
	return x, y, err
}

// TestResumeStages stops a progressive run at every step and lets it go on with
// other numbers of threads: the result is the uninterrupted run's to the byte.
func TestResumeStages(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "run")
	if _, err := Run(t.Context(), stagedJob(t, whole)); err != nil {
		t.Fatal(err)
	}
	wantModel, wantMetrics := finished(t, whole)
	sides := regexp.MustCompile(`"resolution":(\d+)`).FindAllStringSubmatch(wantMetrics, -1)
	if len(sides) != 3 || sides[0][1] != "4" || sides[1][1] != "8" || sides[2][1] != "12" {
		t.Errorf("the metrics tell of the resolutions %v, want 4, 8, 12", sides)
	}
	for stop := range 9 {
		dir := filepath.Join(t.TempDir(), "run")
		job := stagedJob(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		job.Source = stopAfter{job.Source, stop, cancel}
		if _, err := Run(ctx, job); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped at %d: %v, want ErrInterrupted", stop, err)
		}
		job = stagedJob(t, dir)
		job.Threads = 1 + stop%3
		if _, err := Run(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if model, metrics := finished(t, dir); model != wantModel || metrics != wantMetrics {
			t.Errorf("stopped after %d steps, the result differs; metrics:\n%s\nwant:\n%s", stop, metrics, wantMetrics)
		}
	}
}

// TestEnterStage: a stage begins with all the state of the one before, which is
// let go first.
func TestEnterStage(t *testing.T) {
	var started []string
	var last weak.Pointer[fakeEngine]
	start := func(_ *folder, s Stage) (stepper, error) {
		runtime.GC()
		if last.Value() != nil {
			t.Error("the engine of the stage before is still held")
		}
		started = append(started, fmt.Sprintf("%d: %d %.2g %.2g", s.Index, s.Resolution, s.Dropout, s.DropPath))
		e := &fakeEngine{}
		last = weak.Make(e)
		return e, nil
	}
	job := fakeJob(t, "")
	plain, err := runFake(t.Context(), job, &fakeEngine{})
	if err != nil {
		t.Fatal(err)
	}
	r := &job.Config.Recipe
	r.Progressive, r.FirstResolution, r.FirstDropout = 3, 0.6, new(float64)
	res, err := run(t.Context(), job, start)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(plain.Weights.Tensors, res.Weights.Tensors); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"0: 16 0 0", "1: 24 0.05 0", "2: 28 0.1 0"}, started); d != "" {
		t.Error(d)
	}
}

// TestStageWork: the steps left count by what their images cost.
func TestStageWork(t *testing.T) {
	job := stagedJob(t, "")
	l := &loop{Job: job, perEpoch: 3}
	if err := l.plan(); err != nil {
		t.Fatal(err)
	}
	cost := func(side int) float64 {
		c, err := job.Config.Spec.CostAt(side)
		if err != nil {
			t.Fatal(err)
		}
		return float64(c.MACs)
	}
	for _, c := range []struct {
		step, stage int
		want        float64
	}{
		{0, 0, 3 + 3*cost(8)/cost(4) + 3*cost(12)/cost(4)},
		{2, 0, 1 + 3*cost(8)/cost(4) + 3*cost(12)/cost(4)},
		{3, 0, 3*cost(8)/cost(4) + 3*cost(12)/cost(4)},
		{4, 1, 2 + 3*cost(12)/cost(8)},
		{8, 2, 1}, {9, 2, 0},
	} {
		l.step, l.stage = c.step, l.stages[c.stage]
		if got := l.work(); math.Abs(got-c.want) > 1e-9*(1+c.want) {
			t.Errorf("at step %d: %v steps of work left, want %v", c.step, got, c.want)
		}
	}
}
