package kernel

import (
	"fmt"
	"os"
	"strings"
)

// Row is one line of the table of implementations: what it is, whether this
// CPU can run it.
type Row struct {
	Impl      *Impl
	Supported bool
}

// Table lists the implementations built into this binary, best first; the
// pure-Go one is last and always supported. Selection, tests and benchmarks
// all walk it.
func Table() []Row { return append(assembly(), Row{&Generic, true}) }

// Env names the environment variable that forces an implementation by name:
// "avx512", "avx2", "neon" or "go".
const Env = "EFFNET_KERNEL"

// Best is the implementation to use: the one that $EFFNET_KERNEL names, else
// the first of the table that this CPU can run. It panics if the variable asks
// for what cannot be had; a program calls Lookup("") first to report that.
func Best() *Impl {
	impl, err := Lookup("")
	if err != nil {
		panic(err)
	}
	return impl
}

// Lookup finds an implementation by name; "" means the best one, or the one
// that $EFFNET_KERNEL names.
func Lookup(name string) (*Impl, error) {
	from := ""
	if name == "" {
		if name = os.Getenv(Env); name != "" {
			from = Env + ": "
		}
	}
	var names []string
	for _, r := range Table() {
		if r.Supported && (name == "" || r.Impl.Name == name) {
			return r.Impl, nil
		}
		if r.Impl.Name == name {
			return nil, fmt.Errorf("kernel: %sthis CPU cannot run %q", from, name)
		}
		names = append(names, r.Impl.Name)
	}
	return nil, fmt.Errorf("kernel: %sno implementation %q, have %s", from, name, strings.Join(names, ", "))
}
