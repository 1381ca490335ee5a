package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"effnet/arch"
)

// Flag types that refuse nonsense while the command line is read, so that it
// is a usage error.

// positive is a finite number above 0.
type positive float64

func (p *positive) String() string { return strconv.FormatFloat(float64(*p), 'g', -1, 64) }
func (p *positive) Type() string   { return "number" }
func (p *positive) Set(s string) error {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x > 0) || math.IsInf(x, 0) {
		return fmt.Errorf("want a number above 0")
	}
	*p = positive(x)
	return nil
}

// finite is any number but infinities and NaN.
type finite float64

func (p *finite) String() string { return strconv.FormatFloat(float64(*p), 'g', -1, 64) }
func (p *finite) Type() string   { return "number" }
func (p *finite) Set(s string) error {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("want a number")
	}
	*p = finite(x)
	return nil
}

// pixels is an image side; 0 is not given.
type pixels int

func (p *pixels) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.Itoa(int(*p))
}
func (p *pixels) Type() string { return "pixels" }
func (p *pixels) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fmt.Errorf("want a whole number of pixels")
	}
	*p = pixels(n)
	return nil
}

// side is an image side as pixels (a whole number) or as a factor of the old
// one (a number with a decimal point); both 0 where not given.
type side struct {
	pixels int
	factor float64
	text   string
}

func (p *side) String() string { return p.text }
func (p *side) Type() string   { return "pixels|factor" }
func (p *side) Set(s string) error {
	*p = side{text: s}
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		p.pixels = n
		return nil
	}
	var f positive
	if f.Set(s) != nil || f == positive(math.Trunc(float64(f))) && !strings.Contains(s, ".") {
		return fmt.Errorf("want pixels, such as 260, or a factor with a decimal point, such as 1.15")
	}
	p.factor = float64(f)
	return nil
}

// amount is a limit with an optional suffix K, M or G; 0 is not given.
type amount struct {
	n    int64
	base float64 // of the suffixes: 1000 or 1024
	text string
}

func (a *amount) String() string { return a.text }
func (a *amount) Type() string   { return "N" }
func (a *amount) Set(s string) (err error) {
	a.text = s
	a.n, err = parseAmount(s, a.base)
	return err
}

// netName is a network's name.
type netName string

func (n *netName) String() string { return string(*n) }
func (n *netName) Type() string   { return "name" }
func (n *netName) Set(s string) error {
	if !arch.ValidName(s) {
		return fmt.Errorf("want letters, digits and . _ + - =, a letter or digit first")
	}
	*n = netName(s)
	return nil
}
