package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestPeak holds that Peak computes what it says, on as many values as it
// says, and nothing else.
func TestPeak(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 2, 7, 40} {
			var x [PeakFloats]float32
			for i := range x {
				x[i] = rng.Float32()*4 - 2
			}
			before := x
			flops := impl.Peak(&x, n)
			values := PeakFloats
			if n > 0 {
				values = int(flops) / (2 * n)
			}
			if values < 1 || values > PeakFloats || flops != int64(2*n*values) {
				t.Fatalf("%d iterations: %d operations", n, flops)
			}
			for i, got := range x {
				want := float64(before[i])
				if i < values {
					for range n {
						want = want*PeakScale + PeakShift
					}
				}
				if math.Abs(float64(got)-want) > 8*eps {
					t.Fatalf("%d iterations on %d values: value %d is %g, want %g", n, values, i, got, want)
				}
			}
		}
	})
}

// TestStream holds that Stream reads everything, and only that.
func TestStream(t *testing.T) {
	eachImpl(t, func(t *testing.T, impl *Impl) {
		for _, blocks := range []int{0, 1, 2, 5, 33} {
			n := blocks * StreamBlock
			buf := make([]float32, n+2)
			buf[0], buf[n+1] = float32(math.NaN()), float32(math.NaN())
			want := 0.0
			for i := range n {
				v := float32(i%13) - 4
				buf[1+i] = v
				want += float64(v)
			}
			if got := impl.Stream(buf[1:][:n]); float64(got) != want {
				t.Errorf("%d values: sum %g, want %g", n, got, want)
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("a part of a block is taken")
			}
		}()
		impl.Stream(make([]float32, StreamBlock+1))
	})
}

func BenchmarkPeak(b *testing.B) {
	var x [PeakFloats]float32
	flops := map[string]float64{}
	for _, r := range Table() {
		if r.Supported {
			flops[r.Impl.Name] = float64(r.Impl.Peak(&x, 10000))
		}
	}
	for _, r := range Table() {
		if !r.Supported {
			continue
		}
		b.Run(r.Impl.Name, func(b *testing.B) {
			for b.Loop() {
				r.Impl.Peak(&x, 10000)
			}
			b.ReportMetric(flops[r.Impl.Name]*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
