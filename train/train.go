// Package train runs a network forwards and backwards: [Compile] turns a graph
// and weights into a [Trainer], whose [Trainer.Step] computes the loss of a
// batch, every gradient, and the optimiser's update.
//
// The engine is float32 NHWC. Its result is a function of the network, the
// weights, the batch and the seed alone: the same bits for any number of
// threads, and after [Trainer.State] and [Trainer.Restore].
package train

import (
	"fmt"

	"effnet/arch"
	"effnet/weights"
)

// Config fixes everything about a step that is not data.
type Config struct {
	Batch          int     // largest number of images a step is given; how sums are cut follows from it
	Threads        int     // 0: GOMAXPROCS
	Kernel         string  // see kernel.Lookup; "" the best
	Seed           uint64  // of dropout and drop-path masks
	LabelSmoothing float64 // the target is 1-s on the label plus s/classes everywhere
	Optimizer      Optimizer
	EMADecay       float64 // of the moving average of weights and running statistics; 0 for none

	// Memory limits what the trainer holds, in bytes; 0: no limit. Where it is
	// short, kept values are dropped after forward and made again in backward,
	// which changes no bit, and if that is not enough the batch is split.
	Memory int64
	// MicroBatch is how many images go through the network at a time. 0: all of
	// a step's, or as many as Memory allows. The gradients of the parts are
	// summed; a batch norm normalises each part by its own statistics, as GPipe
	// does, and its running statistics follow those of the whole batch.
	MicroBatch int

	// Frozen ops keep their parameters, and a frozen batch norm normalises with
	// its running statistics and keeps them, too; nil: none. What comes before
	// every op that learns is not gone back through.
	Frozen func(op *arch.Op) bool
	// FrozenBN makes every batch norm normalise with its running statistics and
	// keep them. gamma and beta learn where they are not Frozen.
	FrozenBN bool
}

// StepStats is what a step saw before its update.
type StepStats struct {
	Loss    float64 // mean cross-entropy of the batch, smoothing included, without weight decay
	Correct int     // images whose largest logit is their label's, or the larger share's
}

// State is everything a [Trainer] needs to go on bit for bit.
type State struct {
	Step int64 // updates made so far
	// Tensors by name: "model/NAME" for parameters and running statistics,
	// "ema/NAME" for their moving average, "SLOT/NAME" for the optimiser's
	// ("square", "momentum", "mean").
	Tensors map[string]weights.Tensor
}

// NonFiniteError reports a loss that is not a number or infinite. The step
// that saw it changed nothing.
type NonFiniteError struct {
	Step int64 // updates made before it
	Loss float64
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("train: step %d: the loss is %v; lower the learning rate or lengthen the warm-up", e.Step, e.Loss)
}

func (e *NonFiniteError) Unwrap() error { return ErrDiverged }
