package arch

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The examples of docs/spec.md work, and the complete one spells out the
// defaults of the short one.
func TestSpecDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	var specs []Spec
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		example, _, _ := strings.Cut(part, "```")
		s, err := ParseSpec("docs/spec.md", []byte(example))
		if err != nil {
			t.Fatalf("%v\n%s", err, example)
		}
		specs = append(specs, s)
	}
	if len(specs) != 2 {
		t.Fatalf("docs/spec.md has %d examples, want 2", len(specs))
	}
	if d := cmp.Diff(specs[0], specs[1]); d != "" {
		t.Error(d)
	}
	for _, f := range (&specParser{}).fields() {
		if !strings.Contains(string(text), "\n"+f.key+":") {
			t.Errorf("docs/spec.md does not show the key %s", f.key)
		}
	}
}
