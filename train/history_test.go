package train

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadHistory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	job := fakeJob(t, dir)
	job.Config.Recipe.Epochs = 21
	if _, err := runFake(t.Context(), job, &fakeEngine{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, MetricsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"type":"epo`...), 0o644); err != nil { // being written
		t.Fatal(err)
	}
	h, err := ReadHistory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Epochs) != 21 || len(h.Steps) != 2 || h.Steps[1].Step != 100 || h.Epochs[20].Epoch != 21 || h.StepsPerEpoch() != 5 || h.Config.Spec.Name != "small_300k" {
		t.Errorf("%d epochs, steps %+v", len(h.Epochs), h.Steps)
	}
	if err := os.WriteFile(path, append([]byte("what\n"), whole...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadHistory(dir); err == nil || !strings.Contains(err.Error(), MetricsFile+": line 1 is no record") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := ReadHistory(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no run: %v", err)
	}
}

func TestDifferences(t *testing.T) {
	a, b, c := fakeJob(t, "").Config, fakeJob(t, "").Config, fakeJob(t, "").Config
	b.Recipe.LR = 0.25
	c.Recipe.Optimizer = "sgd"
	c.Start = &Start{Checksum: "abc"}
	b.Data.Source = "elsewhere" // is no difference
	paths, values, err := Differences([]*RunConfig{&a, &b, &c})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for i, p := range paths {
		got[p] = values[i]
	}
	want := map[string][]string{
		"recipe.lr":        {"0.0005", "0.25", "0.0005"},
		"recipe.optimizer": {"rmsprop", "rmsprop", "sgd"},
		"start.checksum":   {Absent, Absent, "abc"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
