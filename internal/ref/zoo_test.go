package ref_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"effnet/arch"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
)

// listing is the tensors of a graph as the golden files list them.
func listing(t *testing.T, model string) string {
	s, err := arch.Lookup(model)
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range g.Params() {
		b.WriteString(p.Name)
		for _, d := range p.Shape {
			fmt.Fprintf(&b, " %d", d)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestNames compares names, shapes and order of the parameters with timm's.
func TestNames(t *testing.T) {
	for _, model := range golden.ListedModels {
		got, want := strings.Split(listing(t, model), "\n"), strings.Split(golden.Listing(model), "\n")
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%s: tensor %d is %q, want %q", model, i, got[i], want[i])
				break
			}
		}
	}
	for _, s := range golden.ListingSums() {
		text := listing(t, s.Model)
		if n := strings.Count(text, "\n"); n != s.Lines {
			t.Errorf("%s: %d tensors, want %d", s.Model, n, s.Lines)
		} else if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(text))); sum != s.Sum {
			t.Errorf("%s: the listing of names and shapes has SHA-256 %s, want %s", s.Model, sum, s.Sum)
		}
	}
}

func TestGoldenZoo(t *testing.T) {
	if testing.Short() {
		t.Skip("full-width networks")
	}
	for _, z := range golden.LoadZoo() {
		t.Run(z.Model, func(t *testing.T) {
			t.Parallel()
			p := ref.FromSet(z.Weights())
			check := func(what string, tr *ref.Trace, want golden.Logits) {
				near(t, what, want.Head(tr.Logits(), z.Batch), want.First, tol)
				near(t, what+", probe", []float64{golden.Probe(tr.Logits())}, []float64{want.Probe}, tol)
			}
			tr := ref.Forward(z.Graph, p, z.Images(), z.Batch, ref.Mode{Train: true})
			check("train logits", tr, z.Train)
			loss, d := ref.CrossEntropy(tr.Logits(), z.Labels(), z.Smoothing)
			near(t, "loss", []float64{loss}, []float64{z.Loss}, tol)
			g := tr.Backward(d)
			for _, k := range sortedKeys(z.Grads) {
				near(t, "gradient of "+k+", probe", []float64{golden.Probe(g.Params[k])}, []float64{z.Grads[k]}, tol)
			}
			tr.UpdateRunning(p)
			check("eval logits", ref.Forward(z.Graph, p, z.Images(), z.Batch, ref.Mode{}), z.Eval)
		})
	}
}

// TestGoldenLogits runs those of the evaluation cases that a slow program can.
func TestGoldenLogits(t *testing.T) {
	ran := 0
	for _, c := range golden.LoadLogits(false) {
		if c.Graph.Cost().MACs*int64(c.Batch) > 60e6 {
			continue
		}
		ran++
		t.Run(c.Model, func(t *testing.T) {
			t.Parallel()
			y := ref.Forward(c.Graph, ref.FromSet(c.Weights()), c.Images(), c.Batch, ref.Mode{}).Logits()
			near(t, "logits", c.Logits.Head(y, c.Batch), c.Logits.First, tol)
			near(t, "logits, probe", []float64{golden.Probe(y)}, []float64{c.Logits.Probe}, tol)
		})
	}
	if ran < 4 {
		t.Errorf("%d cases are small enough, want at least 4", ran)
	}
}
