package train

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"effnet/internal/ref"
	"effnet/internal/ref/golden"
)

// TestMixedLossGolden compares the loss of mixed images with timm's.
func TestMixedLossGolden(t *testing.T) {
	src, err := os.ReadFile("testdata/mixup.json") // by scripts/golden/mixup.py
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Classes          int
		Labels           []int32
		Smoothing, Share float64
		Logits, Gradient []float64
		Loss             float64
	}
	if err := json.Unmarshal(src, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		n := len(c.Labels)
		others := slices.Clone(c.Labels)
		slices.Reverse(others)
		e := &engine{smoothing: c.Smoothing, n: n, targets: Targets{c.Labels, others, c.Share}}
		loss, x, g := 0.0, narrow(c.Logits), make([]float32, n*c.Classes)
		for i := range n {
			l, _ := e.imageLoss(x[i*c.Classes:][:c.Classes], g[i*c.Classes:][:c.Classes], i)
			loss += l / float64(n)
		}
		near(t, "loss", []float64{loss}, []float64{c.Loss}, 1e-6, 0)
		near(t, "gradient", g, c.Gradient, 1e-6, 1e-8)
	}
}

// TestMixedStep compares a whole step on mixed images with the oracle, whose
// loss is linear in the targets.
func TestMixedStep(t *testing.T) {
	g := graphOf(t, netSpec(8, 2, "ds_r2_k3_s1_c8_se0.25", "ir_r2_k3_s2_e3_c12_se0.25"))
	tr := compileFor(t, g, golden.Weights(g), Config{Batch: 12, Threads: 2, LabelSmoothing: 0.1})
	x, y := batch(g, 12, 3)
	others := slices.Clone(y)
	slices.Reverse(others)
	const share = 0.7
	p := ref.FromSet(tr.Weights())
	o := ref.Forward(g, p, widen(x), len(y), ref.Mode{Train: true})
	loss, d := ref.CrossEntropy(o.Logits(), labels(y), 0.1)
	loss2, d2 := ref.CrossEntropy(o.Logits(), labels(others), 0.1)
	loss = share*loss + (1-share)*loss2
	for i := range d {
		d[i] = share*d[i] + (1-share)*d2[i]
	}
	want := o.Backward(d).Params
	s, err := tr.Step(context.Background(), x, Targets{y, others, share}, 0)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss", []float64{s.Loss}, []float64{loss}, 1e-4, 1e-6)
	for name, got := range tr.gradients() {
		near(t, "gradient of "+name, got, want[name], 5e-4, 1e-5)
	}
}

// TestCorrectOfMixed: the label with the larger share counts.
func TestCorrectOfMixed(t *testing.T) {
	for _, c := range []struct {
		y    Targets
		want bool
	}{
		{Targets{Labels: []int32{1}}, true},
		{Targets{Labels: []int32{0}}, false},
		{Targets{[]int32{1}, []int32{0}, 0.5}, true},
		{Targets{[]int32{1}, []int32{0}, 0.4}, false},
		{Targets{[]int32{0}, []int32{1}, 0.4}, true},
		{Targets{[]int32{0}, []int32{1}, 0.5}, false},
	} {
		e := &engine{n: 1, targets: c.y}
		if _, got := e.imageLoss([]float32{-1, 2, 0}, make([]float32, 3), 0); got != c.want {
			t.Errorf("%+v: correct is %t, want %t", c.y, got, c.want)
		}
	}
}

// TestUnmixed: images mixed with nothing, or with their own class, are plain
// ones, to the bit.
func TestUnmixed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		x := make([]float32, 7)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		label := []int32{r.Int32N(7)}
		loss := func(y Targets) (float64, []float32) {
			e, g := &engine{n: 3, smoothing: 0.1, targets: y}, make([]float32, 7)
			l, _ := e.imageLoss(x, g, 0)
			return l, g
		}
		want, wantG := loss(Targets{Labels: label})
		if l, g := loss(Targets{label, []int32{3}, 1}); l != want || !slices.Equal(g, wantG) {
			t.Fatalf("share 1: loss %v, want %v", l, want)
		}
		if l, g := loss(Targets{[]int32{3}, label, 0}); l != want || !slices.Equal(g, wantG) {
			t.Fatalf("share 0: loss %v, want %v", l, want)
		}
	}
}

func TestTargetsCheck(t *testing.T) {
	for _, c := range []struct {
		y    Targets
		want string
	}{
		{Targets{[]int32{0, 4}, []int32{4, 0}, 0.5}, ""},
		{Targets{Labels: []int32{0, 5}}, "image 1 has label 5, want 0 to 4"},
		{Targets{[]int32{0, 1}, []int32{-1, 0}, 0.5}, "image 0 is mixed with label -1, want 0 to 4"},
		{Targets{[]int32{0, 1}, []int32{1}, 0.5}, "1 labels mixed into those of 2 images"},
		{Targets{[]int32{0, 1}, []int32{1, 0}, 1.5}, "share of the labels is 1.5, want 0 to 1"},
	} {
		err := c.y.check(5)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.y, err, c.want)
		}
	}
}
