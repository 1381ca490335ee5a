package train

import (
	"runtime"
	"testing"
	"weak"

	"effnet/internal/ref/golden"
)

// TestRelease holds that after a step nothing but the buffers holds the memory
// of values and gradients.
func TestRelease(t *testing.T) {
	g := graphOf(t, netSpec(12, 3, "ds_r1_k3_s1_c8_se0.25", "ir_r2_k3_s2_e4_c16_se0.25"))
	tr := compileFor(t, g, golden.Weights(g), Config{Batch: 16, Threads: 2, Memory: 64 << 20})
	x, y := batch(g, 16, 1)
	step(t, tr, x, y, 0.01)
	arena := weak.Make(&tr.bufs[0].place[0])
	tr.Release()
	runtime.GC()
	if arena.Value() != nil {
		t.Error("the memory of values and gradients is still held")
	}
	step(t, tr, x, y, 0.01)
}
