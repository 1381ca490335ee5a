package train

import (
	"fmt"
	"testing"

	"effnet/arch"
	"effnet/weights"
)

// BenchmarkStep measures whole training steps of the networks that the
// project is judged by.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		net                       string
		resolution, stride, batch int
	}{
		{"small_300k", 0, 0, 128},
		{"small_1m", 0, 0, 128},
		{"small_5m", 0, 0, 128},
		{"efficientnet_b0", 32, 1, 128},
		{"efficientnet_b0", 224, 2, 16},
	} {
		s, err := arch.Lookup(c.net)
		if err != nil {
			b.Fatal(err)
		}
		s.Dropout, s.DropPath = 0, 0
		if c.resolution > 0 {
			s.Resolution, s.Stem.Stride = c.resolution, c.stride
		}
		g := graphOf(b, s)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s-%d/batch=%d/threads=%d", c.net, s.Resolution, c.batch, threads), func(b *testing.B) {
				tr := compileFor(b, g, weights.Init(g, 1), Config{Batch: c.batch, Threads: threads})
				x, y := batch(g, c.batch, 1)
				step(b, tr, x, y, 0.001)
				b.ReportAllocs()
				for b.Loop() {
					step(b, tr, x, y, 0.001)
				}
				b.ReportMetric(float64(c.batch*b.N)/b.Elapsed().Seconds(), "images/s")
				b.ReportMetric(float64(tr.Memory().Total())/(1<<20), "MiB")
			})
		}
	}
}
