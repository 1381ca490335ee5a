//go:build (amd64 || arm64) && !purego

package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestDWSplit runs depthwise kernels in many calls of little work.
func TestDWSplit(t *testing.T) {
	defer func(old int) { dwWork = old }(dwWork)
	for i, work := range []int{1, 40, 200, 1000} {
		dwWork = work
		eachImpl(t, func(t *testing.T, impl *Impl) {
			rng := rand.New(rand.NewPCG(6, uint64(i)))
			for _, s := range []DW{dwOf(40, 3, 1, 6, 5, 1), dwOf(72, 5, 2, 5, 6, 0), dwOf(56, 3, 2, 4, 9, 2), dwOf(49, 7, 1, 3, 8, 0), dwOf(33, 5, 3, 3, 3, 1)} {
				testDW(t, impl, s, rng)
			}
		})
	}
}
