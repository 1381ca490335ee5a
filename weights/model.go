package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"effnet/arch"
)

// Metadata keys of a model file.
const (
	MetaSpec   = "effnet.spec"   // the network, preprocessing included, as a spec file
	MetaLabels = "effnet.labels" // the classes, a JSON list of strings
)

// ModelFile is the name of a model's file in the folder of its training.
const ModelFile = "model.safetensors"

// ErrNoSpec is a weights file that does not say which network it belongs to.
var ErrNoSpec = errors.New("the file does not say which network it is for: no " + MetaSpec + " in its metadata")

// Model is a network with its weights and the names of its classes. One file
// holds one model.
type Model struct {
	Spec   arch.Spec
	Labels []string // by class; nil if they have no names
	Set    *Set
}

// OpenModel reads a model that [Model.Write] wrote, and checks that its parts
// fit each other; or other weights whose tensors leave no doubt about the
// network, see [SpecOf].
func OpenModel(path string) (*Model, error) {
	s, err := Open(path)
	if err != nil {
		return nil, err
	}
	m, err := modelOf(s, path)
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w", path, err)
	}
	return m, nil
}

func modelOf(s *Set, path string) (*Model, error) {
	if _, ok := s.Meta[MetaSpec]; !ok {
		spec, err := SpecOf(s)
		if err != nil {
			return nil, err
		}
		return modelAs(s, spec)
	}
	m, err := describedModel(s)
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

// describedModel is the model of a set whose metadata says what it is.
func describedModel(s *Set) (*Model, error) {
	m := &Model{Set: s}
	var err error
	if m.Spec, err = arch.ParseSpec(MetaSpec, []byte(s.Meta[MetaSpec])); err != nil {
		return nil, err
	}
	if text, ok := s.Meta[MetaLabels]; ok {
		if err := json.Unmarshal([]byte(text), &m.Labels); err != nil {
			return nil, fmt.Errorf("%s: want a JSON list of strings: %v", MetaLabels, err)
		}
	}
	return m, m.labelled()
}

// Write writes m as one safetensors file, whole or not at all. Metadata of the
// set stays beside the model's own.
func (m *Model) Write(path string) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("weights: %s: %w", path, err)
	}
	meta := maps.Clone(m.Set.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	meta["format"] = "pt" // some readers in Python insist
	meta[MetaSpec] = string(m.Spec.YAML())
	delete(meta, MetaLabels)
	if m.Labels != nil {
		text, err := json.Marshal(m.Labels)
		if err != nil {
			return fmt.Errorf("weights: %s: %w", path, err)
		}
		meta[MetaLabels] = string(text)
	}
	return (&Set{Tensors: m.Set.Tensors, Meta: meta}).WriteFile(path)
}

// labelled checks that there is a label for each class, or none.
func (m *Model) labelled() error {
	if m.Labels != nil && len(m.Labels) != m.Spec.Classes {
		return fmt.Errorf("%d labels, network %s has %d classes", len(m.Labels), m.Spec.Name, m.Spec.Classes)
	}
	return nil
}

func (m *Model) check() error {
	if err := m.labelled(); err != nil {
		return err
	}
	g, err := m.Spec.Graph()
	if err != nil {
		return err
	}
	return m.Set.fits(g)
}
