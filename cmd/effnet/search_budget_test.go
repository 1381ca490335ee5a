package main

import (
	"math"
	"testing"

	"effnet/arch"
	"effnet/search"
)

// The meter's memory is that of a plan, whatever is asked for before, and its
// latencies are of networks in their order.
func TestSearchMeter(t *testing.T) {
	base := arch.MustLookup("small_300k")
	large, err := base.Scale(arch.Factors{Depth: 2, Width: 2, Resolution: 2 * base.Resolution})
	if err != nil {
		t.Fatal(err)
	}
	m := newSearchMeter("")
	specs := []arch.Spec{large, base}
	memory, err := m.Measure(t.Context(), search.MeasureMemory, specs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Measure(t.Context(), search.MeasureMemory, specs[1:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range specs {
		c, err := specs[i].CostAt(specs[i].Resolution)
		if err != nil {
			t.Fatal(err)
		}
		// Batch norms are folded and steps fused: less than the sum, not much less.
		if want := float64(c.InferenceBytes()); memory[i] < want/3 || memory[i] > 2*want {
			t.Errorf("%s: %v bytes, its rows say %v", specs[i].Name, memory[i], want)
		}
	}
	if memory[1] != again[0] {
		t.Errorf("memory %v, and %v when measured again", memory[1], again[0])
	}
	times, err := m.Measure(t.Context(), search.MeasureLatency, append(specs, mid(t, base)))
	if err != nil {
		t.Fatal(err)
	}
	if times[0] < 3*times[1] {
		t.Errorf("a network of 30 times the MACs takes %v s, the base %v s", times[0], times[1])
	}
	predict, err := m.Model(search.MeasureLatency, append(specs, mid(t, base)), times)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := predict(&large); err != nil || math.Abs(got/times[0]-1) > 0.5 {
		t.Errorf("predicted are %v s of %v s, %v", got, times[0], err)
	}
}

func mid(t *testing.T, base arch.Spec) arch.Spec {
	s, err := base.Scale(arch.Factors{Depth: 1, Width: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
