package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	lib "effnet"
	"effnet/arch"
	"effnet/infer"
	"effnet/internal/npy"
	"effnet/weights"
)

// effnet runs a command in the test's folder.
func effnet(args ...string) (status int, stdout, stderr string) {
	var o, e bytes.Buffer
	status = run(args, &o, &e)
	return status, o.String(), e.String()
}

func mustEffnet(t testing.TB, args ...string) (stdout string) {
	t.Helper()
	status, stdout, stderr := effnet(args...)
	if status != 0 {
		t.Fatalf("effnet %s: status %d, %s", strings.Join(args, " "), status, stderr)
	}
	return stdout
}

func readArray(t testing.TB, path string) (shape []int, x []float32) {
	t.Helper()
	r, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x = make([]float32, r.Len())
	if err := r.Read(x, 0); err != nil {
		t.Fatal(err)
	}
	return r.Shape, x
}

// colourModel is a small network for colour images, as the file m.safetensors
// in the test's folder.
func colourModel(t testing.TB) *weights.Model {
	t.Helper()
	spec, err := arch.ParseSpec("colour.yaml", []byte(`
name: colour
resolution: 24
classes: 6
stem: {width: 8}
blocks: [ds_k3_c8_se0.25, ir_k5_s2_e3_c12, ir_k3_s2_e3_c16]
head: 20
padding: same
preprocessing: {crop: 0.875, filter: bicubic, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4]}
`))
	if err != nil {
		t.Fatal(err)
	}
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	m := &weights.Model{Spec: spec, Set: weights.Init(g, 3), Labels: []string{"ant", "bee", "cat", "dog", "eel", "fox\x1b"}}
	if err := m.Write("m.safetensors"); err != nil {
		t.Fatal(err)
	}
	return m
}

// arrays writes n images as x.npy [N,C,H,W] and y.npy [N,H,W,C], and returns
// the latter.
func arrays(t testing.TB, n, h, w, c int) []float32 {
	t.Helper()
	x := make([]float32, n*h*w*c)
	for i := range x {
		x[i] = float32(i*7919%4093)/2048 - 1
	}
	y := make([]float32, len(x))
	for i := range n {
		toNCHW(y[i*h*w*c:][:h*w*c], x[i*h*w*c:], h*w, c)
	}
	for path, err := range map[string]error{
		"x.npy": npy.WriteFile("x.npy", y, n, c, h, w),
		"y.npy": npy.WriteFile("y.npy", x, n, h, w, c),
	} {
		if err != nil {
			t.Fatal(path, err)
		}
	}
	return x
}

// direct runs the engine itself: the logits and the features command's values.
func direct(t testing.TB, m *weights.Model, x []float32, n, h, w int) (logits []float32, taps [][]float32) {
	t.Helper()
	g, err := m.Spec.GraphFor(h, w)
	if err != nil {
		t.Fatal(err)
	}
	opt := infer.Options{Taps: append([]int{g.Features}, g.Taps...)}
	p, err := infer.Compile(g, m.Set, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	logits = make([]float32, n*p.Classes())
	for _, op := range opt.Taps {
		taps = append(taps, make([]float32, n*g.Ops[op].Shape.Elems()))
	}
	if err := p.RunInto(context.Background(), x, n, logits, taps...); err != nil {
		t.Fatal(err)
	}
	return logits, taps
}

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	for _, size := range [][3]int{{3, 24, 24}, {2, 33, 47}, {1, 61, 20}, {0, 24, 24}} {
		n, h, w := size[0], size[1], size[2]
		want, _ := direct(t, m, arrays(t, n, h, w, 3), n, h, w)
		for _, args := range []string{"--input x.npy", "--input y.npy --layout nhwc", "--input x.npy --threads 1 --layout NCHW"} {
			mustEffnet(t, append([]string{"run", "m.safetensors", "--output", "out.npy"}, strings.Fields(args)...)...)
			if shape, got := readArray(t, "out.npy"); !slices.Equal(shape, []int{n, 6}) || !slices.Equal(got, want) {
				t.Errorf("%v %s: logits %v differ from the engine's", size, args, shape)
			}
		}
	}
}

// One image needs no dimension for it, and grey ones none for their channel.
func TestRunDimensions(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	x := arrays(t, 1, 24, 24, 3)
	want, _ := direct(t, m, x, 1, 24, 24)
	if err := npy.WriteFile("z.npy", x, 24, 24, 3); err != nil {
		t.Fatal(err)
	}
	mustEffnet(t, "run", "m.safetensors", "--input", "z.npy", "--layout", "nhwc", "--output", "out.npy")
	if shape, got := readArray(t, "out.npy"); !slices.Equal(shape, []int{1, 6}) || !slices.Equal(got, want) {
		t.Errorf("one image: logits %v %v, want %v", shape, got, want)
	}
	mustEffnet(t, "export", "small_300k", "-o", "grey.safetensors")
	grey := arrays(t, 4, 28, 28, 1)
	mustEffnet(t, "run", "grey.safetensors", "--input", "x.npy", "--output", "want.npy")
	if err := npy.WriteFile("z.npy", grey, 4, 28, 28); err != nil {
		t.Fatal(err)
	}
	mustEffnet(t, "run", "grey.safetensors", "--input", "z.npy", "--output", "out.npy")
	_, a := readArray(t, "want.npy")
	if shape, b := readArray(t, "out.npy"); !slices.Equal(shape, []int{4, 10}) || !slices.Equal(a, b) {
		t.Errorf("grey images without channels: logits %v %v, want %v", shape, b, a)
	}
}

func TestFeatures(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	const n, h, w = 5, 33, 47
	_, want := direct(t, m, arrays(t, n, h, w, 3), n, h, w)
	shapes := [][]int{{17, 24, 8}, {9, 12, 12}, {5, 6, 16}} // SAME padding: each half, rounded up
	for _, l := range []layout{nchw, nhwc} {
		input := map[layout]string{nchw: "x.npy", nhwc: "y.npy"}[l]
		mustEffnet(t, "features", "m.safetensors", "--input", input, "-o", "out", "--layout", string(l))
		files, err := os.ReadDir("out")
		if err != nil || len(files) != len(shapes)+1 {
			t.Fatalf("files are %v, %v", files, err)
		}
		if shape, got := readArray(t, "out/pooled.npy"); !slices.Equal(shape, []int{n, 20}) || !slices.Equal(got, want[0]) {
			t.Errorf("%s: the embedding is %v", l, shape)
		}
		for i, s := range shapes {
			shape, got := readArray(t, fmt.Sprintf("out/reduction_%d.npy", i+1))
			if !slices.Equal(shape, l.shape(n, s[0], s[1], s[2])) {
				t.Errorf("%s: map %d is %v, want %v", l, i+1, shape, s)
				continue
			}
			nhwc := slices.Clone(got)
			if l == nchw {
				elems := s[0] * s[1] * s[2]
				for k := range n {
					lib.FromNCHW(nhwc[k*elems:][:elems], got[k*elems:], s[0]*s[1], s[2])
				}
			}
			if !slices.Equal(nhwc, want[i+1]) {
				t.Errorf("%s: map %d differs from the engine's", l, i+1)
			}
		}
	}
}

func TestTensorErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	arrays(t, 2, 24, 24, 3)
	for path, shape := range map[string][]int{"flat.npy": {12}, "grey.npy": {3, 1, 2, 2}, "thin.npy": {1, 3, 4, 1}, "none.npy": {1, 3, 0, 0}} {
		elems := 1
		for _, d := range shape {
			elems *= d
		}
		if err := npy.WriteFile(path, make([]float32, elems), shape...); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("text.npy", []byte("1, 2, 3\n4, 5, 6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"run", 2, "run wants MODEL, got 0"},
		{"run m.safetensors", 2, "say what to run on with --input"},
		{"run m.safetensors --input x.npy", 2, "say where the logits go with --output"},
		{"run m.safetensors --input x.npy --output o.npy --layout nwhc", 2, "want nchw or nhwc"},
		{"run m.safetensors --input x.npy --output o.npy --threads -1", 2, "--threads cannot be negative"},
		{"run m.safetensors --input x.npy --output o.npy --net no_such_net_at_all", 2, `no network is called "no_such_net_at_all"`},
		{"run none.safetensors --input x.npy --output o.npy", 1, "none.safetensors: no such file"},
		{"run b0 --input x.npy --output o.npy", 1, "b0 is a network without weights"},
		{"run m.safetensors --input absent.npy --output o.npy", 1, "absent.npy: no such file"},
		{"run m.safetensors --input text.npy --output o.npy", 1, "text.npy: npy: not a valid .npy file"},
		{"run m.safetensors --input flat.npy --output o.npy", 1, "flat.npy: the array has shape [12], want 4 dimensions, in the order NCHW"},
		{"run m.safetensors --input y.npy --output o.npy", 1, "y.npy: the array has shape [2 24 24 3], 24 channels as NCHW, the network wants 3; is it --layout nhwc?"},
		{"run m.safetensors --input x.npy --layout nhwc --output o.npy", 1, "24 channels as NHWC, the network wants 3; is it --layout nchw?"},
		{"run m.safetensors --input grey.npy --output o.npy", 1, "1 channels as NCHW, the network wants 3"},
		{"run m.safetensors --input thin.npy --output o.npy", 1, "resolution 4x1 is too small for the strides"},
		{"run m.safetensors --input none.npy --output o.npy", 1, "shape [1 3 0 0], its images have no pixels"},
		{"run m.safetensors --input x.npy --output no/such/o.npy", 1, "no/such"},
		{"features", 2, "features wants MODEL and images"},
		{"features m.safetensors -o out", 2, "give images, or an array with --input"},
		{"features m.safetensors --input x.npy", 2, "say where to with -o DIR"},
		{"features m.safetensors x.png --input x.npy -o out", 2, "--input and images exclude each other"},
		{"features m.safetensors --input x.npy -o out --crop 1", 2, "--resolution, --crop and --filter are for images"},
		{"features m.safetensors x.npy -o out", 1, "x.npy: imageprep: not a JPEG, PNG, GIF, WebP or BMP image"},
		{"features m.safetensors --input flat.npy -o out", 1, "want 4 dimensions"},
		{"features m.safetensors --input x.npy -o x.npy", 1, "x.npy"},
	} {
		status, stdout, stderr := effnet(strings.Fields(c.args)...)
		if status != c.status || !strings.HasPrefix(stderr, "effnet: ") || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("effnet %s: status %d and %q, want %d and one line with %q", c.args, status, stderr, c.status, c.want)
		}
		if left, _ := filepath.Glob(".o.npy*"); left != nil {
			t.Errorf("effnet %s leaves %v", c.args, left)
		}
	}
	if _, err := os.Stat("o.npy"); err == nil {
		t.Error("a command that failed wrote its output")
	}
}
