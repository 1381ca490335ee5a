package search

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"effnet/arch"
	"effnet/internal/words"
)

// Measure is a way to say what a network costs.
type Measure string

// The first three are counted from a network's rows. Memory and latency are
// measured, and predicted between measurements: see [Meter].
const (
	MeasureMACs        Measure = "macs"        // multiply-accumulates of one image
	MeasureParams      Measure = "params"      // trainable numbers
	MeasureActivations Measure = "activations" // elements that convolutions write for one image
	MeasureMemory      Measure = "memory"      // bytes of the inference plan at its peak: weights and one image's values
	MeasureLatency     Measure = "latency"     // seconds of one image through the inference plan, on this machine
)

// Measures are all of them.
var Measures = []Measure{MeasureMACs, MeasureParams, MeasureActivations, MeasureMemory, MeasureLatency}

// counted reports whether the rows of a network say what it costs.
func (m Measure) counted() bool {
	return m == MeasureMACs || m == MeasureParams || m == MeasureActivations
}

// ParseMeasure reads the name of a measure; "" is MACs.
func ParseMeasure(s string) (Measure, error) {
	if s == "" {
		return MeasureMACs, nil
	}
	if m := Measure(s); slices.Contains(Measures, m) {
		return m, nil
	}
	return "", fmt.Errorf("search: the cost is %q, want %s", s, measureNames())
}

func measureNames() string {
	var names []string
	for _, m := range Measures {
		names = append(names, string(m))
	}
	return words.Or(names)
}

// Limit is an upper limit of a network's cost: Factor times the base's.
type Limit struct {
	Measure Measure `json:"measure"`
	Factor  float64 `json:"factor"`
}

func (l Limit) String() string {
	return string(l.Measure) + "=" + strconv.FormatFloat(l.Factor, 'g', -1, 64) + "x"
}

// ParseLimit reads "memory=2x".
func ParseLimit(s string) (Limit, error) {
	kind, text, ok := strings.Cut(s, "=")
	number, times := strings.CutSuffix(text, "x")
	f, err := strconv.ParseFloat(number, 64)
	if !ok || !times || err != nil || !(f > 0 && f <= maxLimit) {
		return Limit{}, fmt.Errorf("search: limit %q, want a measure and a multiple of the base's such as memory=2x", s)
	}
	m, err := ParseMeasure(kind)
	if err != nil || kind == "" {
		return Limit{}, fmt.Errorf("search: limit %q: its measure is %q, want %s", s, kind, measureNames())
	}
	return Limit{m, f}, nil
}

// maxLimit is the largest multiple that a limit may be.
const maxLimit = 1e6

// Costs are what a network costs, measure by measure. Memory and Latency are 0
// where they were not measured.
type Costs struct {
	MACs        int64   `json:"macs"`
	Params      int64   `json:"params"`
	Activations int64   `json:"activations"`
	Memory      int64   `json:"memory,omitempty"`  // bytes
	Latency     float64 `json:"latency,omitempty"` // seconds
}

// Of is the cost in m.
func (c *Costs) Of(m Measure) float64 {
	switch m {
	case MeasureParams:
		return float64(c.Params)
	case MeasureActivations:
		return float64(c.Activations)
	case MeasureMemory:
		return float64(c.Memory)
	case MeasureLatency:
		return c.Latency
	}
	return float64(c.MACs)
}

// set records a measured cost.
func (c *Costs) set(m Measure, x float64) {
	switch m {
	case MeasureMemory:
		c.Memory = int64(math.Round(x))
	case MeasureLatency:
		c.Latency = x
	}
}

// countedCosts are the costs that the rows say.
func countedCosts(t *arch.Totals) Costs {
	return Costs{MACs: t.MACs, Params: t.Params, Activations: t.Activations}
}

// budget is that of the explored networks.
func (c *Config) budget() Budget { return Budget{c.Cost, c.Factor, c.Tolerance, c.Limits} }

// finalBudget is that of the networks compared at a factor. Limits are for
// what is explored.
func (c *Config) finalBudget(factor float64) Budget {
	return Budget{Cost: c.Cost, Factor: factor, Tolerance: c.Tolerance}
}

// limitText names the limits in an error: " and keep to memory=2x".
func (c *Config) limitText() string {
	var texts []string
	for _, l := range c.Limits {
		texts = append(texts, l.String())
	}
	if len(texts) == 0 {
		return ""
	}
	return " and keep to " + strings.Join(texts, ", ")
}

// checkBudget reports the first thing about the budget that makes no sense.
func (c *Config) checkBudget() error {
	cost, err := ParseMeasure(string(c.Cost))
	if err != nil {
		return err
	}
	switch {
	case !(c.Factor >= 0.001 && c.Factor <= 1000) || c.Factor == 1:
		return fmt.Errorf("search: factor is %v, want above 1, at most 1000, to grow, or below 1, at least 0.001, to shrink", c.Factor)
	case !(c.Tolerance > 0 && c.Tolerance <= 0.5):
		return fmt.Errorf("search: tolerance is %v, want above 0, at most 0.5", c.Tolerance)
	}
	for i, l := range c.Limits {
		switch {
		case !slices.Contains(Measures, l.Measure) || !(l.Factor > 0 && l.Factor <= maxLimit):
			return fmt.Errorf("search: limit %s, want a measure and a multiple of the base's such as memory=2x", l)
		case l.Measure == cost:
			return fmt.Errorf("search: limit %s is of what the factor multiplies; the factor limits that", l)
		case slices.ContainsFunc(c.Limits[:i], func(m Limit) bool { return m.Measure == l.Measure }):
			return fmt.Errorf("search: %s has two limits", l.Measure)
		}
	}
	for i, f := range c.ValidateFactors {
		grow, last := c.Factor > 1, 1.0
		if i > 0 {
			last = c.ValidateFactors[i-1]
		}
		switch {
		case !(f >= 0.001 && f <= 1000) || f == 1 || (f > 1) != grow:
			return fmt.Errorf("search: a factor to validate at is %v, want it on the side of 1 that the searched factor %v is on, 0.001 to 1000", f, c.Factor)
		case i > 0 && (f > last) != grow || f == last:
			return fmt.Errorf("search: the factors to validate at go from %v to %v, want each farther from 1", last, f)
		}
	}
	_, err = ParseSource(c.Candidates)
	return err
}

// Explored says in a line what the plan explores.
func (p *Plan) Explored(c *Config) string {
	src, _ := ParseSource(c.Candidates) // Check has read it
	in := ""
	if c.Cost != "" && c.Cost != MeasureMACs {
		in = " in " + string(c.Cost)
	}
	var limits string
	for _, l := range c.Limits {
		limits += fmt.Sprintf(", %s at most %gx", l.Measure, l.Factor)
	}
	if src.Kind == SourceStar {
		return fmt.Sprintf("%d networks scaled along one dimension, up to %gx the base%s%s", len(p.Networks), c.Factor, in, limits)
	}
	tolerance := c.Tolerance
	if p.Tolerance > 0 {
		tolerance = p.Tolerance
	}
	grid := ""
	if src.Kind == SourceGrid {
		grid = fmt.Sprintf(" on a grid of step %g", src.Step)
	}
	return fmt.Sprintf("%d of %d distinct networks%s that cost %gx the base%s within %.3g %%%s", len(p.Networks), p.Enumerated, grid, c.Factor, in, 100*tolerance, limits)
}
