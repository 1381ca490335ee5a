package train

import (
	"math"
	"time"
)

// Observer is told how a run gets on. Its functions may be nil; they are called
// on the goroutine of Run and must be quick.
type Observer struct {
	Start func(Progress)              // once, before the first step: where a resumed run stands
	Step  func(Progress)              // some ten times a second
	Epoch func(EpochRecord, Progress) // after every epoch and its validation
	Note  func(msg string)            // one line about something unusual
}

// Progress is a moment of a run.
type Progress struct {
	Step, Steps   int // done, and of the whole run
	Epoch, Epochs int // the current one from 1
	Batch         int // images a step
	Stage         Stage

	Loss     float64 // mean over the epoch so far
	Accuracy float64 // on training images, over the epoch so far
	LR       float64

	ImagesPerSecond float64 // lately
	DataWait        float64 // share of the time spent in waiting for images, lately
	Elapsed         time.Duration
	Left            time.Duration // estimate; 0 while unknown
}

// EpochRecord is one finished epoch, and its line in metrics.jsonl. Losses
// include label smoothing on training images only.
type EpochRecord struct {
	Epoch         int      `json:"epoch"` // from 1
	Step          int      `json:"step"`
	Resolution    int      `json:"resolution"` // of the images trained on, pixels a side
	LR            float64  `json:"lr"`         // of its last step
	TrainLoss     float64  `json:"train_loss"`
	TrainAccuracy float64  `json:"train_accuracy"`
	ValLoss       *float64 `json:"val_loss,omitempty"`
	ValAccuracy   *float64 `json:"val_accuracy,omitempty"`

	ImagesPerSecond       float64 `json:"images_per_second"` // training alone
	DataWait              float64 `json:"data_wait"`         // as in StepRecord
	LoaderImagesPerSecond float64 `json:"loader_images_per_second"`
	ElapsedSeconds        float64 `json:"elapsed_s"` // of the whole run
}

// meter measures the speed of the last few seconds.
type meter struct {
	marks []mark // of the last meterSpan of busy time, oldest first
	now   mark
}

// mark is what had been done at some moment.
type mark struct {
	images     int
	busy, wait time.Duration
}

const meterSpan = 5 * time.Second

func (m *meter) add(images int, busy, wait time.Duration) {
	m.now.images += images
	m.now.busy += busy
	m.now.wait += wait
	if n := len(m.marks); n > 0 && m.now.busy-m.marks[n-1].busy < meterSpan/50 {
		return
	}
	m.marks = append(m.marks, m.now)
	for len(m.marks) > 2 && m.now.busy-m.marks[1].busy >= meterSpan {
		m.marks = m.marks[1:]
	}
}

// rate is in images a second; 0 while unknown. The very first step, which
// warms everything up, does not count.
func (m *meter) rate() float64 {
	if len(m.marks) == 0 {
		return 0
	}
	return ratio(float64(m.now.images-m.marks[0].images), (m.now.busy - m.marks[0].busy).Seconds())
}

// waited is the share of the time that was spent in waiting; 0 while unknown.
func (m *meter) waited() float64 {
	if len(m.marks) == 0 {
		return 0
	}
	return ratio((m.now.wait - m.marks[0].wait).Seconds(), (m.now.busy - m.marks[0].busy).Seconds())
}

// round keeps figures of time to what they are worth.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }
