package arch

import "slices"

var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
	half         = []float64{0.5, 0.5, 0.5}
)

// batch normalisation as the lines of pretrained weights need it
var (
	bnTorch = BatchNormConfig{Eps: 1e-5, Momentum: 0.1}
	bnTF    = BatchNormConfig{Eps: 1e-3, Momentum: 0.01}
	bnTFv2  = BatchNormConfig{Eps: 1e-3, Momentum: 0.1} // also torchvision's V2
)

// imagenetPrep is the preprocessing of most weights.
func imagenetPrep(crop float64) Prep {
	return Prep{Crop: crop, Filter: Bicubic, Mean: slices.Clone(imagenetMean), Std: slices.Clone(imagenetStd)}
}

// halfPrep takes pixels to -1 to 1.
func halfPrep(crop float64) Prep {
	return Prep{Crop: crop, Filter: Bicubic, Mean: slices.Clone(half), Std: slices.Clone(half)}
}

var efficientnetVariants = []variant{
	{"b0", 1.0, 1.0, 224, 0.2, 0.875, Bicubic, ""},
	{"b1", 1.0, 1.1, 240, 0.2, 0.882, Bicubic, ""},
	{"b2", 1.1, 1.2, 260, 0.3, 0.890, Bicubic, ""},
	{"b3", 1.2, 1.4, 300, 0.3, 0.904, Bicubic, ""},
	{"b4", 1.4, 1.8, 380, 0.4, 0.922, Bicubic, ""},
	{"b5", 1.6, 2.2, 456, 0.4, 0.934, Bicubic, ""},
	{"b6", 1.8, 2.6, 528, 0.5, 0.942, Bicubic, ""},
	{"b7", 2.0, 3.1, 600, 0.5, 0.949, Bicubic, ""},
	{"b8", 2.2, 3.6, 672, 0.5, 0.954, Bicubic, ""},
	{"l2", 4.3, 5.3, 800, 0.5, 0.961, Bicubic, ""},
}

// tfVariants differ from timm's native ones in a crop.
func tfVariants() []variant {
	vs := slices.Clone(efficientnetVariants)
	vs[len(vs)-1].crop = 0.960
	return vs
}

var liteVariants = []variant{
	{"lite0", 1.0, 1.0, 224, 0.2, 0.875, Bicubic, ""},
	{"lite1", 1.0, 1.1, 240, 0.2, 0.882, Bicubic, ""},
	{"lite2", 1.1, 1.2, 260, 0.3, 0.890, Bicubic, ""},
	{"lite3", 1.2, 1.4, 280, 0.3, 0.904, Bilinear, ""},
	{"lite4", 1.4, 1.8, 300, 0.3, 0.920, Bilinear, ""},
}

var edgeVariants = []variant{
	{"es", 1.0, 1.0, 224, 0.2, 0.875, Bicubic, ""},
	{"em", 1.0, 1.1, 240, 0.2, 0.882, Bicubic, ""},
	{"el", 1.2, 1.4, 300, 0.2, 0.904, Bicubic, ""},
}

// tinynetVariants are relative to B0, which TinyNet shrinks.
var tinynetVariants = []variant{
	{"a", 1.0, 1.2, 192, 0.2, 0.875, Bicubic, ""},
	{"b", 0.75, 1.1, 188, 0.2, 0.875, Bicubic, ""},
	{"c", 0.54, 0.85, 184, 0.2, 0.875, Bicubic, ""},
	{"d", 0.54, 0.695, 152, 0.2, 0.875, Bicubic, ""},
	{"e", 0.51, 0.60, 106, 0.2, 0.875, Bicubic, ""},
}

var efficientnets = []zooFamily{
	{
		"efficientnet", "EfficientNet with the published factors, timm's native conventions: symmetric padding, BN eps 1e-5",
		"efficientnet_", true,
		func() Spec { return efficientnetB0(PadSymmetric, bnTorch) }, efficientnetVariants,
	},
	{
		"tf_efficientnet", "EfficientNet as TensorFlow trained it: SAME padding, BN eps 1e-3",
		"tf_efficientnet_", false,
		func() Spec { return efficientnetB0(PadSame, bnTF) }, tfVariants(),
	},
	{
		"efficientnet_lite", "EfficientNet-Lite (ReLU6, no squeeze-and-excite), timm's native conventions",
		"efficientnet_", true,
		func() Spec { return lite0(PadSymmetric, bnTorch, imagenetPrep(0.875)) }, liteVariants,
	},
	{
		"tf_efficientnet_lite", "EfficientNet-Lite as TensorFlow trained it: SAME padding, BN eps 1e-3, pixels in -1 to 1",
		"tf_efficientnet_", false,
		func() Spec { return lite0(PadSame, bnTF, halfPrep(0.875)) }, liteVariants,
	},
	{
		"efficientnet_edgetpu", "EfficientNet-EdgeTPU (ReLU, fused blocks, no squeeze-and-excite), timm's native conventions",
		"efficientnet_", false,
		func() Spec { return edgeS(PadSymmetric, bnTorch, imagenetPrep(0.875)) }, edgeVariants,
	},
	{
		"tf_efficientnet_edgetpu", "EfficientNet-EdgeTPU as TensorFlow trained it: SAME padding, BN eps 1e-3, pixels in -1 to 1",
		"tf_efficientnet_", false,
		func() Spec { return edgeS(PadSame, bnTF, halfPrep(0.875)) }, edgeVariants,
	},
	{
		"tinynet", "TinyNet: EfficientNet-B0 shrunk in all three dimensions",
		"tinynet_", false, tinynet, tinynetVariants,
	},
}

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
		Prep: imagenetPrep(0.875),
	}
}

// lite0 is B0 without squeeze-and-excite and with ReLU6, for integer hardware.
// Its stem, head, and the repeats of its first and last stage do not scale.
func lite0(pad PaddingRule, bn BatchNormConfig, prep Prep) Spec {
	s := efficientnetB0(pad, bn)
	for i := range s.Stages {
		s.Stages[i].SERatio = 0
	}
	s.Act = ActReLU6
	s.Rule.FixStem, s.Rule.FixHead, s.Rule.FixEnds = true, true, true
	s.Prep = prep
	return s
}

// edgeS is the small EdgeTPU network. Its first row expands from 24 channels
// although the stem has 32, as the published network does.
func edgeS(pad PaddingRule, bn BatchNormConfig, prep Prep) Spec {
	s := efficientnetB0(pad, bn)
	s.Stages = rows(
		"er_r1_k3_s1_e4_c24_fc24_noskip",
		"er_r2_k3_s2_e8_c32",
		"er_r4_k3_s2_e8_c48",
		"ir_r5_k5_s2_e8_c96",
		"ir_r4_k5_s1_e8_c144",
		"ir_r2_k5_s2_e8_c192",
	)
	s.Act = ActReLU
	s.Prep = prep
	return s
}

// tinynet is B0 with the rule that shrinks it.
func tinynet() Spec {
	s := efficientnetB0(PadSymmetric, bnTorch)
	s.Rule.Depth, s.Rule.FixStem, s.Rule.MinHead = RoundNearest, true, 1280
	return s
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
