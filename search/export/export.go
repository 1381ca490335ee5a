// Package export writes a search for programs that people know: a study that
// optuna-dashboard opens, event files with hyperparameters for TensorBoard, and
// a table with timm's column names. Everything comes from the ledger, so that
// it can be made at any time, also while the search runs.
package export

import (
	"os"
	"path/filepath"

	"effnet/internal/atomicfile"
	"effnet/search"
)

// Names of what Write makes.
const (
	OptunaName        = "optuna.log"  // of JournalStorage
	SummaryName       = "summary.csv" // a row a network
	TensorBoardFolder = "tensorboard" // a folder a trial
)

// Write makes all exports of the search a in the folder dir, and returns their
// paths. The journal of a search that goes on only ever gets longer, so that a
// dashboard may watch the file while Write replaces it.
func Write(dir string, a *search.Analysis) ([]string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	study, err := optuna(a)
	if err != nil {
		return nil, err
	}
	files := []struct {
		name string
		data []byte
	}{{OptunaName, study}, {SummaryName, summary(a)}}
	var paths []string
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := atomicfile.WriteBytes(path, f.data); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	folder := filepath.Join(dir, TensorBoardFolder)
	return append(paths, folder), tensorboard(folder, a)
}

// networks are those of a search by name.
func networks(a *search.Analysis) map[string]*search.Network {
	nets := map[string]*search.Network{}
	for _, n := range a.Networks() {
		nets[n.ID] = n
	}
	return nets
}
