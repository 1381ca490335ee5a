package golden

import (
	"encoding/json"
	"math"

	"effnet/arch"
	"effnet/weights"
)

// LogitCase is a network of the zoo whose evaluation timm has done for a batch
// of images, with weights that keep its activations in proportion.
type LogitCase struct {
	Model      string
	Resolution int
	Batch      int
	Norms      string  // of each batch norm, a letter: the size of what it normalises, 2^(letter - 'm')
	Top        float64 // largest absolute value of all logits
	Logits     Logits

	Graph *arch.Graph `json:"-"`
}

// LoadLogits reads the cases of every family at small resolutions, or those of
// the whole zoo at the networks' own. It panics if the file is not what this
// package expects.
func LoadLogits(full bool) []*LogitCase {
	name := "testdata/logits.json"
	if full {
		name = "testdata/logits_full.json"
	}
	b, err := files.ReadFile(name)
	must(err)
	var cs []*LogitCase
	must(json.Unmarshal(b, &cs))
	for _, c := range cs {
		s, err := arch.Lookup(c.Model)
		must(err)
		c.Graph, err = s.GraphAt(c.Resolution)
		must(err)
	}
	return cs
}

// Weights is the value of every parameter and buffer. Every second weight of
// a convolution's filter is the one before, negated.
func (c *LogitCase) Weights() *weights.Set {
	w := &weights.Set{Tensors: map[string]weights.Tensor{}, Meta: map[string]string{}}
	norm := 0
	for i := range c.Graph.Ops {
		op := &c.Graph.Ops[i]
		size := 1.0
		if op.Kind == arch.OpBatchNorm {
			size = math.Ldexp(1, int(c.Norms[norm])-'m')
			norm++
		}
		for _, p := range op.Params {
			t := weights.Tensor{Shape: p.Shape, Data: make([]float32, p.Elems())}
			for j, v := range parameter(p) {
				switch p.Role {
				case arch.BNMean:
					v *= size
				case arch.BNVar:
					v *= size * size
				case arch.ConvWeight, arch.DepthwiseWeight:
					if j%(p.Elems()/p.Shape[0])%2 == 1 {
						v = -float64(t.Data[j-1])
					}
				}
				t.Data[j] = float32(v)
			}
			w.Tensors[p.Name] = t
		}
	}
	return w
}

// Images is the batch, [Batch, H, W, C].
func (c *LogitCase) Images() []float64 { return images(0, c.Batch, c.Graph.Ops[0].Shape) }
