package autoaugment

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustParse(t testing.TB, text string) Policy {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestString(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"v0":                                    "v0",
		"v0-mstd0.50":                           "v0-mstd0.5",
		"rand":                                  "rand-m10-n2",
		"rand-n3":                               "rand-m10-n3",
		"rand-m9-n2-mstd0.5":                    "rand-m9-n2-mstd0.5",
		"rand-inc1-mstd0.5-n2-m9":               "rand-m9-n2-mstd0.5-inc1",
		"rand-m17-n2-mmax30":                    "rand-m17-n2-mmax30",
		"rand-m0-n1-p1-mstd101-mmax1-inc0":      "rand-m0-n1-p1-mstd101-mmax1",
		"rand-m9-n2-p0.5-mstd0-mmax10-inc0":     "rand-m9-n2",
		"rand-m9-n2-p0.123456789012-mstd0.0001": "rand-m9-n2-p0.123456789012-mstd0.0001",
	} {
		if got := mustParse(t, text).String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"v1":               `policy "v1": it begins with "v1", want v0 or rand`,
		"augmix-m3":        `it begins with "augmix"`,
		"rand9":            `it begins with "rand9"`,
		"rand-m9-x3":       `there is no part "x3", want m, n, p, mstd, mmax, inc and a number`,
		"rand-m9-tweights": `there is no part "tweights"`,
		"rand-w0":          `there is no part "w0"`,
		"rand-":            `there is no part ""`,
		"v0-m9":            `there is no part "m9", want mstd and a number`,
		"rand-m":           `"m" wants a number after m`,
		"rand-m1.2.3":      `"m1.2.3" wants a number after m`,
		"rand-m9.5":        "m (the magnitude) is 9.5, want a whole number",
		"rand-m9-m9":       "m is given twice",
		"rand-m101":        "m (the magnitude) is 101, want 0 to 100",
		"rand-n0":          "n (the number of operations) is 0, want 1 to 100",
		"rand-p2":          "p (the probability of an operation) is 2, want 0 to 1",
		"rand-inc2":        "is 2, want 0 to 1",
		"rand-m17-n2":      "m is 17, above the greatest magnitude 10: add -mmax17",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzParse: a text is refused, or its policy can be written and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "v0", "v0-mstd0.5", "rand-m9-n2-p0.7-mstd0.5-mmax12-inc1", "rand-m9-x3", "rand--m", "rand-m00009.000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if q, err := Parse(p.String()); err != nil || q != p {
			t.Fatalf("%q is %+v, its text %q is %+v, %v", text, p, p, q, err)
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 20 {
			checkOps(t, p.Draw(nil, r))
		}
	})
}

// checkOps holds the arguments to what the operations can do.
func checkOps(t interface{ Fatalf(string, ...any) }, ops []Op) {
	for _, op := range ops {
		lo, hi := 0.0, 0.0
		switch op.Kind {
		case Rotate:
			lo, hi = -300, 300
		case Posterize:
			hi = 40
		case Solarize:
			hi = 256
		case SolarizeAdd:
			hi = 128
		case Color, Contrast, Brightness, Sharpness:
			lo, hi = 0.1, 18.1
		case ShearX, ShearY:
			lo, hi = -3, 3
		case TranslateX, TranslateY:
			lo, hi = -4.5, 4.5
		}
		if !(op.Arg >= lo && op.Arg <= hi) || op.Bicubic && !op.Kind.moves() {
			t.Fatalf("%v %v, want an argument of %v to %v", op.Kind, op, lo, hi)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{kind: autoV0, std: rapid.Float64Range(0, 200).Draw(t, "std"), max: levels}
		if rapid.Bool().Draw(t, "rand") {
			p.kind, p.layers, p.prob = random, rapid.IntRange(1, 9).Draw(t, "n"), rapid.Float64Range(0, 1).Draw(t, "p")
			p.max = rapid.IntRange(1, 100).Draw(t, "max")
			p.magnitude, p.increasing = rapid.IntRange(0, p.max).Draw(t, "m"), rapid.Bool().Draw(t, "inc")
		}
		if q, err := Parse(p.String()); err != nil || q != p {
			t.Fatalf("%+v is %q, which is %+v, %v", p, p, q, err)
		}
	})
}

// timm is testdata/timm.json, written by scripts/golden/timm_policies.py.
type timm struct {
	Policies []struct {
		Text   string
		Layers int
		Std    float64
		Max    int
		Subs   [][][3]any
	}
	Arguments [][4]any
}

func readTimm(t *testing.T) (g timm) {
	t.Helper()
	src, err := os.ReadFile("testdata/timm.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(src, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// timmKind finds our operation by timm's name, which says how strength grows.
func timmKind(t *testing.T, name string) (k Kind, increasing bool) {
	t.Helper()
	short, increasing := strings.CutSuffix(name, "Increasing")
	short = strings.TrimSuffix(short, "Rel")
	for k, n := range kindNames {
		if n == short {
			return Kind(k), increasing
		}
	}
	t.Fatalf("no operation %s", name)
	return 0, false
}

// TestPoliciesEqualTimm compares the operations of policies, their
// probabilities and magnitudes.
func TestPoliciesEqualTimm(t *testing.T) {
	for _, g := range readTimm(t).Policies {
		p := mustParse(t, g.Text)
		var want, got [][]step
		for _, sub := range g.Subs {
			var steps []step
			for _, s := range sub {
				k, inc := timmKind(t, s[0].(string))
				if inc && !p.increasing {
					t.Errorf("%s: timm has %s", g.Text, s[0])
				}
				steps = append(steps, step{k, s[1].(float64), s[2].(float64)})
			}
			want = append(want, steps)
		}
		if p.kind == autoV0 {
			for _, sub := range v0 {
				got = append(got, sub[:])
			}
		} else {
			if p.layers != g.Layers {
				t.Errorf("%s: %d operations, want %d", g.Text, p.layers, g.Layers)
			}
			for k := range kinds {
				got = append(got, []step{{k, p.prob, float64(p.magnitude)}})
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: steps\n%v, want\n%v", g.Text, got, want)
		}
		if p.std != g.Std || p.max != g.Max {
			t.Errorf("%s: deviation %v, at most %d, want %v, %d", g.Text, p.std, p.max, g.Std, g.Max)
		}
	}
}

// fixed draws the same every time.
type fixed struct{ u, z float64 }

func (f fixed) Float64() float64     { return f.u }
func (f fixed) IntN(int) int         { return 0 }
func (f fixed) NormFloat64() float64 { return f.z }

// TestArgumentsEqualTimm compares what magnitudes mean.
func TestArgumentsEqualTimm(t *testing.T) {
	g := readTimm(t).Arguments
	if len(g) < 100 {
		t.Fatalf("%d arguments", len(g))
	}
	for _, a := range g {
		k, increasing := timmKind(t, a[0].(string))
		for side, u := range []float64{0.9, 0.1} {
			want := a[2+side].(float64)
			if k == Posterize {
				want = max(want, 0) // timm goes below 0 past magnitude 10
			}
			if got := (Policy{increasing: increasing}).argument(k, a[1].(float64), fixed{u: u}); got != want {
				t.Errorf("%v of magnitude %v: %v, want %v", a[0], a[1], got, want)
			}
		}
	}
}

// TestNoise holds what happens to magnitudes before they are used.
func TestNoise(t *testing.T) {
	for _, c := range []struct {
		policy string
		rand   fixed
		want   float64 // magnitude
	}{
		{"rand-m9-p1", fixed{0.7, 3}, 9},
		{"rand-m9-p1-mstd0.5", fixed{0.7, 1}, 9.5},
		{"rand-m9-p1-mstd0.5", fixed{0.7, 3}, 10},
		{"rand-m9-p1-mstd0.5-mmax30", fixed{0.7, 3}, 10.5},
		{"rand-m1-p1-mstd0.5", fixed{0.7, -3}, 0},
		{"rand-m8-p1-mstd101", fixed{0.75, 9}, 6},
	} {
		p := mustParse(t, c.policy)
		ops := p.draw(nil, step{Rotate, p.prob, float64(p.magnitude)}, c.rand)
		if len(ops) != 1 || math.Abs(ops[0].Arg-3*c.want) > 1e-12 {
			t.Errorf("%s: %v, want a rotation by %v", c.policy, ops, 3*c.want)
		}
	}
}

// TestFrequencies: operations come up as often as the policy says.
func TestFrequencies(t *testing.T) {
	const n = 100000
	near := func(what string, got int, want float64) {
		t.Helper()
		if d := float64(got) - want; math.Abs(d) > 5*math.Sqrt(want)+1 {
			t.Errorf("%s: %d times in %d, want about %.0f", what, got, n, want)
		}
	}
	for _, text := range []string{"v0", "rand-m9-n2-mstd0.5", "rand-m5-n3-p0.9-inc1"} {
		p := mustParse(t, text)
		want := make([]float64, kinds)
		if p.kind == autoV0 {
			for _, sub := range v0 {
				for _, s := range sub {
					want[s.kind] += s.prob * n / float64(len(v0))
				}
			}
		} else {
			for k := range want {
				want[k] = p.prob * float64(p.layers) * n / float64(kinds)
			}
		}
		r := rand.New(rand.NewPCG(3, 4))
		got, moved, bicubic, left := make([]int, kinds), 0, 0, 0
		var ops []Op
		for range n {
			ops = p.Draw(ops[:0], r)
			checkOps(t, ops)
			for _, op := range ops {
				got[op.Kind]++
				if op.Kind.moves() && op.Arg != 0 {
					moved++
					bicubic += int(oneIf(op.Bicubic))
					left += int(oneIf(op.Arg < 0))
				}
			}
		}
		for k, w := range want {
			near(text+": "+Kind(k).String(), got[k], w)
		}
		near(text+": bicubic", bicubic, float64(moved)/2)
		near(text+": to the left", left, float64(moved)/2)
	}
}

func TestNothing(t *testing.T) {
	if ops := (Policy{}).Draw(nil, fixed{}); ops != nil {
		t.Errorf("no policy draws %v", ops)
	}
}

func TestMagnitude(t *testing.T) {
	p, err := Parse("rand-m9-n3-mstd0.5")
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := p.Magnitude(); m != 9 || !ok {
		t.Errorf("magnitude %d, %t, want 9", m, ok)
	}
	if got := p.WithMagnitude(4).String(); got != "rand-m4-n3-mstd0.5" {
		t.Errorf("with magnitude 4: %s", got)
	}
	for _, text := range []string{"", "v0"} {
		if p, err := Parse(text); err != nil {
			t.Error(err)
		} else if _, ok := p.Magnitude(); ok {
			t.Errorf("%q has a magnitude", text)
		}
	}
}
