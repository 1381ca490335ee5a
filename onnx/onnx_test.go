package onnx

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/arch"
	"effnet/internal/alloctest"
	"effnet/internal/ref"
	"effnet/internal/ref/golden"
	"effnet/weights"
)

var update = flag.Bool("update", false, "rewrite golden files")

// spec is a small network of the given rows.
func spec(t testing.TB, text string) arch.Spec {
	t.Helper()
	s, err := arch.ParseSpec("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// networks hold every kind of op and every activation between them.
var networks = map[string]string{
	"swish": `
name: swish
resolution: 12
classes: 5
stem: {width: 8}
blocks: [ds_k3_c8_se0.25, ir_r2_k5_s2_e3_c12_se0.25, er_k3_s1_e2_c12, cn_r2_k3_c12_skip]
head: 16
padding: symmetric
`,
	"relu6_same": `
name: relu6_same
resolution: 13
channels: 1
classes: 3
stem: {width: 4, kernel: 5}
blocks: [dsa_k3_s2_c8, ir_r2_k3_s2_e2_c8, ir_k5_s2_e2_c8_nre]
head: 0
act: relu6
padding: same
`,
	"hard": `
name: hard
resolution: 12
classes: 4
stem: {width: 8}
blocks: [ds_k3_c8_se0.25, ir_r2_k3_s2_e3_c8_se0.5]
head: 8
act: hard_swish
padding: symmetric
se: {act: relu, gate: hard_sigmoid}
`,
	"resnet": `
name: resnet
resolution: 17
classes: 4
stem: {width: 8, kernel: 7, pool: 3}
blocks: [bottle_r2_k3_e0.5_c16, basic_r2_k3_s2_c12]
head: 0
act: relu
padding: symmetric
`,
	"pool_same": `
name: pool_same
resolution: 20
classes: 4
stem: {width: 8, kernel: 3, pool: 3}
blocks: [bottle_r1_k3_s2_e0.5_c16]
head: 0
act: relu
padding: same
`,
}

func model(t testing.TB, s arch.Spec) *weights.Model {
	t.Helper()
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return &weights.Model{Spec: s, Set: golden.Weights(g)}
}

func written(t testing.TB, m *weights.Model, opt Options) *parsed {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m, opt); err != nil {
		t.Fatal(err)
	}
	p, err := parse(b.Bytes())
	if err == nil {
		err = p.check()
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var everyOption = []Options{{}, {KeepBatchNorm: true}, {FreeSize: true}, {KeepBatchNorm: true, FreeSize: true}}

// images of g as both layouts.
func images(g *arch.Graph, n int) ([]float64, value4) {
	s := g.Ops[0].Shape
	x, _ := golden.RandomBatch(g, n)
	nhwc, nchw := make([]float64, len(x)), newValue(n, s.C, s.H, s.W)
	for i, v := range x {
		nhwc[i] = float64(v)
		c, px := i%s.C, i/s.C
		*nchw.at(px/(s.H*s.W), c, px/s.W%s.H, px%s.W) = float64(v)
	}
	return nhwc, nchw
}

// sameLogits compares the file with the graph it was made of.
func sameLogits(p *parsed, g *arch.Graph, w *weights.Set, n int, tol float64) error {
	x, in := images(g, n)
	want := ref.Forward(g, ref.FromSet(w), x, n, ref.Mode{}).Logits()
	got, err := p.run(in)
	if err != nil {
		return err
	}
	if got.n != n || got.c*got.h*got.w != g.Spec.Classes {
		return fmt.Errorf("logits are %dx%dx%dx%d", got.n, got.c, got.h, got.w)
	}
	scale := 1e-30
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i, v := range got.data {
		if !(math.Abs(v-want[i]) <= tol*scale) {
			return fmt.Errorf("logit %d is %g, want %g", i, v, want[i])
		}
	}
	return nil
}

// A file, run by the text of the operators' reference, gives the logits of the
// oracle: with batch norms as they are to the last digits of float64, folded
// to those of float32.
func TestLogits(t *testing.T) {
	for name, text := range networks {
		s := spec(t, text)
		m := model(t, s)
		for _, opt := range everyOption {
			p := written(t, m, opt)
			sizes := [][2]int{{s.Resolution, s.Resolution}}
			if opt.FreeSize {
				sizes = append(sizes, [2]int{s.Resolution + 9, s.Resolution + 14})
			}
			tol := 2e-6
			if opt.KeepBatchNorm {
				tol = 1e-7 // the constants of BatchNormalization and HardSigmoid are float32
			}
			for _, hw := range sizes {
				g, err := s.GraphFor(hw[0], hw[1])
				if err != nil {
					t.Fatal(err)
				}
				if err := sameLogits(p, g, m.Set, 2, tol); err != nil {
					t.Errorf("%s %+v at %v: %v", name, opt, hw, err)
				}
			}
		}
	}
}

// listing is a file as text, without the values of its tensors.
func listing(p *parsed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ir %d, opset %d, producer %s, graph %s\nin  %s\nout %s\n", p.ir, p.opset, p.producer, p.name, strings.Join(p.in, ", "), strings.Join(p.out, ", "))
	for _, n := range p.nodes {
		fmt.Fprintf(&b, "%s %s(%s) -> %s", n.name, n.op, strings.Join(n.in, ", "), strings.Join(n.out, ", "))
		for _, key := range slices.Sorted(maps.Keys(n.attrs)) {
			fmt.Fprintf(&b, " %s=%v", key, n.attrs[key])
		}
		b.WriteByte('\n')
	}
	for _, name := range p.order {
		fmt.Fprintf(&b, "%s %v\n", name, p.tensors[name].dims)
	}
	for _, key := range slices.Sorted(maps.Keys(p.meta)) {
		if key != MetaSpec {
			fmt.Fprintf(&b, "%s = %s\n", key, p.meta[key])
		}
	}
	return b.String()
}

func TestListings(t *testing.T) {
	for name, c := range map[string]struct {
		network string
		opt     Options
	}{
		"swish":           {"swish", Options{}},
		"swish_keep":      {"swish", Options{KeepBatchNorm: true}},
		"relu6_same":      {"relu6_same", Options{}},
		"relu6_same_free": {"relu6_same", Options{FreeSize: true}},
		"hard":            {"hard", Options{}},
		"resnet_free":     {"resnet", Options{FreeSize: true}},
	} {
		m := model(t, spec(t, networks[c.network]))
		m.Labels = []string{"a", "b\n", "ö", "d", "e"}[:m.Spec.Classes]
		got := listing(written(t, m, c.opt))
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
}

// With batch norms kept, the constants are the model's tensors, bit for bit.
func TestTensorsAreKept(t *testing.T) {
	m := model(t, arch.MustLookup("small_1m"))
	p := written(t, m, Options{KeepBatchNorm: true})
	for name, want := range m.Set.Tensors {
		got := p.tensors[name]
		if !slices.Equal(got.dims, want.Shape) || !slices.Equal(got.data, want.Data) {
			t.Errorf("%s: %v, want %v", name, got.dims, want.Shape)
		}
	}
	if len(p.tensors) != len(m.Set.Tensors) {
		t.Errorf("%d tensors, want %d", len(p.tensors), len(m.Set.Tensors))
	}
}

// Every network of the zoo has a file that holds together.
func TestZoo(t *testing.T) {
	for _, name := range arch.Names() {
		s := arch.MustLookup(name)
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		for _, opt := range everyOption {
			n, err := lower(g, &weights.Set{}, opt)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := n.checkSize(nil); err != nil {
				t.Error(err)
			}
			norms := 0
			before, after := n.graphParts()
			for i := range n.tensors {
				n.tensors[i].shape = []int{0} // only the wiring is of interest
				before = before.sub(graphInitializer, n.tensors[i].encodeHead())
			}
			p := &parsed{tensors: map[string]parsedTensor{}}
			if err := p.graph(append(before, after...)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := p.check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, n := range p.nodes {
				if n.op == "BatchNormalization" {
					norms++
				}
			}
			if (norms > 0) != opt.KeepBatchNorm {
				t.Errorf("%s %+v: %d batch norms", name, opt, norms)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	m := model(t, arch.MustLookup("small_1m"))
	m.Labels = strings.Split("shirt,trouser,<b>,\"x\",é,f,g,h,i,j", ",")
	p := written(t, m, Options{})
	s, err := arch.ParseSpec(MetaSpec, []byte(p.meta[MetaSpec]))
	if err != nil || !cmp.Equal(s, m.Spec) {
		t.Errorf("the spec became %v: %v", cmp.Diff(m.Spec, s), err)
	}
	var labels []string
	if err := json.Unmarshal([]byte(p.meta[MetaLabels]), &labels); err != nil || !slices.Equal(labels, m.Labels) {
		t.Errorf("labels are %q: %v", labels, err)
	}
	var prep Preprocessing
	if err := json.Unmarshal([]byte(p.meta[MetaPrep]), &prep); err != nil {
		t.Error(err)
	}
	want := Preprocessing{Size: [2]int{28, 28}, Crop: 1, Filter: "bilinear", Mean: []float64{0.286}, Std: []float64{0.353}}
	if d := cmp.Diff(want, prep); d != "" {
		t.Error(d)
	}
	m.Labels = m.Labels[:9]
	if err := Write(&bytes.Buffer{}, m, Options{}); err == nil || !strings.Contains(err.Error(), "9 labels, network small_1m has 10 classes") {
		t.Errorf("error of labels that do not fit: %v", err)
	}
}

func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	m := model(t, arch.MustLookup("small_300k"))
	var files [][]byte
	for _, name := range []string{"a.onnx", "b.onnx"} {
		path := filepath.Join(dir, name)
		if err := WriteFile(path, m, Options{}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two files of one model differ")
	}
	g, err := m.Spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	n, err := lower(g, m.Set, Options{})
	if err != nil {
		t.Fatal(err)
	}
	meta, err := metadata(m)
	if err != nil {
		t.Fatal(err)
	}
	if size := n.modelSize(meta); size != len(files[0]) {
		t.Errorf("size is said to be %d, it is %d", size, len(files[0]))
	}
}

func TestRefused(t *testing.T) {
	m := model(t, arch.MustLookup("small_300k"))
	path := filepath.Join(t.TempDir(), "x.onnx")
	delete(m.Set.Tensors, "conv_stem.weight")
	err := WriteFile(path, m, Options{})
	if err == nil || !strings.Contains(err.Error(), "conv_stem.weight: missing") {
		t.Errorf("error of weights that do not fit: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written all the same")
	}
	for elems, fits := range map[int]bool{1<<29 - 100: true, 1 << 29: false} {
		n := &network{name: "large", tensors: []tensor{{"x", []int{elems}, nil}}}
		if err := n.checkSize(nil); (err == nil) != fits {
			t.Errorf("%d floats: %v", elems, err)
		} else if err != nil && !strings.Contains(err.Error(), "large would have 21474837") {
			t.Error(err)
		}
	}
}

// TestEveryKind holds that a new kind of op or activation cannot be forgotten.
func TestEveryKind(t *testing.T) {
	kinds, acts := map[arch.Kind]bool{}, map[arch.Act]bool{}
	for _, text := range networks {
		s := spec(t, text)
		s.Dropout = 0.1
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range g.Ops {
			kinds[op.Kind] = true
			if op.Kind == arch.OpActivation {
				acts[op.Act] = true
			}
		}
	}
	for k := arch.Kind(0); k < arch.NumKinds; k++ {
		if !kinds[k] {
			t.Errorf("no test network has an op of kind %v", k)
		}
	}
	for a := arch.ActIdentity; !strings.HasPrefix(a.String(), "Act("); a++ {
		if a != arch.ActIdentity && !acts[a] { // an identity is no op
			t.Errorf("no test network has the activation %v", a)
		}
	}
	for k := arch.Kind(0); k <= arch.NumKinds; k++ {
		l := &lowering{g: &arch.Graph{Ops: []arch.Op{{Kind: arch.OpInput}, {
			Kind: k, Name: "x", In: []int{0, 0}, Act: arch.ActReLU, Params: make([]arch.Param, 2),
		}}}, n: &network{}, values: make([]string, 2), readers: make([]int, 2)}
		if err := l.op(1); (err == nil) != (k < arch.NumKinds) {
			t.Errorf("kind %v: error %v", k, err)
		}
	}
}

// Random rows and options: the file is read back, holds together, and gives
// the oracle's logits.
func TestRandomNetworks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from := func(what string, texts ...string) string { return rapid.SampledFrom(texts).Draw(rt, what) }
		var rows []string
		for range rapid.IntRange(1, 3).Draw(rt, "rows") {
			rows = append(rows, from("block", "ds", "dsa", "ir_e2.5", "er_e2", "cn", "bottle_e0.5")+
				from("kernel", "_k1", "_k3", "_k5")+from("stride", "_s1", "_s2")+from("width", "_c4", "_c8")+from("act", "", "_nre", "_nhs"))
		}
		s := arch.Spec{}
		text := fmt.Sprintf("name: x\nresolution: %d\nclasses: 2\nstem: {width: 4, stride: %s}\nblocks: [%s]\nhead: %s\npadding: %s\nact: %s\n",
			rapid.IntRange(16, 24).Draw(rt, "resolution"), from("stem", "1", "2"), strings.Join(rows, ", "),
			from("head", "0", "4"), from("padding", "same", "symmetric"), from("network act", "swish", "relu6"))
		s, err := arch.ParseSpec("x", []byte(text))
		if err != nil {
			rt.Skip(err)
		}
		g, err := s.Graph()
		if err != nil {
			rt.Fatal(err)
		}
		m := model(t, s)
		p := written(t, m, rapid.SampledFrom(everyOption).Draw(rt, "options"))
		if err := sameLogits(p, g, m.Set, 1, 1e-5); err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
	})
}

// Any network that a spec file can describe is written as a file that other
// readers can read.
func FuzzWrite(f *testing.F) {
	for _, text := range networks {
		f.Add([]byte(text), uint8(0))
	}
	f.Add(arch.MustLookup("small_300k").YAML(), uint8(3))
	f.Fuzz(func(t *testing.T, text []byte, option uint8) {
		s, err := arch.ParseSpec("x", text)
		if err != nil {
			return
		}
		if c, err := s.CostAt(s.Resolution); err != nil || c.Params > 1<<18 || c.MACs > 1<<22 || s.Classes > 1<<10 {
			return
		}
		opt := everyOption[int(option)%len(everyOption)]
		m := model(t, s)
		size := 4 * s.Classes
		for _, v := range m.Set.Tensors {
			size += 4 * len(v.Data)
		}
		alloctest.Bounded(t, size, func() {
			if err := Write(io.Discard, m, opt); err != nil {
				t.Fatal(err)
			}
		})
		p := written(t, m, opt)
		back, err := arch.ParseSpec(MetaSpec, []byte(p.meta[MetaSpec]))
		if err != nil || back.Name != s.Name {
			t.Fatalf("the spec does not come back: %v", err)
		}
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		if err := sameLogits(p, g, m.Set, 1, 1e-4); err != nil {
			t.Error(err)
		}
	})
}
