package arch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/internal/alloctest"
)

// Text round-trips exactly, both ways.
func TestYAMLRoundTrip(t *testing.T) {
	check := func(t interface {
		Fatalf(string, ...any)
	}, s Spec) {
		text := s.YAML()
		back, err := ParseSpec("x.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if d := cmp.Diff(s, back); d != "" {
			t.Fatalf("%s\n%s", d, text)
		}
		if again := back.YAML(); string(again) != string(text) {
			t.Fatalf("got\n%s\nwant\n%s", again, text)
		}
	}
	for _, name := range Names() {
		check(t, MustLookup(name))
	}
	rapid.Check(t, func(t *rapid.T) {
		s := genSpec(t)
		s.Resolution = max(s.Resolution, s.MinResolution())
		check(t, s)
	})
}

func TestYAMLText(t *testing.T) {
	want := `name: small_1m
resolution: 28
channels: 1
classes: 10
stem: {width: 16, kernel: 3, stride: 2, pool: 0}
blocks:
  - ds_r1_k3_s1_e1_c16
  - ir_r2_k3_s2_e4_c24_se0.25
head: 128
act: swish
padding: symmetric
bn: {eps: 0.001, momentum: 0.1}
se: {base: input, divisor: 0, act: block, gate: sigmoid}
dropout: 0.1
drop_path: 0
scaling:
  depth: round
  width_divisor: 2
  width_limit: 0
  fix_stem: false
  fix_head: false
  fix_ends: false
  min_head: 0
preprocessing:
  crop: 1
  squash: false
  filter: bilinear
  mean: [0.286]
  std: [0.353]
`
	s := MustLookup("small_1m")
	s.Stem = Stem{16, 3, 2, 0}
	s.Stages = rows("ds_r1_k3_s1_e1_c16", "ir_r2_k3_s2_e4_c24_se0.25")
	s.Head = 128
	s.Dropout, s.DropPath = 0.1, 0
	if got := string(s.YAML()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A file says as little as its writer likes.
func TestShortFile(t *testing.T) {
	s, err := ParseSpec("x.yaml", []byte(`
# two stages are enough
name: mine
channels: 1
stem: {width: 16}
blocks: [ds_k3_c16, "ir_r2_k5_s2_e4_c24"]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Spec{
		Name: "mine", Resolution: 224, Channels: 1, Classes: 1000,
		Stem:   Stem{16, 3, 2, 0},
		Stages: rows("ds_r1_k3_s1_e1_c16", "ir_r2_k5_s2_e4_c24"),
		Act:    ActSwish, Padding: PadSame, BN: BatchNormConfig{1e-3, 0.1},
		Rule: Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: RoundUp},
		Prep: Prep{Crop: 1, Filter: Bicubic, Mean: []float64{0.5}, Std: []float64{0.5}},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
	s, err = ParseSpec("x.yaml", []byte("name: mine\nblocks: [ds_k3_c16]"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Prep{Crop: 1, Filter: Bicubic, Mean: imagenetMean, Std: imagenetStd}, s.Prep); d != "" {
		t.Error(d)
	}
}

func TestSpecErrors(t *testing.T) {
	// head and tail make a valid file around the line under test, which is line 2.
	valid := func(line string) string {
		return "name: x\n" + line + "\nblocks:\n  - ds_k3_c16\n  - ir_k3_s2_e6_c24\n"
	}
	for _, c := range []struct{ text, want string }{
		{"", "1:1: the file is empty, want at least name and blocks"},
		{"# nothing\n", "1:1: the file is empty, want at least name and blocks"},
		{"{}", "1:1: the network has no name"},
		{"resolution: 32\n", "1:1: the network has no name"},
		{"name: x\n", "1:1: the network has no blocks"},
		{"just text", `1:1: the file is "just text", want a mapping such as name: ...`},
		{"- a\n- b\n", "1:1: the file is a list, want a mapping such as name: ..."},
		{"name: x\nblocks: [ds_k3_c8]\n---\nname: y\n", "4:5: a spec file is one YAML document, this starts another"},
		{"%YAML 1.2\n---\nname: y\n", "1:1: a spec file has no anchors, aliases, tags or directives"},
		{"name: x\n  a: [", "1:7: mapping value is not allowed in this context"},
		{"name: x\nname: y\n", `2:1: mapping key "name" already defined at [1:1]`},
		{"name: x\n\xff\xfe\n", "2:1: the line is not UTF-8 text"},
		{"name: " + strings.Repeat("x", MaxSpecFile), "1:1: the file is larger than 16384 bytes"},
		{strings.Repeat("[", 8000), "1:4001: the file has more than 4000 words and marks"},

		{valid("resolutoin: 32"), `2:1: unknown key "resolutoin"; did you mean resolution?`},
		{valid("colour: red"), `2:1: unknown key "colour", want one of name resolution channels classes stem blocks head act padding bn se dropout drop_path scaling preprocessing`},
		{valid("stem: {widht: 8}"), `2:8: unknown key "widht" in stem; did you mean width?`},
		{valid("5: x"), `2:1: unknown key "5", want one of`},
		{valid("? [a, b]\n: c"), "3:1: found an invalid key for this map"},
		{valid("resolution: big"), `2:13: resolution is "big", want a whole number`},
		{valid("resolution: 1.5"), `2:13: resolution is "1.5", want a whole number`},
		{valid("resolution: 0x20"), `2:13: resolution is "0x20", want a whole number`},
		{valid("resolution: 1e3"), `2:13: resolution is "1e3", want a whole number`},
		{valid("resolution: 99999999999999999999"), `2:13: resolution is "99999999999999999999", want a whole number`},
		{valid("resolution: 0"), "2:13: resolution is 0, want 1 to 16384"},
		{valid("resolution: -3"), "2:13: resolution is -3, want 1 to 16384"},
		{valid("resolution: 2"), "2:13: resolution 2 is too small for the strides: stage 2 (ir_r1_k3_s2_e6_c24) has stride 2 but its input is 1x1; use at least 3 pixels"},
		{valid("resolution:"), "2:12: resolution is empty, want a whole number"},
		{valid("resolution: [1]"), "2:13: resolution is a list, want a whole number"},
		{valid("resolution: &a 32"), "2:13: a spec file has no anchors, aliases, tags or directives"},
		{valid("resolution: !!int 32"), "2:13: a spec file has no anchors, aliases, tags or directives"},
		{valid("head: *a"), "2:7: a spec file has no anchors, aliases, tags or directives"},
		{valid("<<: {head: 3}"), `2:1: unknown key "<<"`},
		{valid("channels: 2000"), "2:11: channels is 2000, want 1 to 1024"},
		{valid("stem: 32"), `2:7: stem is "32", want a mapping such as width: ...`},
		{valid("stem: {kernel: 4}"), "2:16: stem kernel is 4, want an odd number up to 31"},
		{valid("stem:\n  width: 0"), "3:10: stem width is 0, want 1 to 65536"},
		{valid("act: gelu"), `2:6: act is "gelu", want swish or relu or relu6 or hard_swish or identity`},
		{valid("padding: valid"), `2:10: padding is "valid", want same or symmetric`},
		{valid("bn: {eps: 0}"), "2:11: batch-norm eps is 0, want between 0 and 1"},
		{valid("bn: {eps: .nan}"), `2:11: bn.eps is ".nan", want a number`},
		{valid("bn: {momentum: 2}"), "2:16: batch-norm momentum is 2, want above 0, at most 1"},
		{valid("dropout: 1"), "2:10: dropout is 1, want 0 to below 1"},
		{valid("drop_path: .inf"), `2:12: drop_path is ".inf", want a number`},
		{valid("scaling: {depth: floor}"), `2:18: scaling.depth is "floor", want ceil or round`},
		{valid("scaling: {width_divisor: 0}"), "2:26: width divisor is 0, want 1 to 1024"},
		{valid("scaling: {fix_stem: 1}"), `2:21: scaling.fix_stem is "1", want true or false`},
		{valid("preprocessing: {mean: [0.5]}"), "2:23: mean has 1 numbers, want one for each of 3 channels"},
		{valid("preprocessing: {mean: []}"), "2:23: mean has no numbers, want one for each of 3 channels"},
		{valid("preprocessing: {mean: [0.5, x, 0.5]}"), `2:29: preprocessing.mean is "x", want a number`},
		{valid("preprocessing: {std: [0.5, 0, 0.5]}"), "2:22: std has 0, want numbers above 0"},
		{valid("preprocessing: {crop: 0}"), "2:23: crop is 0, want above 0, at most 1"},
		{valid("preprocessing: {crop: 1.5}"), "2:23: crop is 1.5, want above 0, at most 1"},
		{valid("name: x y"), `2:1: mapping key "name" already defined`},

		{"name: a/b\nblocks: [ds_k3_c8]", `1:7: network name "a/b", want at most 100 letters, digits and . _ + - =, a letter or digit first`},
		{"name: {}\nblocks: [ds_k3_c8]", "1:7: name is a mapping, want a word"},
		{"name: x\nblocks: ds_k3_c8", `2:9: blocks is "ds_k3_c8", want a list of block strings such as`},
		{"name: x\nblocks: []", "2:9: there are no stages"},
		{"name: x\nblocks: [3]", `2:10: block 1 is "3", want a block string`},
		{"name: x\nblocks:\n  -\n", "block 1 is empty, want a block string"},
		{"name: x\nblocks:\n- |\n  ds_k3_c8\n", "block 1 is"},
		// columns point inside the string, quoted or not
		{"name: x\nblocks:\n  - ds_k3_c8\n  - ir_r2_k3_s2_e6_x24\n", `4:20: block "ir_r2_k3_s2_e6_x24": unknown token "x24", want one of r k s e c se fc nre nr6 nsw nhs skip noskip`},
		{"name: x\nblocks:\n  -   'ir_r2_k4_c8'\n", `3:14: block "ir_r2_k4_c8": token "k4": kernel 4 is even, want an odd one`},
		{"name: x\nblocks: [\"ir_r0_k3_c8\"]\n", `2:14: block "ir_r0_k3_c8": token "r0": want a whole number from 1 to 1000`},
		{"name: x\nblocks: [\"\\x69r_r0_k3_c8\"]\n", `2:10: block "ir_r0_k3_c8": token "r0"`},
		{"name: x\nblocks: [mb_k3_c8]\n", `2:10: block "mb_k3_c8": unknown block kind "mb", want ds, dsa, ir, er, cn, basic or bottle`},
		{"name: x\nblocks: [ir_k3_c8]\n", `2:10: block "ir_k3_c8": ir with e1 is ambiguous`},
		{"name: x\nresolution: 16384\nblocks: [ds_k3_c65536]\n", "3:10: blocks.0.0.conv_pw: the tensor would be 8192x8192x65536, over the limit of 2147483648 elements"},
		{"name: x\nresolution: 16384\nstem: {width: 64000}\nblocks: [ds_k3_c8]\n", "3:7: conv_stem: the tensor would be 8192x8192x64000"},
		{"name: x\nclasses: 1048576\nhead: 65536\nblocks: [ds_k3_c8]\n", "3:7: classifier: the weight would be [1048576 65536]"},
		{"name: x\nblocks: [ds_r1000_k3_c8, ds_r1000_k3_c8, ds_r1000_k3_c8, ds_r1000_k3_c8, ds_r1000_k3_c8]\n", "2:74: stage 5 (ds_r1000_k3_s1_e1_c8): the network would have more than 4096 blocks"},
		{"name: x\nblocks: [" + strings.Repeat("ds_k3_c8,", 101) + "]\n", "2:910: there are 101 stages, at most 100 are allowed"},
	} {
		_, err := ParseSpec("net.yaml", []byte(c.text))
		var se *SpecError
		if !errors.As(err, &se) || !strings.HasPrefix(err.Error(), "net.yaml:") || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("%.60q:\n got %v\nwant net.yaml:...%s", c.text, err, c.want)
			continue
		}
		if c.want[0] >= '0' && c.want[0] <= '9' && !strings.HasPrefix(err.Error(), "net.yaml:"+c.want) {
			t.Errorf("%.60q:\n got %v\nwant net.yaml:%s", c.text, err, c.want)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, name := range []string{"b0", "lite3", "small_1m"} {
		f.Add(MustLookup(name).YAML())
	}
	f.Add([]byte("name: x\nblocks: [ds_k3_c8, 'ir_r2_k5_s2_e2.5_c16_se0.25_nre_noskip']\n"))
	f.Add([]byte("a: &a [x]\nb: &b [*a, *a]\nname: *b\n"))
	f.Add([]byte("? {a: [}\n"))
	f.Add([]byte("name: x\nblocks:\n  - |\n    ds\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Spec
		var err error
		alloctest.Bounded(t, len(data), func() { s, err = ParseSpec("f.yaml", data) })
		if err != nil {
			var se *SpecError
			if !errors.As(err, &se) || se.Line < 1 || se.Column < 1 || strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 600 {
				t.Fatalf("error %T %q", err, err)
			}
			return
		}
		back, err := ParseSpec("f.yaml", s.YAML())
		if err != nil {
			t.Fatalf("%v\n%s", err, s.YAML())
		}
		if d := cmp.Diff(s, back); d != "" {
			t.Fatal(d)
		}
	})
}

func ExampleSpec_Scale() {
	s := MustLookup("efficientnet_b0")
	s, err := s.Scale(Factors{Depth: 1.2, Width: 1.1, Resolution: 260})
	if err != nil {
		panic(err)
	}
	g, err := s.Graph()
	if err != nil {
		panic(err)
	}
	fmt.Println(g.Cost())
	// Output: 9109994 params, 993561872 MACs, 13831834 activations
}
