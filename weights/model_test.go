package weights

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModelRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	for _, labels := range [][]string{nil, {"a", "b c", `"quoted"`, "émoji 🎈", "", "6", "<7>"}} {
		m := &Model{Spec: tinySpec(t), Labels: labels, Set: Init(tinyGraph(t), 5)}
		m.Set.Meta["note"] = "mine"
		if err := m.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := OpenModel(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m.Spec, got.Spec); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(m.Labels, got.Labels); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(m.Set.Tensors, got.Set.Tensors); d != "" {
			t.Error(d)
		}
		if got.Set.Meta["note"] != "mine" || m.Set.Meta["format"] != "" {
			t.Errorf("metadata is %q after reading and %q in the model written", got.Set.Meta["note"], m.Set.Meta["format"])
		}
		// A model read and written again is the same file.
		first, _ := os.ReadFile(path)
		if err := got.Write(path); err != nil {
			t.Fatal(err)
		}
		if again, _ := os.ReadFile(path); string(again) != string(first) {
			t.Error("the second file differs from the first")
		}
	}
}

func TestModelErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := (&Model{Spec: tinySpec(t), Labels: []string{"one"}, Set: Init(tinyGraph(t), 1)}).Write(path); err == nil {
		t.Error("wrote one label for 7 classes")
	}
	if err := (&Model{Spec: tinySpec(t), Set: &Set{}}).Write(path); err == nil {
		t.Error("wrote a model without tensors")
	}
	spec := string(tinySpec(t).YAML())
	for name, c := range map[string]struct {
		edit func(s *Set)
		want string
	}{
		"no spec":          {func(s *Set) { delete(s.Meta, MetaSpec) }, "does not say which network"},
		"broken spec":      {func(s *Set) { s.Meta[MetaSpec] = "name: [" }, "effnet.spec:1:"},
		"labels no list":   {func(s *Set) { s.Meta[MetaLabels] = `{"a":1}` }, "want a JSON list of strings"},
		"labels too few":   {func(s *Set) { s.Meta[MetaLabels] = `["a"]` }, "1 labels, network tiny has 7 classes"},
		"other network":    {func(s *Set) { s.Meta[MetaSpec] = strings.Replace(spec, "k5", "k3", 1) }, "file has [24 1 5 5], network wants [24 1 3 3]"},
		"missing a tensor": {func(s *Set) { delete(s.Tensors, "bn2.bias") }, "bn2.bias: missing from the file"},
	} {
		s := Init(tinyGraph(t), 1)
		s.Meta[MetaSpec] = spec
		c.edit(s)
		if err := s.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		_, err := OpenModel(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v, want one line with %q", name, err, c.want)
		}
		if name == "no spec" && !errors.Is(err, ErrNoSpec) {
			t.Errorf("%s: error %v is not ErrNoSpec", name, err)
		}
		if name == "other network" && !strings.HasPrefix(err.Error(), fmt.Sprintf("weights: %s: blocks", path)) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
}
