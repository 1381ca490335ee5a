package arch

import "fmt"

// Validate reports the first thing that makes s unusable.
func (s *Spec) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("arch: %s: %s", s.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case s.Name == "":
		return fmt.Errorf("arch: the network has no name")
	case s.Resolution < 1 || s.Resolution > 1<<14:
		return bad("resolution is %d, want 1 to %d", s.Resolution, 1<<14)
	case s.Channels < 1 || s.Channels > 1024:
		return bad("channels is %d, want 1 to 1024", s.Channels)
	case s.Classes < 1 || s.Classes > 1<<20:
		return bad("classes is %d, want 1 to %d", s.Classes, 1<<20)
	case s.Stem.Width < 1 || s.Stem.Width > maxWidth:
		return bad("stem width is %d, want 1 to %d", s.Stem.Width, maxWidth)
	case s.Stem.Kernel < 1 || s.Stem.Kernel > maxKernel || s.Stem.Kernel%2 == 0:
		return bad("stem kernel is %d, want an odd number up to %d", s.Stem.Kernel, maxKernel)
	case s.Stem.Stride < 1 || s.Stem.Stride > maxStride:
		return bad("stem stride is %d, want 1 to %d", s.Stem.Stride, maxStride)
	case len(s.Stages) == 0:
		return bad("there are no stages")
	case s.Head < 0 || s.Head > maxWidth:
		return bad("head width is %d, want 0 to %d", s.Head, maxWidth)
	case s.Act == ActDefault || s.Act > ActSwish:
		return bad("activation is %s, want identity, relu, relu6 or swish", s.Act)
	case s.Padding != PadSymmetric && s.Padding != PadSame:
		return bad("padding rule is not set")
	case !(s.BN.Eps > 0 && s.BN.Eps < 1):
		return bad("batch-norm eps is %v, want between 0 and 1", s.BN.Eps)
	case !(s.BN.Momentum > 0 && s.BN.Momentum <= 1):
		return bad("batch-norm momentum is %v, want above 0, at most 1", s.BN.Momentum)
	case !(s.Dropout >= 0 && s.Dropout < 1):
		return bad("dropout is %v, want 0 to below 1", s.Dropout)
	case !(s.DropPath >= 0 && s.DropPath < 1):
		return bad("drop path is %v, want 0 to below 1", s.DropPath)
	case s.Rule.WidthDivisor < 1 || s.Rule.WidthDivisor > 1024:
		return bad("width divisor is %d, want 1 to 1024", s.Rule.WidthDivisor)
	}
	for i := range s.Stages {
		if err := s.Stages[i].check(); err != nil {
			return bad("stage %d (%s): %v", i+1, &s.Stages[i], err)
		}
	}
	return nil
}
