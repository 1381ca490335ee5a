package kernel

import (
	"math"
	"testing"
)

// TestEpilogue holds that the epilogues of convolutions keep a NaN, and give
// the limits of the activations.
func TestEpilogue(t *testing.T) {
	const n = 21
	inf := float32(math.Inf(1))
	eachImpl(t, func(t *testing.T, impl *Impl) {
		x, zeros, y := make([]float32, n), make([]float32, n), make([]float32, n)
		packed := make([]float32, impl.PackedSize(1, n))
		for act := range numActs {
			for _, v := range []float32{float32(math.NaN()), inf, -inf} {
				if act == HardSwish && v == -inf {
					continue // -Inf times 0
				}
				shift, want := make([]float32, n), make([]float32, n)
				for i := range shift {
					shift[i] = v
				}
				applyGo(want, shift, act)
				conv := Conv{Rows: 1, Cols: 1, N: n, Segs: 1, K: 1, Shift: shift, Act: act}
				last := Conv{Rows: 1, Cols: 1, N: n, Segs: 1, K: 1, Residual: shift, Last: act}
				dw := Depthwise{C: n, K: 1, Stride: 1, Rows: 1, Cols: 1, WTap: n, Shift: shift, Act: act}
				for name, run := range map[string]func(){
					"convolution":           func() { impl.Conv(conv, x, packed, y) },
					"last of a convolution": func() { impl.Conv(last, x, packed, y) },
					"depthwise":             func() { impl.Depthwise(dw, x, zeros, y, nil) },
				} {
					run()
					for i, got := range y {
						near := math.Abs(float64(got)-float64(want[i])) <= 0x1p-119 // as act.go states
						if !near && got != want[i] && (got == got || want[i] == want[i]) {
							t.Fatalf("%s: %s of %v is %v at %d, want %v", name, actNames[act], v, got, i, want[i])
						}
					}
				}
			}
		}
	})
}
