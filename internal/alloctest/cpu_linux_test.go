package alloctest

import (
	"testing"
	"time"
)

// TestCPUTime: sleeping costs nothing, and computing does.
func TestCPUTime(t *testing.T) {
	if took := cpuTime(func() { time.Sleep(300 * time.Millisecond) }); took > 100*time.Millisecond {
		t.Errorf("sleep counts as %v", took)
	}
	var least time.Duration
	cpuTime(func() {
		for start := time.Now(); least < 20*time.Millisecond && time.Since(start) < time.Minute; {
			least += cpuTime(func() {
				x := 0
				for i := range 1_000_000 {
					x ^= i * x
				}
				sink = x
			})
		}
	})
	if least < 20*time.Millisecond {
		t.Errorf("a minute of arithmetic counts as %v", least)
	}
}

var sink int
