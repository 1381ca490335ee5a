// Package alloctest holds readers of untrusted files to what they may allocate and
// compute.
package alloctest

import (
	"runtime"
	"testing"
	"time"
)

// Slack is what a reader may allocate beside twice its file, bytes.
const Slack = 64 << 20

// Bounded runs read on a file of size bytes and fails the test if it allocates
// more than 2*size + Slack in total, which bounds the peak as well. Nothing else
// may allocate meanwhile.
func Bounded(t testing.TB, size int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if used, limit := after.TotalAlloc-before.TotalAlloc, 2*uint64(size)+Slack; used > limit {
		t.Errorf("allocated %d bytes for a file of %d, want at most %d", used, size, limit)
	}
}

// Quick runs read, which works on its caller's goroutine alone, and fails the test
// if it computes for longer than most. It returns for how long.
func Quick(t testing.TB, most time.Duration, read func()) time.Duration {
	t.Helper()
	took := cpuTime(read)
	if took > most {
		t.Errorf("computed for %v, want at most %v", took, most)
	}
	return took
}
