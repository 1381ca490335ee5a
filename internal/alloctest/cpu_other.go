//go:build !linux

package alloctest

import "time"

// cpuTime is how long do took.
func cpuTime(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}
