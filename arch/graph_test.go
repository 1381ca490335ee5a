package arch

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// paramList is "name dimensions" of every tensor of a network, a line each.
func paramList(t *testing.T, s Spec) string {
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range g.Params() {
		fmt.Fprintln(&b, p.Name, strings.Trim(fmt.Sprint(p.Shape), "[]"))
	}
	return b.String()
}

// Names, shapes and order are those of timm's state dict. The lists are from
// timm 1.0.31:
//
//	for k, v in timm.create_model(name).state_dict().items():
//	    if not k.endswith("num_batches_tracked"): print(k, *v.shape)
func TestParamsAreTimms(t *testing.T) {
	want, err := os.ReadFile("testdata/timm_efficientnet_b0.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := paramList(t, MustLookup("efficientnet_b0")); got != string(want) {
		t.Errorf("efficientnet_b0 differs from timm's:\n%s", got)
	}
	// SHA-256 of the same list, first 8 bytes
	for name, want := range map[string]string{
		"efficientnet_b0":       "d25f18383ddb1576",
		"efficientnet_b1":       "0827bc83b7edaa3b",
		"efficientnet_b2":       "b6c61784d93f077f",
		"efficientnet_b3":       "0fcf12f56c0f34d0",
		"efficientnet_b4":       "89b5529c1c264fb4",
		"efficientnet_b5":       "b0bc53f827b06213",
		"efficientnet_b6":       "3747ce9c8b055310",
		"efficientnet_b7":       "52669d6f285dbe87",
		"efficientnet_b8":       "2fba72c81ea69bd4",
		"efficientnet_lite0":    "d97133e2ae199686",
		"efficientnet_lite1":    "7bb1b77a8963ec05",
		"efficientnet_lite2":    "0ec0c18abdd303fa",
		"efficientnet_lite3":    "48c1cc221c5b70e7",
		"efficientnet_lite4":    "b5aa1a0b608e517f",
		"tf_efficientnet_b3":    "0fcf12f56c0f34d0",
		"tf_efficientnet_lite4": "b5aa1a0b608e517f",
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(paramList(t, MustLookup(name)))))[:16]; got != want {
			t.Errorf("%s: tensors differ from timm's", name)
		}
	}
}

// Drop-path rates of B0: those of the blocks that have a residual.
func TestDropPath(t *testing.T) {
	g, err := MustLookup("b0").Graph()
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]float64{}
	for _, op := range g.Ops {
		if op.Kind == OpAdd {
			got[op.Block] = op.DropPath
		}
	}
	if len(got) != 9 {
		t.Errorf("B0 has %d residuals, want 9: %v", len(got), got)
	}
	for _, i := range []int{2, 4, 6, 7, 9, 10, 12, 13, 14} {
		if want := 0.2 * float64(i) / 16; got[i] != want {
			t.Errorf("block %d drops at %v, want %v", i, got[i], want)
		}
	}
}

func TestPad(t *testing.T) {
	for _, c := range []struct {
		rule                       PaddingRule
		n, kernel, stride          int
		wantBefore, wantAfter, out int
	}{
		{PadSame, 224, 3, 2, 0, 1, 112},
		{PadSame, 112, 5, 2, 1, 2, 56},
		{PadSame, 225, 3, 2, 1, 1, 113},
		{PadSame, 28, 5, 2, 1, 2, 14},
		{PadSame, 14, 3, 1, 1, 1, 14},
		{PadSame, 7, 1, 2, 0, 0, 4},
		{PadSymmetric, 224, 3, 2, 1, 1, 112},
		{PadSymmetric, 225, 3, 2, 1, 1, 113},
		{PadSymmetric, 28, 5, 2, 2, 2, 14},
		{PadSymmetric, 14, 5, 1, 2, 2, 14},
		{PadSymmetric, 7, 1, 2, 0, 0, 4},
	} {
		before, after, out := c.rule.pad(c.n, c.kernel, c.stride)
		if before != c.wantBefore || after != c.wantAfter || out != c.out {
			t.Errorf("%s n=%d k=%d s=%d: got %d,%d out %d, want %d,%d out %d", c.rule, c.n, c.kernel, c.stride, before, after, out, c.wantBefore, c.wantAfter, c.out)
		}
	}
	// Both rules agree on sizes: ceil(n/stride) for every odd kernel.
	rapid.Check(t, func(t *rapid.T) {
		n, k, s := rapid.IntRange(1, 300).Draw(t, "n"), 2*rapid.IntRange(0, 5).Draw(t, "k")+1, rapid.IntRange(1, 4).Draw(t, "s")
		for _, rule := range []PaddingRule{PadSame, PadSymmetric} {
			if _, _, out := rule.pad(n, k, s); out != (n+s-1)/s {
				t.Fatalf("%s n=%d k=%d s=%d: out %d", rule, n, k, s, out)
			}
		}
	})
}

// reduction_1 and so on; those of B0 are TensorFlow's, those of ResNet timm's.
func TestTaps(t *testing.T) {
	for name, want := range map[string][]Shape{
		"b0":       {{112, 112, 16}, {56, 56, 24}, {28, 28, 40}, {14, 14, 112}, {7, 7, 320}},
		"resnet50": {{112, 112, 64}, {56, 56, 256}, {28, 28, 512}, {14, 14, 1024}, {7, 7, 2048}},
	} {
		g, err := MustLookup(name).Graph()
		if err != nil {
			t.Fatal(err)
		}
		var got []Shape
		for _, i := range g.Taps {
			got = append(got, g.Ops[i].Shape)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	// The stem's output is one where the first block strides, unless it is as
	// large as the image.
	s := MustLookup("b0")
	s.Stages = rows("ds_k3_s2_c8", "ds_k3_s2_c16")
	for stride, want := range map[int]int{1: 2, 2: 3} {
		s.Stem.Stride = stride
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Taps) != want {
			t.Errorf("stem of stride %d: %d taps, want %d", stride, len(g.Taps), want)
		}
	}
	g, err := MustLookup("b0").Graph()
	if err != nil {
		t.Fatal(err)
	}
	if m, f := g.Ops[g.HeadMap].Shape, g.Ops[g.Features].Shape; m != (Shape{7, 7, 1280}) || f != (Shape{1, 1, 1280}) {
		t.Errorf("head map %v, features %v", m, f)
	}
}

// What every reader of a graph relies on.
func TestGraphIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSpec(t)
		s.Resolution = max(s.Resolution, s.MinResolution())
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for i, op := range g.Ops {
			if names[op.Name] {
				t.Fatalf("two ops are called %s", op.Name)
			}
			names[op.Name] = true
			for _, j := range op.In {
				if j < 0 || j >= i {
					t.Fatalf("op %d (%s) reads op %d", i, op.Name, j)
				}
			}
			arity := 1
			switch op.Kind {
			case OpInput:
				arity = 0
			case OpGate, OpAdd:
				arity = 2
			}
			if len(op.In) != arity {
				t.Fatalf("%s (%s) has %d inputs, want %d", op.Name, op.Kind, len(op.In), arity)
			}
			if op.Kind == OpAdd && g.Ops[op.In[0]].Shape != g.Ops[op.In[1]].Shape {
				t.Fatalf("%s adds %v and %v", op.Name, g.Ops[op.In[0]].Shape, g.Ops[op.In[1]].Shape)
			}
			if op.Kind == OpConv || op.Kind == OpMaxPool {
				in := g.Ops[op.In[0]].Shape
				if h := (in.H+op.Pad.Top+op.Pad.Bottom-op.Kernel)/op.Stride + 1; h != op.Shape.H {
					t.Fatalf("%s makes %d rows of %d padded by %+v, want %d", op.Name, op.Shape.H, in.H, op.Pad, h)
				}
			}
		}
		if out := g.Ops[g.Output()]; out.Kind != OpLinear || out.Shape != (Shape{1, 1, s.Classes}) {
			t.Fatalf("the last op is %s %v", out.Kind, out.Shape)
		}
	})
}

func TestMinResolution(t *testing.T) {
	for name, want := range map[string]int{"b0": 17, "small_1m": 5, "small_5m": 5, "resnet50": 17} {
		s := MustLookup(name)
		if got := s.MinResolution(); got != want {
			t.Errorf("%s needs %d pixels, want %d", name, got, want)
		}
		if _, err := s.GraphAt(want); err != nil {
			t.Error(err)
		}
		if _, err := s.GraphAt(want - 1); err == nil {
			t.Errorf("%s is valid at %d pixels", name, want-1)
		}
	}
	// Strides that no resolution satisfies do not overflow.
	s := MustLookup("small_1m")
	s.Stages = slices.Repeat(rows("ds_r1_k3_s8_c8"), 100)
	if _, err := s.Graph(); err == nil || !strings.HasSuffix(err.Error(), "; use fewer strides") {
		t.Errorf("got %v", err)
	}
}
