package weights

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
)

// foreignName is a line of scripts/golden/weights_names.py.
type foreignName struct {
	theirs, ours string
	shape        []int
}

func foreignNames(t testing.TB, file string) []foreignName {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "names", file))
	if err != nil {
		t.Fatal(err)
	}
	var list []foreignName
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		n := foreignName{theirs: f[0], ours: f[1], shape: []int{}}
		for _, d := range f[2:] {
			v, err := strconv.Atoi(d)
			if err != nil {
				t.Fatal(err)
			}
			n.shape = append(n.shape, v)
		}
		list = append(list, n)
	}
	return list
}

// foreignSet makes a set of those names. All tensors share their values.
func foreignSet(names []foreignName) *Set {
	most := 0
	for _, n := range names {
		most = max(most, arch.Param{Shape: n.shape}.Elems())
	}
	zeros := make([]float32, most)
	s := &Set{Tensors: map[string]Tensor{}, Meta: map[string]string{}}
	for _, n := range names {
		s.Tensors[n.theirs] = Tensor{n.shape, zeros[:arch.Param{Shape: n.shape}.Elems()]}
	}
	return s
}

var foreignFiles = []struct {
	file, network string
	naming        Naming
	layout        int    // in layouts
	identified    string // where it is not network
}{
	{"torchvision_efficientnet_b0.txt", "efficientnet_b0", TorchvisionNames, 1, ""},
	{"torchvision_efficientnet_b4.txt", "efficientnet_b4", TorchvisionNames, 1, ""},
	{"torchvision_efficientnetv2_s.txt", "efficientnetv2_s", TorchvisionNames, 1, "efficientnet_v2_s"},
	{"torchvision_mobilenetv2_100.txt", "mobilenetv2_100", TorchvisionNames, 2, ""},
	{"torchvision_resnet50.txt", "resnet50", TimmNames, 0, ""},
	{"lukemelas_tf_efficientnet_b0.txt", "tf_efficientnet_b0", LukemelasNames, 3, ""},
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func graphOf(t testing.TB, network string) *arch.Graph {
	t.Helper()
	g, err := arch.MustLookup(network).Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestForeignNames maps the names of other codes, tensor by tensor, and finds
// the network without being told.
func TestForeignNames(t *testing.T) {
	for _, c := range foreignFiles {
		t.Run(c.file, func(t *testing.T) {
			names := foreignNames(t, c.file)
			g := graphOf(t, c.network)
			want := map[string]string{}
			for _, n := range names {
				want[n.theirs] = n.ours
			}
			if d := cmp.Diff(want, layouts[c.layout].names(g)); d != "" {
				t.Errorf("names differ (-want +got):\n%s", d)
			}
			s := foreignSet(names)
			named, naming, _ := s.canonical(g)
			if naming != c.naming {
				t.Errorf("names are %v, want %v", naming, c.naming)
			}
			if err := named.Check(g); err != nil {
				t.Error(err)
			}
			spec, err := SpecOf(s)
			if want := orElse(c.identified, c.network); err != nil || spec.Name != want {
				t.Errorf("identified as %q, %v, want %s", spec.Name, err, want)
			}
		})
	}
}

// TestConventions: what a file's names say about the network beyond shapes.
func TestConventions(t *testing.T) {
	for _, c := range []struct {
		naming        Naming
		network, want string
		eps           float64
		resolution    int
	}{
		{TimmNames, "efficientnet_b0", "efficientnet_b0 symmetric", 1e-5, 224},
		{TimmNames, "tf_efficientnet_b0", "tf_efficientnet_b0 same", 1e-3, 224},
		{LukemelasNames, "efficientnet_b0", "tf_efficientnet_b0 same", 1e-3, 224},
		{LukemelasNames, "tf_efficientnet_b0", "tf_efficientnet_b0 same", 1e-3, 224},
		{LukemelasNames, "efficientnet_lite2", "tf_efficientnet_lite2 same", 1e-3, 260},
		{TorchvisionNames, "efficientnet_b0", "efficientnet_b0 symmetric", 1e-5, 224},
		{TorchvisionNames, "tf_efficientnet_b2", "efficientnet_b2 symmetric", 1e-5, 288},
		{TorchvisionNames, "efficientnet_b5", "efficientnet_b5 symmetric", 1e-3, 456},
		{TorchvisionNames, "efficientnet_b7", "efficientnet_b7 symmetric", 1e-3, 600},
		{TorchvisionNames, "efficientnetv2_s", "efficientnet_v2_s symmetric", 1e-3, 384},
		{TorchvisionNames, "mobilenetv2_100", "mobilenetv2_100 symmetric", 1e-5, 224},
	} {
		s := c.naming.conventions(arch.MustLookup(c.network))
		if got := fmt.Sprintf("%s %s", s.Name, s.Padding); got != c.want || s.BN.Eps != c.eps || s.Resolution != c.resolution {
			t.Errorf("%s by names of %v: %s, epsilon %g, %d pixels; want %s, %g, %d", c.network, c.naming, got, s.BN.Eps, s.Resolution, c.want, c.eps, c.resolution)
		}
		if again := c.naming.conventions(s); !cmp.Equal(again, s) {
			t.Errorf("%s by names of %v: a second time changes it", c.network, c.naming)
		}
	}
	own := arch.MustLookup("efficientnet_b0")
	own.Name = "mine"
	if got := LukemelasNames.conventions(own); !cmp.Equal(got, own) {
		t.Error("a spec of the user's changed")
	}
}

func TestIdentify(t *testing.T) {
	// Symmetric and SAME padding have the same tensors.
	set := Init(graphOf(t, "efficientnet_b1"), 1)
	var amb *AmbiguousError
	if _, err := SpecOf(set); !errors.As(err, &amb) || !errors.Is(err, ErrNoSpec) || !slices.Contains(amb.Networks, "tf_efficientnet_b1") || !slices.Contains(amb.Networks, "efficientnet_b1") {
		t.Errorf("B1 without a spec: error is %v, want an AmbiguousError of both paddings", err)
	}
	set.Meta["arch"] = "tf_efficientnet_b1"
	if s, err := SpecOf(set); err != nil || s.Name != "tf_efficientnet_b1" {
		t.Errorf("B1 of a checkpoint that names it: %q, %v", s.Name, err)
	}
	set.Meta["arch"] = "efficientnet_b2"
	if _, err := SpecOf(set); !errors.As(err, &amb) {
		t.Errorf("B1 that says it is B2: error is %v, want an AmbiguousError", err)
	}
	delete(set.Tensors, "conv_stem.weight")
	if _, err := SpecOf(set); !errors.Is(err, ErrNoSpec) || !strings.Contains(err.Error(), "looks most like efficientnet_b1 or tf_efficientnet_b1 (100 % of its tensors)") {
		t.Errorf("B1 without its stem: error is %v", err)
	}
	if _, err := SpecOf(Init(tinyGraph(t), 1)); !errors.Is(err, ErrNoSpec) {
		t.Errorf("a network of the user's: error is %v, want ErrNoSpec", err)
	}
}

func save(t testing.TB, s *Set) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := s.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWrongNetwork: a file of another network names the tensor, in the file's
// own words too, both shapes, and what the file looks like.
func TestWrongNetwork(t *testing.T) {
	b1 := save(t, Init(graphOf(t, "efficientnet_b1"), 1))
	_, err := Load(b1, graphOf(t, "efficientnet_b0"))
	var w *WrongNetworkError
	var m *MismatchError
	if !errors.As(err, &w) || !errors.As(err, &m) {
		t.Fatalf("error is %v, want a WrongNetworkError of MismatchErrors", err)
	}
	for _, part := range []string{"not the weights of efficientnet_b0: blocks.0.1.", "network has no such tensor", "more mismatches", "; the file looks like efficientnet_b1 or tf_efficientnet_b1"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error is %q, want a part %q", err, part)
		}
	}
	if _, err := Load(b1, graphOf(t, "efficientnet_b3")); err == nil || !strings.Contains(err.Error(), "of efficientnet_b3: conv_stem.weight: file has [32 3 3 3], network wants [40 3 3 3] (and ") {
		t.Errorf("as B3: error is %v, want two shapes first", err)
	}

	s := foreignSet(foreignNames(t, "torchvision_efficientnet_b0.txt"))
	s.Tensors["features.3.0.block.1.0.weight"] = Tensor{[]int{144, 1, 3, 3}, make([]float32, 144*9)}
	s.Tensors["features.4.0.block.1.1.bias"] = Tensor{[]int{7}, make([]float32, 7)}
	_, err = Load(save(t, s), graphOf(t, "efficientnet_b0"))
	want := "blocks.2.0.conv_dw.weight (in the file features.3.0.block.1.0.weight): file has [144 1 3 3], network wants [144 1 5 5] (and 1 more mismatches); the file looks most like efficientnet_b0 or tf_efficientnet_b0 (99 % of its tensors)"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error is\n%v, want\n%s", err, want)
	}

	junk := save(t, &Set{Tensors: map[string]Tensor{"a\nb": {[]int{1}, []float32{1}}}})
	_, err = Load(junk, graphOf(t, "efficientnet_b0"))
	if !errors.As(err, &w) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "looks") {
		t.Errorf("error is %q, want one line that compares with nothing", err)
	}
}

// TestOpenModelAs: weights without a spec, for a network that the user names.
func TestOpenModelAs(t *testing.T) {
	names := foreignNames(t, "lukemelas_tf_efficientnet_b0.txt")
	for i := range names {
		switch names[i].ours {
		case "classifier.weight", "classifier.bias":
			names[i].shape[0] = 10
		case "conv_stem.weight":
			names[i].shape[1] = 1
		}
	}
	path := save(t, foreignSet(names))
	for _, open := range []func() (*Model, error){
		func() (*Model, error) { return OpenModelAs(path, arch.MustLookup("efficientnet_b0")) },
		func() (*Model, error) { return OpenModel(path) },
	} {
		m, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if m.Spec.Name != "tf_efficientnet_b0" || m.Spec.Classes != 10 || m.Spec.Channels != 1 {
			t.Errorf("the model is %s with %d classes and %d channels, want tf_efficientnet_b0, 10, 1", m.Spec.Name, m.Spec.Classes, m.Spec.Channels)
		}
		if err := m.Spec.Validate(); err != nil {
			t.Error(err)
		}
		// It is written with all that, and read back.
		out := filepath.Join(t.TempDir(), "out.safetensors")
		if err := m.Write(out); err != nil {
			t.Fatal(err)
		}
		again, err := OpenModelAs(out, arch.MustLookup("efficientnet_b3"))
		if err != nil || !cmp.Equal(again.Spec, m.Spec) {
			t.Errorf("read back: %v, %v", again, err)
		}
	}
	if _, err := OpenModelAs(path, arch.MustLookup("efficientnet_b3")); !errors.As(err, new(*WrongNetworkError)) {
		t.Errorf("as B3: error is %v, want a WrongNetworkError", err)
	}
}
