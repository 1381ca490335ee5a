package arch

import (
	"fmt"
	"math"
)

// Limits of a network as a whole.
const (
	maxName       = 100
	maxResolution = 1 << 14
	maxStages     = 100
	maxBlocks     = 4096
)

// FieldError is a value that makes a network unusable. Field is its path in a
// spec file: "resolution", "stem.width", "blocks" with Stage the row from 0.
type FieldError struct {
	Network string
	Field   string
	Stage   int // -1 unless Field is "blocks" and one row is to blame
	Msg     string
}

func (e *FieldError) Error() string {
	if e.Network == "" {
		return "arch: " + e.Msg
	}
	return fmt.Sprintf("arch: %s: %s", e.Network, e.Msg)
}

// Validate reports the first thing that makes s unusable, as a [*FieldError].
func (s *Spec) Validate() error {
	bad := func(field, format string, args ...any) error {
		return &FieldError{s.Name, field, -1, fmt.Sprintf(format, args...)}
	}
	switch {
	case s.Name == "":
		return bad("name", "the network has no name")
	case !ValidName(s.Name):
		return &FieldError{"", "name", -1, fmt.Sprintf("network name %.*q, want at most %d letters, digits and . _ + - =, a letter or digit first", maxName, s.Name, maxName)}
	case s.Resolution < 1 || s.Resolution > maxResolution:
		return bad("resolution", "resolution is %d, want 1 to %d", s.Resolution, maxResolution)
	case s.Channels < 1 || s.Channels > 1024:
		return bad("channels", "channels is %d, want 1 to 1024", s.Channels)
	case s.Classes < 1 || s.Classes > 1<<20:
		return bad("classes", "classes is %d, want 1 to %d", s.Classes, 1<<20)
	case s.Stem.Width < 1 || s.Stem.Width > maxWidth:
		return bad("stem.width", "stem width is %d, want 1 to %d", s.Stem.Width, maxWidth)
	case s.Stem.Kernel < 1 || s.Stem.Kernel > maxKernel || s.Stem.Kernel%2 == 0:
		return bad("stem.kernel", "stem kernel is %d, want an odd number up to %d", s.Stem.Kernel, maxKernel)
	case s.Stem.Stride < 1 || s.Stem.Stride > maxStride:
		return bad("stem.stride", "stem stride is %d, want 1 to %d", s.Stem.Stride, maxStride)
	case s.Stem.Pool != 0 && (s.Stem.Pool < 1 || s.Stem.Pool > maxKernel || s.Stem.Pool%2 == 0):
		return bad("stem.pool", "stem pool is %d, want an odd number up to %d, or 0 for none", s.Stem.Pool, maxKernel)
	case len(s.Stages) == 0:
		return bad("blocks", "there are no stages")
	case len(s.Stages) > maxStages:
		return bad("blocks", "there are %d stages, at most %d are allowed", len(s.Stages), maxStages)
	case s.Head < 0 || s.Head > maxWidth:
		return bad("head", "head width is %d, want 0 to %d", s.Head, maxWidth)
	case s.Act != ActIdentity && !s.Act.forBlocks():
		return bad("act", "activation is %s, want identity, relu, relu6, swish or hard_swish", s.Act)
	case s.Padding != PadSymmetric && s.Padding != PadSame:
		return bad("padding", "padding rule is not set")
	case !(s.BN.Eps > 0 && s.BN.Eps < 1):
		return bad("bn.eps", "batch-norm eps is %v, want between 0 and 1", s.BN.Eps)
	case !(s.BN.Momentum > 0 && s.BN.Momentum <= 1):
		return bad("bn.momentum", "batch-norm momentum is %v, want above 0, at most 1", s.BN.Momentum)
	case s.SE.Divisor < 0 || s.SE.Divisor > 1024:
		return bad("se.divisor", "squeeze divisor is %d, want 0 to 1024", s.SE.Divisor)
	case s.SE.Act != ActDefault && !s.SE.Act.forBlocks():
		return bad("se.act", "squeeze activation is %s, want the block's, relu, relu6, swish or hard_swish", s.SE.Act)
	case s.SE.Gate != ActDefault && s.SE.Gate != ActHardSigmoid:
		return bad("se.gate", "squeeze gate is %s, want default or hard_sigmoid", s.SE.Gate)
	case !(s.Dropout >= 0 && s.Dropout < 1):
		return bad("dropout", "dropout is %v, want 0 to below 1", s.Dropout)
	case !(s.DropPath >= 0 && s.DropPath < 1):
		return bad("drop_path", "drop path is %v, want 0 to below 1", s.DropPath)
	case s.Rule.Depth > RoundNearest:
		return bad("scaling.depth", "rounding of repeats is not known")
	case s.Rule.WidthDivisor < 1 || s.Rule.WidthDivisor > 1024:
		return bad("scaling.width_divisor", "width divisor is %d, want 1 to 1024", s.Rule.WidthDivisor)
	case !(s.Rule.WidthLimit >= 0 && s.Rule.WidthLimit <= 1):
		return bad("scaling.width_limit", "width limit is %v, want 0 to 1", s.Rule.WidthLimit)
	case s.Rule.MinHead < 0 || s.Rule.MinHead > maxWidth:
		return bad("scaling.min_head", "smallest head is %d, want 0 to %d", s.Rule.MinHead, maxWidth)
	}
	if err := s.validatePrep(bad); err != nil {
		return err
	}
	blocks := 0
	for i := range s.Stages {
		st := &s.Stages[i]
		if err := st.check(); err != nil {
			return &FieldError{s.Name, "blocks", i, fmt.Sprintf("stage %d (%s): %v", i+1, st, err)}
		}
		if blocks += st.Repeats; blocks > maxBlocks {
			return &FieldError{s.Name, "blocks", i, fmt.Sprintf("stage %d (%s): the network would have more than %d blocks", i+1, st, maxBlocks)}
		}
	}
	return nil
}

// validatePrep accepts a Prep that is not set: a network that is only counted
// or only fed tensors needs none.
func (s *Spec) validatePrep(bad func(field, format string, args ...any) error) error {
	p := &s.Prep
	switch {
	case !(p.Crop >= 0 && p.Crop <= 1):
		return bad("preprocessing.crop", "crop is %v, want above 0, at most 1", p.Crop)
	case p.Filter > TFBicubic:
		return bad("preprocessing.filter", "filter is not known")
	case len(p.Mean) != 0 && len(p.Mean) != s.Channels:
		return bad("preprocessing.mean", "mean has %d numbers, want one for each of %d channels", len(p.Mean), s.Channels)
	case len(p.Std) != 0 && len(p.Std) != s.Channels:
		return bad("preprocessing.std", "std has %d numbers, want one for each of %d channels", len(p.Std), s.Channels)
	}
	for _, x := range p.Mean {
		if math.IsNaN(x) || math.Abs(x) > 1e6 {
			return bad("preprocessing.mean", "mean has %v, want numbers of pixels in 0 to 1", x)
		}
	}
	for _, x := range p.Std {
		if !(x > 0 && x < 1e6) {
			return bad("preprocessing.std", "std has %v, want numbers above 0", x)
		}
	}
	return nil
}

// ValidName reports whether a network's name is safe in file names, tables
// and spec files alike.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '+' && c != '-' && c != '=') {
			return false
		}
	}
	return true
}
