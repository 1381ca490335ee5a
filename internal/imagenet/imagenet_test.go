package imagenet

import (
	"slices"
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	names, synsets := Names(), Synsets()
	if len(names) != Classes || len(synsets) != Classes {
		t.Fatalf("%d names, %d synsets", len(names), len(synsets))
	}
	// ImageNet numbers its classes in the order of their synsets.
	if !slices.IsSorted(synsets) {
		t.Error("synsets are not sorted")
	}
	seen := map[string]int{}
	for i, n := range names {
		if n == "" || strings.TrimSpace(n) != n {
			t.Errorf("class %d is called %q", i, n)
		}
		if j, ok := seen[n]; ok {
			t.Errorf("classes %d and %d are both called %q", j, i, n)
		}
		seen[n] = i
		if s := synsets[i]; len(s) != 9 || s[0] != 'n' || strings.Trim(s[1:], "0123456789") != "" {
			t.Errorf("class %d has the synset %q", i, s)
		}
	}
	for i, want := range map[int]string{0: "tench", 207: "golden retriever", 285: "Egyptian cat", 340: "zebra", 999: "toilet tissue"} {
		if !strings.EqualFold(names[i], want) {
			t.Errorf("class %d is called %q, want %q", i, names[i], want)
		}
	}
}
