package weights_test

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
	"effnet/infer"
	"effnet/weights"
)

// Random weights give logits of the order of 1 that depend on the image, in
// every family and at every depth.
func TestRandom(t *testing.T) {
	names := []string{
		"efficientnet_b0", "tf_efficientnet_b4", "efficientnet_lite3", "tf_efficientnet_es",
		"efficientnetv2_s", "tf_efficientnetv2_b3", "efficientnetv2_rw_t", "tinynet_a", "tinynet_e",
		"mobilenetv1_100", "mobilenetv2_100", "resnet50", "small_300k", "small_5m",
	}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		s := arch.MustLookup(name)
		g, err := s.GraphAt(min(s.Resolution, 64))
		if err != nil {
			t.Fatal(err)
		}
		w := weights.Random(g, 1)
		p, err := infer.Compile(g, w, infer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		const n = 2
		in := g.Ops[0].Shape
		x := make([]float32, n*in.Elems())
		seed := uint32(1)
		for i := range x {
			seed = seed*1664525 + 1013904223
			x[i] = float32(int32(seed)) / (1 << 30)
			if i >= in.Elems() { // the second image has large shapes
				x[i] = float32(math.Sin(float64(i/(in.C*in.W*8)+i/in.C%in.W/8)) * 2)
			}
		}
		logits, err := p.Run(context.Background(), x, n)
		if err != nil {
			t.Fatal(err)
		}
		largest, apart := 0.0, 0.0
		for i, v := range logits[:p.Classes()] {
			u := logits[p.Classes()+i]
			largest = max(largest, math.Abs(float64(v)), math.Abs(float64(u)))
			apart = max(apart, math.Abs(float64(v)-float64(u)))
		}
		if !(largest > 0.1 && largest < 200) || !(apart > 0.01*largest) {
			t.Errorf("%s: logits up to %.3g, two images differ by %.3g", name, largest, apart)
		}
		p.Close()
	}
}

func TestRandomSeeds(t *testing.T) {
	g, err := arch.MustLookup("small_1m").Graph()
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := weights.Random(g, 1), weights.Random(g, 1), weights.Random(g, 2)
	if d := cmp.Diff(a.Tensors, b.Tensors); d != "" {
		t.Error(d)
	}
	same := 0
	for name, x := range a.Tensors {
		if cmp.Equal(x, c.Tensors[name]) {
			same++
			if p := x.Data[0]; p != 0 {
				t.Errorf("%s does not depend on the seed", name)
			}
		}
		if cmp.Equal(x, weights.Init(g, 1).Tensors[name]) != (len(x.Shape) != 1 || name == "classifier.bias" || x.Data[0] == 0) {
			t.Errorf("%s: only batch norms may differ from what training starts with", name)
		}
	}
	if same == 0 || same == len(a.Tensors) {
		t.Errorf("%d of %d tensors do not depend on the seed", same, len(a.Tensors))
	}
}
