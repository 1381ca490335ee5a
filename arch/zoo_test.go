package arch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The reference counts: made with timm and torchvision, equal to the last
// digit where these have the network.
var zooCounts = []struct {
	name       string
	resolution int
	params     int64
	stats      int64  // batch-norm running statistics
	gmacs      string // %.4f of 1e9
	depthwise  string
	mactivs    string // %.3f of 1e6
}{
	{"b0", 224, 5288548, 42016, "0.3858", "0.0345", "6.747"},
	{"b1", 240, 7794184, 62048, "0.6868", "0.0604", "10.883"},
	{"b2", 260, 9109994, 67568, "0.9936", "0.0798", "13.832"},
	{"b3", 300, 12233232, 87296, "1.8271", "0.1333", "23.830"},
	{"b4", 380, 19341616, 125200, "4.3938", "0.2991", "49.488"},
	{"b5", 456, 30389784, 172736, "10.2664", "0.6096", "98.856"},
	{"b6", 528, 43040704, 224432, "19.0676", "1.0518", "167.392"},
	{"b7", 600, 66347960, 310720, "37.7459", "1.8603", "289.938"},
	{"b8", 672, 87413142, 380032, "62.5975", "2.8764", "442.885"},
	{"lite0", 224, 4652008, 42016, "0.3852", "0.0345", "6.738"},
	{"lite1", 240, 5416680, 53664, "0.6002", "0.0572", "10.142"},
	{"lite2", 260, 6092072, 58096, "0.8597", "0.0758", "12.895"},
	{"lite3", 280, 8197096, 76672, "1.3833", "0.1079", "18.984"},
	{"lite4", 300, 13006568, 112368, "2.5530", "0.1801", "28.838"},
}

func TestZooCounts(t *testing.T) {
	for _, c := range zooCounts {
		for _, prefix := range []string{"", "efficientnet_", "tf_efficientnet_"} {
			s := MustLookup(prefix + c.name)
			if s.Resolution != c.resolution {
				t.Errorf("%s: resolution %d, want %d", s.Name, s.Resolution, c.resolution)
			}
			cost := mustCost(t, s)
			got := fmt.Sprintf("%d %d %.4f %.4f %.3f", cost.Params, cost.Buffers, float64(cost.MACs)/1e9, float64(cost.DepthwiseMACs)/1e9, float64(cost.Activations)/1e6)
			want := fmt.Sprintf("%d %d %s %s %s", c.params, c.stats, c.gmacs, c.depthwise, c.mactivs)
			if got != want {
				t.Errorf("%s:\n got %s\nwant %s", s.Name, got, want)
			}
		}
	}
}

// Widths and repeats as the authors' table resolves them.
func TestZooRows(t *testing.T) {
	for _, c := range []struct {
		name    string
		stem    int
		widths  string
		head    int
		repeats string
		blocks  int
		dropout float64
	}{
		{"b0", 32, "16 24 40 80 112 192 320", 1280, "1 2 2 3 3 4 1", 16, 0.2},
		{"b1", 32, "16 24 40 80 112 192 320", 1280, "2 3 3 4 4 5 2", 23, 0.2},
		{"b2", 32, "16 24 48 88 120 208 352", 1408, "2 3 3 4 4 5 2", 23, 0.3},
		{"b3", 40, "24 32 48 96 136 232 384", 1536, "2 3 3 5 5 6 2", 26, 0.3},
		{"b4", 48, "24 32 56 112 160 272 448", 1792, "2 4 4 6 6 8 2", 32, 0.4},
		{"b5", 48, "24 40 64 128 176 304 512", 2048, "3 5 5 7 7 9 3", 39, 0.4},
		{"b6", 56, "32 40 72 144 200 344 576", 2304, "3 6 6 8 8 11 3", 45, 0.5},
		{"b7", 64, "32 48 80 160 224 384 640", 2560, "4 7 7 10 10 13 4", 55, 0.5},
		{"b8", 72, "32 56 88 176 248 424 704", 2816, "4 8 8 11 11 15 4", 61, 0.5},
		{"lite0", 32, "16 24 40 80 112 192 320", 1280, "1 2 2 3 3 4 1", 16, 0.2},
		{"lite1", 32, "16 24 40 80 112 192 320", 1280, "1 3 3 4 4 5 1", 21, 0.2},
		{"lite2", 32, "16 24 48 88 120 208 352", 1280, "1 3 3 4 4 5 1", 21, 0.3},
		{"lite3", 32, "24 32 48 96 136 232 384", 1280, "1 3 3 5 5 6 1", 24, 0.3},
		{"lite4", 32, "24 32 56 112 160 272 448", 1280, "1 4 4 6 6 8 1", 30, 0.3},
	} {
		s := MustLookup(c.name)
		var widths, repeats []string
		for _, st := range s.Stages {
			widths = append(widths, fmt.Sprint(st.Width))
			repeats = append(repeats, fmt.Sprint(st.Repeats))
		}
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		blocks := 0
		for i := range g.Ops {
			blocks = max(blocks, g.Ops[i].Block+1)
		}
		if w, r := strings.Join(widths, " "), strings.Join(repeats, " "); s.Stem.Width != c.stem || w != c.widths || s.Head != c.head || r != c.repeats || blocks != c.blocks || s.Dropout != c.dropout {
			t.Errorf("%s: stem %d widths %s head %d repeats %s blocks %d dropout %v, want %+v", s.Name, s.Stem.Width, w, s.Head, r, blocks, s.Dropout, c)
		}
	}
}

// B0 row by row, as the paper's Table 1.
func TestB0Stages(t *testing.T) {
	want := `stem Conv3x3 224x224x3 32 1 2 928 10.838
1 MBConv1, k3x3 112x112x32 16 1 1 1448 10.036
2 MBConv6, k3x3 112x112x16 24 2 2 16714 54.945
3 MBConv6, k5x5 56x56x24 40 2 2 46640 37.940
4 MBConv6, k3x3 28x28x40 80 3 2 242930 43.555
5 MBConv6, k5x5 14x14x80 112 3 1 543148 86.102
6 MBConv6, k5x5 14x14x112 192 4 2 2026348 91.528
7 MBConv6, k3x3 7x7x192 320 1 1 717232 29.520
head Conv1x1 7x7x320 1280 1 1 412160 20.070
classifier Pooling & FC 7x7x1280 1000 1 1 1281000 1.280
`
	c := mustCost(t, MustLookup("b0"))
	var got strings.Builder
	for _, r := range c.Stages {
		fmt.Fprintf(&got, "%s %s %dx%dx%d %d %d %d %d %.3f\n", r.Name, r.Operator, r.In.H, r.In.W, r.In.C, r.Width, r.Layers, r.Stride, r.Params, float64(r.MACs)/1e6)
	}
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// The two lines of pretrained weights differ in what FACTS of their frameworks differ in.
func TestZooConventions(t *testing.T) {
	for _, c := range []struct {
		name     string
		pad      PaddingRule
		eps      float64
		momentum float64
		mean     float64
		crop     float64
		filter   Filter
		act      Act
		se       float64
	}{
		{"efficientnet_b0", PadSymmetric, 1e-5, 0.1, 0.485, 0.875, Bicubic, ActSwish, 0.25},
		{"efficientnet_b4", PadSymmetric, 1e-5, 0.1, 0.485, 0.922, Bicubic, ActSwish, 0.25},
		{"tf_efficientnet_b3", PadSame, 1e-3, 0.01, 0.485, 0.904, Bicubic, ActSwish, 0.25},
		{"efficientnet_lite0", PadSymmetric, 1e-5, 0.1, 0.485, 0.875, Bicubic, ActReLU6, 0},
		{"tf_efficientnet_lite3", PadSame, 1e-3, 0.01, 0.5, 0.904, Bilinear, ActReLU6, 0},
	} {
		s := MustLookup(c.name)
		if s.Padding != c.pad || s.BN.Eps != c.eps || s.BN.Momentum != c.momentum || s.Prep.Mean[0] != c.mean || s.Prep.Crop != c.crop ||
			s.Prep.Filter != c.filter || s.Act != c.act || s.Stages[3].SERatio != c.se {
			t.Errorf("%s: got %+v", c.name, s)
		}
	}
}

// The rows of the small networks may change; what they are for may not.
func TestSmallNetworks(t *testing.T) {
	for _, c := range []struct {
		name    string
		mmacs   float64
		params  int64
		lastMap int
	}{
		{"small_300k", 0.3, 50e3, 4},
		{"small_1m", 1, 100e3, 4},
		{"small_5m", 5, 500e3, 4},
	} {
		s := MustLookup(c.name)
		g, err := s.Graph()
		if err != nil {
			t.Fatal(err)
		}
		cost := g.Cost()
		got := float64(cost.MACs) / 1e6
		if s.Resolution != 28 || s.Channels != 1 || s.Classes != 10 {
			t.Errorf("%s is for %dx%dx%d and %d classes, want 28x28x1 and 10", s.Name, s.Resolution, s.Resolution, s.Channels, s.Classes)
		}
		if got < 0.7*c.mmacs || got > 1.4*c.mmacs || cost.Params > c.params || g.Ops[g.HeadMap].Shape.H < c.lastMap {
			t.Errorf("%s: %.3f MMACs, %d parameters, last map %d; want about %v, at most %d, at least %d", s.Name, got, cost.Params, g.Ops[g.HeadMap].Shape.H, c.mmacs, c.params, c.lastMap)
		}
		for _, f := range []Factors{{1.5, 1, 0}, {1, 1.3, 0}, {1, 1, 36}} {
			if big := mustCost(t, mustScale(t, s, f)); float64(big.MACs) < 1.2*float64(cost.MACs) {
				t.Errorf("%s does not grow by %+v: %d MACs from %d", s.Name, f, big.MACs, cost.MACs)
			}
		}
	}
}

func TestZooNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Families() {
		if f.About == "" || strings.Contains(f.About, "\n") {
			t.Errorf("family %s is described as %q, want one line", f.Name, f.About)
		}
		base := MustLookup(f.Models[0].Name)
		for _, m := range f.Models {
			for _, n := range append([]string{m.Name}, m.Aliases...) {
				if seen[n] {
					t.Errorf("two networks are called %s", n)
				}
				seen[n] = true
				s := MustLookup(n)
				if s.Name != m.Name {
					t.Errorf("Lookup(%s) is called %s", n, s.Name)
				}
				scaled, err := base.Scale(m.Factors)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := mustCost(t, scaled).Totals, mustCost(t, s).Totals; got != want {
					t.Errorf("%s is not its family's base times its factors: %v, want %v", n, &got, &want)
				}
			}
		}
	}
	if n := len(Names()); n != 31 {
		t.Errorf("the zoo has %d networks, want 31", n)
	}
}

func TestLookupUnknown(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"efficientnet_b9", `arch: no network is called "efficientnet_b9"; did you mean efficientnet_b0 or efficientnet_b1 or efficientnet_b2?`},
		{"EfficientNet-B3", `arch: no network is called "EfficientNet-B3"; did you mean efficientnet_b3?`},
		{"smal_1m", `arch: no network is called "smal_1m"; did you mean small_1m or small_5m?`},
		{"resnet50", `arch: no network is called "resnet50"`},
		{"", `arch: no network is called ""`},
		{strings.Repeat("x", 5000), `arch: no network is called "` + strings.Repeat("x", 100) + `..."`},
	} {
		_, err := Lookup(c.name)
		var unknown *UnknownNetworkError
		if !errors.As(err, &unknown) || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// A caller may change what it was given without changing the zoo.
func TestLookupIsFresh(t *testing.T) {
	s := MustLookup("b0")
	s.Stages[0].Width = 1
	s.Prep.Mean[0] = 9
	if s := MustLookup("b0"); s.Stages[0].Width != 16 || s.Prep.Mean[0] != 0.485 {
		t.Errorf("b0 changed: %+v", s)
	}
}

func mustCost(t testing.TB, s Spec) *Cost {
	t.Helper()
	g, err := s.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g.Cost()
}
