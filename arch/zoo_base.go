package arch

// The base networks that the EfficientNet paper scales in its Table 3, and
// those for small images.

var mobilenetV1Variants = []variant{
	{"100", 1.0, 1.0, 224, 0, 0.875, Bicubic, ""},
	{"125", 1.25, 1.0, 224, 0, 0.9, Bicubic, ""},
}

var mobilenetV2Variants = []variant{
	{"035", 0.35, 1.0, 224, 0.2, 0.875, Bicubic, ""},
	{"050", 0.5, 1.0, 224, 0.2, 0.875, Bicubic, ""},
	{"075", 0.75, 1.0, 224, 0.2, 0.875, Bicubic, ""},
	{"100", 1.0, 1.0, 224, 0.2, 0.875, Bicubic, "mobilenet_v2"},
	{"140", 1.4, 1.0, 224, 0.2, 0.875, Bicubic, ""},
}

var mobilenetV2DeepVariants = []variant{
	{"110d", 1.1, 1.2, 224, 0.2, 0.875, Bicubic, ""},
	{"120d", 1.2, 1.4, 224, 0.2, 0.875, Bicubic, ""},
}

const (
	mobilenetV1About = "MobileNetV1, timm's conventions: pixels in -1 to 1; 100h has a head"
	mobilenetV2About = "MobileNetV2, timm's conventions; those with a d are deeper, their stem and head stay as they are"
)

var mobilenets = []zooFamily{
	{"mobilenetv1", mobilenetV1About, "mobilenetv1_", false, mobilenetV1, mobilenetV1Variants},
	{"mobilenetv1_100h", mobilenetV1About, "", false, func() Spec {
		s := mobilenetV1()
		s.Head, s.Rule.MinHead = 1024, 1024
		return s
	}, nil},
	{"mobilenetv2", mobilenetV2About, "mobilenetv2_", false, mobilenetV2, mobilenetV2Variants},
	{"mobilenetv2_deep", mobilenetV2About, "mobilenetv2_", false, func() Spec {
		s := mobilenetV2()
		s.Rule.FixStem, s.Rule.FixHead, s.Rule.FixEnds = true, true, true
		return s
	}, mobilenetV2DeepVariants},
}

func mobilenetV1() Spec {
	return Spec{
		Resolution: 224, Channels: 3, Classes: 1000,
		Stem: Stem{Width: 32, Kernel: 3, Stride: 2},
		Stages: rows(
			"dsa_r1_k3_s1_c64",
			"dsa_r2_k3_s2_c128",
			"dsa_r2_k3_s2_c256",
			"dsa_r6_k3_s2_c512",
			"dsa_r2_k3_s2_c1024",
		),
		Act: ActReLU6, Padding: PadSymmetric, BN: bnTorch,
		Rule: Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: RoundUp},
		Prep: halfPrep(0.875),
	}
}

// mobilenetV2's head does not shrink with the rest.
func mobilenetV2() Spec {
	s := mobilenetV1()
	s.Stages = rows(
		"ds_r1_k3_s1_c16",
		"ir_r2_k3_s2_e6_c24",
		"ir_r3_k3_s2_e6_c32",
		"ir_r4_k3_s2_e6_c64",
		"ir_r3_k3_s1_e6_c96",
		"ir_r3_k3_s2_e6_c160",
		"ir_r1_k3_s1_e6_c320",
	)
	s.Head, s.Rule.MinHead = 1280, 1280
	s.Dropout = 0.2
	s.Prep = imagenetPrep(0.875)
	return s
}

const resnetAbout = "ResNet, timm's conventions"

var resnets = []zooFamily{
	resnetFamily("resnet18", "basic_r2_k3_s1_c64", "basic_r2_k3_s2_c128", "basic_r2_k3_s2_c256", "basic_r2_k3_s2_c512"),
	resnetFamily("resnet34", "basic_r3_k3_s1_c64", "basic_r4_k3_s2_c128", "basic_r6_k3_s2_c256", "basic_r3_k3_s2_c512"),
	resnetFamily("resnet50", "bottle_r3_k3_s1_e0.25_c256", "bottle_r4_k3_s2_e0.25_c512", "bottle_r6_k3_s2_e0.25_c1024", "bottle_r3_k3_s2_e0.25_c2048"),
	resnetFamily("resnet101", "bottle_r3_k3_s1_e0.25_c256", "bottle_r4_k3_s2_e0.25_c512", "bottle_r23_k3_s2_e0.25_c1024", "bottle_r3_k3_s2_e0.25_c2048"),
	resnetFamily("resnet152", "bottle_r3_k3_s1_e0.25_c256", "bottle_r8_k3_s2_e0.25_c512", "bottle_r36_k3_s2_e0.25_c1024", "bottle_r3_k3_s2_e0.25_c2048"),
	resnetFamily("wide_resnet50_2", "bottle_r3_k3_s1_e0.5_c256", "bottle_r4_k3_s2_e0.5_c512", "bottle_r6_k3_s2_e0.5_c1024", "bottle_r3_k3_s2_e0.5_c2048"),
	resnetFamily("wide_resnet101_2", "bottle_r3_k3_s1_e0.5_c256", "bottle_r4_k3_s2_e0.5_c512", "bottle_r23_k3_s2_e0.5_c1024", "bottle_r3_k3_s2_e0.5_c2048"),
}

func resnetFamily(name string, blocks ...string) zooFamily {
	return zooFamily{name: name, about: resnetAbout, base: func() Spec {
		return Spec{
			Resolution: 224, Channels: 3, Classes: 1000,
			Stem: Stem{Width: 64, Kernel: 7, Stride: 2, Pool: 3}, Stages: rows(blocks...),
			Act: ActReLU, Padding: PadSymmetric, BN: bnTorch,
			Rule: Rule{WidthDivisor: 8, WidthLimit: 0.9, Depth: RoundUp},
			Prep: imagenetPrep(0.95),
		}
	}}
}

const smallAbout = "Base networks for small grey images, of about 0.3, 1, 2 and 5 MMACs, to be grown by a search"

const bestSmallAbout = "For small grey images: under a million parameters, to be trained in half an hour on one core"

var smalls = []zooFamily{
	{name: "small_300k", about: smallAbout, base: small300k},
	{name: "small_1m", about: smallAbout, base: small1m},
	{name: "small_2m", about: smallAbout, base: small2m},
	{name: "small_5m", about: smallAbout, base: small5m},
	{name: "small_18m", about: bestSmallAbout, base: small18m},
}

// small is what the base networks for small grey images have in common: few
// epochs on one CPU, maps of 28, 14, 7 and 4 pixels, and repeats that round to
// nearest so that factors near 1 already give distinct networks.
func small(stem Stem, head int, stages []Stage) Spec {
	return Spec{
		Resolution: 28, Channels: 1, Classes: 10,
		Stem: stem, Stages: stages, Head: head,
		Act: ActSwish, Padding: PadSymmetric,
		BN:   BatchNormConfig{Eps: 1e-3, Momentum: 0.1},
		Rule: Rule{WidthDivisor: 2, Depth: RoundNearest},
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
	return small(Stem{Width: 8, Kernel: 3, Stride: 1}, 128, rows(
		"ds_r1_k3_s2_e1_c12",
		"ir_r1_k5_s2_e4_c24_se0.25",
		"ir_r1_k5_s1_e2_c24_se0.25",
		"ir_r2_k3_s2_e3_c56_se0.25",
	))
}

// small2m is small1m widened to about 100,000 parameters.
func small2m() Spec {
	return small(Stem{Width: 12, Kernel: 3, Stride: 1}, 192, rows(
		"ds_r1_k3_s2_e1_c16",
		"ir_r1_k5_s2_e4_c32_se0.25",
		"ir_r1_k5_s1_e2_c32_se0.25",
		"ir_r2_k3_s2_e3_c80_se0.25",
	))
}

func small5m() Spec {
	return small(Stem{Width: 16, Kernel: 3, Stride: 1}, 256, rows(
		"ds_r1_k3_s2_e1_c16_se0.25",
		"ir_r1_k3_s1_e3_c24_se0.25",
		"ir_r2_k5_s2_e4_c48_se0.25",
		"ir_r2_k3_s2_e4_c96_se0.25",
	))
}

// small18m is a residual network of full convolutions: in training they do nearly
// twice the arithmetic a second of depthwise ones, and ReLU next to nothing.
func small18m() Spec {
	s := small(Stem{Width: 16, Kernel: 3, Stride: 1}, 0, rows(
		"cn_r1_k3_s1_c16_skip",
		"basic_r2_k3_s2_c32",
		"basic_r2_k3_s2_c64",
		"basic_r1_k3_s2_c128",
	))
	s.Act = ActReLU
	return s
}
