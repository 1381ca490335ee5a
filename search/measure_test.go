package search

import (
	"strings"
	"testing"
)

func TestParseLimit(t *testing.T) {
	for _, m := range Measures {
		l, err := ParseLimit(string(m) + "=1.5x")
		if err != nil || l != (Limit{m, 1.5}) {
			t.Errorf("%s: got %v, %v", m, l, err)
		}
		if again, err := ParseLimit(l.String()); err != nil || again != l {
			t.Errorf("%s comes back as %v, %v", l, again, err)
		}
	}
	for _, bad := range []string{"", "memory", "memory=2", "memory=x", "=2x", "speed=2x", "memory=-1x", "memory=0x", "memory=nanx", "memory=infx", "memory=1e7x", "memory=2xx"} {
		if l, err := ParseLimit(bad); err == nil {
			t.Errorf("%q is read as %v", bad, l)
		} else if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: the error does not name it in one line: %v", bad, err)
		}
	}
}

func TestParseMeasure(t *testing.T) {
	if m, err := ParseMeasure(""); err != nil || m != MeasureMACs {
		t.Errorf("nothing is %v, %v; want MACs", m, err)
	}
	if _, err := ParseMeasure("flops"); err == nil || !strings.Contains(err.Error(), "macs, params, activations, memory or latency") {
		t.Errorf("flops: %v", err)
	}
}

func TestCosts(t *testing.T) {
	c := Costs{MACs: 1, Params: 2, Activations: 3}
	c.set(MeasureMemory, 4)
	c.set(MeasureLatency, 5)
	for i, m := range Measures {
		if got := c.Of(m); got != float64(i+1) {
			t.Errorf("%s is %v, want %d", m, got, i+1)
		}
	}
}
