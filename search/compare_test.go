package search

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestHolm(t *testing.T) {
	// 0.01*4, 0.03*3, 0.04*2 < 0.09, 0.9.
	got := holm([]float64{0.03, 0.01, 0.9, 0.04})
	for i, want := range []float64{0.09, 0.04, 0.9, 0.09} {
		near(t, "adjusted p", got[i], want, 1e-12)
	}
	near(t, "a single p", holm([]float64{0.2})[0], 0.2, 0)
	near(t, "never above one", holm([]float64{0.7, 0.8})[0], 1, 0)
}

// TestBootstrapDifference: the interval over seeds and images together covers
// the truth where both vary, with few seeds and with many.
func TestBootstrapDifference(t *testing.T) {
	const sims, images, noise = 150, 800, 0.01
	for _, seeds := range []int{2, 12} {
		r := rand.New(rand.NewPCG(9, uint64(seeds)))
		covered := 0
		var width, seedsOnly float64
		for sim := range sims {
			// Images differ in how likely a network gets them right; the second
			// network is two points worse on all of them.
			base := make([]float64, images)
			for i := range base {
				base[i] = 0.5 + 0.48*r.Float64()
			}
			a, b := make([][]byte, seeds), make([][]byte, seeds)
			var diffs []float64
			pool := make([][]float64, 10)
			for s := range seeds {
				a[s], b[s] = make([]byte, images/8), make([]byte, images/8)
				da, db := noise*r.NormFloat64(), noise*r.NormFloat64()
				for i, p := range base {
					if r.Float64() < p+da {
						a[s][i/8] |= 1 << (i % 8)
					}
					if r.Float64() < p-0.02+db {
						b[s][i/8] |= 1 << (i % 8)
					}
				}
				diffs = append(diffs, float64(countHits(a[s])-countHits(b[s]))/images)
			}
			for g := range pool {
				pool[g] = []float64{noise * r.NormFloat64(), noise * r.NormFloat64()}
			}
			sd, df := pooledSD(pool)
			d := imageDraw{images: images}
			d.tally(a, b)
			lo, hi := bootstrapDifference(diffs, &d, Noise{sd, df}, 400, uint64(sim))
			width += hi - lo
			if lo <= 0.02 && 0.02 <= hi {
				covered++
			}
			seedsOnly += 2 * 1.96 * noise * math.Sqrt(2/float64(seeds))
		}
		if share := float64(covered) / sims; share < 0.92 {
			t.Errorf("%d seeds: 95 %% intervals cover the truth in %.1f %%", seeds, 100*share)
		}
		if width < seedsOnly {
			t.Errorf("%d seeds: intervals are %.4f wide, less than the seeds alone make them: %.4f", seeds, width/sims, seedsOnly/sims)
		}
	}
}

// TestImageDraw: images drawn again move the difference by its standard error.
func TestImageDraw(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	const images = 1000
	a, b := [][]byte{make([]byte, images/8)}, [][]byte{make([]byte, images/8)}
	for i := range images / 8 {
		a[0][i], b[0][i] = byte(r.Uint32()|r.Uint32()), byte(r.Uint32())
	}
	_, want := hitDifference(a, b, images)
	d := imageDraw{images: images}
	d.tally(a, b)
	var sum, sq float64
	const draws = 4000
	for range draws {
		x := d.noise([]int{0}, r)
		sum += x
		sq += x * x
	}
	near(t, "mean of the draws", sum/draws, 0, 4*want/math.Sqrt(draws))
	near(t, "their standard error", math.Sqrt(sq/draws), want, 0.05*want)
}
