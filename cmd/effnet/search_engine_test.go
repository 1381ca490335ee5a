package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
	"effnet/search"
	"effnet/train"
)

// TestFloor: a training that ends an epoch below its floor stops there, with
// what it has, and is the beginning of the one that nothing stopped.
func TestFloor(t *testing.T) {
	const source = "synthetic:classes=4,size=12,train=1200,test=40,seed=3"
	recipe, err := train.LookupRecipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	recipe.Batch = 16
	trainer, err := newSearchTrainer(openData(t, source), source, recipe, 1, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := arch.ParseSpec("tiny.yaml", []byte(strings.Replace(tinySpec, "classes: 10", "classes: 4", 1)))
	if err != nil {
		t.Fatal(err)
	}
	run := func(dir string, floor []float64) *search.Outcome {
		t.Helper()
		out, err := trainer.engine().Train(t.Context(), &search.Trial{
			ID: "x2-01-e3-s1", Phase: search.PhaseRung, Attempt: 1, Spec: spec, Seed: 1, SplitSeed: 1, Epochs: 3,
			TrainImages: trainer.rest.Len(), Floor: floor, Threads: 1, Dir: dir,
		}, func(search.Progress) {})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const above = 1.5 // no accuracy reaches it
	whole := run(t.TempDir(), nil)
	if whole.Stopped != 0 || len(whole.Curve) != 3 || whole.Curve[0].Accuracy == whole.Curve[1].Accuracy {
		t.Fatalf("without a floor: stopped after %d, curve %+v, want one of three points that moves", whole.Stopped, whole.Curve)
	}
	for _, c := range []struct {
		name  string
		floor []float64
		want  int // the epoch after which it stops; 0: it does not
	}{
		{"reached", []float64{0, 0}, 0},
		{"just reached", []float64{whole.Curve[0].Accuracy, whole.Curve[1].Accuracy}, 0},
		{"missed at once", []float64{above, above}, 1},
		{"missed later", []float64{0, above}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			out := run(dir, c.floor)
			if out.Stopped != c.want {
				t.Fatalf("stopped after epoch %d, want %d", out.Stopped, c.want)
			}
			if c.want == 0 {
				if diff := cmp.Diff(whole, out); diff != "" {
					t.Errorf("a floor that is reached changes the outcome:\n%s", diff)
				}
				return
			}
			if diff := cmp.Diff(whole.Curve[:c.want], out.Curve); diff != "" {
				t.Errorf("the curve is not the beginning of the whole one:\n%s", diff)
			}
			if got := out.Validation.Accuracy(); got != out.Curve[c.want-1].Accuracy {
				t.Errorf("scored %v, the curve ends at %v", got, out.Curve[c.want-1].Accuracy)
			}
			if _, err := os.Stat(filepath.Join(dir, out.Model)); err != nil || out.SHA256 == "" {
				t.Errorf("the model %q: %v", out.Model, err)
			}
			// A process that is killed before the ledger has the outcome does
			// it again in the same folder.
			if diff := cmp.Diff(out, run(dir, c.floor)); diff != "" {
				t.Errorf("the second time:\n%s", diff)
			}
		})
	}
}
