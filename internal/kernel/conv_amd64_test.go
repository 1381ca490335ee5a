//go:build !purego

package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestDivides runs the convolutions, and activations alone, with the other kind of
// swish than this processor's.
func TestDivides(t *testing.T) {
	defer func(old bool) { divides = old }(divides)
	divides = !divides
	testActRange(t)
	eachImpl(t, func(t *testing.T, impl *Impl) {
		rng := rand.New(rand.NewPCG(8, 8))
		for _, s := range convEdges() {
			if s.Act == Swish {
				testConv(t, impl, s, rng)
			}
		}
		for _, s := range depthwiseEdges() {
			if s.Act == Swish {
				testDepthwise(t, impl, s, true, rng)
			}
		}
	})
}
