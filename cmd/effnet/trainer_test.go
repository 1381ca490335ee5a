package main

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/dataset"
	"effnet/infer"
	"effnet/train"
)

func openData(t *testing.T, spec string) *dataset.Data {
	t.Helper()
	d, err := dataset.Open(t.Context(), spec, dataset.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAdaptSpec(t *testing.T) {
	for _, c := range []struct {
		net, data  string
		resolution int
		notes      []string // what each begins with
	}{
		{"small_300k", "synthetic:classes=10,size=28,train=50,test=5", 0, []string{"normalisation: mean"}},
		{"small_300k", "synthetic:classes=3,size=40,channels=3,train=50,test=5", 20,
			[]string{"classes: 3 of the data instead of 10", "image channels: 3 of the data instead of 1", "resolution: 20 as asked instead of 28", "normalisation: mean"}},
		{"efficientnet_b0", "synthetic:classes=10,size=28,channels=1,train=50,test=5", 0,
			[]string{"classes: 10", "image channels: 1", "normalisation: mean", "crop: none, as all images are 28x28", "the 28x28 images are enlarged to the network's 224x224"}},
	} {
		d := openData(t, c.data)
		base := arch.MustLookup(c.net)
		s, notes, err := adaptSpec(t.Context(), base, d, c.resolution)
		if err != nil {
			t.Errorf("%s on %s: %v", c.net, c.data, err)
			continue
		}
		if !slices.EqualFunc(notes, c.notes, strings.HasPrefix) {
			t.Errorf("%s on %s: notes %q, want %q", c.net, c.data, notes, c.notes)
		}
		if s.Classes != len(d.Classes) || s.Channels != d.Channels || len(s.Prep.Mean) != d.Channels {
			t.Errorf("%s on %s: %d classes, %d channels, mean %v", c.net, c.data, s.Classes, s.Channels, s.Prep.Mean)
		}
		again, notes, err := adaptSpec(t.Context(), s, d, c.resolution)
		if err != nil || again.Classes != s.Classes || len(notes) > 1 || len(notes) == 1 && !strings.Contains(notes[0], "enlarged") {
			t.Errorf("%s on %s: adapting twice: notes %q, %v", c.net, c.data, notes, err)
		}
		if unchanged := arch.MustLookup(c.net); base.Classes != unchanged.Classes || !slices.Equal(base.Prep.Mean, unchanged.Prep.Mean) {
			t.Errorf("%s on %s: the original changed", c.net, c.data)
		}
	}
}

func TestCrossEntropy(t *testing.T) {
	for _, c := range []struct {
		logits  []float32
		label   int32
		loss    float64
		correct bool
	}{
		{[]float32{0, 0, 0, 0}, 0, math.Log(4), true},
		{[]float32{0, 0, 0, 0}, 3, math.Log(4), false},
		{[]float32{1000, 0}, 0, 0, true},
		{[]float32{1000, 0}, 1, 1000, false},
		{[]float32{-1000, -1001}, 1, math.Log(1 + math.E), false},
	} {
		loss, correct := crossEntropy(c.logits, c.label)
		if math.Abs(loss-c.loss) > 1e-9*(1+c.loss) || correct != c.correct {
			t.Errorf("%v, label %d: %v, %v, want %v, %v", c.logits, c.label, loss, correct, c.loss, c.correct)
		}
	}
}

// TestTrainModel learns an easy data set, without a folder and with one, and
// gets the same network both ways.
func TestTrainModel(t *testing.T) {
	d := openData(t, "synthetic:classes=4,size=8,train=1500,test=100,seed=3")
	spec, _, err := adaptSpec(t.Context(), arch.MustLookup("small_300k"), d, 8)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := train.LookupRecipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	recipe.Epochs, recipe.Batch = 6, 16
	job := trainJob{Spec: spec, Data: d, Source: "synthetic", Recipe: recipe, Test: true, Threads: 1}
	got, err := trainModel(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if got.Test == nil || got.Test.Images != 100 || got.Val == nil || got.Val.Images != 152 || len(got.Epochs) != 6 {
		t.Fatalf("test %+v, validation %+v, %d epochs", got.Test, got.Val, len(got.Epochs))
	}
	if got.Test.Accuracy < 0.4 {
		t.Errorf("test accuracy %v, want it to learn", got.Test.Accuracy)
	}
	g, err := got.Config.Spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	for mirror, want := range map[bool]*train.Eval{false: got.Test, true: got.TestMirror} {
		again, err := evaluateWeights(t.Context(), g, got.Weights, d.Test, evalOptions{infer.Options{Threads: 2, Kernel: got.Config.Kernel}, evalBatch(g), mirror})
		if err != nil || again != *want {
			t.Errorf("evaluated again: %+v, %v, want %+v", again, err, *want)
		}
	}
	job.Dir, job.Threads = filepath.Join(t.TempDir(), "run"), 2
	kept, err := trainModel(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if *kept.Test != *got.Test || *kept.Val != *got.Val {
		t.Errorf("with a folder and two threads: %+v and %+v, without: %+v and %+v", kept.Val, kept.Test, got.Val, got.Test)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trainModel(ctx, job); err == nil || !errors.Is(err, train.ErrInterrupted) {
		t.Errorf("cancelled: %v, want ErrInterrupted", err)
	}
	job.Spec.Classes = 5
	if _, err := trainModel(t.Context(), job); err == nil || !strings.Contains(err.Error(), "has 4 classes, network small_300k has 5") {
		t.Errorf("wrong classes: %v", err)
	}
}
