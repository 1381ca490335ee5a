package weights

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"effnet/arch"
)

func TestAdaptStem(t *testing.T) {
	// two filters of three channels, 1x2 pixels
	w := Tensor{Shape: []int{2, 3, 1, 2}, Data: []float32{1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6}}
	for n, want := range map[int][]float32{
		1: {9, 12, -9, -12},
		2: {1.5, 3, 4.5, 6, -1.5, -3, -4.5, -6},
		3: w.Data,
		4: {.75, 1.5, 2.25, 3, 3.75, 4.5, .75, 1.5, -.75, -1.5, -2.25, -3, -3.75, -4.5, -.75, -1.5},
	} {
		got := AdaptStem(w, n)
		if !slices.Equal(got.Shape, []int{2, n, 1, 2}) || !slices.Equal(got.Data, want) {
			t.Errorf("%d channels: %v %v, want %v", n, got.Shape, got.Data, want)
		}
	}
	grey := Tensor{Shape: []int{1, 1, 1, 1}, Data: []float32{3}}
	if got := AdaptStem(grey, 3); !slices.Equal(got.Data, []float32{1, 1, 1}) {
		t.Errorf("colour from grey: %v", got.Data)
	}
}

func TestAdapt(t *testing.T) {
	spec := arch.MustLookup("mobilenetv1_100")
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Spec: spec, Set: Init(g, 1)}
	spec.Channels, spec.Classes = 1, 7
	spec.Prep.Mean, spec.Prep.Std = []float64{0.5}, []float64{0.5}
	g2, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Adapt(g2, false, 2)
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]bool{}
	for name, a := range s.Tensors {
		b := m.Set.Tensors[name]
		if !slices.EqualFunc(a.Data, b.Data, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
			changed[name] = true
		} else if &a.Data[0] == &b.Data[0] {
			t.Errorf("%s is shared with the model", name)
		}
	}
	if names := slices.Sorted(maps.Keys(changed)); !slices.Equal(names, []string{"classifier.bias", "classifier.weight", "conv_stem.weight"}) {
		t.Errorf("changed: %v", names)
	}
	if _, err := m.Adapt(g2, true, 2); err == nil {
		t.Error("a kept classifier of 1000 classes fits 7")
	}
	sum, err := s.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := s.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	back, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	back.Meta["x"] = "y"
	if again, _ := back.Checksum(); again != sum || len(sum) != 64 {
		t.Errorf("checksum %s, after a file %s", sum, again)
	}
}
