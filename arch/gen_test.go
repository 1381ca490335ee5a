package arch

import (
	"strings"

	"pgregory.net/rapid"
)

// genStage draws a valid stage.
func genStage(t *rapid.T) Stage {
	st := Stage{
		Block:   rapid.SampledFrom(everyBlock()).Draw(t, "block"),
		Repeats: rapid.IntRange(1, 4).Draw(t, "repeats"),
		Kernel:  rapid.SampledFrom([]int{1, 3, 5, 7}).Draw(t, "kernel"),
		Stride:  rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "stride"),
		Width:   rapid.SampledFrom([]int{1, 3, 4, 8, 12, 16, 20, 24, 40}).Draw(t, "width"),
		Expand:  1,
		SERatio: rapid.SampledFrom([]float64{0, 0.25, 0.1, 1, 0.0625}).Draw(t, "se"),
		NoSkip:  rapid.Bool().Draw(t, "noskip"),
		Act:     rapid.SampledFrom([]Act{ActDefault, ActReLU, ActReLU6, ActSwish, ActHardSwish}).Draw(t, "act"),
	}
	rule := blockCodes[st.Block.codes()]
	if rule.expands == "" {
		st.Expand = rapid.SampledFrom([]float64{2, 4, 6, 2.5, 0.5}).Draw(t, "expand")
		if st.Block != InvertedResidual && rapid.Bool().Draw(t, "no expand") {
			st.Expand = 1
		}
	}
	if !rule.se {
		st.SERatio = 0
	}
	if rule.fc {
		st.ForceIn = rapid.SampledFrom([]int{0, 0, 12, 24}).Draw(t, "fc")
	}
	switch rule.skip {
	case skipNever:
		st.NoSkip = true
	case skipAlways:
		st.NoSkip = false
	}
	return st
}

func everyBlock() (kinds []BlockKind) {
	for _, b := range blockCodes {
		kinds = append(kinds, b.kind)
	}
	return kinds
}

// genSpec draws a spec that Validate accepts; its resolution may still be too
// small for its strides.
func genSpec(t *rapid.T) Spec {
	ch := rapid.SampledFrom([]int{1, 3}).Draw(t, "channels")
	floats := func(label string, lo, hi float64) []float64 {
		return rapid.SliceOfN(rapid.Float64Range(lo, hi), ch, ch).Draw(t, label)
	}
	return Spec{
		Name:       rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._+=-]{0,20}`).Draw(t, "name"),
		Resolution: rapid.IntRange(1, 70).Draw(t, "resolution"),
		Channels:   ch,
		Classes:    rapid.SampledFrom([]int{1, 2, 10, 1000}).Draw(t, "classes"),
		Stem: Stem{
			Width:  rapid.SampledFrom([]int{1, 4, 8, 16, 20}).Draw(t, "stem"),
			Kernel: rapid.SampledFrom([]int{1, 3, 7}).Draw(t, "stem kernel"),
			Stride: rapid.IntRange(1, 3).Draw(t, "stem stride"),
			Pool:   rapid.SampledFrom([]int{0, 0, 1, 3, 5}).Draw(t, "stem pool"),
		},
		Stages:  rapid.SliceOfN(rapid.Custom(genStage), 1, 5).Draw(t, "stages"),
		Head:    rapid.SampledFrom([]int{0, 1, 16, 64}).Draw(t, "head"),
		Act:     rapid.SampledFrom([]Act{ActIdentity, ActReLU, ActReLU6, ActSwish, ActHardSwish}).Draw(t, "act"),
		Padding: rapid.SampledFrom([]PaddingRule{PadSymmetric, PadSame}).Draw(t, "padding"),
		BN:      BatchNormConfig{rapid.Float64Range(1e-9, 0.5).Draw(t, "eps"), rapid.Float64Range(1e-3, 1).Draw(t, "momentum")},
		SE: SEConfig{
			FromExpanded: rapid.Bool().Draw(t, "from expanded"),
			Divisor:      rapid.SampledFrom([]int{0, 1, 4, 8}).Draw(t, "se divisor"),
			Act:          rapid.SampledFrom([]Act{ActDefault, ActReLU, ActHardSwish}).Draw(t, "se act"),
			Gate:         rapid.SampledFrom([]Act{ActDefault, ActHardSigmoid}).Draw(t, "se gate"),
		},
		Dropout: rapid.SampledFrom([]float64{0, 0.2, 1. / 3}).Draw(t, "dropout"),

		DropPath: rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "drop path"),
		Rule: Rule{
			WidthDivisor: rapid.SampledFrom([]int{1, 3, 4, 8}).Draw(t, "divisor"),
			WidthLimit:   rapid.SampledFrom([]float64{0, 0.9}).Draw(t, "limit"),
			Depth:        rapid.SampledFrom([]Rounding{RoundUp, RoundNearest}).Draw(t, "rounding"),
			FixStem:      rapid.Bool().Draw(t, "fix stem"),
			FixHead:      rapid.Bool().Draw(t, "fix head"),
			FixEnds:      rapid.Bool().Draw(t, "fix ends"),
			MinHead:      rapid.SampledFrom([]int{0, 32}).Draw(t, "min head"),
		},
		Prep: Prep{
			Crop:   rapid.SampledFrom([]float64{1, 0.875}).Draw(t, "crop"),
			Squash: rapid.Bool().Draw(t, "squash"),
			Filter: rapid.SampledFrom([]Filter{Bilinear, Bicubic, TFBicubic}).Draw(t, "filter"),
			Mean:   floats("mean", -1, 1),
			Std:    floats("std", 1e-3, 2),
		},
	}
}

// blocks is the block strings of s, one a line.
func blocks(s Spec) string {
	var b strings.Builder
	for i := range s.Stages {
		b.WriteString(s.Stages[i].String() + "\n")
	}
	return b.String()
}
