package train

import (
	"context"
	"errors"

	"effnet/arch"
	"effnet/weights"
)

// Trainer is a network in training. It is not safe for concurrent use. Close
// it to end its worker goroutines.
type Trainer struct{}

var errUnbuilt = errors.New("train: the engine is not built yet")

// Compile prepares g with the weights w, which are copied, for training.
func Compile(g *arch.Graph, w *weights.Set, cfg Config) (*Trainer, error) { return nil, errUnbuilt }

// Close ends the workers. The weights and the state stay readable.
func (t *Trainer) Close() {}

// Step trains on images x [n,H,W,C], n at most Config.Batch, and their labels
// [n] at learning rate lr. When it returns an error, the trainer is as before.
func (t *Trainer) Step(ctx context.Context, x []float32, labels []int32, lr float64) (StepStats, error) {
	return StepStats{}, errUnbuilt
}

// Steps is the number of updates made so far.
func (t *Trainer) Steps() int64 { return 0 }

// Weights copies the parameters and running statistics, under timm's names.
func (t *Trainer) Weights() *weights.Set { return nil }

// EMAWeights copies their moving average; nil where Config.EMADecay is 0.
func (t *Trainer) EMAWeights() *weights.Set { return nil }

// State copies everything that decides the steps to come.
func (t *Trainer) State() State { return State{} }

// Restore continues from s, which a trainer of the same network and
// configuration made.
func (t *Trainer) Restore(s State) error { return errUnbuilt }
