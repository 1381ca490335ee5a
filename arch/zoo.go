package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Family is a group of zoo networks that share a base network and differ in
// factors.
type Family struct {
	Name   string
	About  string // one line
	Models []Model
}

// Model is one zoo network. Factors are relative to its family's first model.
type Model struct {
	Name    string
	Aliases []string
	Factors Factors
}

// variant is one line of a family's table of published factors, with what else
// the authors changed from size to size.
type variant struct {
	suffix       string
	width, depth float64
	resolution   int
	dropout      float64
	crop         float64
	filter       Filter
}

var efficientnetVariants = []variant{
	{"b0", 1.0, 1.0, 224, 0.2, 0.875, Bicubic},
	{"b1", 1.0, 1.1, 240, 0.2, 0.882, Bicubic},
	{"b2", 1.1, 1.2, 260, 0.3, 0.890, Bicubic},
	{"b3", 1.2, 1.4, 300, 0.3, 0.904, Bicubic},
	{"b4", 1.4, 1.8, 380, 0.4, 0.922, Bicubic},
	{"b5", 1.6, 2.2, 456, 0.4, 0.934, Bicubic},
	{"b6", 1.8, 2.6, 528, 0.5, 0.942, Bicubic},
	{"b7", 2.0, 3.1, 600, 0.5, 0.949, Bicubic},
	{"b8", 2.2, 3.6, 672, 0.5, 0.954, Bicubic},
}

var liteVariants = []variant{
	{"lite0", 1.0, 1.0, 224, 0.2, 0.875, Bicubic},
	{"lite1", 1.0, 1.1, 240, 0.2, 0.882, Bicubic},
	{"lite2", 1.1, 1.2, 260, 0.3, 0.890, Bicubic},
	{"lite3", 1.2, 1.4, 280, 0.3, 0.904, Bilinear},
	{"lite4", 1.4, 1.8, 300, 0.3, 0.920, Bilinear},
}

var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
	half         = []float64{0.5, 0.5, 0.5}
)

// batch normalisation as the two lines of pretrained weights need it
var (
	bnTorch = BatchNormConfig{Eps: 1e-5, Momentum: 0.1}
	bnTF    = BatchNormConfig{Eps: 1e-3, Momentum: 0.01}
)

// efficientnetB0 is the network of the paper's Table 1. Padding and batch
// normalisation distinguish the tf_ line from timm's native one.
func efficientnetB0(pad PaddingRule, bn BatchNormConfig) Spec {
	return Spec{
		Resolution: 224, Channels: 3, Classes: 1000,
		Stem: Stem{Width: 32, Kernel: 3, Stride: 2},
		Stages: rows(
			"ds_r1_k3_s1_e1_c16_se0.25",
			"ir_r2_k3_s2_e6_c24_se0.25",
			"ir_r2_k5_s2_e6_c40_se0.25",
			"ir_r3_k3_s2_e6_c80_se0.25",
			"ir_r3_k5_s1_e6_c112_se0.25",
			"ir_r4_k5_s2_e6_c192_se0.25",
			"ir_r1_k3_s1_e6_c320_se0.25",
		),
		Head: 1280, Act: ActSwish, Padding: pad, BN: bn,
		Dropout: 0.2, DropPath: 0.2,
		Rule: Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: RoundUp},
		Prep: Prep{Crop: 0.875, Filter: Bicubic, Mean: slices.Clone(imagenetMean), Std: slices.Clone(imagenetStd)},
	}
}

// lite0 is B0 without squeeze-and-excite and with ReLU6, for integer hardware.
// Its stem, head, and the repeats of its first and last stage do not scale.
func lite0(pad PaddingRule, bn BatchNormConfig, mean, std []float64) Spec {
	s := efficientnetB0(pad, bn)
	for i := range s.Stages {
		s.Stages[i].SERatio = 0
	}
	s.Act = ActReLU6
	s.Rule.FixStem, s.Rule.FixHead, s.Rule.FixEnds = true, true, true
	s.Prep.Mean, s.Prep.Std = slices.Clone(mean), slices.Clone(std)
	return s
}

// small is what the base networks for small grey images have in common: few
// epochs on one CPU, maps of 28, 14, 7 and 4 pixels, and repeats that round to
// nearest so that factors near 1 already give distinct networks.
func small(stem Stem, head int, stages []Stage) Spec {
	return Spec{
		Resolution: 28, Channels: 1, Classes: 10,
		Stem: stem, Stages: stages, Head: head,
		Act: ActSwish, Padding: PadSymmetric,
		BN:      BatchNormConfig{Eps: 1e-3, Momentum: 0.1},
		Dropout: 0.1,
		Rule:    Rule{WidthDivisor: 4, WidthLimit: 0.9, Depth: RoundNearest},
		// mean and spread of Fashion-MNIST's training pixels
		Prep: Prep{Crop: 1, Filter: Bilinear, Mean: []float64{0.286}, Std: []float64{0.353}},
	}
}

func small300k() Spec {
	return small(Stem{Width: 8, Kernel: 3, Stride: 2}, 64, rows(
		"ds_r1_k3_s1_e1_c8",
		"ir_r2_k3_s2_e3_c16",
		"ir_r1_k3_s2_e3_c32",
	))
}

func small1m() Spec {
	return small(Stem{Width: 12, Kernel: 3, Stride: 2}, 128, rows(
		"ds_r1_k3_s1_e1_c12",
		"ir_r1_k3_s2_e3_c20_se0.25",
		"ir_r2_k5_s1_e3_c24_se0.25",
		"ir_r2_k3_s2_e3_c40_se0.25",
	))
}

func small5m() Spec {
	return small(Stem{Width: 16, Kernel: 3, Stride: 1}, 256, rows(
		"ds_r1_k3_s2_e1_c16_se0.25",
		"ir_r2_k3_s1_e3_c20_se0.25",
		"ir_r2_k5_s2_e4_c40_se0.25",
		"ir_r2_k3_s2_e4_c96_se0.25",
	))
}

const smallAbout = "Base networks for small grey images, of about 0.3, 1 and 5 MMACs, to be grown by a search"

// zooFamily is a family with what makes its specs.
type zooFamily struct {
	name, about string
	prefix      string // of model names
	alias       bool   // the bare suffix names the model too
	base        func() Spec
	variants    []variant
}

var zoo = []zooFamily{
	{
		"efficientnet", "EfficientNet with the published factors, timm's native conventions: symmetric padding, BN eps 1e-5",
		"efficientnet_", true,
		func() Spec { return efficientnetB0(PadSymmetric, bnTorch) }, efficientnetVariants,
	},
	{
		"tf_efficientnet", "EfficientNet as TensorFlow trained it: SAME padding, BN eps 1e-3",
		"tf_efficientnet_", false,
		func() Spec { return efficientnetB0(PadSame, bnTF) }, efficientnetVariants,
	},
	{
		"efficientnet_lite", "EfficientNet-Lite (ReLU6, no squeeze-and-excite), timm's native conventions",
		"efficientnet_", true,
		func() Spec { return lite0(PadSymmetric, bnTorch, imagenetMean, imagenetStd) }, liteVariants,
	},
	{
		"tf_efficientnet_lite", "EfficientNet-Lite as TensorFlow trained it: SAME padding, BN eps 1e-3, pixels in -1 to 1",
		"tf_efficientnet_", false,
		func() Spec { return lite0(PadSame, bnTF, half, half) }, liteVariants,
	},
	{"small_300k", smallAbout, "small_300k", false, small300k, nil},
	{"small_1m", smallAbout, "small_1m", false, small1m, nil},
	{"small_5m", smallAbout, "small_5m", false, small5m, nil},
}

// spec makes the network of one variant.
func (f *zooFamily) spec(v variant) Spec {
	s := f.base()
	s.Name = f.prefix + v.suffix
	s, err := s.scaled(v.factors())
	if err != nil {
		panic(err)
	}
	s.Dropout, s.Prep.Crop, s.Prep.Filter = v.dropout, v.crop, v.filter
	return s
}

func (v variant) factors() Factors { return Factors{v.depth, v.width, v.resolution} }

// Families lists the zoo.
func Families() []Family {
	var fs []Family
	for _, z := range zoo {
		f := Family{Name: z.name, About: z.about}
		if z.variants == nil {
			f.Models = []Model{{z.name, nil, Factors{1, 1, 0}}}
		}
		for _, v := range z.variants {
			m := Model{Name: z.prefix + v.suffix, Factors: v.factors()}
			if z.alias {
				m.Aliases = []string{v.suffix}
			}
			f.Models = append(f.Models, m)
		}
		fs = append(fs, f)
	}
	return fs
}

// Names lists the zoo's networks, family by family, without aliases.
func Names() []string {
	var names []string
	for _, f := range Families() {
		for _, m := range f.Models {
			names = append(names, m.Name)
		}
	}
	return names
}

// UnknownNetworkError is a name the zoo does not know.
type UnknownNetworkError struct {
	Name  string
	Close []string // known names that look like it, best first; may be empty
}

func (e *UnknownNetworkError) Error() string {
	name := e.Name
	if len(name) > maxName {
		name = name[:maxName] + "..."
	}
	hint := ""
	if len(e.Close) > 0 {
		hint = "; did you mean " + strings.Join(e.Close, " or ") + "?"
	}
	return fmt.Sprintf("arch: no network is called %q%s", name, hint)
}

// Lookup returns the zoo network of a name or alias. An unknown name gives an
// [*UnknownNetworkError].
func Lookup(name string) (Spec, error) {
	for i := range zoo {
		z := &zoo[i]
		if z.variants == nil && name == z.name {
			s := z.base()
			s.Name = z.name
			return s, nil
		}
		for _, v := range z.variants {
			if name == z.prefix+v.suffix || z.alias && name == v.suffix {
				return z.spec(v), nil
			}
		}
	}
	return Spec{}, &UnknownNetworkError{name, closeNames(name)}
}

// MustLookup is Lookup for names in the program's own text.
func MustLookup(name string) Spec {
	s, err := Lookup(name)
	if err != nil {
		panic(err)
	}
	return s
}

// closeNames picks at most three names within a third of name's length in
// edits, case and dashes aside.
func closeNames(name string) []string {
	if len(name) > maxName {
		return nil
	}
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	type match struct {
		name string
		d    int
	}
	var ms []match
	for _, f := range Families() {
		for _, m := range f.Models {
			d := editDistance(name, m.Name)
			for _, a := range m.Aliases {
				d = min(d, editDistance(name, a))
			}
			if 3*d <= max(3, len(name)) {
				ms = append(ms, match{m.Name, d})
			}
		}
	}
	slices.SortStableFunc(ms, func(a, b match) int { return a.d - b.d })
	var out []string
	for _, m := range ms {
		if len(out) < 3 && (m.d == ms[0].d || ms[0].d > 0 && m.d == ms[0].d+1) {
			out = append(out, m.name)
		}
	}
	return out
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diag
			if a[i] != b[j] {
				d++
			}
			diag = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// rows parses block strings of the program's own text.
func rows(blocks ...string) []Stage {
	stages := make([]Stage, len(blocks))
	for i, b := range blocks {
		st, err := ParseStage(b)
		if err != nil {
			panic(err)
		}
		stages[i] = st
	}
	return stages
}
