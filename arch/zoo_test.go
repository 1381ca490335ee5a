package arch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The published counts.
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
	{"l2", 800, 480309308, 1090688, "475.7037", "11.3888", "1707.389"},
	{"es", 224, 5438392, 51440, "1.7887", "0.0409", "8.724"},
	{"em", 240, 6899496, 67808, "3.0133", "0.0608", "14.341"},
	{"el", 300, 10589712, 92208, "7.9361", "0.1370", "30.696"},
	{"v2_b0", 224, 7139704, 60608, "0.7181", "0.0113", "4.772"},
	{"v2_b1", 240, 8141052, 71072, "1.1968", "0.0164", "7.335"},
	{"v2_b2", 260, 10096086, 82288, "1.6975", "0.0235", "9.836"},
	{"v2_b3", 300, 14358406, 109216, "3.0115", "0.0392", "15.735"},
	{"v2_s", 384, 21458488, 153872, "8.3656", "0.0875", "35.766"},
	{"v2_m", 480, 54139356, 292032, "24.5825", "0.2462", "89.837"},
	{"v2_l", 480, 118515272, 512576, "56.0797", "0.4304", "157.987"},
	{"v2_xl", 512, 208119808, 777024, "93.3535", "0.7379", "247.319"},
}

func TestZooCounts(t *testing.T) {
	for _, c := range zooCounts {
		prefixes, suffix := []string{"efficientnet_", "tf_efficientnet_"}, c.name
		if k, ok := strings.CutPrefix(c.name, "v2_"); ok {
			prefixes, suffix = []string{"efficientnetv2_", "tf_efficientnetv2_"}, k
			if len(k) == 1 && k != "x" {
				prefixes = append(prefixes, "efficientnet_v2_")
			}
		}
		for _, prefix := range prefixes {
			s := MustLookup(prefix + suffix)
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

// TestTimmCounts compares with what timm's own modules give: see
// scripts/golden/counts.py.
func TestTimmCounts(t *testing.T) {
	text, err := os.ReadFile("testdata/timm_counts.txt")
	if err != nil {
		t.Fatal(err)
	}
	timms := map[string]bool{}
	for _, want := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		name, _, _ := strings.Cut(want, " ")
		timms[name] = true
		s := MustLookup(name)
		c := mustCost(t, s)
		got := fmt.Sprintf("%s %d %d %d %d %d %d", name, s.Resolution, c.Params, c.Buffers, c.MACs, c.DepthwiseMACs, c.Activations)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, name := range Names() {
		ours := strings.HasPrefix(name, "small_")
		torchvision := strings.HasPrefix(name, "efficientnet_v2_") // counted as timm's twin in TestZooCounts
		if !timms[name] && !ours && !torchvision {
			t.Errorf("testdata/timm_counts.txt has no %s", name)
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
		{"l2", 136, "72 104 176 344 480 824 1376", 5504, "6 11 11 16 16 22 6", 88, 0.5},
		{"lite0", 32, "16 24 40 80 112 192 320", 1280, "1 2 2 3 3 4 1", 16, 0.2},
		{"lite1", 32, "16 24 40 80 112 192 320", 1280, "1 3 3 4 4 5 1", 21, 0.2},
		{"lite2", 32, "16 24 48 88 120 208 352", 1280, "1 3 3 4 4 5 1", 21, 0.3},
		{"lite3", 32, "24 32 48 96 136 232 384", 1280, "1 3 3 5 5 6 1", 24, 0.3},
		{"lite4", 32, "24 32 56 112 160 272 448", 1280, "1 4 4 6 6 8 1", 30, 0.3},
		{"efficientnet_el", 40, "32 40 56 112 176 232", 1536, "2 3 6 7 6 3", 27, 0.2},
		{"efficientnetv2_b0", 32, "16 32 48 96 112 192", 1280, "1 2 2 3 5 8", 21, 0.2},
		{"efficientnetv2_b1", 32, "16 32 48 96 112 192", 1280, "2 3 3 4 6 9", 27, 0.2},
		{"efficientnetv2_b2", 32, "16 32 56 104 120 208", 1408, "2 3 3 4 6 10", 28, 0.3},
		{"efficientnetv2_b3", 40, "16 40 56 112 136 232", 1536, "2 3 3 5 7 12", 32, 0.3},
		{"efficientnetv2_xl", 32, "32 64 96 192 256 512 640", 1280, "4 8 8 16 24 32 8", 100, 0.4},
		{"tinynet_a", 32, "16 24 40 80 112 192 320", 1280, "1 2 2 4 4 5 1", 19, 0.2},
		{"tinynet_b", 32, "16 24 32 64 88 144 240", 1280, "1 2 2 3 3 4 1", 16, 0.2},
		{"tinynet_c", 32, "8 16 24 40 64 104 176", 1280, "1 2 2 3 3 3 1", 15, 0.2},
		{"tinynet_d", 32, "8 16 24 40 64 104 176", 1280, "1 1 1 2 2 3 1", 11, 0.2},
		{"tinynet_e", 32, "8 16 24 40 56 96 160", 1280, "1 1 1 2 2 2 1", 10, 0.2},
		{"mobilenetv2_035", 16, "8 8 16 24 32 56 112", 1280, "1 2 3 4 3 3 1", 17, 0.2},
		{"mobilenetv2_140", 48, "24 32 48 88 136 224 448", 1792, "1 2 3 4 3 3 1", 17, 0.2},
		{"mobilenetv2_120d", 32, "24 32 40 80 112 192 384", 1280, "1 3 5 6 5 5 1", 26, 0.2},
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
		{"efficientnet_l2", PadSymmetric, 1e-5, 0.1, 0.485, 0.961, Bicubic, ActSwish, 0.25},
		{"tf_efficientnet_l2", PadSame, 1e-3, 0.01, 0.485, 0.960, Bicubic, ActSwish, 0.25},
		{"efficientnet_em", PadSymmetric, 1e-5, 0.1, 0.485, 0.882, Bicubic, ActReLU, 0},
		{"tf_efficientnet_el", PadSame, 1e-3, 0.01, 0.5, 0.904, Bicubic, ActReLU, 0},
		{"efficientnetv2_s", PadSymmetric, 1e-5, 0.1, 0.485, 1, Bicubic, ActSwish, 0.25},
		{"tf_efficientnetv2_s", PadSame, 1e-3, 0.1, 0.5, 1, Bicubic, ActSwish, 0.25},
		{"tf_efficientnetv2_b1", PadSame, 1e-3, 0.1, 0.485, 0.882, Bicubic, ActSwish, 0.25},
		{"efficientnet_v2_m", PadSymmetric, 1e-3, 0.1, 0.485, 1, Bilinear, ActSwish, 0.25},
		{"efficientnet_v2_l", PadSymmetric, 1e-3, 0.1, 0.5, 1, Bicubic, ActSwish, 0.25},
		{"efficientnetv2_rw_t", PadSymmetric, 1e-5, 0.1, 0.485, 1, Bicubic, ActSwish, 0.25},
		{"tinynet_c", PadSymmetric, 1e-5, 0.1, 0.485, 0.875, Bicubic, ActSwish, 0.25},
		{"mobilenetv1_125", PadSymmetric, 1e-5, 0.1, 0.5, 0.9, Bicubic, ActReLU6, 0},
		{"mobilenet_v2", PadSymmetric, 1e-5, 0.1, 0.485, 0.875, Bicubic, ActReLU6, 0},
		{"resnet50", PadSymmetric, 1e-5, 0.1, 0.485, 0.95, Bicubic, ActReLU, 0},
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

// Only these resize without keeping the aspect.
func TestZooSquash(t *testing.T) {
	var got []string
	for _, name := range Names() {
		if s := MustLookup(name); s.Prep.Squash {
			got = append(got, name)
		}
	}
	if want := []string{"tf_efficientnetv2_m", "tf_efficientnetv2_l", "tf_efficientnetv2_xl"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Operators and input maps of networks with other blocks than B0's.
func TestOperators(t *testing.T) {
	for name, want := range map[string]string{
		"efficientnet_es":     "Conv3x3@224, Fused-MBConv4, k3x3@112, Fused-MBConv8, k3x3@112, Fused-MBConv8, k3x3@56, MBConv8, k5x5@28, MBConv8, k5x5@14, MBConv8, k5x5@14, Conv1x1@7, Pooling & FC@7",
		"efficientnetv2_s":    "Conv3x3@384, Conv3x3@192, Fused-MBConv4, k3x3@192, Fused-MBConv4, k3x3@96, MBConv4, k3x3@48, MBConv6, k3x3@24, MBConv6, k3x3@24, Conv1x1@12, Pooling & FC@12",
		"efficientnetv2_rw_s": "Conv3x3@384, Fused-MBConv1, k3x3@192, Fused-MBConv4, k3x3@192, Fused-MBConv4, k3x3@96, MBConv4, k3x3@48, MBConv6, k3x3@24, MBConv6, k3x3@24, Conv1x1@12, Pooling & FC@12",
		"mobilenetv1_100":     "Conv3x3@224, DSConv, k3x3@112, DSConv, k3x3@112, DSConv, k3x3@56, DSConv, k3x3@28, DSConv, k3x3@14, Pooling & FC@7",
		"resnet18":            "Conv7x7, MaxPool3x3@224, Basic, k3x3@56, Basic, k3x3@56, Basic, k3x3@28, Basic, k3x3@14, Pooling & FC@7",
		"resnet50":            "Conv7x7, MaxPool3x3@224, Bottleneck, k3x3@56, Bottleneck, k3x3@56, Bottleneck, k3x3@28, Bottleneck, k3x3@14, Pooling & FC@7",
	} {
		var got []string
		for _, r := range mustCost(t, MustLookup(name)).Stages {
			got = append(got, fmt.Sprintf("%s@%d", r.Operator, r.In.H))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// The paper scales these too: its Table 3, as far as the figures there have digits.
func TestScaledBases(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     Factors
		gmacs string
	}{
		{"mobilenetv1_100", Factors{1, 1, 0}, "0.6"},
		{"mobilenetv1_100", Factors{1, 2, 0}, "2.2"},
		{"mobilenetv1_100", Factors{1, 1, 448}, "2.3"},
		{"mobilenetv2_100", Factors{1, 1, 0}, "0.3"},
		{"mobilenetv2_100", Factors{4, 1, 0}, "1.2"},
		{"resnet50", Factors{1, 1, 0}, "4.1"},
		{"resnet50", Factors{1, 1, 448}, "16.4"},
		{"resnet50", Factors{4, 1, 0}, "14.6"}, // the paper prints 16.2
		{"resnet50", Factors{1, 2, 0}, "16.1"}, // and 14.7
	} {
		cost := mustCost(t, mustScale(t, MustLookup(c.name), c.f))
		if got := fmt.Sprintf("%.1f", float64(cost.MACs)/1e9); got != c.gmacs {
			t.Errorf("%s by %+v: %s GMACs, want %s", c.name, c.f, got, c.gmacs)
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
		{"small_2m", 2, 110e3, 4},
		{"small_5m", 5, 500e3, 4},
		{"small_18m", 18, 1e6, 4},
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
				scaled, err := f.Base.Scale(m.Factors)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := mustCost(t, scaled).Totals, mustCost(t, s).Totals; got != want {
					t.Errorf("%s is not its family's base times its factors: %v, want %v", n, &got, &want)
				}
			}
		}
	}
	if n := len(Names()); n != 81 {
		t.Errorf("the zoo has %d networks, want 81", n)
	}
}

func TestLookupUnknown(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"efficientnet_b9", `arch: no network is called "efficientnet_b9"; did you mean efficientnet_b0 or efficientnet_b1 or efficientnet_b2?`},
		{"EfficientNet-B3", `arch: no network is called "EfficientNet-B3"; did you mean efficientnet_b3?`},
		{"smal_1m", `arch: no network is called "smal_1m"; did you mean small_1m or small_2m or small_5m?`},
		{"resnet5", `arch: no network is called "resnet5"; did you mean resnet50 or resnet18 or resnet34?`},
		{"densenet121", `arch: no network is called "densenet121"`},
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
