package infer

import (
	"flag"
	"fmt"
	"math"
	"testing"

	"effnet/internal/ref/golden"
)

var full = flag.Bool("full", false, "run every network of the zoo at its own resolution; takes minutes and gigabytes")

// TestZoo compares networks of every family with timm: see
// scripts/golden/logits.py.
func TestZoo(t *testing.T) {
	for i, c := range golden.LoadLogits(*full) {
		if testing.Short() && i%4 != 0 {
			continue // emulated processors take their time
		}
		t.Run(fmt.Sprintf("%s/%d", c.Model, c.Resolution), func(t *testing.T) {
			p, err := Compile(c.Graph, c.Weights(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			x := make([]float32, c.Batch*c.Graph.Ops[0].Shape.Elems())
			for i, v := range c.Images() {
				x[i] = float32(v)
			}
			y, err := p.Run(t.Context(), x, c.Batch)
			if err != nil {
				t.Fatal(err)
			}
			logits := widen(y)
			worst, top := 0.0, 0.0
			for i, v := range c.Logits.Head(logits, c.Batch) {
				worst = max(worst, math.Abs(v-c.Logits.First[i]))
			}
			for _, v := range logits {
				top = max(top, math.Abs(v))
			}
			worst = max(worst, math.Abs(top-c.Top)) / c.Top
			// The probe sums the errors of all logits, of either sign.
			probe := math.Abs(golden.Probe(logits)-c.Logits.Probe) / c.Top / math.Sqrt(float64(len(logits))/3)
			t.Logf("off by %.1e of the largest logit, by the probe %.1e", worst, probe)
			if !(max(worst, probe) <= 1e-4) {
				t.Errorf("off by %.2g of the largest logit, by the probe %.2g", worst, probe)
			}
		})
	}
}
