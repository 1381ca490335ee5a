package search

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"

	"effnet/arch"
	"effnet/internal/yamlpos"
)

// Ratio is what a search found, for scaling networks by it: the content of a
// ratio file.
type Ratio struct {
	Base   string      // name of the network that was scaled
	Data   string      // name of the data set
	Cost   Measure     // what was equal among the networks compared
	Factor float64     // cost of the explored networks over the base's
	Shares arch.Shares // of the growth of MACs: how to grow
	// Compared are the shares of the best ratio of several dimensions, where
	// Shares are a single dimension that was better; nil where it was not.
	Compared *arch.Shares
	Region   *Extent // of the 95 % region of the best shares; nil where it is not known
	Verdict  string  // of the validation, in words
	Points   []RatioPoint
}

// Extent is the range of each share over a region.
type Extent struct{ Depth, Width, Resolution [2]float64 }

// RatioPoint is a network of the ratio that was trained.
type RatioPoint struct {
	Factor       float64 // cost over the base's that was aimed at
	Depth, Width float64
	Resolution   int // pixels
	Realised     float64
	MACs, Params int64
	Accuracy     float64 // on the test images, or where there is none on the validation images; 0 to 1
}

// Compound is the ratio in the paper's terms: alpha, beta and gamma whose
// alpha * beta^2 * gamma^2 is the factor.
func (r *Ratio) Compound() arch.Compound {
	return arch.Compound{
		Alpha: math.Pow(r.Factor, r.Shares.D),
		Beta:  math.Pow(r.Factor, r.Shares.W/2),
		Gamma: math.Pow(r.Factor, r.Shares.R/2),
	}
}

// RatioName is the ratio file of a run folder.
const RatioName = "ratio.yaml"

// ratioFormat is the first line of a ratio file; it changes with the meaning
// of the others.
const ratioFormat = "effnet ratio 1"

// YAML is r as the text of a ratio file. ParseRatio gives r back, with shares
// that sum to 1 to the last digits.
func (r *Ratio) YAML() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	quoted := func(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "?")) }
	num := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	pair := func(x [2]float64) string { return "[" + num(x[0]) + ", " + num(x[1]) + "]" }
	c := r.Compound()
	line("# How to scale: effnet scale NET --ratio THIS --factor 6")
	line("format: %s", ratioFormat)
	line("base: %s", quoted(r.Base))
	line("data: %s", quoted(r.Data))
	line("cost: %s", r.Cost)
	line("factor: %s", num(r.Factor))
	line("shares: {depth: %s, width: %s, resolution: %s}", num(r.Shares.D), num(r.Shares.W), num(r.Shares.R))
	if x := r.Compared; x != nil {
		line("compared: {depth: %s, width: %s, resolution: %s} # the best ratio of several dimensions: it was worse", num(x.D), num(x.W), num(x.R))
	}
	line("compound: {alpha: %s, beta: %s, gamma: %s} # alpha * beta^2 * gamma^2 = factor", num(c.Alpha), num(c.Beta), num(c.Gamma))
	if x := r.Region; x != nil {
		line("region: {depth: %s, width: %s, resolution: %s} # 95 %% region of the shares", pair(x.Depth), pair(x.Width), pair(x.Resolution))
	}
	line("verdict: %s", quoted(r.Verdict))
	if len(r.Points) > 0 {
		line("points:")
	}
	for _, p := range r.Points {
		line("  - {factor: %s, depth: %s, width: %s, resolution: %d, realised: %s, macs: %d, params: %d, accuracy: %s}",
			num(p.Factor), num(p.Depth), num(p.Width), p.Resolution, num(p.Realised), p.MACs, p.Params, num(p.Accuracy))
	}
	return []byte(b.String())
}

// ratioFile is the file's shape. Pointers are keys that must be there.
type ratioFile struct {
	Format   *string      `yaml:"format"`
	Base     string       `yaml:"base"`
	Data     string       `yaml:"data"`
	Cost     string       `yaml:"cost"`
	Factor   float64      `yaml:"factor"`
	Shares   *ratioShares `yaml:"shares"`
	Compared *ratioShares `yaml:"compared"`
	Compound *struct {
		Alpha float64 `yaml:"alpha"`
		Beta  float64 `yaml:"beta"`
		Gamma float64 `yaml:"gamma"`
	} `yaml:"compound"`
	Region *struct {
		Depth      []float64 `yaml:"depth"`
		Width      []float64 `yaml:"width"`
		Resolution []float64 `yaml:"resolution"`
	} `yaml:"region"`
	Verdict string `yaml:"verdict"`
	Points  []struct {
		Factor     float64 `yaml:"factor"`
		Depth      float64 `yaml:"depth"`
		Width      float64 `yaml:"width"`
		Resolution int     `yaml:"resolution"`
		Realised   float64 `yaml:"realised"`
		MACs       int64   `yaml:"macs"`
		Params     int64   `yaml:"params"`
		Accuracy   float64 `yaml:"accuracy"`
	} `yaml:"points"`
}

type ratioShares struct {
	Depth      float64 `yaml:"depth"`
	Width      float64 `yaml:"width"`
	Resolution float64 `yaml:"resolution"`
}

// shares checks them.
func (t *ratioShares) shares() (s arch.Shares, err error) {
	s = arch.Shares{D: t.Depth, W: t.Width, R: t.Resolution}
	if sum := s.D + s.W + s.R; !(min(s.D, s.W, s.R) >= 0) || !(math.Abs(sum-1) <= 0.001) {
		err = fmt.Errorf("the shares are %v, %v and %v, want numbers of 0 or more that sum to 1", s.D, s.W, s.R)
	}
	return s, err
}

// MaxRatio is the largest ratio file that is read, in bytes; maxRatioTokens
// bounds the YAML parser's work, which grows faster than the file.
const (
	MaxRatio       = 64 << 10
	maxRatioTokens = 8000
)

// ParseRatio reads a ratio file's text; file is its name for errors, which say
// the line and column.
func ParseRatio(file string, text []byte) (*Ratio, error) {
	if len(text) > MaxRatio {
		return nil, &yamlpos.Error{File: file, Line: 1, Column: 1, Msg: fmt.Sprintf("the file is larger than %d bytes", MaxRatio)}
	}
	if !utf8.Valid(text) {
		return nil, &yamlpos.Error{File: file, Line: 1, Column: 1, Msg: "the file is not UTF-8 text"}
	}
	if tokens := lexer.Tokenize(string(text)); len(tokens) > maxRatioTokens {
		at := tokens[maxRatioTokens].Position
		return nil, &yamlpos.Error{File: file, Line: at.Line, Column: at.Column, Msg: fmt.Sprintf("the file has more than %d words and marks", maxRatioTokens)}
	}
	var t ratioFile
	if err := yaml.UnmarshalWithOptions(text, &t, yaml.Strict()); err != nil {
		return nil, yamlpos.From(file, err)
	}
	r, key, err := t.ratio()
	switch {
	case err != nil && key == "":
		return nil, &yamlpos.Error{File: file, Line: 1, Column: 1, Msg: err.Error()}
	case err != nil:
		return nil, yamlpos.At(file, text, key, err.Error())
	}
	return r, nil
}

// ratio checks the file's values; key is that of the wrong one.
func (t *ratioFile) ratio() (r *Ratio, key string, err error) {
	bad := func(key, format string, args ...any) (*Ratio, string, error) {
		return nil, key, fmt.Errorf(format, args...)
	}
	switch {
	case t.Format == nil:
		return bad("", "the file has no format, want format: %s; is it a ratio file?", ratioFormat)
	case *t.Format != ratioFormat:
		return bad("format", "the format is %q, want %s", shorten(*t.Format), ratioFormat)
	case !(t.Factor > 0 && t.Factor <= 1e6) || t.Factor == 1:
		return bad("factor", "the factor is %v, want a number above 0 and not 1", t.Factor)
	case t.Shares == nil:
		return bad("", "the file has no shares, want shares: {depth: ..., width: ..., resolution: ...}")
	}
	cost, err := ParseMeasure(t.Cost)
	if err != nil {
		return bad("cost", "the cost is %q, want %s", shorten(t.Cost), measureNames())
	}
	s, err := t.Shares.shares()
	if err != nil {
		return nil, "shares", err
	}
	r = &Ratio{Base: t.Base, Data: t.Data, Cost: cost, Factor: t.Factor, Shares: s, Verdict: t.Verdict}
	if t.Compared != nil {
		s, err := t.Compared.shares()
		if err != nil {
			return nil, "compared", err
		}
		r.Compared = &s
	}
	if c := t.Compound; c != nil {
		want := r.Compound()
		if off := max(math.Abs(c.Alpha/want.Alpha-1), math.Abs(c.Beta/want.Beta-1), math.Abs(c.Gamma/want.Gamma-1)); !(off <= 0.01) {
			return bad("compound", "alpha %v, beta %v, gamma %v do not agree with the shares at factor %v, which give %.4g, %.4g, %.4g", c.Alpha, c.Beta, c.Gamma, t.Factor, want.Alpha, want.Beta, want.Gamma)
		}
	}
	if t.Region != nil {
		r.Region = &Extent{}
		for _, x := range []struct {
			key  string
			from []float64
			to   *[2]float64
		}{{"depth", t.Region.Depth, &r.Region.Depth}, {"width", t.Region.Width, &r.Region.Width}, {"resolution", t.Region.Resolution, &r.Region.Resolution}} {
			if len(x.from) != 2 || !(x.from[0] >= 0 && x.from[0] <= x.from[1] && x.from[1] <= 1.001) {
				return bad("region", "the region's %s is %v, want two shares from 0 to 1, the lower first", x.key, x.from)
			}
			copy(x.to[:], x.from)
		}
	}
	for i, p := range t.Points {
		at := fmt.Sprintf("points[%d]", i)
		switch {
		case !(p.Factor > 0 && p.Realised > 0 && p.Depth > 0 && p.Width > 0) || math.IsInf(p.Factor+p.Realised+p.Depth+p.Width, 0):
			return bad(at, "point %d: factor %v, depth %v, width %v, realised %v, want numbers above 0", i+1, p.Factor, p.Depth, p.Width, p.Realised)
		case p.Resolution < 1 || p.MACs < 1 || p.Params < 1:
			return bad(at, "point %d: resolution %d, macs %d, params %d, want numbers above 0", i+1, p.Resolution, p.MACs, p.Params)
		case !(p.Accuracy >= 0 && p.Accuracy <= 1):
			return bad(at, "point %d: accuracy %v, want 0 to 1", i+1, p.Accuracy)
		}
		r.Points = append(r.Points, RatioPoint(p))
	}
	return r, "", nil
}

// Along scales base by a ratio to the network whose MACs come nearest to
// factor times the base's. Rounding makes that another than the network of the
// factors that promise as much.
func Along(base *arch.Spec, ratio arch.Shares, factor float64) (arch.Factors, error) {
	if !(factor > 0) || factor == 1 || math.IsInf(factor, 0) {
		return arch.Factors{}, fmt.Errorf("search: the factor is %v, want above 1 to grow, or above 0 and below 1 to shrink", factor)
	}
	own, err := base.CostAt(base.Resolution)
	if err != nil {
		return arch.Factors{}, err
	}
	const steps = 1000 // of the way to the factor
	best, off := arch.Factors{}, math.Inf(1)
	for i := 1; i <= 3*steps; i++ {
		f, err := ratio.Factors(math.Pow(factor, float64(i)/steps), base.Resolution)
		if err != nil {
			break
		}
		s, err := Scale(base, f)
		if err != nil {
			break
		}
		c, err := s.CostAt(s.Resolution)
		if err != nil {
			break
		}
		d := math.Abs(math.Log(float64(c.MACs) / float64(own.MACs) / factor))
		// Of one network, the factors that promise the cost best.
		if d < off || d == off && i <= steps {
			best, off = f, d
		}
	}
	if math.IsInf(off, 1) {
		return best, errors.New("search: no network lies on the ratio " + ratio.String())
	}
	return best, nil
}
