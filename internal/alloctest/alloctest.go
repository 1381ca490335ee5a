// Package alloctest holds readers of untrusted files to what they may allocate.
package alloctest

import (
	"runtime"
	"testing"
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
