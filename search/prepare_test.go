package search

import (
	"fmt"
	"slices"
	"testing"
)

// TestPreparing: before the plan stands, what is done is told; a search that
// goes on has nothing to prepare.
func TestPreparing(t *testing.T) {
	dir, f := t.TempDir(), testFake()
	base := testBase()
	cfg := config(&base)
	cfg.Limits = []Limit{{Measure: MeasureLatency, Factor: 4}}
	eng := f.engine()
	eng.Meter = (&slow{}).meter()
	var told []string
	planned := false
	opt := Options{Workers: 2, Threads: 1, Preparing: func(p Preparation) {
		if planned {
			t.Errorf("%s after the plan", p)
		}
		told = append(told, p.String())
	}, Planned: func(*Plan, *Status) { planned = true }}
	if _, err := Run(t.Context(), dir, cfg, base, eng, opt); err != nil {
		t.Fatal(err)
	}
	probes := 0
	for _, text := range told {
		fmt.Sscanf(text, "timing networks, 0 of %d", &probes)
	}
	if probes < 4 {
		t.Errorf("told %q, want networks that are timed", told)
	}
	for _, want := range []string{"listing candidates", "measuring the latency of 9 networks", "listing networks of 4 times the cost",
		fmt.Sprintf("timing networks, %d of %d", probes, probes)} {
		if !slices.Contains(told, want) {
			t.Errorf("%q is not told in %q", want, told)
		}
	}
	if told[0] != "listing candidates" {
		t.Errorf("the first is %q", told[0])
	}
	told, planned = nil, false
	if _, err := Run(t.Context(), dir, cfg, base, eng, opt); err != nil || len(told) > 0 {
		t.Errorf("again: told %q, %v", told, err)
	}
}
