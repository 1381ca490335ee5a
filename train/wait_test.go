package train

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// slowSource keeps training waiting.
type slowSource struct{ fakeSource }

func (s slowSource) Epoch(ctx context.Context, epoch, first int) (Batches, error) {
	b, err := s.fakeSource.Epoch(ctx, epoch, first)
	return slowBatches{b}, err
}

type slowBatches struct{ Batches }

func (b slowBatches) Next() ([]float32, Targets, error) {
	time.Sleep(2 * time.Millisecond)
	return b.Batches.Next()
}

func (b slowBatches) Took() time.Duration { return 8 * time.Millisecond }

// Waiting for images is told apart from training, and what the loader could do.
func TestWaiting(t *testing.T) { synctest.Test(t, testWaiting) }

func testWaiting(t *testing.T) {
	var last Progress
	job := fakeJob(t, filepath.Join(t.TempDir(), "run"))
	job.Source = slowSource{fakeSource{22, 4}}
	job.Observer.Epoch = func(_ EpochRecord, p Progress) { last = p }
	slow, err := runFake(t.Context(), job, &fakeEngine{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slow.Epochs {
		// 4 images in 8 ms; all 2 ms of a step are waiting.
		if e.LoaderImagesPerSecond != 500 || e.DataWait != 1 {
			t.Errorf("epoch %d: %v images/s of the loader, %v waiting", e.Epoch, e.LoaderImagesPerSecond, e.DataWait)
		}
	}
	if last.DataWait != 1 {
		t.Errorf("progress: %v waiting", last.DataWait)
	}
	fast, err := runFake(t.Context(), fakeJob(t, ""), &fakeEngine{onStep: func(int64) error { time.Sleep(2 * time.Millisecond); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fast.Epochs {
		if e.LoaderImagesPerSecond != 0 || e.DataWait != 0 {
			t.Errorf("epoch %d: %v images/s of a loader that does not tell, %v waiting", e.Epoch, e.LoaderImagesPerSecond, e.DataWait)
		}
	}
}
