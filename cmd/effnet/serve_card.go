package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"effnet/train"
	"effnet/weights"
)

// Metadata that a served model gets from its run.
const (
	metaTestAccuracy = "effnet.test_accuracy" // from 0 to 1
	metaData         = "effnet.data"          // that it was trained on
)

// addAccuracy adds to the metadata of a run's model, which says nothing of it,
// how well it does. A model is served without that, too: what cannot be read is
// left out. The best epoch's model says it itself.
func addAccuracy(w *loadedModel) {
	if w.Run == nil || filepath.Base(w.Path) != weights.ModelFile {
		return
	}
	if w.Set.Meta == nil {
		w.Set.Meta = map[string]string{}
	}
	set := func(key string, accuracy float64) {
		w.Set.Meta[key] = strconv.FormatFloat(accuracy, 'g', -1, 64)
	}
	dir := filepath.Dir(w.Path)
	var r trainReport
	if text, err := os.ReadFile(filepath.Join(dir, resultFile)); err == nil && json.Unmarshal(text, &r) == nil {
		w.Set.Meta[metaData] = r.Data
		if r.Test != nil {
			set(metaTestAccuracy, r.Test.Accuracy)
		}
		if r.Validation != nil {
			set(train.MetaAccuracy, r.Validation.Accuracy)
		}
		return
	}
	// A search's trial.
	h, err := train.ReadHistory(dir)
	if err != nil || len(h.Epochs) == 0 {
		return
	}
	if last := h.Epochs[len(h.Epochs)-1]; last.ValAccuracy != nil {
		set(train.MetaAccuracy, *last.ValAccuracy)
	}
}
