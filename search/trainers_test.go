package search

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestTrainers: who trained what is told, and a comparison of networks that
// unlike kernels trained is marked.
func TestTrainers(t *testing.T) {
	res := runFake(t, t.TempDir(), testFake(), nil)
	c := res.Analyse().Compare[0]
	if len(c.Kernels) > 0 || c.MixedText() != "" || len(res.Kernels("")) > 0 {
		t.Fatalf("where no kernels are recorded: %v, %q", c.Kernels, c.MixedText())
	}
	other := ""
	for _, id := range slices.Sorted(maps.Keys(res.Trials)) {
		o := res.Trials[id].Outcome
		if o == nil {
			continue
		}
		if o.Kernel = "avx512"; other == "" && res.Trials[id].Network == c.Second {
			o.Kernel, o.Worker, other = "avx2", "old machine", id
		}
	}
	a := res.Analyse()
	trainers := a.Trainers()
	if len(trainers) != 2 || trainers[1].Worker != "old machine" || trainers[1].Kernel != "avx2" || !slices.Equal(trainers[1].Trials, []string{other}) {
		t.Errorf("trainers %+v, the trial %s was of another", trainers, other)
	}
	if n, _ := a.Ended(); len(trainers[0].Trials) != n-1 || !slices.IsSorted(trainers[0].Trials) {
		t.Errorf("%d trials of the searching process, want %d", len(trainers[0].Trials), n-1)
	}
	if got := a.Kernels(c.Second); !slices.Equal(got, []string{"avx2", "avx512"}) {
		t.Errorf("%s was trained with %v", c.Second, got)
	}
	for i := range a.Compare {
		x := &a.Compare[i]
		if mixed := x.Second == c.Second; mixed != strings.Contains(x.MixedText(), "(avx2, avx512)") {
			t.Errorf("%s against %s: %q", x.First, x.Second, x.MixedText())
		}
	}
	if against := a.Verdict.Against; against == nil || (len(against.Kernels) > 1) != strings.Contains(a.Verdict.Detail, "unlike kernels") {
		t.Errorf("the verdict says %q", a.Verdict.Detail)
	}
}
