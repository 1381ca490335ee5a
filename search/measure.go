package search

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"effnet/arch"
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
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
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
