package arch

const (
	v2About = "EfficientNetV2, timm's native conventions: symmetric padding, BN eps 1e-5"
	tfAbout = "EfficientNetV2 as TensorFlow trained it: SAME padding, BN eps 1e-3, pixels in -1 to 1"
	tvAbout = "EfficientNetV2 as torchvision has it: symmetric padding, BN eps 1e-3"
	rwAbout = "EfficientNetV2 as timm guessed it before its release"
)

// v2Variants are the base line's, whose rounding has no guard.
var v2Variants = []variant{
	{"b0", 1.0, 1.0, 224, 0.2, 0.875, Bicubic, "efficientnetv2_b0"},
	{"b1", 1.0, 1.1, 240, 0.2, 0.882, Bicubic, "efficientnetv2_b1"},
	{"b2", 1.1, 1.2, 260, 0.3, 0.890, Bicubic, "efficientnetv2_b2"},
	{"b3", 1.2, 1.4, 300, 0.3, 0.904, Bicubic, "efficientnetv2_b3"},
}

// v2Size is one of the sizes S to XL, each a network of its own.
type v2Size struct {
	name       string
	resolution int
	dropout    float64
	squash     bool // in the preprocessing of TensorFlow's weights
	stem, head int
	blocks     []string
}

var v2Sizes = []v2Size{
	{"s", 384, 0.2, false, 24, 1280, []string{
		"cn_r2_k3_s1_e1_c24_skip",
		"er_r4_k3_s2_e4_c48",
		"er_r4_k3_s2_e4_c64",
		"ir_r6_k3_s2_e4_c128_se0.25",
		"ir_r9_k3_s1_e6_c160_se0.25",
		"ir_r15_k3_s2_e6_c256_se0.25",
	}},
	{"m", 480, 0.3, true, 24, 1280, []string{
		"cn_r3_k3_s1_e1_c24_skip",
		"er_r5_k3_s2_e4_c48",
		"er_r5_k3_s2_e4_c80",
		"ir_r7_k3_s2_e4_c160_se0.25",
		"ir_r14_k3_s1_e6_c176_se0.25",
		"ir_r18_k3_s2_e6_c304_se0.25",
		"ir_r5_k3_s1_e6_c512_se0.25",
	}},
	{"l", 480, 0.4, true, 32, 1280, []string{
		"cn_r4_k3_s1_e1_c32_skip",
		"er_r7_k3_s2_e4_c64",
		"er_r7_k3_s2_e4_c96",
		"ir_r10_k3_s2_e4_c192_se0.25",
		"ir_r19_k3_s1_e6_c224_se0.25",
		"ir_r25_k3_s2_e6_c384_se0.25",
		"ir_r7_k3_s1_e6_c640_se0.25",
	}},
	{"xl", 512, 0.4, true, 32, 1280, []string{
		"cn_r4_k3_s1_e1_c32_skip",
		"er_r8_k3_s2_e4_c64",
		"er_r8_k3_s2_e4_c96",
		"ir_r16_k3_s2_e4_c192_se0.25",
		"ir_r24_k3_s1_e6_c256_se0.25",
		"ir_r32_k3_s2_e6_c512_se0.25",
		"ir_r8_k3_s1_e6_c640_se0.25",
	}},
}

// rwSizes are timm's: t is S by width 0.8 and depth 0.9, m is s by width 1.2
// and depths of 1.2 in the first four stages, 1.6 in the others.
var rwSizes = []v2Size{
	{"t", 288, 0.2, false, 24, 1024, []string{
		"cn_r2_k3_s1_e1_c24_skip",
		"er_r4_k3_s2_e4_c40",
		"er_r4_k3_s2_e4_c48",
		"ir_r6_k3_s2_e4_c104_se0.25",
		"ir_r9_k3_s1_e6_c128_se0.25",
		"ir_r14_k3_s2_e6_c208_se0.25",
	}},
	{"s", 384, 0.2, false, 24, 1792, []string{
		"er_r2_k3_s1_e1_c24",
		"er_r4_k3_s2_e4_c48",
		"er_r4_k3_s2_e4_c64",
		"ir_r6_k3_s2_e4_c128_se0.25",
		"ir_r9_k3_s1_e6_c160_se0.25",
		"ir_r15_k3_s2_e6_c272_se0.25",
	}},
	{"m", 416, 0.3, false, 32, 2152, []string{
		"er_r3_k3_s1_e1_c32",
		"er_r5_k3_s2_e4_c56",
		"er_r5_k3_s2_e4_c80",
		"ir_r8_k3_s2_e4_c152_se0.25",
		"ir_r15_k3_s1_e6_c192_se0.25",
		"ir_r24_k3_s2_e6_c328_se0.25",
	}},
}

var efficientnetV2s = func() (fs []zooFamily) {
	one := func(name, about string, base func() Spec) {
		fs = append(fs, zooFamily{name: name, about: about, base: base})
	}
	for _, z := range v2Sizes {
		one("efficientnetv2_"+z.name, v2About, func() Spec {
			return z.spec(PadSymmetric, bnTorch, imagenetPrep(1))
		})
	}
	for _, z := range v2Sizes {
		one("tf_efficientnetv2_"+z.name, tfAbout, func() Spec {
			s := z.spec(PadSame, bnTFv2, halfPrep(1))
			s.Prep.Squash = z.squash
			return s
		})
	}
	fs = append(fs, zooFamily{
		"tf_efficientnetv2_b", "EfficientNetV2, the base line as TensorFlow trained it: SAME padding, BN eps 1e-3",
		"tf_efficientnetv2_", false, v2B0, v2Variants,
	})
	for _, z := range v2Sizes[:3] {
		one("efficientnet_v2_"+z.name, tvAbout, func() Spec {
			s := z.spec(PadSymmetric, bnTFv2, imagenetPrep(1))
			s.Prep.Filter = Bilinear
			if z.name == "l" {
				s.Prep = halfPrep(1)
			}
			return s
		})
	}
	for _, z := range rwSizes {
		one("efficientnetv2_rw_"+z.name, rwAbout, func() Spec {
			s := z.spec(PadSymmetric, bnTorch, imagenetPrep(1))
			s.Rule.WidthLimit = 0.9
			return s
		})
	}
	return fs
}()

func (z *v2Size) spec(pad PaddingRule, bn BatchNormConfig, prep Prep) Spec {
	return Spec{
		Resolution: z.resolution, Channels: 3, Classes: 1000,
		Stem: Stem{Width: z.stem, Kernel: 3, Stride: 2}, Stages: rows(z.blocks...), Head: z.head,
		Act: ActSwish, Padding: pad, BN: bn,
		Dropout: z.dropout, DropPath: 0.2,
		Rule: Rule{WidthDivisor: 8, Depth: RoundUp},
		Prep: prep,
	}
}

// v2B0 is the network that V2's search starts from.
func v2B0() Spec {
	z := v2Size{"b0", 224, 0.2, false, 32, 1280, []string{
		"cn_r1_k3_s1_e1_c16_skip",
		"er_r2_k3_s2_e4_c32",
		"er_r2_k3_s2_e4_c48",
		"ir_r3_k3_s2_e4_c96_se0.25",
		"ir_r5_k3_s1_e6_c112_se0.25",
		"ir_r8_k3_s2_e6_c192_se0.25",
	}}
	return z.spec(PadSame, bnTFv2, imagenetPrep(0.875))
}
