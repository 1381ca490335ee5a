package train

import (
	"maps"
	"strconv"

	"effnet/weights"
)

// Best is the epoch with the highest validation accuracy so far, the earliest
// of equals; Epoch 0: none yet.
type Best struct {
	Epoch    int     `json:"epoch,omitempty"`
	Step     int     `json:"step,omitempty"`
	Accuracy float64 `json:"accuracy,omitempty"`
}

// Metadata of BestFile.
const (
	metaEpoch    = "effnet.epoch"
	metaStep     = "effnet.step"
	metaAccuracy = "effnet.validation_accuracy"
)

// keepBest writes w, whose record is e, to BestFile if it is the best so far.
// The checkpoint of the same step stays as long as it is the best.
func (l *loop) keepBest(e *EpochRecord, w *weights.Set) error {
	if e.ValAccuracy == nil || l.Best.Epoch > 0 && *e.ValAccuracy <= l.Best.Accuracy {
		return nil
	}
	best := Best{e.Epoch, e.Step, *e.ValAccuracy}
	if l.folder != nil {
		set := &weights.Set{Tensors: w.Tensors, Meta: maps.Clone(w.Meta)}
		set.Meta[metaEpoch], set.Meta[metaStep] = strconv.Itoa(best.Epoch), strconv.Itoa(best.Step)
		set.Meta[metaAccuracy] = strconv.FormatFloat(best.Accuracy, 'g', -1, 64)
		if err := l.writeModel(BestFile, set); err != nil {
			return err
		}
	}
	l.Best = best
	return nil
}
