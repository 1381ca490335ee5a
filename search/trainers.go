package search

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Trainer is who trained some of a search's trials, and with which kernels:
// those of unlike classes round differently, so that a trial is another one
// than the same of the other class.
type Trainer struct {
	Worker  string   `json:"worker,omitempty"` // "": the searching process
	Kernel  string   `json:"kernel,omitempty"` // "": not recorded
	Trials  []string `json:"trials"`           // that have an outcome, sorted
	Seconds float64  `json:"seconds"`
}

// Trainers lists who trained, those of most trials first.
func (r *Result) Trainers() []Trainer {
	var out []Trainer
	for _, t := range r.Trials {
		if t.Outcome == nil {
			continue
		}
		same := func(x Trainer) bool { return x.Worker == t.Outcome.Worker && x.Kernel == t.Outcome.Kernel }
		i := slices.IndexFunc(out, same)
		if i < 0 {
			i = len(out)
			out = append(out, Trainer{Worker: t.Outcome.Worker, Kernel: t.Outcome.Kernel})
		}
		out[i].Trials = append(out[i].Trials, t.ID)
	}
	for i := range out {
		slices.Sort(out[i].Trials)
		for _, id := range out[i].Trials { // in order: sums are the same every time
			out[i].Seconds += r.Trials[id].Seconds
		}
	}
	slices.SortFunc(out, func(a, b Trainer) int {
		return cmp.Or(cmp.Compare(len(b.Trials), len(a.Trials)), cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Kernel, b.Kernel))
	})
	return out
}

// Kernels lists the classes of kernels that trained a network, of all networks
// where it is "", sorted.
func (r *Result) Kernels(network string) []string {
	var out []string
	for _, t := range r.Trials {
		if t.Outcome != nil && (network == "" || t.Network == network) {
			out = addKernel(out, t.Outcome.Kernel)
		}
	}
	slices.Sort(out)
	return out
}

// addKernel adds a class that the list does not have yet; "" is none.
func addKernel(list []string, kernel string) []string {
	if kernel == "" || slices.Contains(list, kernel) {
		return list
	}
	return append(list, kernel)
}

// MixedText warns that a comparison is of networks that unlike kernels
// trained; "" where it is not.
func (c *Comparison) MixedText() string {
	if len(c.Kernels) < 2 {
		return ""
	}
	return fmt.Sprintf("They were trained with unlike kernels (%s), which round differently: what that does counts as noise.", strings.Join(c.Kernels, ", "))
}
