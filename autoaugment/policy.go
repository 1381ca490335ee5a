// Package autoaugment is AutoAugment (arXiv:1805.09501) and RandAugment
// (arXiv:1909.13719): which operations change a training image, how likely and
// how strongly. A policy is a line of text in timm's notation:
//
//	v0                      the policy EfficientNet was trained with
//	v0-mstd0.5              its magnitudes with noise
//	rand-m9-n2-mstd0.5-inc1 RandAugment
//
// The package draws operations; it knows no pixels.
package autoaugment

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Policy is a parsed policy. The zero value does nothing.
type Policy struct {
	kind       policyKind
	magnitude  int     // rand: of every operation, 0 to max
	layers     int     // rand: operations drawn
	prob       float64 // rand: that one drawn is done
	std        float64 // of a normal noise on magnitudes; above uniformStd: uniform up to the magnitude
	max        int     // greatest magnitude after the noise
	increasing bool    // rand: operations that all get stronger with the magnitude
}

type policyKind uint8

const (
	none policyKind = iota
	autoV0
	random
)

const (
	levels     = 10.0 // the magnitude at which an operation has its full strength
	uniformStd = 100
	defaultP   = 0.5
)

// part is one "-name123" of a policy's text.
type part struct {
	name     string
	least    float64
	most     float64
	whole    bool
	what     string // it is
	value    func(p *Policy) float64
	set      func(p *Policy, v float64)
	standard float64 // left out of the text; NaN: always written
	v0       bool    // v0 takes it as well
}

// parts in the order in which String writes them.
var parts = []part{
	{"m", 0, 100, true, "the magnitude", func(p *Policy) float64 { return float64(p.magnitude) }, func(p *Policy, v float64) { p.magnitude = int(v) }, math.NaN(), false},
	{"n", 1, 100, true, "the number of operations", func(p *Policy) float64 { return float64(p.layers) }, func(p *Policy, v float64) { p.layers = int(v) }, math.NaN(), false},
	{"p", 0, 1, false, "the probability of an operation", func(p *Policy) float64 { return p.prob }, func(p *Policy, v float64) { p.prob = v }, defaultP, false},
	{"mstd", 0, 1000, false, "the standard deviation of the magnitude", func(p *Policy) float64 { return p.std }, func(p *Policy, v float64) { p.std = v }, 0, true},
	{"mmax", 1, 100, true, "the greatest magnitude", func(p *Policy) float64 { return float64(p.max) }, func(p *Policy, v float64) { p.max = int(v) }, levels, false},
	{"inc", 0, 1, true, "the choice of operations that get stronger", func(p *Policy) float64 { return oneIf(p.increasing) }, func(p *Policy, v float64) { p.increasing = v == 1 }, 0, false},
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Parse reads a policy: "" (none), "v0" or "rand", followed by parts such as
// "-m9" (see the package comment). What rand leaves out is m10, n2, p0.5,
// mstd0, mmax10, inc0.
func Parse(text string) (Policy, error) {
	bad := func(format string, args ...any) (Policy, error) {
		return Policy{}, fmt.Errorf("policy %q: "+format, append([]any{text}, args...)...)
	}
	if text == "" {
		return Policy{}, nil
	}
	fields := strings.Split(text, "-")
	p := Policy{max: levels}
	switch fields[0] {
	case "v0":
		p.kind = autoV0
	case "rand":
		p.kind, p.magnitude, p.layers, p.prob = random, levels, 2, defaultP
	default:
		return bad("it begins with %q, want v0 or rand", fields[0])
	}
	seen := make(map[string]bool)
	for _, f := range fields[1:] {
		name := strings.TrimRight(f, "0123456789.")
		pt := p.part(name)
		if pt == nil {
			return bad("there is no part %q, want %s", f, p.partNames())
		}
		if seen[name] {
			return bad("%s is given twice", name)
		}
		seen[name] = true
		v, err := strconv.ParseFloat(f[len(name):], 64)
		switch {
		case err != nil:
			return bad("%q wants a number after %s", f, name)
		case !(v >= pt.least && v <= pt.most):
			return bad("%s (%s) is %v, want %v to %v", name, pt.what, v, pt.least, pt.most)
		case pt.whole && v != math.Trunc(v):
			return bad("%s (%s) is %v, want a whole number", name, pt.what, v)
		}
		pt.set(&p, v)
	}
	if p.magnitude > p.max {
		return bad("m is %d, above the greatest magnitude %d: add -mmax%d", p.magnitude, p.max, p.magnitude)
	}
	return p, nil
}

// Magnitude is that of RandAugment's operations; ok is false for policies that
// have none.
func (p Policy) Magnitude() (m int, ok bool) { return p.magnitude, p.kind == random }

// WithMagnitude is the policy of another magnitude, which must not be above the
// greatest.
func (p Policy) WithMagnitude(m int) Policy {
	if _, ok := p.Magnitude(); !ok || m < 0 || m > p.max {
		panic(fmt.Sprintf("autoaugment: %s of magnitude %d", p, m))
	}
	p.magnitude = m
	return p
}

// part finds a part that the policy takes; nil: none.
func (p Policy) part(name string) *part {
	for i := range parts {
		if parts[i].name == name && (p.kind == random || parts[i].v0) {
			return &parts[i]
		}
	}
	return nil
}

func (p Policy) partNames() string {
	var names []string
	for _, pt := range parts {
		if p.part(pt.name) != nil {
			names = append(names, pt.name)
		}
	}
	return strings.Join(names, ", ") + " and a number"
}

// String is the policy as [Parse] takes it, "" for none.
func (p Policy) String() string {
	var b strings.Builder
	switch p.kind {
	case none:
		return ""
	case autoV0:
		b.WriteString("v0")
	case random:
		b.WriteString("rand")
	}
	for _, pt := range parts {
		if v := pt.value(&p); p.part(pt.name) != nil && v != pt.standard {
			b.WriteString("-" + pt.name + strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	return b.String()
}
