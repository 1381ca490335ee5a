package main

import (
	"context"
	"errors"
	"time"

	"effnet/arch"
	"effnet/dataset"
	"effnet/train"
	"effnet/weights"
)

// trainJob is one network to train on one data set. The commands that train
// all go this way.
type trainJob struct {
	Spec      arch.Spec // fits Data; see adaptSpec
	Data      *dataset.Data
	Source    string       // what Data was opened as
	Recipe    train.Recipe // need not be resolved
	SplitSeed uint64       // of the validation part: equal seeds compare on equal images
	Threads   int          // 0: all
	Kernel    string       // "": the best this machine has
	Test      bool         // measure the test part when training has ended

	// Dir is the run folder; "" keeps nothing on disk. If it holds a run of
	// this job, training goes on where that stopped.
	Dir             string
	CheckpointEvery time.Duration // 0: 30 s
	CheckpointSteps int           // above 0: instead of CheckpointEvery

	Observer train.Observer
}

// trainOutcome is a trained network.
type trainOutcome struct {
	Config  train.RunConfig
	Weights *weights.Set // the moving average where the recipe has one
	Epochs  []train.EpochRecord
	Val     *train.Eval // of Weights; nil without a validation part
	Test    *train.Eval // nil unless asked for
	Elapsed time.Duration
}

// trainModel trains. When ctx ends it returns an error that wraps
// train.ErrInterrupted; with a run folder, the same job then goes on.
func trainModel(ctx context.Context, job trainJob) (*trainOutcome, error) {
	return nil, errors.New("train: not wired yet")
}

// adaptSpec makes s fit the data: classes, channels, normalisation by the
// data's own statistics, and the resolution where one is given (0: the
// network's). The notes say what it changed, one line each.
func adaptSpec(ctx context.Context, s arch.Spec, d *dataset.Data, resolution int) (adapted arch.Spec, notes []string, err error) {
	return s, nil, errors.New("train: not wired yet")
}
