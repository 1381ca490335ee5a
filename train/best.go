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
	MetaEpoch    = "effnet.epoch" // from 1
	MetaStep     = "effnet.step"
	MetaAccuracy = "effnet.validation_accuracy" // from 0 to 1
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
		set.Meta[MetaEpoch], set.Meta[MetaStep] = strconv.Itoa(best.Epoch), strconv.Itoa(best.Step)
		set.Meta[MetaAccuracy] = strconv.FormatFloat(best.Accuracy, 'g', -1, 64)
		if err := l.writeModel(BestFile, set); err != nil {
			return err
		}
	}
	l.Best = best
	return nil
}
