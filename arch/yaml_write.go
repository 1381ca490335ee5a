package arch

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// word is a value of a closed set and how a file spells it.
type word[T comparable] struct {
	value T
	text  string
}

var (
	actWords      = []word[Act]{{ActSwish, "swish"}, {ActReLU, "relu"}, {ActReLU6, "relu6"}, {ActHardSwish, "hard_swish"}, {ActIdentity, "identity"}}
	seActWords    = []word[Act]{{ActDefault, "block"}, {ActSwish, "swish"}, {ActReLU, "relu"}, {ActReLU6, "relu6"}, {ActHardSwish, "hard_swish"}}
	gateWords     = []word[Act]{{ActDefault, "sigmoid"}, {ActHardSigmoid, "hard_sigmoid"}}
	paddingWords  = []word[PaddingRule]{{PadSame, "same"}, {PadSymmetric, "symmetric"}}
	squeezeWords  = []word[bool]{{false, "input"}, {true, "expanded"}}
	roundingWords = []word[Rounding]{{RoundUp, "ceil"}, {RoundNearest, "round"}}
	filterWords   = []word[Filter]{{Bicubic, "bicubic"}, {Bilinear, "bilinear"}, {TFBicubic, "tf_bicubic"}}
	boolWords     = []word[bool]{{true, "true"}, {false, "false"}}
)

func spell[T comparable](x T, words []word[T]) string {
	for _, w := range words {
		if w.value == x {
			return w.text
		}
	}
	return ""
}

func (r Rounding) String() string { return spell(r, roundingWords) }
func (f Filter) String() string   { return spell(f, filterWords) }

func (r PaddingRule) String() string { return spell(r, paddingWords) }

// YAML is s as the text of a spec file, with every value written out, in an
// order made for reading. ParseSpec gives s back, except that fields of s that
// are not set come back as their defaults.
func (s Spec) YAML() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	name := s.Name
	if !plainName(name) {
		name = strconv.Quote(name)
	}
	line("name: %s", name)
	line("resolution: %d", s.Resolution)
	line("channels: %d", s.Channels)
	line("classes: %d", s.Classes)
	line("stem: {width: %d, kernel: %d, stride: %d, pool: %d}", s.Stem.Width, s.Stem.Kernel, s.Stem.Stride, s.Stem.Pool)
	line("blocks:")
	for i := range s.Stages {
		line("  - %s", &s.Stages[i])
	}
	line("head: %d", s.Head)
	line("act: %s", spell(s.Act, actWords))
	line("padding: %s", s.Padding)
	line("bn: {eps: %s, momentum: %s}", number(s.BN.Eps), number(s.BN.Momentum))
	line("se: {base: %s, divisor: %d, act: %s, gate: %s}", spell(s.SE.FromExpanded, squeezeWords), s.SE.Divisor,
		spell(s.SE.Act, seActWords), spell(s.SE.Gate, gateWords))
	line("dropout: %s", number(s.Dropout))
	line("drop_path: %s", number(s.DropPath))
	d := fileDefaults()
	line("scaling:")
	line("  depth: %s", cmp.Or(s.Rule.Depth, d.Rule.Depth))
	line("  width_divisor: %d", s.Rule.WidthDivisor)
	line("  width_limit: %s", number(s.Rule.WidthLimit))
	line("  fix_stem: %t", s.Rule.FixStem)
	line("  fix_head: %t", s.Rule.FixHead)
	line("  fix_ends: %t", s.Rule.FixEnds)
	line("  min_head: %d", s.Rule.MinHead)
	line("preprocessing:")
	line("  crop: %s", number(cmp.Or(s.Prep.Crop, d.Prep.Crop)))
	line("  squash: %t", s.Prep.Squash)
	line("  filter: %s", cmp.Or(s.Prep.Filter, d.Prep.Filter))
	list := func(key string, xs []float64) {
		if len(xs) == 0 {
			return
		}
		texts := make([]string, len(xs))
		for i, x := range xs {
			texts[i] = number(x)
		}
		line("  %s: [%s]", key, strings.Join(texts, ", "))
	}
	list("mean", s.Prep.Mean)
	list("std", s.Prep.Std)
	return b.Bytes()
}

// plainName reports whether every YAML reader takes a name for text without quotes.
func plainName(s string) bool {
	if s == "" || !(s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') {
		return false
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return ValidName(s)
}
