package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"effnet/internal/atomicfile"
)

// DivergedError ends a training whose loss or weights are no longer finite, or
// whose loss stays far above that of a guess. The run folder keeps it in
// DivergedFile: the same run would end so again.
type DivergedError struct {
	Step       int     `json:"step"` // updates made
	Epoch      int     `json:"epoch"`
	Epochs     int     `json:"epochs"`
	What       string  `json:"what"` // such as "the loss is NaN"
	LR         float64 `json:"lr"`
	Checkpoint string  `json:"checkpoint,omitempty"` // name of the last good one, if any
	Dir        string  `json:"-"`
	Again      bool    `json:"-"` // found in the folder of a run that was to go on
	cause      error
}

func (e *DivergedError) Error() string {
	s := fmt.Sprintf("train: step %d (epoch %d of %d): %s at learning rate %.4g", e.Step, e.Epoch, e.Epochs, e.What, e.LR)
	if e.Again {
		s = fmt.Sprintf("train: %s diverged and would do so again: step %d (epoch %d of %d): %s at learning rate %.4g; train into another folder with a lower learning rate or a longer warm-up",
			e.Dir, e.Step, e.Epoch, e.Epochs, e.What, e.LR)
	} else {
		s += "; lower the learning rate or lengthen the warm-up"
	}
	if e.Checkpoint != "" {
		s += "; the last good checkpoint is " + filepath.Join(e.Dir, e.Checkpoint)
	}
	return s
}

// Unwrap gives ErrDiverged and what the step reported.
func (e *DivergedError) Unwrap() []error {
	if e.cause == nil {
		return []error{ErrDiverged}
	}
	return []error{ErrDiverged, e.cause}
}

// diverged is the end of the run because of what.
func (l *loop) diverged(what string, cause error) *DivergedError {
	return &DivergedError{
		Step: l.step, Epoch: l.epoch(), Epochs: l.Config.Recipe.Epochs, What: what, LR: l.schedule.LR(int64(l.step)),
		Checkpoint: l.saved.name, Dir: l.Dir, cause: cause,
	}
}

// A loss this many times that of a guess, over two stretches of metricsSteps
// steps in a row, is no training any more. A single one may be a start that
// overshoots.
const (
	hopeless        = 100
	hopelessWindows = 2
)

// watch takes the mean loss over the last metricsSteps steps.
func (l *loop) watch(loss float64) error {
	guess := math.Log(float64(l.Config.Spec.Classes))
	if !(loss > hopeless*max(1, guess)) {
		l.Hopeless = 0
		return nil
	}
	l.Hopeless++
	if l.Hopeless < hopelessWindows {
		return nil
	}
	return l.diverged(fmt.Sprintf("the loss is %.4g, mean over %d steps, where a guess has %.3g,", loss, metricsSteps, guess), nil)
}

// keepDiverged writes DivergedFile.
func (f *folder) keepDiverged(e *DivergedError) error {
	if f == nil {
		return nil
	}
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(f.path(DivergedFile), append(text, '\n'))
}

// checkDiverged is the error that ended the run in the folder before, if one did.
func (f *folder) checkDiverged() error {
	if f == nil {
		return nil
	}
	src, err := os.ReadFile(f.path(DivergedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e := &DivergedError{Dir: f.dir, Again: true}
	if err := json.Unmarshal(src, e); err != nil {
		return fmt.Errorf("train: %s: %w", f.path(DivergedFile), err)
	}
	return e
}
