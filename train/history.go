package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// History is what a run folder says of how a run went, or goes.
type History struct {
	Config *RunConfig
	Steps  []StepRecord
	Epochs []EpochRecord
}

// ReadHistory reads the run folder dir. The error is fs.ErrNotExist when there
// is no run. A last line that is being written is left out.
func ReadHistory(dir string) (*History, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, MetricsFile)
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	h := &History{Config: c}
	length, epochs := cutMetrics(src, math.MaxInt, math.MaxInt)
	h.Epochs = epochs
	if rest := src[length:]; bytes.IndexByte(rest, '\n') >= 0 {
		return nil, fmt.Errorf("train: %s: line %d is no record", path, 1+bytes.Count(src[:length], []byte("\n")))
	}
	for line := range bytes.Lines(src[:length]) {
		var r struct {
			Type string
			StepRecord
		}
		if json.Unmarshal(line, &r) == nil && r.Type == "step" {
			h.Steps = append(h.Steps, r.StepRecord)
		}
	}
	return h, nil
}

// StepsPerEpoch is that of the run.
func (h *History) StepsPerEpoch() int { return h.Config.Recipe.StepsPerEpoch(h.Config.Data.Train) }

// Absent stands for a value that a run does not have.
const Absent = ""

// Differences are the values in which runs differ, by their paths in
// config.yaml, such as recipe.lr: for each path, one text a run.
func Differences(runs []*RunConfig) (paths []string, values [][]string, err error) {
	all := make([]map[string]any, len(runs))
	seen := map[string]bool{}
	for i, c := range runs {
		found := *c
		found.forget()
		t, err := tree(&found)
		if err != nil {
			return nil, nil, err
		}
		all[i] = map[string]any{}
		flatten(all[i], "", ".", t)
		for path := range all[i] {
			seen[path] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(seen)) {
		texts := make([]string, len(runs))
		for i := range runs {
			texts[i] = Absent
			if v, ok := all[i][path]; ok && v != nil {
				texts[i] = fmt.Sprint(v)
			}
		}
		if slices.ContainsFunc(texts, func(s string) bool { return s != texts[0] }) {
			paths, values = append(paths, path), append(values, texts)
		}
	}
	return paths, values, nil
}
