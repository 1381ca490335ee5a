package train

import (
	"fmt"
	"maps"
	"slices"

	"effnet/arch"
	"effnet/weights"
)

// params is every tensor of the network in one arena, in timm's order and
// PyTorch's layout, and arenas of the same shape beside it.
type params struct {
	list   []arch.Param
	at     map[string]span
	values []float32
	grads  []float32 // of the last step; of buffers 0
	slots  [2][]float32
	names  []string  // of the slots in use
	ema    []float32 // nil: none
}

// span is a tensor's place in the arenas.
type span struct{ lo, hi int }

func newParams(g *arch.Graph) *params {
	p := &params{list: g.Params(), at: map[string]span{}}
	n := 0
	for _, q := range p.list {
		p.at[q.Name] = span{n, n + q.Elems()}
		n += q.Elems()
	}
	p.values = floats(n)
	p.grads = floats(n)
	return p
}

func (p *params) copyFrom(w *weights.Set) {
	for _, q := range p.list {
		copy(p.of(p.values, q.Name), w.Tensors[q.Name].Data)
	}
}

func (p *params) of(arena []float32, name string) []float32 {
	s := p.at[name]
	return arena[s.lo:s.hi:s.hi]
}

// get is the op's tensor of a role and its gradient.
func (p *params) get(op *arch.Op, roles ...arch.Role) (value, grad []float32) {
	for _, q := range op.Params {
		for _, r := range roles {
			if q.Role == r {
				return p.of(p.values, q.Name), p.of(p.grads, q.Name)
			}
		}
	}
	panic(fmt.Sprintf("train: %s has no parameter of role %v", op.Name, roles))
}

func everyRole(arch.Role) bool { return true }

// set is the tensors of an arena, in place.
func (p *params) set(arena []float32) *weights.Set {
	s := &weights.Set{Tensors: map[string]weights.Tensor{}, Meta: map[string]string{}}
	for _, q := range p.list {
		s.Tensors[q.Name] = weights.Tensor{Shape: q.Shape, Data: p.of(arena, q.Name)}
	}
	return s
}

// section is one arena of the state, under its prefix.
type section struct {
	prefix string
	arena  []float32
	keep   func(arch.Role) bool
}

func (p *params) sections() []section {
	s := []section{{"model/", p.values, everyRole}}
	if p.ema != nil {
		s = append(s, section{"ema/", p.ema, everyRole})
	}
	for i, name := range p.names {
		s = append(s, section{name + "/", p.slots[i], arch.Role.Trainable})
	}
	return s
}

// view is all arenas that outlive a step, in place.
func (p *params) view() map[string]weights.Tensor {
	m := map[string]weights.Tensor{}
	for _, s := range p.sections() {
		for _, q := range p.list {
			if s.keep(q.Role) {
				m[s.prefix+q.Name] = weights.Tensor{Shape: q.Shape, Data: p.of(s.arena, q.Name)}
			}
		}
	}
	return m
}

// state is a copy of view.
func (p *params) state() map[string]weights.Tensor {
	s := weights.Set{Tensors: p.view()}
	return s.Clone().Tensors
}

// restore is the inverse of state. It changes nothing unless m fits.
func (p *params) restore(m map[string]weights.Tensor) error {
	known := 0
	for _, s := range p.sections() {
		for _, q := range p.list {
			if !s.keep(q.Role) {
				continue
			}
			known++
			t, ok := m[s.prefix+q.Name]
			switch {
			case !ok:
				return fmt.Errorf("train: state: %s%s is missing", s.prefix, q.Name)
			case len(t.Data) != q.Elems():
				return fmt.Errorf("train: state: %s%s has %d values, network wants %v", s.prefix, q.Name, len(t.Data), q.Shape)
			}
		}
	}
	if known != len(m) {
		wanted := p.view()
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if _, ok := wanted[name]; !ok {
				return fmt.Errorf("train: state: %s is unknown to this network, optimizer and moving average", name)
			}
		}
	}
	for _, s := range p.sections() {
		for _, q := range p.list {
			if s.keep(q.Role) {
				copy(p.of(s.arena, q.Name), m[s.prefix+q.Name].Data)
			}
		}
	}
	return nil
}
