package train

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"effnet/arch"
	"effnet/internal/ref/golden"
	"effnet/weights"
)

// netSpec is a small network; edit changes what a test is about.
func netSpec(res, channels int, rows ...string) arch.Spec {
	s := arch.Spec{
		Name: "test", Resolution: res, Channels: channels, Classes: 5,
		Stem: arch.Stem{Width: 8, Kernel: 3, Stride: 1}, Head: 24,
		Act: arch.ActSwish, Padding: arch.PadSame, BN: arch.BatchNormConfig{Eps: 1e-3, Momentum: 0.1},
		Rule: arch.Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: arch.RoundUp},
		Prep: arch.Prep{Crop: 1, Filter: arch.Bilinear, Mean: make([]float64, channels), Std: make([]float64, channels)},
	}
	for i := range s.Prep.Std {
		s.Prep.Std[i] = 1
	}
	for _, r := range rows {
		st, err := arch.ParseStage(r)
		if err != nil {
			panic(err)
		}
		s.Stages = append(s.Stages, st)
	}
	return s
}

func graphOf(t testing.TB, s arch.Spec) *arch.Graph {
	t.Helper()
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestNetworks compares whole steps with the oracle on networks that differ in
// one thing each.
func TestNetworks(t *testing.T) {
	base := []string{"ds_r1_k3_s1_c8_se0.25", "ir_r2_k3_s2_e4_c16_se0.25", "ir_r2_k5_s2_e3_c24_se0.25"}
	cases := []struct {
		name string
		n    int
		net  func() arch.Spec
	}{
		{"base", 5, func() arch.Spec { return netSpec(12, 1, base...) }},
		{"one image", 1, func() arch.Spec { return netSpec(12, 1, base...) }},
		{"more images than lanes", 19, func() arch.Spec { return netSpec(8, 3, base...) }},
		{"odd size", 5, func() arch.Spec { return netSpec(13, 3, base...) }},
		{"symmetric padding", 5, func() arch.Spec { s := netSpec(13, 3, base...); s.Padding = arch.PadSymmetric; return s }},
		{"symmetric padding, even size", 5, func() arch.Spec { s := netSpec(12, 3, base...); s.Padding = arch.PadSymmetric; return s }},
		{"relu", 5, func() arch.Spec { s := netSpec(12, 3, base...); s.Act = arch.ActReLU; return s }},
		{"relu6", 5, func() arch.Spec { s := netSpec(12, 3, base...); s.Act = arch.ActReLU6; return s }},
		{"identity", 5, func() arch.Spec { s := netSpec(12, 3, base...); s.Act = arch.ActIdentity; return s }},
		{"an activation per stage", 5, func() arch.Spec {
			return netSpec(12, 3, "ds_r1_k3_s1_c8_nre", "ir_r2_k3_s2_e4_c16_se0.25_nr6", "ir_r2_k5_s1_e3_c24_nsw")
		}},
		{"no head", 5, func() arch.Spec { s := netSpec(12, 3, base...); s.Head = 0; return s }},
		{"no head, ends in a residual", 5, func() arch.Spec {
			s := netSpec(12, 3, "ir_r2_k3_s2_e4_c16")
			s.Head = 0
			return s
		}},
		{"no squeeze and excite", 5, func() arch.Spec { return netSpec(12, 3, "ds_r2_k3_s1_c8", "ir_r3_k3_s2_e4_c16") }},
		{"no skip", 5, func() arch.Spec { return netSpec(12, 3, "ds_r2_k3_s1_c8_noskip", "ir_r3_k3_s2_e4_c16_se0.5_noskip") }},
		{"stem act read by conv and skip", 5, func() arch.Spec { return netSpec(9, 1, "ds_r1_k3_s1_c8", "ir_r1_k3_s1_e2_c16") }},
		{"big kernels and strides", 5, func() arch.Spec {
			s := netSpec(17, 2, "ir_r1_k7_s3_e2_c8_se0.25", "ds_r1_k5_s2_c16")
			s.Stem = arch.Stem{Width: 10, Kernel: 5, Stride: 2}
			return s
		}},
		{"1x1 kernels", 5, func() arch.Spec {
			s := netSpec(9, 2, "ir_r2_k1_s2_e2_c8", "ds_r1_k1_s1_c16")
			s.Stem = arch.Stem{Width: 10, Kernel: 1, Stride: 2}
			return s
		}},
		{"1x1 stem of stride 1", 5, func() arch.Spec {
			s := netSpec(6, 2, "ir_r2_k3_s1_e2_c8")
			s.Stem = arch.Stem{Width: 10, Kernel: 1, Stride: 1}
			return s
		}},
		{"last maps of one pixel", 6, func() arch.Spec { return netSpec(4, 1, "ir_r1_k3_s2_e2_c8_se0.25", "ir_r2_k3_s2_e4_c16_se0.25") }},
		{"odd widths", 5, func() arch.Spec {
			s := netSpec(10, 3, "ds_r1_k3_s1_c7_se0.25", "ir_r2_k3_s2_e3.5_c13_se0.25")
			s.Stem.Width = 5
			s.Rule.WidthDivisor = 1
			s.Head = 19
			return s
		}},
		{"fused", 5, func() arch.Spec {
			return netSpec(12, 3, "cn_r2_k3_s1_c8_skip", "er_r2_k3_s2_e4_c16", "er_r2_k5_s1_e1_c16_se0.25_fc20", "ir_r1_k3_s2_e4_c24_se0.25")
		}},
		{"fused, more images than lanes", 19, func() arch.Spec { return netSpec(8, 3, "er_r1_k3_s1_e2_c12", "cn_r1_k3_s2_c16") }},
		{"large maps", 3, func() arch.Spec { return netSpec(33, 1, "ds_r1_k3_s1_c8_se0.25", "ir_r1_k3_s2_e2_c8") }},
		{"fused, relu, drop path", 7, func() arch.Spec {
			s := netSpec(13, 3, "er_r1_k3_s1_e2_c8_fc12_noskip", "cn_r3_k3_s1_c8_skip", "er_r3_k3_s2_e2_c16")
			s.Act, s.Padding, s.DropPath = arch.ActReLU, arch.PadSymmetric, 0.6
			return s
		}},
		{"mobilenet v1", 5, func() arch.Spec {
			s := netSpec(12, 3, "dsa_r1_k3_s1_c16", "dsa_r2_k3_s2_c24", "dsa_r1_k3_s1_c24_se0.25")
			s.Act, s.Head = arch.ActReLU6, 0
			return s
		}},
		{"hard activations", 5, func() arch.Spec {
			s := netSpec(12, 3, base...)
			s.Act = arch.ActHardSwish
			s.SE = arch.SEConfig{FromExpanded: true, Divisor: 8, Act: arch.ActReLU, Gate: arch.ActHardSigmoid}
			return s
		}},
		{"resnet", 5, func() arch.Spec {
			s := netSpec(22, 3, "basic_r2_k3_s1_c16", "bottle_r2_k3_s2_e0.25_c32", "basic_r2_k3_s1_e0.5_c32")
			s.Stem, s.Act, s.Head, s.Padding = arch.Stem{Width: 16, Kernel: 7, Stride: 2, Pool: 3}, arch.ActReLU, 0, arch.PadSymmetric
			return s
		}},
		{"resnet, swish, SAME padding, drop path", 7, func() arch.Spec {
			s := netSpec(21, 3, "bottle_r3_k3_s1_e0.25_c32", "basic_r2_k3_s2_c8")
			s.Stem.Pool, s.DropPath = 3, 0.6
			return s
		}},
		{"blocks of every kind", 6, func() arch.Spec {
			return netSpec(12, 3, "basic_r1_k3_c8", "cn_r2_k3_c8_skip", "ds_r1_k3_c8", "bottle_r2_k3_s2_e0.5_c16", "er_r2_k3_e2_c16", "ir_r2_k3_e2_c16_se0.25")
		}},
		{"dropout and drop path", 11, func() arch.Spec {
			s := netSpec(10, 3, "ds_r2_k3_s1_c8", "ir_r3_k3_s2_e2_c16_se0.25")
			s.Dropout, s.DropPath = 0.4, 0.6
			return s
		}},
	}
	for _, c := range cases {
		g := graphOf(t, c.net())
		x, y := batch(g, c.n, 7)
		all := kernels()
		for i, k := range slices.Concat(all, all, all[:1]) {
			t.Run(c.name+"/"+k, func(t *testing.T) {
				if i >= len(all) {
					winogradAnywhere(t)
				}
				if i == 2*len(all) {
					narrowBands(t)
				}
				tr := compileFor(t, g, golden.Weights(g), Config{Batch: c.n + 2, Threads: 2, Kernel: k, Seed: 3, LabelSmoothing: 0.1})
				checkAgainstOracle(t, tr, g, x, y)
			})
		}
	}
}

// winogradAnywhere has all 3x3 convolutions that can be done in Winograd's way.
func winogradAnywhere(t interface{ Cleanup(func()) }) {
	anyWinograd = true
	t.Cleanup(func() { anyWinograd = false })
}

// narrowBands gives depthwise convolutions bands of one row, and Winograd's chunks
// of a pair of rows.
func narrowBands(t interface{ Cleanup(func()) }) {
	oneRowBands = true
	t.Cleanup(func() { oneRowBands = false })
}

// TestRandomNetworks draws networks that arch can describe.
func TestRandomNetworks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rows []string
		for range rapid.IntRange(1, 3).Draw(t, "stages") {
			kind := rapid.SampledFrom([]string{"ds", "ir_e2", "ir_e4", "dsa", "er_e1", "er_e3_fc7", "cn", "cn_skip", "basic", "bottle_e0.5"}).Draw(t, "kind")
			row := fmt.Sprintf("%s_r%d_k%d_s%d_c%d", kind, rapid.IntRange(1, 2).Draw(t, "r"),
				rapid.SampledFrom([]int{1, 3, 5}).Draw(t, "k"), rapid.IntRange(1, 2).Draw(t, "s"), rapid.IntRange(3, 12).Draw(t, "c"))
			row += rapid.SampledFrom([]string{"", "_nre", "_nr6", "_nsw", "_nhs"}).Draw(t, "act")
			if !strings.HasPrefix(kind, "b") && !strings.HasPrefix(kind, "cn") {
				row += rapid.SampledFrom([]string{"", "_se0.25", "_se0.5"}).Draw(t, "se")
				row += rapid.SampledFrom([]string{"", "", "_noskip"}).Draw(t, "skip")
			}
			rows = append(rows, row)
		}
		s := netSpec(rapid.IntRange(8, 11).Draw(t, "resolution"), rapid.IntRange(1, 3).Draw(t, "channels"), rows...)
		s.Padding = rapid.SampledFrom([]arch.PaddingRule{arch.PadSame, arch.PadSymmetric}).Draw(t, "padding")
		s.Stem.Width = rapid.IntRange(3, 12).Draw(t, "stem")
		s.Stem.Kernel = rapid.SampledFrom([]int{1, 3, 5}).Draw(t, "stem kernel")
		s.Stem.Pool = rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "stem pool")
		s.Head = rapid.SampledFrom([]int{0, 7, 16}).Draw(t, "head")
		s.Rule.WidthDivisor = rapid.SampledFrom([]int{1, 8}).Draw(t, "divisor")
		s.Dropout = rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "dropout")
		s.DropPath = rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "drop path")
		g, err := s.Graph()
		if err != nil {
			t.Skip(err)
		}
		n := rapid.IntRange(4, 9).Draw(t, "images")
		cfg := Config{
			Batch: n, Threads: rapid.IntRange(1, 3).Draw(t, "threads"), Seed: 1, LabelSmoothing: 0.1,
			Kernel: rapid.SampledFrom(kernels()).Draw(t, "kernel"), Optimizer: Optimizer{Kind: SGD, Decay: DecayAll},
		}
		if rapid.Bool().Draw(t, "narrow bands") {
			narrowBands(t)
		}
		if rapid.Bool().Draw(t, "winograd") {
			winogradAnywhere(t)
		}
		tr, err := Compile(g, golden.Weights(g), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		x, y := batch(g, n, 5)
		checkAgainstOracle(t, tr, g, x, y)
	})
}

// TestZoo takes a step of a real network. The stem's stride is 1, so that the
// last maps keep enough pixels for well-conditioned batch norms.
func TestZoo(t *testing.T) {
	for _, name := range []string{"small_300k", "small_1m"} {
		s, err := arch.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		s.Stem.Stride, s.Classes = 1, 10
		g, err := s.GraphAt(32)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			tr := compileFor(t, g, weights.Init(g, 1), Config{Batch: 8, Threads: 2, LabelSmoothing: 0.1})
			x, y := batch(g, 8, 1)
			checkAgainstOracle(t, tr, g, x, y)
		})
	}
}

// TestBases takes steps of whole networks with other blocks than B0, on one
// batch, whose loss must fall. The rate is tiny: the gradients of such deep
// networks on eight images are steep.
func TestBases(t *testing.T) {
	if testing.Short() {
		t.Skip("networks of full width")
	}
	for _, name := range []string{"efficientnetv2_b0", "mobilenetv1_100", "resnet50"} {
		t.Run(name, func(t *testing.T) {
			s, err := arch.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			s.Classes, s.Dropout, s.DropPath = 10, 0, 0
			g, err := s.GraphAt(64)
			if err != nil {
				t.Fatal(err)
			}
			const n = 8
			tr := compileFor(t, g, weights.Init(g, 1), Config{Batch: n, Threads: 2, Optimizer: optimizer(t, SGD)})
			x, y := batch(g, n, 1)
			var losses []float64
			for range 2 {
				losses = append(losses, step(t, tr, x, y, 1e-6).Loss)
			}
			if !(losses[1] < losses[0]) {
				t.Errorf("losses %v do not fall", losses)
			}
		})
	}
}
