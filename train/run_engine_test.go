package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"effnet/arch"
)

// tinyNet has every kind of op and everything random.
const tinyNet = `
name: tiny
resolution: 8
channels: 2
classes: 3
stem: {width: 4, kernel: 3, stride: 1}
blocks:
  - ds_r2_k3_s1_e1_c4_se0.25
  - ir_r2_k3_s2_e2_c8_se0.25
head: 8
dropout: 0.2
drop_path: 0.3
scaling: {width_divisor: 4}
`

// imageSource has images [8,8,2] that follow from epoch and index.
type imageSource struct{ fakeSource }

func (s imageSource) Epoch(ctx context.Context, epoch, first int) (Batches, error) {
	return &imageBatches{fakeBatches{s.fakeSource, epoch, first}}, nil
}

type imageBatches struct{ fakeBatches }

func (b *imageBatches) Next() ([]float32, Targets, error) {
	few, y, err := b.fakeBatches.Next()
	x := make([]float32, len(y.Labels)*8*8*2)
	for i := range x {
		x[i] = few[i%len(few)] * float32(1+i%7)
	}
	if b.next%2 == 1 { // as with mixup
		y.Others, y.Share = slices.Clone(y.Labels), 0.25+float64(b.epoch)/4
		slices.Reverse(y.Others)
	}
	return x, y, err
}

// TestResumeEngine is TestResumeEveryStep on the engine proper, with another
// number of threads after every stop.
func TestResumeEngine(t *testing.T) {
	spec, err := arch.ParseSpec("tiny", []byte(tinyNet))
	if err != nil {
		t.Fatal(err)
	}
	newJob := func(dir, optimizer string) Job {
		r, err := LookupRecipe("efficientnet")
		if err != nil {
			t.Fatal(err)
		}
		r.Epochs, r.Batch, r.WarmupEpochs, r.EMADecay = 2, 5, 0.5, 0.9
		if err := r.SetOptimizer(optimizer); err != nil {
			t.Fatal(err)
		}
		if r, err = r.Resolve(17, spec.Dropout, spec.DropPath); err != nil {
			t.Fatal(err)
		}
		return Job{
			Config: RunConfig{Spec: spec, Recipe: r}, Source: imageSource{fakeSource{17, 5}},
			Dir: dir, Threads: 1, CheckpointEvery: time.Hour,
		}
	}
	for _, o := range optimizers {
		t.Run(o.name, func(t *testing.T) {
			whole := filepath.Join(t.TempDir(), "run")
			if _, err := Run(t.Context(), newJob(whole, o.name)); err != nil {
				t.Fatal(err)
			}
			wantModel, wantMetrics := finished(t, whole)
			for stop := range 6 {
				dir := filepath.Join(t.TempDir(), "run")
				job := newJob(dir, o.name)
				ctx, cancel := context.WithCancel(t.Context())
				job.Source = stopAfter{job.Source, stop, cancel}
				if _, err := Run(ctx, job); !errors.Is(err, ErrInterrupted) {
					t.Fatalf("stopped at %d: %v, want ErrInterrupted", stop, err)
				}
				job = newJob(dir, o.name)
				job.Threads = 1 + stop%3
				if _, err := Run(t.Context(), job); err != nil {
					t.Fatal(err)
				}
				model, metrics := finished(t, dir)
				if model != wantModel || metrics != wantMetrics {
					t.Errorf("stopped after %d steps, the result differs; metrics:\n%s\nwant:\n%s", stop, metrics, wantMetrics)
				}
			}
		})
	}
}

// stopAfter cancels when the batch after n others is asked for.
type stopAfter struct {
	Source
	n      int
	cancel func()
}

func (s stopAfter) Epoch(ctx context.Context, epoch, first int) (Batches, error) {
	b, err := s.Source.Epoch(ctx, epoch, first)
	return &stopBatches{b, epoch*(s.Len()/5) + first, s}, err
}

type stopBatches struct {
	Batches
	next int
	stop stopAfter
}

func (b *stopBatches) Next() ([]float32, Targets, error) {
	if b.next == b.stop.n {
		b.stop.cancel()
	}
	b.next++
	return b.Batches.Next()
}
