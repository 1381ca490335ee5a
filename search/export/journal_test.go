package export

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden file")

// TestJournal holds a journal against a file that Optuna reads: see
// scripts/dashboards-check.py, which reads this one, too.
func TestJournal(t *testing.T) {
	zero := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600))
	params := []param{{name: "depth", value: 1.5, low: 1, high: 2}, {name: "resolution", value: 32, low: 28, high: 40, whole: true}}
	j := &journal{}
	study := j.study("a <base> on data", "validation accuracy")
	j.attribute(study, "data", "made up")
	first := j.trial(study, zero, params, map[string]any{"network": "x2-01"})
	second := j.trial(study, zero.Add(time.Second), params, map[string]any{"network": "x2-02"})
	j.report(first, 1, 0.5)
	j.report(first, 2, 0.75)
	j.note(first, "seconds", 2.5)
	j.end(first, trialComplete, zero.Add(2*time.Second), 0.75)
	j.note(second, "error", "loss is NaN")
	j.end(second, trialFail, zero.Add(3*time.Second))
	if j.err != nil {
		t.Fatal(j.err)
	}
	path := filepath.Join("testdata", OptunaName)
	if *update {
		if err := os.WriteFile(path, j.buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(j.buf.Bytes(), want) {
		t.Errorf("the journal differs from %s:\n%s", path, firstDifference(want, j.buf.Bytes()))
	}
	j.end(second, trialComplete, zero, math.NaN())
	if j.err == nil {
		t.Error("a value that JSON cannot hold goes unnoticed")
	}
}
