package ref_test

import (
	"maps"
	"math"
	"slices"
	"testing"

	"effnet/internal/ref"
	"effnet/internal/ref/golden"
)

// near fails unless every value is within tol of the golden, relative to the
// largest of its tensor. Gradients that are zero but for rounding (a bias
// before a batch norm) are held to an absolute bound.
func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	top := 0.0
	for _, v := range want {
		top = max(top, math.Abs(v))
	}
	for i := range got {
		if d := math.Abs(got[i] - want[i]); !(d <= tol*top+1e-12) {
			t.Errorf("%s[%d] = %v, want %v (off by %.2g, the largest is %.3g)", what, i, got[i], want[i], d, top)
			return
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

const tol = 1e-9 // the goldens have ten digits

// tolOf is the tolerance of a case. PyTorch takes the 1/6 of hard sigmoid and
// hard swish in float32 whatever the tensor's type.
func tolOf(name string) float64 {
	if name == "hard" {
		return 1e-7
	}
	return tol
}

func forward(c *golden.Case, p ref.Tensors, step int) (*ref.Trace, float64, []float64) {
	tr := ref.Forward(c.Graph, p, c.Images(step), c.Batch, ref.Mode{Train: true, Masks: c.Masks(step)})
	loss, d := ref.CrossEntropy(tr.Logits(), c.Labels(step), c.Smoothing)
	return tr, loss, d
}

func TestGoldenPass(t *testing.T) {
	for _, name := range golden.Names {
		t.Run(name, func(t *testing.T) {
			c, tol := golden.Load(name), tolOf(name)
			p := ref.FromSet(c.Weights())
			eval := ref.Forward(c.Graph, p, c.Images(0), c.Batch, ref.Mode{})
			near(t, "eval logits", eval.Logits(), c.EvalLogits, tol)

			tr, loss, d := forward(c, p, 0)
			near(t, "train logits", tr.Logits(), c.TrainLogits, tol)
			near(t, "loss", []float64{loss}, []float64{c.Loss}, tol)

			g := tr.Backward(d)
			if !slices.Equal(sortedKeys(g.Params), sortedKeys(c.Grads)) {
				t.Fatalf("gradients of %v, want %v", sortedKeys(g.Params), sortedKeys(c.Grads))
			}
			for _, k := range sortedKeys(c.Grads) {
				near(t, "gradient of "+k, g.Params[k], c.Grads[k], tol)
			}
			if c.InputGrad != nil {
				near(t, "gradient of the input", g.Values[0], c.InputGrad, tol)
			}
			near(t, "gradient of the input, probe", []float64{golden.Probe(g.Values[0])}, []float64{c.InputGradProbe}, tol)

			tr.UpdateRunning(p)
			for _, k := range sortedKeys(c.Running) {
				near(t, k, p[k], c.Running[k], tol)
			}
		})
	}
}

func newOptimizer(t *testing.T, r golden.Run) ref.Optimizer {
	decay := ref.Decay{Rate: r.WeightDecay, WeightsOnly: r.WeightsOnly}
	switch r.Kind {
	case "rmsproptf":
		return &ref.RMSPropTF{Alpha: r.Alpha, Eps: r.Eps, Momentum: r.Momentum, Decay: decay}
	case "sgd":
		return &ref.SGD{Momentum: r.Momentum, Decay: decay}
	case "adamw":
		return &ref.AdamW{Beta1: r.Betas[0], Beta2: r.Betas[1], Eps: r.Eps, Decay: decay}
	case "muon":
		return &ref.Muon{AdamW: ref.AdamW{Beta1: r.Betas[0], Beta2: r.Betas[1], Eps: r.Eps, Decay: decay}, Momentum: r.Momentum}
	}
	t.Fatalf("no optimiser %q", r.Kind)
	return nil
}

func TestGoldenRuns(t *testing.T) {
	for _, name := range golden.Names {
		c, tol := golden.Load(name), tolOf(name)
		for _, r := range c.Runs {
			t.Run(name+"/"+r.Kind, func(t *testing.T) {
				p := ref.FromSet(c.Weights())
				opt := newOptimizer(t, r)
				var losses []float64
				for step := range r.Steps {
					tr, loss, d := forward(c, p, step)
					opt.Step(c.Graph, p, tr.Backward(d).Params, r.LR)
					tr.UpdateRunning(p)
					losses = append(losses, loss)
				}
				near(t, "losses", losses, r.Losses, tol)
				for _, k := range sortedKeys(r.Probes) {
					near(t, "probe of "+k, []float64{golden.Probe(p[k])}, []float64{r.Probes[k]}, tol)
				}
				for _, k := range sortedKeys(r.Final) {
					near(t, k, p[k], r.Final[k], tol)
				}
				eval := ref.Forward(c.Graph, p, c.Images(0), c.Batch, ref.Mode{})
				near(t, "eval logits", eval.Logits(), r.EvalLogits, tol)
			})
		}
	}
}
