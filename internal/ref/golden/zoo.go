package golden

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"effnet/arch"
	"effnet/weights"
)

// Zoo is a network of the zoo at full width, at a small resolution and with
// batch norm's momentum at 1: after one training pass the running statistics
// are those of the batch, which is what the evaluation runs with.
type Zoo struct {
	Model      string
	Resolution int
	Batch      int
	Smoothing  float64

	Train Logits             // in training mode, without dropout or drop path
	Loss  float64            // of Train and Labels
	Grads map[string]float64 // of Loss: a Probe of each parameter's
	Eval  Logits             // of the same images after the training pass

	Graph *arch.Graph `json:"-"`
}

// Logits is part of a matrix [Batch, classes].
type Logits struct {
	First []float64 // the first logits of each image, the same number of each
	Probe float64   // of the whole
}

// LoadZoo reads the full-width cases. It panics if the file is not what this
// package expects.
func LoadZoo() []*Zoo {
	b, err := files.ReadFile("testdata/zoo.json")
	must(err)
	var zs []*Zoo
	must(json.Unmarshal(b, &zs))
	for _, z := range zs {
		s, err := arch.Lookup(z.Model)
		must(err)
		s.BN.Momentum = 1
		z.Graph, err = s.GraphAt(z.Resolution)
		must(err)
	}
	return zs
}

// Weights is the value of every parameter and buffer before the training pass.
func (z *Zoo) Weights() *weights.Set { return Weights(z.Graph) }

// Images is the batch, [Batch, H, W, C].
func (z *Zoo) Images() []float64 { return images(0, z.Batch, z.Graph.Ops[0].Shape) }

// Labels is the classes of the images.
func (z *Zoo) Labels() []int { return labels(0, z.Batch, z.Graph.Spec.Classes) }

// Head picks from logits [Batch, classes] those that First holds.
func (l *Logits) Head(logits []float64, batch int) []float64 {
	var head []float64
	for n := range batch {
		head = append(head, logits[n*len(logits)/batch:][:len(l.First)/batch]...)
	}
	return head
}

// ListedModels are the models whose [Listing] is kept whole.
var ListedModels = []string{"efficientnet_b0", "tf_efficientnet_lite0", "resnet18"}

// Listing is the tensors of one of timm's models, a line "name d0 d1 ..." for
// each in order of the state dict.
func Listing(model string) string {
	b, err := files.ReadFile("testdata/names_" + model + ".txt")
	must(err)
	return string(b)
}

// ListingSum is the number of lines and the SHA-256, in hexadecimal, of a
// model's listing.
type ListingSum struct {
	Model string
	Lines int
	Sum   string
}

// ListingSums holds those of every model of the zoo that timm has.
func ListingSums() []ListingSum {
	b, err := files.ReadFile("testdata/names.txt")
	must(err)
	var sums []ListingSum
	for sc := bufio.NewScanner(strings.NewReader(string(b))); sc.Scan(); {
		var s ListingSum
		_, err := fmt.Sscan(sc.Text(), &s.Model, &s.Lines, &s.Sum)
		must(err)
		sums = append(sums, s)
	}
	return sums
}
