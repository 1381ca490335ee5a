package arch

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"effnet/internal/alloctest"
)

func TestParseStage(t *testing.T) {
	for _, c := range []struct {
		text string
		want Stage
		out  string // where the usual order differs from text
	}{
		{"ir_r2_k3_s2_e6_c24_se0.25", Stage{Block: InvertedResidual, Repeats: 2, Kernel: 3, Stride: 2, Expand: 6, Width: 24, SERatio: 0.25}, ""},
		{"ds_k3_c16", Stage{Block: DepthwiseSeparable, Repeats: 1, Kernel: 3, Stride: 1, Expand: 1, Width: 16}, "ds_r1_k3_s1_e1_c16"},
		{"ir_c8_e2.5_k5_noskip_nre", Stage{Block: InvertedResidual, Repeats: 1, Kernel: 5, Stride: 1, Expand: 2.5, Width: 8, NoSkip: true, Act: ActReLU}, "ir_r1_k5_s1_e2.5_c8_nre_noskip"},
		{"ir_r1_k3_s1_e1e-05_c8_nr6", Stage{Block: InvertedResidual, Repeats: 1, Kernel: 3, Stride: 1, Expand: 1e-05, Width: 8, Act: ActReLU6}, ""},
		{"ir_r1_k3_s1_e4_c8_nsw", Stage{Block: InvertedResidual, Repeats: 1, Kernel: 3, Stride: 1, Expand: 4, Width: 8, Act: ActSwish}, ""},
		{"ir_r1_k3_s1_e4_c8_nhs", Stage{Block: InvertedResidual, Repeats: 1, Kernel: 3, Stride: 1, Expand: 4, Width: 8, Act: ActHardSwish}, ""},
		{"dsa_r2_k3_s2_c128", Stage{Block: DepthwiseSeparableAct, Repeats: 2, Kernel: 3, Stride: 2, Expand: 1, Width: 128, NoSkip: true}, "dsa_r2_k3_s2_e1_c128"},
		{"er_r1_k3_s1_e4_c24_fc24_noskip", Stage{Block: EdgeResidual, Repeats: 1, Kernel: 3, Stride: 1, Expand: 4, Width: 24, ForceIn: 24, NoSkip: true}, ""},
		{"er_r2_k3_s1_e1_c24_se0.25", Stage{Block: EdgeResidual, Repeats: 2, Kernel: 3, Stride: 1, Expand: 1, Width: 24, SERatio: 0.25}, ""},
		{"cn_r2_k3_s1_e1_c24_skip", Stage{Block: ConvNormAct, Repeats: 2, Kernel: 3, Stride: 1, Expand: 1, Width: 24}, ""},
		{"cn_k1_c24_noskip", Stage{Block: ConvNormAct, Repeats: 1, Kernel: 1, Stride: 1, Expand: 1, Width: 24, NoSkip: true}, "cn_r1_k1_s1_e1_c24"},
		{"basic_r2_k3_c64", Stage{Block: Basic, Repeats: 2, Kernel: 3, Stride: 1, Expand: 1, Width: 64}, "basic_r2_k3_s1_e1_c64"},
		{"bottle_r3_k3_s2_e0.25_c512", Stage{Block: Bottleneck, Repeats: 3, Kernel: 3, Stride: 2, Expand: 0.25, Width: 512}, ""},
	} {
		got, err := ParseStage(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v %v, want %+v", c.text, got, err, c.want)
		}
		out := c.out
		if out == "" {
			out = c.text
		}
		if got.String() != out {
			t.Errorf("%s: prints as %s, want %s", c.text, &got, out)
		}
	}
}

func TestParseStageErrors(t *testing.T) {
	for _, c := range []struct {
		text   string
		column int
		msg    string
	}{
		{"", 1, `unknown block kind "", want ds, dsa, ir, er, cn, basic or bottle`},
		{"uir_k3_c8", 1, `unknown block kind "uir", want ds`},
		{"IR_k3_c8", 1, `unknown block kind "IR"`},
		{"ir_k3_c8_e6_", 13, `unknown token ""`},
		{"ir__k3", 4, `unknown token ""`},
		{"ir_k3_c8_e6_foo", 13, `unknown token "foo", want one of r k s e c se fc nre nr6 nsw nhs skip noskip`},
		{"ir_k3_k5_c8", 7, `"k5" repeats a token given before`},
		{"ir_k3_c8_nre_nsw", 14, `"nsw" repeats a token given before`},
		{"ir_k4_c8", 4, "kernel 4 is even, want an odd one"},
		{"ir_k33_c8", 4, `token "k33": want a whole number from 1 to 31`},
		{"ir_k3_c65537", 7, "want a whole number from 1 to 65536"},
		{"ir_r1.5_k3", 4, "want a whole number from 1 to 1000"},
		{"ir_r+2_k3", 4, "want a whole number from 1 to 1000"},
		{"ir_s9_k3", 4, "want a whole number from 1 to 8"},
		{"ir_s0_k3", 4, "want a whole number from 1 to 8"},
		{"ir_s-1_k3", 4, "want a whole number from 1 to 8"},
		{"ir_r99999999999999999999_k3", 4, "want a whole number"},
		{"ir_e0_k3", 4, "want a number above 0, at most 64"},
		{"ir_eNaN_k3", 4, `unknown token "eNaN"`},
		{"ir_e65_k3", 4, "want a number above 0, at most 64"},
		{"ir_e0x1p1_k3", 4, "want a number above 0, at most 64"},
		{"ir_k3_c8_se1.5", 10, "want a number above 0, at most 1"},
		{"ir_k3_c8_se0", 10, "want a number above 0, at most 1"},
		{"ir_k3_c8_noskip2", 10, `unknown token "noskip2"`},
		{"ir_e6_c8", 1, "no kernel size, add a token such as k3"},
		{"ir_e6_k3", 1, "no output channels, add a token such as c24"},
		{"ds_k3_c8_e6", 1, "ds blocks do not expand, but e6 was given; use ir"},
		{"ir_k3_c8", 1, "ir with e1 is ambiguous"},
		{"dsa_k3_c8_e6", 1, "dsa blocks do not expand, but e6 was given; use ir"},
		{"cn_k3_c8_e4", 1, "cn blocks do not expand, but e4 was given; use er"},
		{"cn_k3_c8_se0.25", 1, "cn blocks have no squeeze-and-excite, but se0.25 was given"},
		{"bottle_k3_c8_e0.25_se0.5", 1, "bottle blocks have no squeeze-and-excite"},
		{"ir_k3_c8_e6_fc24", 1, "fc24 was given, which only er blocks take"},
		{"er_k3_c8_e6_fc0", 13, "want a whole number from 1 to 65536"},
		{"er_k3_c8_e6_skip", 13, `er blocks take no "skip", only cn does`},
		{"basic_k3_c8_noskip", 13, `basic blocks always have a shortcut, but "noskip" was given`},
		{"cn_k3_c8_skip_noskip", 15, `"noskip" repeats a token given before`},
		{"cn_k3_c8_skip1", 10, `unknown token "skip1"`},
		{"ir_k3_c8_e6_gs16", 13, `unknown token "gs16"`},
		{"ir_k3.5.7_c8_e6", 4, "want a whole number from 1 to 31"},
		{"ir_" + strings.Repeat("k3_", 1000), 200, "the string is longer than 200 bytes"},
	} {
		_, err := ParseStage(c.text)
		var be *BlockError
		if !errors.As(err, &be) || be.Column != c.column || !strings.Contains(be.Msg, c.msg) {
			t.Errorf("%.40s: got %v, want column %d, %s", c.text, err, c.column, c.msg)
		}
	}
}

func TestStageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := genStage(t)
		back, err := ParseStage(st.String())
		if err != nil || back != st {
			t.Fatalf("%+v prints as %s, reads as %+v %v", st, &st, back, err)
		}
	})
}

func FuzzParseStage(f *testing.F) {
	for _, s := range []string{"ds_r1_k3_s1_e1_c16_se0.25", "ir_r2_k5_s2_e6_c40_nre_noskip", "ir_k3_c8", "ir__", "ir_e0x1p1", "é_k3", "er_k3_e4_c24_fc24_noskip", "cn_k3_c8_skip", "bottle_r3_k3_e0.25_c256_nhs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var st Stage
		var err error
		alloctest.Bounded(t, len(s), func() { st, err = ParseStage(s) })
		if err != nil {
			var be *BlockError
			if !errors.As(err, &be) || be.Column < 1 || be.Column > len(s)+1 || strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 2000 {
				t.Fatalf("error %T %q", err, err)
			}
			return
		}
		back, err := ParseStage(st.String())
		if err != nil || back != st {
			t.Fatalf("%s reads as %+v, prints as %s, reads as %+v %v", s, st, &st, back, err)
		}
	})
}
