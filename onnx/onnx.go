// Package onnx writes a network and its weights as an ONNX file, which other
// engines run.
//
// The file is what PyTorch's exporter would make of the network: an input
// [N,C,H,W] of normalised pixels, where N is free, and an output [N,classes]
// of logits. The same model and options give the same bytes. Metadata holds
// the network's spec, the names of its classes, and its preprocessing.
package onnx

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"effnet/arch"
	"effnet/internal/atomicfile"
	"effnet/weights"
)

// Versions of the format that files are written in.
const (
	IRVersion = 8
	Opset     = 17
)

// Names of the graph's ends.
const (
	InputName  = "input"
	OutputName = "logits"
)

// Metadata keys of a file.
const (
	MetaSpec   = weights.MetaSpec
	MetaLabels = weights.MetaLabels
	MetaPrep   = "effnet.preprocessing" // a JSON object, see Preprocessing
)

// Options are the choices of a file; the zero value is sensible.
type Options struct {
	// KeepBatchNorm writes batch norms as ops of their own, and every tensor
	// by its name and with its values. Otherwise they are multiplied into the
	// convolutions before them.
	KeepBatchNorm bool
	// FreeSize leaves the height and width of images free.
	FreeSize bool
}

// maxFile is the length that a message of Protocol Buffers may have.
const maxFile = math.MaxInt32

// WriteFile writes m as an ONNX file, whole or not at all.
func WriteFile(path string, m *weights.Model, opt Options) error {
	err := atomicfile.Write(path, func(w io.Writer) error { return Write(w, m, opt) })
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return nil
}

// Write writes m as an ONNX file. The weights must fit, see
// [weights.Set.Check].
func Write(w io.Writer, m *weights.Model, opt Options) error {
	g, err := m.Spec.Graph()
	if err != nil {
		return err
	}
	if err := m.Set.Check(g); err != nil {
		return err
	}
	meta, err := metadata(m)
	if err != nil {
		return err
	}
	n, err := lower(g, m.Set, opt)
	if err != nil {
		return err
	}
	if err := n.checkSize(meta); err != nil {
		return err
	}
	return n.write(w, meta)
}

func (n *network) checkSize(meta []pair) error {
	if size := n.modelSize(meta); size > maxFile {
		return fmt.Errorf("%s would have %d bytes, an ONNX file at most %d; safetensors has no such limit", n.name, size, maxFile)
	}
	return nil
}

// Preprocessing is what a network expects of an image: pixels between 0 and
// 255 become (pixel/255 - mean) / std, after both sides, or the short one, were
// resized to the floor of size/crop and the centre was cropped to size.
type Preprocessing struct {
	Size   [2]int    `json:"size"` // height, width
	Crop   float64   `json:"crop"`
	Squash bool      `json:"squash"` // resize both sides
	Filter string    `json:"filter"`
	Mean   []float64 `json:"mean"`
	Std    []float64 `json:"std"`
}

// pair is one entry of the metadata.
type pair struct{ key, value string }

func metadata(m *weights.Model) ([]pair, error) {
	var meta []pair
	add := func(key string, v any) error {
		text, err := json.Marshal(v)
		meta = append(meta, pair{key, string(text)})
		return err
	}
	if m.Labels != nil {
		if len(m.Labels) != m.Spec.Classes {
			return nil, fmt.Errorf("%d labels, network %s has %d classes", len(m.Labels), m.Spec.Name, m.Spec.Classes)
		}
		if err := add(MetaLabels, m.Labels); err != nil {
			return nil, err
		}
	}
	if p := &m.Spec.Prep; len(p.Mean) > 0 {
		r := m.Spec.Resolution
		if err := add(MetaPrep, Preprocessing{[2]int{r, r}, p.Crop, p.Squash, p.Filter.String(), p.Mean, p.Std}); err != nil {
			return nil, err
		}
	}
	return append(meta, pair{MetaSpec, string(m.Spec.YAML())}), nil
}

// node is one op of ONNX.
type node struct {
	op, name string
	in, out  []string
	attrs    []attribute
}

// attribute is a named value of a node: an int, a float32, a string or a list
// of ints.
type attribute struct {
	name  string
	value any
}

// tensor is a constant of the graph. Its values are made when they are written.
type tensor struct {
	name   string
	shape  []int
	values func() []float32
}

func (t *tensor) elems() int { return arch.Param{Shape: t.shape}.Elems() }

// network is a graph in the words of ONNX. A dimension of 0 is free.
type network struct {
	name     string
	nodes    []node
	tensors  []tensor
	in       [3]int // channels, height, width
	classes  int
	freeSize bool
}
