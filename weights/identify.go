package weights

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"effnet/arch"
)

// Match says how well a set fits a network of the zoo.
type Match struct {
	Network string
	Naming  Naming
	Share   float64 // of the tensors of both, those with the network's name and shape; 1 is all
}

// known is the tensors of the zoo's networks by each layout's names.
var known = sync.OnceValue(func() []knownNetwork {
	var list []knownNetwork
	for _, name := range arch.Names() {
		g, err := arch.MustLookup(name).Graph()
		if err != nil {
			panic(err) // the zoo's own
		}
		shapes := map[string][]int{}
		for _, p := range g.Params() {
			shapes[p.Name] = p.Shape
		}
		for i := range layouts {
			names := layouts[i].names(g)
			if names == nil || layouts[i].naming != TorchvisionNames && strings.HasPrefix(name, torchvisionV2) {
				continue
			}
			k := knownNetwork{name, layouts[i].naming, make(map[string][]int, len(names))}
			for from, to := range names {
				k.shapes[from] = shapes[to]
			}
			stem, classifier := ends(g)
			for from, to := range names {
				// The number of classes, and of image channels, is the user's.
				switch shape := slices.Clone(k.shapes[from]); {
				case to == stem:
					shape[1] = -1
					k.shapes[from] = shape
				case strings.HasPrefix(to, classifier+"."):
					shape[0] = -1
					k.shapes[from] = shape
				}
			}
			list = append(list, k)
		}
	}
	return list
})

type knownNetwork struct {
	name   string
	naming Naming
	shapes map[string][]int // -1 is any number
}

// ends names the weight of a graph's first convolution, and its classifier.
func ends(g *arch.Graph) (stem, classifier string) {
	for i := range g.Ops {
		if g.Ops[i].Kind == arch.OpConv {
			stem = g.Ops[i].Params[0].Name
			break
		}
	}
	return stem, g.Ops[g.Output()].Name
}

// share compares s with a network.
func (k *knownNetwork) share(s *Set) float64 {
	same := 0
	for name, t := range s.Tensors {
		want, ok := k.shapes[name]
		if ok && slices.EqualFunc(t.Shape, want, func(a, b int) bool { return a == b || b < 0 }) {
			same++
		}
	}
	return float64(same) / float64(max(len(s.Tensors), len(k.shapes)))
}

// Identify compares a set with every network of the zoo, by names and shapes,
// and returns those that share a tensor with it, the best first. The number of
// classes and of image channels does not count.
func Identify(s *Set) []Match {
	var ms []Match
	for _, k := range known() {
		m := Match{k.name, k.naming, k.share(s)}
		if m.Share == 0 {
			continue
		}
		if i := slices.IndexFunc(ms, func(o Match) bool { return o.Network == m.Network }); i < 0 {
			ms = append(ms, m)
		} else if m.Share > ms[i].Share {
			ms[i] = m
		}
	}
	slices.SortStableFunc(ms, func(a, b Match) int { return cmp.Compare(b.Share, a.Share) })
	return ms
}

// AmbiguousError is a set that fits several networks, which differ in what
// names and shapes do not show, such as padding.
type AmbiguousError struct{ Networks []string }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("the tensors fit %s alike, which differ in other things than weights", strings.Join(e.Networks, " and "))
}

// SpecOf tells which network a set without a spec belongs to: the one of the
// zoo that fits every tensor, with the conventions of the code that the names
// come from, and as many classes and channels as the set has.
func SpecOf(s *Set) (arch.Spec, error) {
	ms := Identify(s)
	if len(ms) == 0 || ms[0].Share < 1 {
		return arch.Spec{}, fmt.Errorf("%w, and its tensors are those of no network of the zoo%s", ErrNoSpec, resembles(ms))
	}
	// Networks that differ in conventions become one by those of the names.
	var specs []arch.Spec
	var names []string
	for _, m := range ms {
		if m.Share < 1 {
			break
		}
		spec := m.Naming.conventions(arch.MustLookup(m.Network))
		if !slices.Contains(names, spec.Name) {
			specs, names = append(specs, spec), append(names, spec.Name)
		}
	}
	i := 0
	if len(specs) > 1 {
		// A checkpoint of timm's own training says what it trained.
		if i = slices.Index(names, s.Meta["arch"]); i < 0 {
			return arch.Spec{}, fmt.Errorf("%w: %w", ErrNoSpec, &AmbiguousError{names})
		}
	}
	return fitEnds(specs[i], s)
}

// resembles names the networks that a set is most like, as a part of a
// sentence; empty if there is none.
func resembles(ms []Match) string {
	const alike = 0.5
	if len(ms) == 0 || ms[0].Share < alike {
		return ""
	}
	var names []string
	for _, m := range ms {
		if m.Share == ms[0].Share && len(names) < 4 {
			names = append(names, m.Network)
		}
	}
	if ms[0].Share == 1 {
		return "; the file looks like " + strings.Join(names, " or ")
	}
	return fmt.Sprintf("; the file looks most like %s (%.0f %% of its tensors)", strings.Join(names, " or "), 100*ms[0].Share)
}

// WrongNetworkError is a file whose tensors do not fit the network wanted.
type WrongNetworkError struct {
	Network string  // wanted
	Like    []Match // see [Identify]
	Err     error   // the tensors that do not fit, see [Set.Check]
}

func (e *WrongNetworkError) Error() string {
	return fmt.Sprintf("not the weights of %s: %v%s", e.Network, e.Err, resembles(e.Like))
}

func (e *WrongNetworkError) Unwrap() error { return e.Err }

// fit gives the tensors of s the names of g and checks them against it.
func (s *Set) fit(g *arch.Graph) (*Set, error) {
	named, _, back := s.canonical(g)
	err := named.fits(g)
	if err == nil {
		return named, nil
	}
	var several *mismatches
	errs := []error{err}
	if errors.As(err, &several) {
		errs = several.errs
	}
	for _, err := range errs {
		var m *MismatchError
		if errors.As(err, &m) {
			m.File = back[m.Name]
		}
	}
	// Two shapes say more than a tensor that is missing.
	shapes := func(err error) int {
		var m *MismatchError
		if errors.As(err, &m) && m.Have != nil && m.Want != nil {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(errs, func(a, b error) int { return shapes(a) - shapes(b) })
	return nil, &WrongNetworkError{g.Spec.Name, Identify(s), err}
}

// Load reads the weights of network g from a file of any kind that [Open]
// reads and any code's names. The set fits g exactly; a file that does not
// gives a [*WrongNetworkError].
func Load(path string, g *arch.Graph) (*Set, error) {
	s, err := Open(path)
	if err == nil {
		s, err = s.fit(g)
		if err != nil {
			err = fmt.Errorf("weights: %s: %w", path, err)
		}
	}
	return s, err
}

// OpenModelAs reads a weights file that does not say which network it is for,
// as the weights of spec. Where the names show that the file comes from code
// with other conventions than those of a zoo network's (padding, epsilon of
// batch norm, preprocessing), the model has that code's; and it has as many
// classes and image channels as the file. A file with a spec of its own keeps
// that.
func OpenModelAs(path string, spec arch.Spec) (*Model, error) {
	s, err := Open(path)
	if err != nil {
		return nil, err
	}
	var m *Model
	if s.Meta[MetaSpec] != "" {
		m, err = modelOf(s, path)
	} else {
		m, err = modelAs(s, spec)
	}
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w", path, err)
	}
	return m, nil
}

func modelAs(s *Set, spec arch.Spec) (*Model, error) {
	g, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	_, naming, _ := s.canonical(g)
	spec, err = fitEnds(naming.conventions(spec), s)
	if err != nil {
		return nil, err
	}
	if g, err = spec.Graph(); err != nil {
		return nil, err
	}
	m := &Model{Spec: spec}
	m.Set, err = s.fit(g)
	return m, err
}

// fitEnds gives spec the classes and channels of a set.
func fitEnds(spec arch.Spec, s *Set) (arch.Spec, error) {
	g, err := spec.Graph()
	if err != nil {
		return spec, err
	}
	s, _, _ = s.canonical(g)
	stem, classifier := ends(g)
	const most = 1 << 16
	if shape := s.Tensors[classifier+".bias"].Shape; len(shape) == 1 && shape[0] > 0 && shape[0] <= most {
		spec.Classes = shape[0]
	}
	if shape := s.Tensors[stem].Shape; len(shape) == 4 && shape[1] > 0 && shape[1] <= most && shape[1] != spec.Channels {
		spec.Prep.Mean = channels(spec.Prep.Mean, shape[1])
		spec.Prep.Std = channels(spec.Prep.Std, shape[1])
		spec.Channels = shape[1]
	}
	return spec, nil
}

// channels makes n numbers of a list by taking its mean for each.
func channels(x []float64, n int) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return slices.Repeat([]float64{sum / float64(len(x))}, n)
}
