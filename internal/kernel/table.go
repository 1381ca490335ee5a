package kernel

import "fmt"

// Row is one line of the table of implementations: what it is, whether this
// CPU can run it.
type Row struct {
	Impl      *Impl
	Supported bool
}

// Table lists the implementations built into this binary, best first; the
// pure-Go one is last and always supported. Selection, tests and benchmarks
// all walk it.
func Table() []Row { return []Row{{&Generic, true}} }

// Best is the first implementation of the table that this CPU can run.
func Best() *Impl {
	for _, r := range Table() {
		if r.Supported {
			return r.Impl
		}
	}
	return &Generic
}

// Lookup finds an implementation by name; "" means the best one.
func Lookup(name string) (*Impl, error) {
	if name == "" {
		return Best(), nil
	}
	var names []string
	for _, r := range Table() {
		if r.Impl.Name != name {
			names = append(names, r.Impl.Name)
			continue
		}
		if !r.Supported {
			return nil, fmt.Errorf("kernel: this CPU cannot run %q", name)
		}
		return r.Impl, nil
	}
	return nil, fmt.Errorf("kernel: no implementation %q, have %q", name, names)
}
