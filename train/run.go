package train

import (
	"context"
	"errors"
	"time"

	"effnet/weights"
)

// Source is the training images of a run, shuffled and augmented anew every
// epoch, as a function of the recipe's seed and the epoch alone.
type Source interface {
	Len() int // images
	// Epoch delivers the full batches of an epoch, from batch first on.
	Epoch(ctx context.Context, epoch, first int) (Batches, error)
}

// Batches delivers the batches of one epoch in order.
type Batches interface {
	// Next returns images x [batch,H,W,C] and their targets, valid until the
	// next call.
	Next() (x []float32, y Targets, err error)
	Close()
}

// Timed is Batches that know how long it took to prepare the last batch, divided
// by the goroutines that prepare batches at a time. So batches come no faster
// than one in that time, however long training takes.
type Timed interface{ Took() time.Duration }

// Eval is what a network does on images it was not trained on.
type Eval struct {
	Images   int     `json:"images"`
	Loss     float64 `json:"loss"`     // mean cross-entropy
	Accuracy float64 `json:"accuracy"` // top-1, 0 to 1
}

// Job is one training run.
type Job struct {
	Config RunConfig // all that decides the result
	Source Source
	Labels []string // names of the classes, for the model file
	// Start is the weights that Config.Start speaks of. nil: random ones, or
	// those that the run folder keeps.
	Start   *weights.Set
	Threads int   // 0: GOMAXPROCS
	Memory  int64 // limit of the trainer, in bytes; 0: none

	// Evaluate measures weights on the validation part; nil where there is none.
	Evaluate func(ctx context.Context, w *weights.Set) (Eval, error)

	// Dir is the run folder; "" keeps nothing on disk. If it holds a run of the
	// same Config, Run goes on with it.
	Dir string
	// Between checkpoints: CheckpointEvery, or CheckpointSteps where above 0.
	// An epoch always ends with one.
	CheckpointEvery time.Duration // 0: 30 s
	CheckpointSteps int
	Keep            int // newest checkpoints that stay; 0: 2

	// Stop, if there is one, is asked after every epoch but the last whether to
	// end the run there. It must say the same of the same epoch: a run that
	// goes on asks again.
	Stop func(EpochRecord) bool

	Observer Observer
}

// Result is a finished run.
type Result struct {
	Weights *weights.Set  // the moving average where the recipe has one
	Epochs  []EpochRecord // every epoch; fewer than the recipe's where Stop ended the run
	Steps   int
	Elapsed time.Duration // of training and validation, over all resumed parts
}

// ErrInterrupted is what Run returns, wrapped or not, when its context ended.
// With a run folder everything done so far is in its newest checkpoint.
var ErrInterrupted = errors.New("train: interrupted")

// ErrDiverged is wrapped by every [*DivergedError].
var ErrDiverged = errors.New("training diverged")
