package arch

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// CostAt agrees with the graph on every number, and fails where it fails.
func TestCostAtEqualsGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSpec(t)
		quick, err := s.CostAt(s.Resolution)
		g, gerr := s.Graph()
		if (err == nil) != (gerr == nil) {
			t.Fatalf("CostAt says %v, Graph %v", err, gerr)
		}
		if err != nil {
			if err.Error() != gerr.Error() {
				t.Fatalf("CostAt says %v, Graph %v", err, gerr)
			}
			if s.MinResolution() <= s.Resolution {
				t.Fatalf("%v, yet MinResolution is %d", err, s.MinResolution())
			}
			return
		}
		if s.MinResolution() > s.Resolution {
			t.Fatalf("valid at %d pixels, yet MinResolution is %d", s.Resolution, s.MinResolution())
		}
		if c := g.Cost(); quick != c.Totals {
			t.Fatalf("CostAt %+v\nGraph  %+v", quick, c.Totals)
		}
	})
}

// The limits hold in both, whatever the sizes.
func TestCostLimits(t *testing.T) {
	base := MustLookup("small_1m")
	for _, c := range []struct {
		name  string
		edit  func(s *Spec)
		field string
		stage int
	}{
		{"image", func(s *Spec) { s.Resolution, s.Channels, s.Prep = 1<<14, 1024, Prep{} }, "stem", -1},
		{"stem", func(s *Spec) { s.Resolution, s.Stem.Width = 1<<14, 1<<16 }, "stem", -1},
		{"tensor", func(s *Spec) { s.Resolution, s.Stages[1].Width = 1<<12, 1<<16 }, "blocks", 1},
		{"weight", func(s *Spec) { s.Stages[2].Width = 1 << 16; s.Stages[2].Expand = 64; s.Stages[2].Repeats = 2 }, "blocks", 2},
		{"head", func(s *Spec) { s.Resolution = 1 << 12; s.Head = 1 << 16 }, "head", -1},
		{"classifier", func(s *Spec) { s.Head = 1 << 16; s.Classes = 1 << 20 }, "head", -1},
		{"strides", func(s *Spec) { s.Stages[3].Stride = 5; s.Resolution = 9 }, "resolution", -1},
		// as much work as the limits allow: 4096 blocks near the largest tensors and weights
		{"MACs", func(s *Spec) {
			s.Resolution = 1 << 8
			s.Stem = Stem{1 << 14, 1, 1, 0}
			s.Stages = rows("ir_r1000_k3_e2_c16384", "ir_r1000_k3_e2_c16384", "ir_r1000_k3_e2_c16384", "ir_r1000_k3_e2_c16384")
		}, "", 0},
	} {
		s := base
		s.Stages = append([]Stage(nil), base.Stages...)
		c.edit(&s)
		_, err := s.CostAt(s.Resolution)
		g, gerr := s.Graph()
		if c.field == "" {
			if err != nil || gerr != nil {
				t.Errorf("%s: got %v and %v, want none", c.name, err, gerr)
			} else if q, _ := s.CostAt(s.Resolution); q != g.Cost().Totals || q.MACs < 1<<57 {
				t.Errorf("%s: CostAt %+v\nGraph %+v", c.name, q, g.Cost().Totals)
			}
			continue
		}
		fe, ok := err.(*FieldError)
		ge, gok := gerr.(*FieldError)
		if !ok || !gok || fe.Field != c.field || fe.Stage != c.stage || *fe != *ge {
			t.Errorf("%s: got %#v and %#v, want field %s of stage %d", c.name, err, gerr, c.field, c.stage)
		}
	}
}

// A network small enough to count by hand: 6x6x1 -> stem 3x3/2 to 2 channels
// -> one MBConv2 (2 -> 4 -> 2, SE 1) with a shortcut -> pool -> 3 classes.
func TestCostByHand(t *testing.T) {
	s := Spec{
		Name: "tiny", Resolution: 6, Channels: 1, Classes: 3,
		Stem:    Stem{Width: 2, Kernel: 3, Stride: 2},
		Stages:  rows("ir_r1_k3_s1_e2_c2_se1"),
		Act:     ActSwish,
		Padding: PadSame,
		BN:      BatchNormConfig{Eps: 1e-3, Momentum: 0.1},
		Rule:    Rule{WidthDivisor: 1, WidthLimit: 0.9, Depth: RoundUp},
	}
	// elements: image 36, stem 18, expand 36, dw 36, pool 4, reduce 2, excite 4, project 18
	want := Totals{
		MACs:          18*9 + 36*2 + 36*9 + 2*4 + 4*2 + 18*4 + 2*3,
		DepthwiseMACs: 36 * 9,
		Params:        (18 + 4) + (8 + 8) + (36 + 8) + (8 + 2) + (8 + 4) + (8 + 4) + (6 + 3),
		Buffers:       4 + 8 + 8 + 4,
		Activations:   18 + 36 + 36 + 2 + 4 + 18,
		PeakBytes:     4 * (18 + 36 + 36),                                                       // the shortcut, both sides of the depthwise convolution
		TrainBytes:    4 * (36 + 18 + 18 + 36 + 36 + 4 + 2 + 4 + 18 + 2 + 3 + (36 + 2*36 + 18)), // waiting, and the depthwise convolution at work
	}
	c := mustCost(t, s)
	if c.Totals != want {
		t.Errorf("got  %+v\nwant %+v", c.Totals, want)
	}
	// the depthwise convolution reads 36 elements and 36 weights and writes 36 elements
	if got := c.Ops[7]; got != (OpCost{MACs: 324, Params: 36, Activations: 36, Bytes: 4 * (36 + 36 + 36)}) {
		t.Errorf("depthwise convolution: %+v", got)
	}
	rows := []StageCost{
		{"stem", "Conv3x3", Shape{6, 6, 1}, 2, 1, 2, 22, 162},
		{"1", "MBConv2, k3x3", Shape{3, 3, 2}, 2, 1, 1, 94, 484},
		{"classifier", "Pooling & FC", Shape{3, 3, 2}, 3, 1, 1, 9, 6},
	}
	if !reflect.DeepEqual(c.Stages, rows) {
		t.Errorf("got  %+v\nwant %+v", c.Stages, rows)
	}
}

// Stages and ops sum to the totals.
func TestCostSums(t *testing.T) {
	for _, name := range Names() {
		c := mustCost(t, MustLookup(name))
		var ops, stages Totals
		for _, o := range c.Ops {
			ops.MACs += o.MACs
			ops.Params += o.Params
			ops.Buffers += o.Buffers
			ops.Activations += o.Activations
		}
		for _, r := range c.Stages {
			stages.MACs += r.MACs
			stages.Params += r.Params
		}
		if ops.MACs != c.MACs || ops.Params != c.Params || ops.Buffers != c.Buffers || ops.Activations != c.Activations || stages.MACs != c.MACs || stages.Params != c.Params {
			t.Errorf("%s: ops %+v, stages %+v, totals %+v", name, ops, stages, c.Totals)
		}
	}
}

// Every kind of op has a cost rule: Cost panics on one it does not know.
func TestCostKnowsKinds(t *testing.T) {
	for k := range Kind(NumKinds) {
		g := &Graph{Ops: []Op{
			{Kind: OpInput, Shape: Shape{1, 1, 1}, Stage: 0, Block: -1},
			{Kind: k, In: []int{0, 0}, Shape: Shape{1, 1, 1}, Groups: 1, Stage: 0, Block: -1},
		}}
		g.Cost()
	}
}

func TestCostAtAllocates(t *testing.T) {
	s := MustLookup("b7")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.CostAt(600); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("CostAt allocates %v times, want 0", n)
	}
}

func BenchmarkCostAt(b *testing.B) {
	s := MustLookup("b7")
	for b.Loop() {
		s.CostAt(600)
	}
}

func BenchmarkScaleCostAt(b *testing.B) {
	s := MustLookup("b0")
	for b.Loop() {
		t, _ := s.Scale(Factors{1.2, 1.1, 260})
		t.CostAt(260)
	}
}
