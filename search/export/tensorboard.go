package export

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"effnet/internal/atomicfile"
	"effnet/internal/tfevents"
	"effnet/search"
)

// eventsName is the file of a trial. TensorBoard looks for the part before the
// number; a second export replaces the file.
const eventsName = "events.out.tfevents.0000000000.effnet"

// Tags of a trial's scalars, as 'effnet train' has them where it has them.
const (
	lossTag       = "epoch/train_loss"
	validationTag = "epoch/val_accuracy"
	finalTag      = "val/accuracy" // of the whole trial, as the search counts it
	testTag       = "test/accuracy"
)

// tensorboard writes a run for every trial that has begun: what it was as
// hyperparameters, its curve, and its end. Runs of trials that are not there
// any more are left alone.
func tensorboard(folder string, a *search.Analysis) error {
	nets := networks(a)
	began, ended := map[string]time.Time{}, map[string]time.Time{}
	for _, m := range a.History {
		if _, ok := began[m.Trial]; !ok {
			began[m.Trial] = m.Time
		}
		if m.End {
			ended[m.Trial] = m.Time
		}
	}
	for id, t := range a.Trials {
		var b bytes.Buffer
		if err := tfevents.Write(&b, runEvents(nets[t.Network], t, began[id], ended[id])...); err != nil {
			return err
		}
		dir := filepath.Join(folder, id)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		path := filepath.Join(dir, eventsName)
		if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, b.Bytes()) {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := atomicfile.WriteBytes(path, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// runEvents is a trial as TensorBoard sees it. Epochs are spread evenly over
// the time that it took, pauses and interruptions included.
func runEvents(n *search.Network, t *search.TrialResult, began, ended time.Time) []tfevents.Event {
	zero := tfevents.Wall(began)
	start := &tfevents.SessionStart{HParams: hparams(n, t), Seconds: zero}
	events := []tfevents.Event{
		{Wall: zero, Version: tfevents.Version},
		{Wall: zero, Values: []tfevents.Value{tfevents.StartValue(start)}},
	}
	if !t.Ended() {
		return events
	}
	end := tfevents.Wall(ended)
	last, status := 0, tfevents.Failure
	if o := t.Outcome; o != nil {
		status = tfevents.Success
		for i, p := range o.Curve {
			last = p.Epoch
			events = append(events, tfevents.Event{
				Wall: zero + (end-zero)*float64(i+1)/float64(len(o.Curve)), Step: int64(p.Epoch),
				Values: []tfevents.Value{tfevents.ScalarValue(lossTag, p.Loss), tfevents.ScalarValue(validationTag, p.Accuracy)},
			})
		}
		scores := []tfevents.Value{tfevents.ScalarValue(finalTag, o.Validation.Accuracy())}
		if o.Test != nil {
			scores = append(scores, tfevents.ScalarValue(testTag, o.Test.Accuracy()))
		}
		events = append(events, tfevents.Event{Wall: end, Step: int64(last), Values: scores})
	}
	return append(events, tfevents.Event{Wall: end, Step: int64(last), Values: []tfevents.Value{tfevents.EndValue(status, end)}})
}

// hparams are sorted by name.
func hparams(n *search.Network, t *search.TrialResult) []tfevents.HParam {
	list := []tfevents.HParam{
		{Name: "cost", Value: n.CostRatio},
		{Name: "depth", Value: n.Depth},
		{Name: "epochs", Value: float64(t.Epochs)},
		{Name: "network", Value: t.Network},
		{Name: "phase", Value: string(t.Phase)},
		{Name: "resolution", Value: float64(n.Resolution)},
		{Name: "rung", Value: 0.0},
		{Name: "seed", Value: float64(t.Seed)},
		{Name: "width", Value: n.Width},
	}
	if t.Phase == search.PhaseRung {
		list[6].Value = float64(t.Rung + 1)
	}
	return list
}
