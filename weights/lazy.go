package weights

import (
	"fmt"
	"os"
	"slices"

	"effnet/arch"
)

// Source gives the tensors of a network one after the other. A [*Set] has them
// all; a [*File] reads each when it is asked for.
type Source interface {
	// Check reports what does not fit g, as [Set.Check] does.
	Check(g *arch.Graph) error
	// Tensor is the values of a tensor of the network, to be used before the
	// next is asked for.
	Tensor(name string) ([]float32, error)
}

// Tensor is the values of a tensor.
func (s *Set) Tensor(name string) ([]float32, error) { return s.Tensors[name].Data, nil }

// File is an open safetensors file with timm's names, in the types and shapes
// of its header. Its tensors need not be in memory together. It is not for use
// by several goroutines at once.
type File struct {
	f       *os.File
	dataAt  int64
	entries map[string]entry
	buf     []byte
	values  []float32
}

// OpenFile opens the model in a file without reading its tensors. ok is false
// where that cannot be done: the file is of another format, has other names, or
// does not fit its network or spec, which may be nil if the file says its own;
// then [OpenModel] or [OpenModelAs] can read it or say what is wrong. The Set
// of the model has shapes and no data.
func OpenFile(path string, spec *arch.Spec) (m *Model, file *File, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, false
	}
	defer func() {
		if !ok {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil, false
	}
	h, dataAt, err := readHeader(f, info.Size())
	if err != nil {
		return nil, nil, false
	}
	_, own := h.meta[MetaSpec]
	if own == (spec != nil) {
		return nil, nil, false
	}
	file = &File{f: f, dataAt: dataAt, entries: make(map[string]entry, len(h.entries))}
	set := &Set{Tensors: make(map[string]Tensor, len(h.entries)), Meta: h.meta}
	for _, e := range h.entries {
		if isCounter(e.name) {
			continue
		}
		if e.dtype.convert == nil {
			return nil, nil, false
		}
		file.entries[e.name] = e
		set.Tensors[e.name] = Tensor{Shape: e.shape}
	}
	if own {
		m, err = describedModel(set)
	} else {
		m = &Model{Spec: *spec, Set: set}
	}
	if err != nil {
		return nil, nil, false
	}
	g, err := m.Spec.Graph()
	if err != nil || file.Check(g) != nil {
		return nil, nil, false
	}
	return m, file, true
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Check reports every tensor that g wants and the file lacks, or the other way
// round, or whose shape differs.
func (f *File) Check(g *arch.Graph) error {
	left := len(f.entries)
	for _, p := range g.Params() {
		e, ok := f.entries[p.Name]
		if !ok || !slices.Equal(e.shape, p.Shape) {
			return fmt.Errorf("weights: %s: %w", f.f.Name(), &MismatchError{Name: p.Name, Have: e.shape, Want: p.Shape})
		}
		left--
	}
	if left > 0 {
		return fmt.Errorf("weights: %s: %d tensors are not of the network", f.f.Name(), left)
	}
	return nil
}

// Tensor reads the values of a tensor.
func (f *File) Tensor(name string) ([]float32, error) {
	e, ok := f.entries[name]
	if !ok {
		return nil, fmt.Errorf("weights: %s: no tensor %s", f.f.Name(), quote(name))
	}
	n := int(e.end-e.begin) / (e.dtype.bits / 8)
	if cap(f.values) < n {
		f.values = make([]float32, n)
	}
	f.values = f.values[:n]
	if f.buf == nil {
		f.buf = make([]byte, 1<<18)
	}
	if err := readValues(f.f, f.dataAt, e, f.values, f.buf); err != nil {
		return nil, fmt.Errorf("weights: %s: tensor %s: %w", f.f.Name(), quote(name), err)
	}
	return f.values, nil
}
