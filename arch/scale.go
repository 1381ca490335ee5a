package arch

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Factors says how much a network grows. Depth multiplies the repeats of every
// stage, Width every channel count; Resolution is the new input size itself,
// in pixels, and 0 keeps the old one. A factor below 1 shrinks.
type Factors struct {
	Depth, Width float64
	Resolution   int
}

// maxFactor bounds depth and width factors; a network a thousand times deeper
// or wider than its base is a slip of the pen.
const maxFactor = 1000

// Scale grows or shrinks s by f as its Rule says. A factor of exactly 1 changes
// nothing, even channel counts that are no multiple of the divisor. The result
// is named after s and the factors.
func (s Spec) Scale(f Factors) (Spec, error) {
	out, err := s.scaled(f)
	if err != nil {
		return Spec{}, fmt.Errorf("arch: scaling %s: %w", s.Name, err)
	}
	out.Name = scaledName(s, f)
	return out, nil
}

// scaled is Scale without the new name, nor the old one in errors.
func (s *Spec) scaled(f Factors) (Spec, error) {
	bad := func(format string, args ...any) (Spec, error) { return Spec{}, fmt.Errorf(format, args...) }
	for _, c := range []struct {
		name string
		x    float64
	}{{"depth", f.Depth}, {"width", f.Width}} {
		if !(c.x > 0 && c.x <= maxFactor) {
			return bad("the %s factor is %v, want a number above 0, at most %d", c.name, c.x, maxFactor)
		}
	}
	if f.Resolution < 0 || f.Resolution > maxResolution {
		return bad("the resolution is %d pixels, want 1 to %d, or 0 to keep %d", f.Resolution, maxResolution, s.Resolution)
	}
	if f.Depth != 1 && s.Rule.Depth != RoundUp && s.Rule.Depth != RoundNearest {
		return bad("its rule does not say how repeats round")
	}
	if s.Rule.WidthDivisor < 1 {
		return bad("its rule has width divisor %d, want at least 1", s.Rule.WidthDivisor)
	}
	out := *s
	out.Stages = slices.Clone(s.Stages)
	if f.Resolution > 0 {
		out.Resolution = f.Resolution
	}
	out.Stem.Width = s.ScaledStem(f.Width)
	out.Head = s.ScaledHead(f.Width)
	blocks := 0
	for i := range out.Stages {
		st := &out.Stages[i]
		st.Repeats = s.ScaledRepeats(i, f.Depth)
		st.Width = s.Rule.width(st.Width, f.Width)
		if st.ForceIn > 0 {
			st.ForceIn = s.Rule.width(st.ForceIn, f.Width)
		}
		blocks += st.Repeats
		switch {
		case st.Repeats > maxRepeats:
			return bad("stage %d would have %d repeats, at most %d are allowed", i+1, st.Repeats, maxRepeats)
		case max(st.Width, st.ForceIn) > maxWidth:
			return bad("stage %d would have %d channels, at most %d are allowed", i+1, max(st.Width, st.ForceIn), maxWidth)
		case blocks > maxBlocks:
			return bad("it would have more than %d blocks", maxBlocks)
		}
	}
	switch {
	case out.Stem.Width > maxWidth:
		return bad("the stem would have %d channels, at most %d are allowed", out.Stem.Width, maxWidth)
	case out.Head > maxWidth:
		return bad("the head would have %d channels, at most %d are allowed", out.Head, maxWidth)
	}
	return out, nil
}

// ScaledStem is the stem's width under a width factor.
func (s *Spec) ScaledStem(width float64) int {
	if s.Rule.FixStem {
		return s.Stem.Width
	}
	return s.Rule.width(s.Stem.Width, width)
}

// ScaledHead is the head's width under a width factor; no head stays no head.
func (s *Spec) ScaledHead(width float64) int {
	if s.Head == 0 || s.Rule.FixHead || width == 1 {
		return s.Head
	}
	return max(s.Rule.width(s.Head, width), s.Rule.MinHead)
}

// ScaledRepeats is the number of blocks of a stage under a depth factor.
func (s *Spec) ScaledRepeats(stage int, depth float64) int {
	n := s.Stages[stage].Repeats
	if s.Rule.FixEnds && (stage == 0 || stage == len(s.Stages)-1) {
		return n
	}
	return s.Rule.repeats(n, depth)
}

// width rounds channels*factor. The product is exact float64 arithmetic as in
// the reference implementations, so that 1.4*5 is 7 and not a little more.
func (r *Rule) width(channels int, factor float64) int {
	if factor == 1 {
		return channels
	}
	return roundWidth(float64(channels)*factor, r.WidthDivisor, r.WidthLimit)
}

func (r *Rule) repeats(n int, factor float64) int {
	if factor == 1 {
		return n
	}
	x := factor * float64(n)
	if r.Depth == RoundUp {
		return max(1, int(math.Ceil(x)))
	}
	return max(1, int(math.RoundToEven(x)))
}

func scaledName(s Spec, f Factors) string {
	var b strings.Builder
	add := func(letter string, x float64) {
		b.WriteString("_" + letter + strconv.FormatFloat(x, 'g', 4, 64))
	}
	if f.Depth != 1 {
		add("d", f.Depth)
	}
	if f.Width != 1 {
		add("w", f.Width)
	}
	if f.Resolution > 0 && f.Resolution != s.Resolution {
		fmt.Fprintf(&b, "_r%d", f.Resolution)
	}
	base := s.Name
	if n := maxName - b.Len(); len(base) > n {
		base = base[:n]
	}
	return base + b.String()
}

// Nominal is the growth of MACs that the factors promise from an input of
// resolution pixels, were nothing rounded and nothing fixed: d * w^2 * r^2.
func (f Factors) Nominal(resolution int) float64 {
	r := 1.0
	if f.Resolution > 0 {
		r = float64(f.Resolution) / float64(resolution)
	}
	return f.Depth * f.Width * f.Width * r * r
}

// Compound holds the constants of the paper's formula: depth Alpha^phi, width
// Beta^phi, resolution Gamma^phi, so that cost grows about Cost()^phi.
type Compound struct{ Alpha, Beta, Gamma float64 }

// B0Compound is what the paper's grid search on B0 found.
var B0Compound = Compound{1.2, 1.1, 1.15}

// Factors is the formula at phi for a base of resolution pixels. phi may be
// fractional, and negative to shrink.
func (c Compound) Factors(phi float64, resolution int) (Factors, error) {
	for _, x := range []struct {
		name string
		x    float64
	}{{"alpha", c.Alpha}, {"beta", c.Beta}, {"gamma", c.Gamma}} {
		if !(x.x > 0 && x.x <= maxFactor) {
			return Factors{}, fmt.Errorf("arch: compound scaling: %s is %v, want a number above 0, at most %d", x.name, x.x, maxFactor)
		}
	}
	if math.IsNaN(phi) || math.Abs(phi) > maxFactor {
		return Factors{}, fmt.Errorf("arch: compound scaling: phi is %v, want %d to %d", phi, -maxFactor, maxFactor)
	}
	f := Factors{Depth: math.Pow(c.Alpha, phi), Width: math.Pow(c.Beta, phi)}
	var err error
	f.Resolution, err = pixels(resolution, math.Pow(c.Gamma, phi))
	return f, err
}

// Cost is the nominal growth of MACs per unit of phi: alpha * beta^2 * gamma^2.
func (c Compound) Cost() float64 { return c.Alpha * c.Beta * c.Beta * c.Gamma * c.Gamma }

// Shares is the balance of c: which share of the growth each dimension takes.
// It needs Cost() above 1.
func (c Compound) Shares() (Shares, error) {
	sh := Shares{math.Log(c.Alpha), 2 * math.Log(c.Beta), 2 * math.Log(c.Gamma)}
	if !(c.Cost() > 1) {
		return Shares{}, fmt.Errorf("arch: compound scaling: alpha*beta^2*gamma^2 is %v, want above 1", c.Cost())
	}
	return sh.normal()
}

// Shares is a balance of depth, width and resolution: non-negative parts of
// one. With a cost factor s the factors are s^D, s^(W/2) and s^(R/2), so that
// nominal MACs grow by exactly s.
type Shares struct{ D, W, R float64 }

// ParseShares reads "d:w:r", three non-negative numbers in any scale, and
// divides them by their sum.
func ParseShares(s string) (Shares, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return Shares{}, fmt.Errorf("arch: ratio %q, want three numbers depth:width:resolution such as 1:1:1", s)
	}
	var x [3]float64
	for i, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) {
			return Shares{}, fmt.Errorf("arch: ratio %q: %q is not a number of 0 or more", s, p)
		}
		x[i] = v
	}
	return Shares{x[0], x[1], x[2]}.normal()
}

// normal divides by the sum.
func (sh Shares) normal() (Shares, error) {
	sum := sh.D + sh.W + sh.R
	if !(sh.D >= 0 && sh.W >= 0 && sh.R >= 0 && sum > 0) || math.IsInf(sum, 0) {
		return Shares{}, fmt.Errorf("arch: ratio %v:%v:%v, want numbers of 0 or more, not all 0", sh.D, sh.W, sh.R)
	}
	return Shares{sh.D / sum, sh.W / sum, sh.R / sum}, nil
}

func (sh Shares) String() string { return fmt.Sprintf("%.3g:%.3g:%.3g", sh.D, sh.W, sh.R) }

// Factors spends a cost factor (2 for twice the MACs) as sh says, for a base
// of resolution pixels.
func (sh Shares) Factors(cost float64, resolution int) (Factors, error) {
	sh, err := sh.normal()
	if err != nil {
		return Factors{}, err
	}
	if !(cost > 0) || math.IsInf(cost, 0) {
		return Factors{}, fmt.Errorf("arch: the cost factor is %v, want a number above 0", cost)
	}
	f := Factors{Depth: math.Pow(cost, sh.D), Width: math.Pow(cost, sh.W/2)}
	f.Resolution, err = pixels(resolution, math.Pow(cost, sh.R/2))
	return f, err
}

// pixels is resolution*factor rounded to the nearest pixel.
func pixels(resolution int, factor float64) (int, error) {
	px := math.Round(float64(resolution) * factor)
	if !(px >= 1 && px <= maxResolution) {
		return 0, fmt.Errorf("arch: a resolution of %d times %.4g is out of range, want 1 to %d pixels", resolution, factor, maxResolution)
	}
	return int(px), nil
}
