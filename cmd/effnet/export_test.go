package main

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/arch"
	"effnet/onnx"
	"effnet/weights"
)

func readBytes(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A model comes back from a file with all it had, and its ONNX file is what
// package onnx writes.
func TestExport(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	mustEffnet(t, "export", "m.safetensors", "-o", "again.safetensors")
	again, err := weights.OpenModel("again.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m.Spec, again.Spec) + cmp.Diff(m.Labels, again.Labels) + cmp.Diff(m.Set.Tensors, again.Set.Tensors); d != "" {
		t.Error(d)
	}
	for flags, opt := range map[string]onnx.Options{
		"":                      {},
		"--bn keep":             {KeepBatchNorm: true},
		"--bn fold --free-size": {FreeSize: true},
	} {
		mustEffnet(t, append([]string{"export", "m.safetensors", "-o", "m.ONNX"}, strings.Fields(flags)...)...)
		var want bytes.Buffer
		if err := onnx.Write(&want, m, opt); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readBytes(t, "m.ONNX"), want.Bytes()) {
			t.Errorf("%q: not the file of %+v", flags, opt)
		}
	}
}

// A network by name has random weights, the same for the same seed.
func TestExportNetwork(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, format := range []string{"safetensors", "onnx"} {
		a, b, c := "a."+format, "b."+format, "c."+format
		mustEffnet(t, "export", "small_300k", "-o", a)
		mustEffnet(t, "export", "small_300k", "--seed", "0", "-o", b)
		mustEffnet(t, "export", "small_300k", "--seed", "1", "-o", c)
		if !bytes.Equal(readBytes(t, a), readBytes(t, b)) {
			t.Errorf("%s: the same seed gives other bytes", format)
		}
		if bytes.Equal(readBytes(t, a), readBytes(t, c)) {
			t.Errorf("%s: another seed gives the same bytes", format)
		}
	}
	if err := os.WriteFile("net.yaml", arch.MustLookup("small_300k").YAML(), 0o644); err != nil {
		t.Fatal(err)
	}
	mustEffnet(t, "export", "net.yaml", "-o", "d.safetensors")
	if !bytes.Equal(readBytes(t, "a.safetensors"), readBytes(t, "d.safetensors")) {
		t.Error("the spec file's network has other weights than the name's")
	}
	m, err := weights.OpenModel("a.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(weights.Random(g, 0).Tensors, m.Set.Tensors); d != "" {
		t.Error(d)
	}
	// A file of that name comes before the network.
	if err := os.WriteFile("small_300k", readBytes(t, "c.safetensors"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustEffnet(t, "export", "small_300k", "-o", "e.safetensors")
	if !bytes.Equal(readBytes(t, "c.safetensors"), readBytes(t, "e.safetensors")) {
		t.Error("the file small_300k was not taken")
	}
}

// Weights that do not say their network are read as --net says, with as many
// classes as they have.
func TestNet(t *testing.T) {
	t.Chdir(t.TempDir())
	spec := arch.MustLookup("tf_efficientnet_lite0")
	spec.Classes = 5
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	plain := weights.Init(g, 1)
	if err := plain.WriteFile("plain.safetensors"); err != nil {
		t.Fatal(err)
	}
	arrays(t, 1, 64, 64, 3)
	mustEffnet(t, "run", "plain.safetensors", "--net", "tf_efficientnet_lite0", "--input", "x.npy", "--output", "y.npy")
	if shape, _ := readArray(t, "y.npy"); !slices.Equal(shape, []int{1, 5}) {
		t.Errorf("logits are %v", shape)
	}
	// Padding and epsilon are of the network that was named.
	mustEffnet(t, "run", "plain.safetensors", "--net", "efficientnet_lite0", "--input", "x.npy", "--output", "z.npy")
	_, a := readArray(t, "y.npy")
	if _, b := readArray(t, "z.npy"); slices.Equal(a, b) {
		t.Error("SAME and symmetric padding give the same logits")
	}
	for _, name := range []string{"tf_efficientnet_lite0.in1k", "timm/tf_efficientnet_lite0.in1k"} {
		if status, _, stderr := effnet("run", "plain.safetensors", "--net", name, "--input", "x.npy", "--output", "z.npy"); status != 0 || !strings.Contains(stderr, "note: images are prepared as for tf_efficientnet_lite0;") {
			t.Errorf("--net %s: status %d, stderr %q", name, status, stderr)
		}
		if _, b := readArray(t, "z.npy"); !slices.Equal(a, b) {
			t.Errorf("--net %s gives other logits", name)
		}
	}
	status, _, stderr := effnet("run", "plain.safetensors", "--net", "tf_efficientnet_lite2", "--input", "x.npy", "--output", "z.npy")
	if status != 1 || !strings.Contains(stderr, "file has [") || !strings.Contains(stderr, "network wants [") || !strings.Contains(stderr, "efficientnet_lite0") {
		t.Errorf("wrong network: status %d, %q; want both shapes and what the file looks like", status, stderr)
	}
	// Exported, it says its network itself.
	mustEffnet(t, "export", "plain.safetensors", "--net", "tf_efficientnet_lite0", "-o", "model.safetensors")
	mustEffnet(t, "run", "model.safetensors", "--input", "x.npy", "--output", "z.npy")
	if _, b := readArray(t, "z.npy"); !slices.Equal(a, b) {
		t.Error("the exported model has other logits")
	}
	_, _, stderr = effnet("run", "model.safetensors", "--net", "b1", "--input", "x.npy", "--output", "z.npy")
	if !strings.Contains(stderr, "note: model.safetensors says itself that it is tf_efficientnet_lite0; --net b1 is not used") {
		t.Errorf("standard error is %q", stderr)
	}
	m, err := weights.OpenModel("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slices.Sorted(maps.Keys(m.Set.Tensors)), plain.Names()) || m.Labels != nil {
		t.Errorf("%d tensors, labels %v", len(m.Set.Tensors), m.Labels)
	}
}

func TestExportErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"export", 2, "export wants NET|MODEL, got 0"},
		{"export b0", 2, "say where to with -o FILE"},
		{"export b0 -o b0.pth", 2, "b0.pth: want a file that ends in .onnx or .safetensors"},
		{"export b0 -o b0.onnx --bn maybe", 2, `--bn is "maybe", want fold or keep`},
		{"export b0 -o b0.safetensors --bn keep", 2, "--bn and --free-size are for .onnx files"},
		{"export b0 -o b0.safetensors --free-size", 2, "--bn and --free-size are for .onnx files"},
		{"export b0 -o b0.onnx --net b1", 2, "b0 is a network, to which --net does not apply"},
		{"export b0 -o b0.onnx --seed x", 2, "invalid argument"},
		{"export m.safetensors -o m.onnx --seed 1", 2, "--seed is for random weights, m.safetensors has its own"},
		{"export none -o m.onnx", 1, "none: no such file"},
		{"export small_300k -o no/such/x.onnx", 1, "no/such"},
		{"export small_300k -o no/such/x.safetensors", 1, "no/such"},
	} {
		status, stdout, stderr := effnet(strings.Fields(c.args)...)
		if status != c.status || !strings.HasPrefix(stderr, "effnet: ") || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("effnet %s: status %d and %q, want %d and one line with %q", c.args, status, stderr, c.status, c.want)
		}
	}
}
