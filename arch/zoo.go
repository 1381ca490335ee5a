package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Family is a group of zoo networks that share a base network and differ in
// factors.
type Family struct {
	Name   string
	About  string // one line; neighbours with the same one belong together
	Base   Spec   // what the models' factors scale; the first model, as a rule
	Models []Model
}

// Model is one zoo network. Factors are relative to its family's Base.
type Model struct {
	Name    string
	Aliases []string
	Factors Factors
}

// variant is one line of a family's table of published factors, with what else
// the authors changed from size to size.
type variant struct {
	suffix       string
	width, depth float64
	resolution   int
	dropout      float64
	crop         float64
	filter       Filter
	alias        string // another name for the whole network
}

func (v variant) factors() Factors { return Factors{v.depth, v.width, v.resolution} }

// zooFamily is a family with what makes its specs. Without variants it is the
// one network that base makes.
type zooFamily struct {
	name, about string
	prefix      string // of model names
	short       bool   // the bare suffix names the model too
	base        func() Spec
	variants    []variant
}

func (f *zooFamily) aliases(v variant) (names []string) {
	if f.short {
		names = append(names, v.suffix)
	}
	if v.alias != "" {
		names = append(names, v.alias)
	}
	return names
}

// zoo is every family in the order in which they are listed.
var zoo = slices.Concat(efficientnets, efficientnetV2s, mobilenets, resnets, smalls)

// spec makes the network of one variant.
func (f *zooFamily) spec(v variant) Spec {
	s := f.base()
	s.Name = f.prefix + v.suffix
	s, err := s.scaled(v.factors())
	if err != nil {
		panic(err)
	}
	s.Dropout, s.Prep.Crop, s.Prep.Filter = v.dropout, v.crop, v.filter
	return s
}

// Families lists the zoo.
func Families() []Family {
	var fs []Family
	for _, z := range zoo {
		f := Family{Name: z.name, About: z.about, Base: z.base()}
		f.Base.Name = z.name
		if z.variants == nil {
			f.Models = []Model{{z.name, nil, Factors{1, 1, 0}}}
		}
		for _, v := range z.variants {
			f.Models = append(f.Models, Model{z.prefix + v.suffix, z.aliases(v), v.factors()})
		}
		fs = append(fs, f)
	}
	return fs
}

// Names lists the zoo's networks, family by family, without aliases.
func Names() []string {
	var names []string
	for _, f := range Families() {
		for _, m := range f.Models {
			names = append(names, m.Name)
		}
	}
	return names
}

// UnknownNetworkError is a name the zoo does not know.
type UnknownNetworkError struct {
	Name  string
	Close []string // known names that look like it, best first; may be empty
}

func (e *UnknownNetworkError) Error() string {
	name := e.Name
	if len(name) > maxName {
		name = name[:maxName] + "..."
	}
	hint := ""
	if len(e.Close) > 0 {
		hint = "; did you mean " + strings.Join(e.Close, " or ") + "?"
	}
	return fmt.Sprintf("arch: no network is called %q%s", name, hint)
}

// Lookup returns the zoo network of a name or alias. An unknown name gives an
// [*UnknownNetworkError].
func Lookup(name string) (Spec, error) {
	for i := range zoo {
		z := &zoo[i]
		if z.variants == nil && name == z.name {
			s := z.base()
			s.Name = z.name
			return s, nil
		}
		for _, v := range z.variants {
			if name == z.prefix+v.suffix || slices.Contains(z.aliases(v), name) {
				return z.spec(v), nil
			}
		}
	}
	return Spec{}, &UnknownNetworkError{name, closeNames(name)}
}

// MustLookup is Lookup for names in the program's own text.
func MustLookup(name string) Spec {
	s, err := Lookup(name)
	if err != nil {
		panic(err)
	}
	return s
}

// closeNames picks at most three names within a third of name's length in
// edits, case and dashes aside.
func closeNames(name string) []string {
	if len(name) > maxName {
		return nil
	}
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	type match struct {
		name string
		d    int
	}
	var ms []match
	for _, f := range Families() {
		for _, m := range f.Models {
			d := editDistance(name, m.Name)
			for _, a := range m.Aliases {
				d = min(d, editDistance(name, a))
			}
			if 3*d <= max(3, len(name)) {
				ms = append(ms, match{m.Name, d})
			}
		}
	}
	slices.SortStableFunc(ms, func(a, b match) int { return a.d - b.d })
	var out []string
	for _, m := range ms {
		if len(out) < 3 && (m.d == ms[0].d || ms[0].d > 0 && m.d == ms[0].d+1) {
			out = append(out, m.name)
		}
	}
	return out
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diag
			if a[i] != b[j] {
				d++
			}
			diag = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
