// Package weights holds the named tensors of a network: how they start, how
// they are checked against a network, and how they are kept in files.
package weights

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"effnet/arch"
)

// Tensor is one parameter or buffer, in PyTorch's layout ([Cout, Cin, k, k]
// for a convolution), the last dimension innermost.
type Tensor struct {
	Shape []int // empty for a scalar
	Data  []float32
}

// Set is every tensor of one network by timm's names, and free-form metadata.
type Set struct {
	Tensors map[string]Tensor
	Meta    map[string]string
}

// Names lists the tensors of s in order of the alphabet.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.Tensors)) }

// Clone copies s, data and all.
func (s *Set) Clone() *Set {
	c := &Set{Tensors: make(map[string]Tensor, len(s.Tensors)), Meta: maps.Clone(s.Meta)}
	for name, t := range s.Tensors {
		c.Tensors[name] = Tensor{slices.Clone(t.Shape), slices.Clone(t.Data)}
	}
	return c
}

// Check reports every tensor that g wants and s lacks, that s has and g does
// not know, or whose shape differs: nil means that s fits g exactly. The error
// joins one [*MismatchError] per tensor, the network's own order first.
func (s *Set) Check(g *arch.Graph) error {
	if err := s.fits(g); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

func (s *Set) fits(g *arch.Graph) error {
	var errs []error
	known := map[string]bool{}
	for _, p := range g.Params() {
		known[p.Name] = true
		t, ok := s.Tensors[p.Name]
		switch {
		case !ok:
			errs = append(errs, &MismatchError{Name: p.Name, Want: p.Shape})
		case !slices.Equal(t.Shape, p.Shape):
			errs = append(errs, &MismatchError{Name: p.Name, Have: append([]int{}, t.Shape...), Want: p.Shape})
		case len(t.Data) != p.Elems():
			errs = append(errs, fmt.Errorf("%s: shape %v has %d values, want %d", p.Name, t.Shape, len(t.Data), p.Elems()))
		}
	}
	for _, name := range s.Names() {
		if !known[name] {
			errs = append(errs, &MismatchError{Name: name, Have: append([]int{}, s.Tensors[name].Shape...)})
		}
	}
	return summarize(errs)
}

// MismatchError is one tensor that does not fit the network. A nil Have means
// that the file lacks it, a nil Want that the network does not know it.
type MismatchError struct {
	Name       string
	Have, Want []int
	File       string // the tensor's name in the file, where it is another
}

func (e *MismatchError) Error() string {
	name := printable(e.Name)
	if e.File != "" {
		name += " (in the file " + printable(e.File) + ")"
	}
	switch {
	case e.Have == nil:
		return fmt.Sprintf("%s: missing from the file, network wants %v", name, e.Want)
	case e.Want == nil:
		return fmt.Sprintf("%s: file has %v, network has no such tensor", name, e.Have)
	}
	return fmt.Sprintf("%s: file has %v, network wants %v", name, e.Have, e.Want)
}

// printable is a name from a file as it is, or quoted where that is unfit for
// a line of text.
func printable(s string) string {
	if q := quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// mismatches reads as one line, the first mismatch and the number of others,
// and unwraps to all of them.
type mismatches struct{ errs []error }

func (m *mismatches) Error() string {
	return fmt.Sprintf("%v (and %d more mismatches)", m.errs[0], len(m.errs)-1)
}

func (m *mismatches) Unwrap() []error { return m.errs }

func summarize(errs []error) error {
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	return &mismatches{errs}
}
