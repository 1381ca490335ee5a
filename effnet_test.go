package effnet_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"effnet"
	"effnet/arch"
	"effnet/imageprep"
	"effnet/internal/ref"
	"effnet/weights"
)

// small is a network for pictures of 24 pixels.
func small(t testing.TB, blocks, head string) *weights.Model {
	t.Helper()
	return model(t, 7, `
name: small
resolution: 24
classes: 4
stem: {width: 8}
blocks: [`+blocks+`]
head: `+head+`
padding: same
preprocessing: {crop: 0.75, filter: bicubic, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4]}
`, "ant", "bee", "cat", "dog")
}

func model(t testing.TB, seed uint64, text string, labels ...string) *weights.Model {
	t.Helper()
	spec, err := arch.ParseSpec("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	g, err := spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return &weights.Model{Spec: spec, Set: weights.Random(g, seed), Labels: labels}
}

const mobile = "ds_k3_c8_se0.25, ir_k5_s2_e3_c12, ir_k3_s2_e3_c16"

// noise is a picture of random pixels.
func noise(h, w, c int, seed uint64) imageprep.Image {
	r := rand.New(rand.NewPCG(seed, 1))
	im := imageprep.Image{Pix: make([]byte, h*w*c), H: h, W: w, C: c}
	for i := range im.Pix {
		im.Pix[i] = byte(r.Uint32())
	}
	return im
}

// Everything that a model says is what the oracle computes in float64.
func TestModelAgainstOracle(t *testing.T) {
	for name, w := range map[string]*weights.Model{
		"mobile": small(t, mobile, "20"), "no head": small(t, mobile, "0"), "resnet": small(t, "basic_k3_c8, basic_k3_s2_c16", "0"),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := effnet.New(w, w.Set, effnet.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			im := noise(40, 31, 3, 5)
			x := make([]float32, m.InputElems())
			if err := m.Prepare(x, im); err != nil {
				t.Fatal(err)
			}
			wide := make([]float64, len(x))
			for i, v := range x {
				wide[i] = float64(v)
			}
			g := m.Graph()
			params := ref.FromSet(w.Set)
			trace := ref.Forward(g, params, wide, 1, ref.Mode{})

			out, err := m.Apply(t.Context(), im)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "logits", out.Logits, trace.Values[g.Output()])
			vector, err := m.Embed(t.Context(), im)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "embedding", vector, trace.Values[g.Features])

			classifier := g.Ops[g.Output()].Params
			row, bias := params[classifier[0].Name], params[classifier[1].Name]
			shape := g.Ops[g.HeadMap].Shape
			for class := range w.Spec.Classes {
				e, err := m.Explain(t.Context(), im, class)
				if err != nil {
					t.Fatal(err)
				}
				want := make([]float64, shape.H*shape.W)
				for i := range want {
					for k := range shape.C {
						want[i] += trace.Values[g.HeadMap][i*shape.C+k] * row[class*shape.C+k]
					}
				}
				near(t, "map", e.Map.Values, want)
				if e.Map.H != shape.H || e.Map.W != shape.W {
					t.Errorf("the map is %dx%d, want %dx%d", e.Map.H, e.Map.W, shape.H, shape.W)
				}
				if got := e.Map.Mean() + bias[class]; math.Abs(got-float64(e.Logit)) > 1e-4*(1+math.Abs(got)) {
					t.Errorf("class %d: mean of the map and bias are %v, the logit %v", class, got, e.Logit)
				}
				if e.Class != class || e.Label != w.Labels[class] {
					t.Errorf("class %d is explained as %d, %s", class, e.Class, e.Label)
				}
			}
			best, err := m.Classify(t.Context(), im, 2)
			if err != nil || len(best) != 2 {
				t.Fatal(best, err)
			}
			e, err := m.Explain(t.Context(), im, effnet.Best)
			if err != nil || e.Best != e.Prediction || e.Class != best[0].Class {
				t.Errorf("the best class is %+v, %v; Classify says %+v", e, err, best[0])
			}
			if _, err := m.Explain(t.Context(), im, 4); err == nil || !strings.Contains(err.Error(), "class 4, small has classes 0 to 3") {
				t.Errorf("class 4: %v", err)
			}
		})
	}
}

// near compares within float32 rounding of the largest value.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	most := 0.0
	for _, v := range want {
		most = max(most, math.Abs(v))
	}
	for i := range got {
		if !(math.Abs(float64(got[i])-want[i]) <= 2e-5*most) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// bright is a network that does nothing but look for bright places: the first
// channel of its map is the brightness around each place, which class 1 wants
// and class 0 does not.
func bright(t testing.TB) *weights.Model {
	t.Helper()
	w := model(t, 1, `
name: bright
resolution: 64
channels: 1
classes: 2
stem: {width: 8, kernel: 3, stride: 2}
blocks: [cn_k3_s2_c8, cn_k3_s2_c8]
head: 0
act: relu
padding: same
preprocessing: {crop: 1, filter: bilinear, mean: [0], std: [1]}
`, "dark", "bright")
	g, err := w.Spec.Graph()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range g.Params() {
		data := w.Set.Tensors[p.Name].Data
		clear(data)
		switch p.Role {
		case arch.ConvWeight: // the first channel is the mean of the first channel around
			n := p.Shape[2] * p.Shape[3]
			for k := range n {
				data[k] = 1 / float32(n)
			}
		case arch.LinearWeight: // [2,8]
			data[0], data[p.Shape[1]] = -1, 1
		case arch.BNGamma, arch.BNVar:
			for k := range data {
				data[k] = 1
			}
		}
	}
	return w
}

// The map lights where the patch is, wherever that is and however the picture is
// cut to the network's.
func TestExplainFindsPatch(t *testing.T) {
	w := bright(t)
	for _, c := range []struct {
		h, w, x, y int
		crop       float64
		squash     bool
		filter     arch.Filter
	}{
		{64, 64, 12, 44, 1, false, arch.Bilinear},
		{64, 64, 44, 12, 1, false, arch.Bilinear},
		{128, 256, 120, 20, 1, false, arch.Bicubic},
		{256, 128, 20, 100, 1, false, arch.Bilinear},
		{200, 100, 40, 90, 0.8, false, arch.Bilinear},
		{100, 200, 100, 30, 0.8, false, arch.TFBicubic},
		{100, 300, 250, 70, 1, true, arch.Bilinear},
	} {
		w.Spec.Prep.Crop, w.Spec.Prep.Squash, w.Spec.Prep.Filter = c.crop, c.squash, c.filter
		m, err := effnet.New(w, w.Set, effnet.Options{Explain: true})
		if err != nil {
			t.Fatal(err)
		}
		im := imageprep.Image{Pix: make([]byte, c.h*c.w), H: c.h, W: c.w, C: 1}
		side := min(c.h, c.w) / 8
		for y := c.y; y < c.y+side; y++ {
			for x := c.x; x < c.x+side; x++ {
				im.Pix[y*c.w+x] = 255
			}
		}
		e, err := m.Explain(t.Context(), im, 1)
		if err != nil {
			t.Fatal(err)
		}
		x, y := e.Map.Peak()
		// Within a place of the map of the patch's middle.
		dx, dy := e.Map.Seen.W/float64(e.Map.W), e.Map.Seen.H/float64(e.Map.H)
		if math.Abs(x-float64(c.x)-float64(side)/2) > dx || math.Abs(y-float64(c.y)-float64(side)/2) > dy {
			t.Errorf("%+v: the peak is at %.1f, %.1f; the map spans %+v", c, x, y, e.Map.Seen)
		}
		// What speaks for a bright picture speaks against a dark one.
		dark, err := m.Explain(t.Context(), im, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range dark.Map.Values {
			if v != -e.Map.Values[i] {
				t.Fatalf("%+v: place %d: %v for dark, %v for bright", c, i, v, e.Map.Values[i])
			}
		}
		m.Close()
	}
}

func TestDrawRow(t *testing.T) {
	w := bright(t)
	m, err := effnet.New(w, w.Set, effnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	im := noise(30, 40, 1, 1)
	pic, err := effnet.DrawRow(t.Context(), []effnet.Named{{"base", m}, {"compound", m}}, im, "test 1")
	if err != nil || pic.Bounds().Dx() <= 3*224 {
		t.Errorf("%v, %v", pic.Bounds(), err)
	}
	panels, err := effnet.ExplainRow(t.Context(), []effnet.Named{{"base", m}}, im, 0)
	if err != nil || panels[0].Title != "base" || !strings.HasSuffix(panels[0].Caption, " %  dark (says bright)") {
		t.Errorf("%+v, %v", panels, err)
	}
}

func TestOpen(t *testing.T) {
	w := small(t, mobile, "20")
	dir := t.TempDir()
	path := filepath.Join(dir, weights.ModelFile)
	if err := w.Write(path); err != nil {
		t.Fatal(err)
	}
	im := noise(30, 30, 3, 2)
	var first []effnet.Prediction
	for _, at := range []string{dir, path} {
		for _, opt := range []effnet.Options{{}, {Explain: true, Threads: 1}, {Labels: []string{"a", "b", "c", "d"}}} {
			m, err := effnet.OpenWith(at, opt)
			if err != nil {
				t.Fatal(err)
			}
			best, err := m.Classify(t.Context(), im, 9)
			if err != nil || len(best) != 4 {
				t.Fatal(best, err)
			}
			if opt.Labels != nil {
				if best[0].Label != opt.Labels[best[0].Class] {
					t.Errorf("label %q of class %d", best[0].Label, best[0].Class)
				}
			} else if first == nil {
				first = best
			} else if !slices.Equal(first, best) {
				t.Errorf("%s, %+v: %v, before %v", at, opt, best, first)
			}
			if _, err := m.Explain(t.Context(), im, effnet.Best); err != nil {
				t.Error(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{dir: "no model.safetensors in this folder", path: "no such file"} {
		if _, err := effnet.Open(at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s): %v, want %q", at, err, want)
		}
	}
	if _, err := effnet.New(w, w.Set, effnet.Options{Labels: []string{"a"}}); err == nil || !strings.Contains(err.Error(), "1 labels, the network small has 4 classes") {
		t.Errorf("too few labels: %v", err)
	}
}

// Goroutines share a model, and the first explanations come at once.
func TestConcurrentUse(t *testing.T) {
	w := small(t, mobile, "20")
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := w.Write(path); err != nil {
		t.Fatal(err)
	}
	m, err := effnet.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			im := noise(20+i, 30, 1+i%2*2, uint64(i))
			a, err := m.Explain(context.Background(), im, effnet.Best)
			if err != nil {
				t.Error(err)
				return
			}
			b, err := m.Classify(context.Background(), im, 1)
			if err != nil || a.Class != b[0].Class {
				t.Errorf("%+v and %+v, %v", a.Prediction, b, err)
			}
		})
	}
	all.Wait()
}
