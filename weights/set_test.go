package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"effnet/arch"
)

// tinySpec is a network with every op kind and odd widths.
func tinySpec(t testing.TB, blocks ...string) arch.Spec {
	t.Helper()
	if len(blocks) == 0 {
		blocks = []string{"ds_r1_k3_s1_e1_c8_se0.25", "ir_r2_k5_s2_e3_c12_se0.25"}
	}
	s := arch.Spec{
		Name: "tiny", Resolution: 16, Channels: 3, Classes: 7,
		Stem: arch.Stem{Width: 8, Kernel: 3, Stride: 2}, Head: 20,
		Act: arch.ActSwish, Padding: arch.PadSymmetric,
		BN:      arch.BatchNormConfig{Eps: 1e-3, Momentum: 0.01},
		Dropout: 0.2, DropPath: 0.2,
		Rule: arch.Rule{WidthDivisor: 4, WidthLimit: 0.9, Depth: arch.RoundUp},
		Prep: arch.Prep{Crop: 0.875, Filter: arch.Bicubic, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}},
	}
	for _, b := range blocks {
		st, err := arch.ParseStage(b)
		if err != nil {
			t.Fatal(err)
		}
		s.Stages = append(s.Stages, st)
	}
	return s
}

func tinyGraph(t testing.TB) *arch.Graph {
	t.Helper()
	g, err := tinySpec(t).Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestInitMoments(t *testing.T) {
	s := tinySpec(t, "ds_r1_k5_s1_c64", "ir_r1_k3_s1_e6_c256")
	s.Classes, s.Head, s.Stem.Width = 100, 512, 64
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	set := Init(g, 1)
	if err := set.Check(g); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		std  float64
	}{
		{"conv_head.weight", math.Sqrt(2.0 / 512)},
		{"blocks.0.0.conv_dw.weight", math.Sqrt(2.0 / 25)},
		{"blocks.1.0.conv_dw.weight", math.Sqrt(2.0 / 9)},
		{"conv_stem.weight", math.Sqrt(2.0 / (9 * 64))},
		{"classifier.weight", 1 / math.Sqrt(3*100)},
	} {
		var sum, sq, fourth float64
		d := set.Tensors[c.name].Data
		for _, v := range d {
			z := float64(v) / c.std
			sum += z
			sq += z * z
			fourth += z * z * z * z
		}
		n := float64(len(d))
		// Four standard errors of the mean and of the variance.
		if m := sum / n; math.Abs(m) > 4/math.Sqrt(n) {
			t.Errorf("%s: mean is %.4f standard deviations", c.name, m)
		}
		if v := sq / n; math.Abs(v-1) > 4*math.Sqrt(2/n) {
			t.Errorf("%s: variance is %.4f of the rule's", c.name, v)
		}
		kurtosis, tol := 3.0, 4*math.Sqrt(96/n)
		if c.name == "classifier.weight" {
			kurtosis, tol = 1.8, 0.05
		}
		if k := fourth / n; math.Abs(k-kurtosis) > tol {
			t.Errorf("%s: fourth moment is %.3f, want %.1f within %.3f", c.name, k, kurtosis, tol)
		}
	}
	for name, want := range map[string]float32{
		"bn1.weight": 1, "bn1.bias": 0, "bn1.running_mean": 0, "bn1.running_var": 1, "classifier.bias": 0,
	} {
		for _, v := range set.Tensors[name].Data {
			if v != want {
				t.Errorf("%s: has %v, want %v", name, v, want)
				break
			}
		}
	}
}

// TestInitBits pins the values of one seed: they are the same on every
// machine, today and later.
func TestInitBits(t *testing.T) {
	set := Init(tinyGraph(t), 42)
	h := sha256.New()
	for _, name := range set.Names() {
		binary.Write(h, binary.LittleEndian, set.Tensors[name].Data)
	}
	const want = "21025b59975e9528aee3ebf83028e4d9023014bb6d2e7c16a6c8194113aa63bb"
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("SHA-256 of seed 42 is %s, want %s", got, want)
	}
	if a, b := set.Tensors["conv_stem.weight"].Data[0], Init(tinyGraph(t), 43).Tensors["conv_stem.weight"].Data[0]; a == b {
		t.Errorf("seeds 42 and 43 both start with %v", a)
	}
}

func TestLogarithm(t *testing.T) {
	for x := 1e-30; x < 1e3; x *= 1.37 {
		if got, want := logarithm(x), math.Log(x); math.Abs(got-want) > 4e-16*max(1, math.Abs(want)) {
			t.Errorf("logarithm(%g) is %.17g, want %.17g", x, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	g := tinyGraph(t)
	for _, c := range []struct {
		name string
		edit func(s *Set)
		want string // empty: fits
	}{
		{"fits", func(*Set) {}, ""},
		{"missing", func(s *Set) { delete(s.Tensors, "bn2.weight") },
			"weights: bn2.weight: missing from the file, network wants [20]"},
		{"extra", func(s *Set) { s.Tensors["zz"] = Tensor{Shape: []int{2}, Data: make([]float32, 2)} },
			"weights: zz: file has [2], network has no such tensor"},
		{"shape", func(s *Set) {
			s.Tensors["blocks.1.0.conv_dw.weight"] = Tensor{Shape: []int{24, 1, 3, 3}, Data: make([]float32, 216)}
		},
			"weights: blocks.1.0.conv_dw.weight: file has [24 1 3 3], network wants [24 1 5 5]"},
		{"several", func(s *Set) { delete(s.Tensors, "conv_stem.weight"); delete(s.Tensors, "bn1.bias") },
			"weights: conv_stem.weight: missing from the file, network wants [8 3 3 3] (and 1 more mismatches)"},
		{"short", func(s *Set) { s.Tensors["bn1.bias"] = Tensor{Shape: []int{8}} },
			"weights: bn1.bias: shape [8] has 0 values, want 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Init(g, 1).Clone()
			c.edit(s)
			err := s.Check(g)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("error is %v, want %s", err, c.want)
			}
			var m *MismatchError
			if c.name != "short" && !errors.As(err, &m) {
				t.Errorf("error %T is no MismatchError", err)
			}
		})
	}
}
