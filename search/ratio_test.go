package search

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"effnet/arch"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func testRatio() *Ratio {
	return &Ratio{
		Base: "small_1m", Data: "fashion-mnist", Cost: MeasureLatency, Factor: 2,
		Shares:  arch.Shares{D: 0.25, W: 0.35, R: 0.4},
		Region:  &Extent{Depth: [2]float64{0.1, 0.3}, Width: [2]float64{0.2, 0.6}, Resolution: [2]float64{0.3, 0.5}},
		Verdict: `Compound "wins": by 0.3 ± 0.1`,
		Points: []RatioPoint{
			{Factor: 2, Depth: 1.25, Width: 1.1, Resolution: 32, Realised: 1.97, MACs: 1900000, Params: 20000, Accuracy: 0.9213},
			{Factor: 4, Depth: 1.5, Width: 1.25, Resolution: 40, Realised: 4.02, MACs: 4000000, Params: 40000, Accuracy: 0.93},
		},
	}
}

// TestRatioGolden keeps the format as it is: files must stay readable.
func TestRatioGolden(t *testing.T) {
	const golden = "testdata/ratio.yaml"
	text := testRatio().YAML()
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("(-golden +got):\n%s", diff)
	}
	got, err := ParseRatio(golden, want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testRatio(), got); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

func TestRatioRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0, 1)
		r := &Ratio{
			Base: rapid.String().Draw(t, "base"), Data: rapid.String().Draw(t, "data"), Verdict: rapid.String().Draw(t, "verdict"),
			Cost:   rapid.SampledFrom(Measures).Draw(t, "cost"),
			Factor: rapid.OneOf(rapid.Float64Range(0.01, 0.99), rapid.Float64Range(1.01, 100)).Draw(t, "factor"),
		}
		r.Shares = sharesOf(share.Draw(t, "d")+0.001, share.Draw(t, "w"), share.Draw(t, "r"))
		if rapid.Bool().Draw(t, "region") {
			r.Region = &Extent{Depth: [2]float64{0, share.Draw(t, "hi")}, Resolution: [2]float64{0.5, 1}}
		}
		if rapid.Bool().Draw(t, "compared") {
			s := sharesOf(share.Draw(t, "compared d"), share.Draw(t, "compared w")+0.001, share.Draw(t, "compared r"))
			r.Compared = &s
		}
		for range rapid.IntRange(0, 3).Draw(t, "points") {
			r.Points = append(r.Points, RatioPoint{Factor: 2, Depth: 0.5 + share.Draw(t, "depth"), Width: 1, Resolution: 28, Realised: 1.5 + share.Draw(t, "cost"), MACs: 1 << 40, Params: 3, Accuracy: share.Draw(t, "accuracy")})
		}
		text := r.YAML()
		got, err := ParseRatio("f", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(r, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, text)
		}
	})
}

func TestRatioErrors(t *testing.T) {
	text := string(testRatio().YAML())
	for _, c := range []struct{ from, to, want string }{
		{"format: effnet ratio 1\n", "", "f:1:1: the file has no format"},
		{"effnet ratio 1", "effnet ratio 9", `f:2:9: the format is "effnet ratio 9", want effnet ratio 1`},
		{"cost: latency", "cost: speed", `f:5:7: the cost is "speed", want macs`},
		{"factor: 2\n", "factor: 1\n", "f:6:9: the factor is 1"},
		{"factor: 2\n", "factor: two\n", "f:6:9: "},
		{"factor: 2\n", "factor: .nan\n", "f:6:9: the factor is NaN"},
		{"depth: 0.25", "depth: 0.5", "f:7:"},
		{"depth: 0.25", "depth: -0.25", "f:7:"},
		{"depth: 0.25", "deep: 0.25", "f:7:"},
		{"alpha: 1.18", "alpha: 1.98", "f:8:"},
		{"depth: [0.1, 0.3]", "depth: [0.3, 0.1]", "f:9:"},
		{"depth: [0.1, 0.3]", "depth: [0.1]", "f:9:"},
		{"macs: 1900000", "macs: 0", "f:12:"},
		{"accuracy: 0.93}", "accuracy: 93}", "f:13:"},
		{"base: ", "base: a\nbase: ", "f:4:1: "},
		{"shares:", "share:", "f:7:1: "},
		{"points:", "points: [[[", "f:"},
		{"shares: {depth: 0.25", "compared: {depth: 2, width: 0, resolution: 0}\nshares: {depth: 0.25", "f:7:"},
	} {
		if !strings.Contains(text, c.from) {
			t.Fatalf("the file has no %q", c.from)
		}
		_, err := ParseRatio("f", []byte(strings.Replace(text, c.from, c.to, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q for %q: got %v, want %s...", c.to, c.from, err, c.want)
		}
	}
	for _, bad := range [][]byte{nil, []byte("x"), []byte("- 1"), {0xff}, bytes.Repeat([]byte("a: {"), 9000), make([]byte, MaxRatio+1)} {
		if _, err := ParseRatio("f", bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func FuzzParseRatio(f *testing.F) {
	f.Add(testRatio().YAML())
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRatio("f", text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than a line: %v", err)
			}
			return
		}
		again, err := ParseRatio("f", r.YAML())
		if err != nil {
			t.Fatalf("%v\n%s", err, r.YAML())
		}
		if !bytes.Equal(again.YAML(), r.YAML()) {
			t.Fatalf("%s\ncomes back as\n%s", r.YAML(), again.YAML())
		}
	})
}

// TestAlong: no network of the ratio, found by any factors, is nearer to the
// cost; and the network is on the ratio.
func TestAlong(t *testing.T) {
	for _, name := range []string{"efficientnet_b0", "small_1m", "mobilenetv2_100"} {
		base := lookup(name)
		own, err := base.CostAt(base.Resolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, ratio := range []arch.Shares{B0Shares, FastShares, Centre, WidthCorner} {
			for _, factor := range []float64{6, 2, 0.5} {
				cost := func(f arch.Factors) float64 {
					s, err := Scale(&base, f)
					if err != nil {
						t.Fatal(err)
					}
					c, err := s.CostAt(s.Resolution)
					if err != nil {
						t.Fatal(err)
					}
					return float64(c.MACs) / float64(own.MACs)
				}
				f, err := Along(&base, ratio, factor)
				if err != nil {
					t.Fatal(err)
				}
				got := math.Abs(math.Log(cost(f) / factor))
				for x := 0.31; x < 2.5; x += 0.0137 {
					g, err := ratio.Factors(math.Pow(factor, x), base.Resolution)
					if err != nil {
						t.Fatal(err)
					}
					if d := math.Abs(math.Log(cost(g) / factor)); d < got-0.002 {
						t.Errorf("%s %v x%v: %+v is %.4f off, %+v only %.4f", name, ratio, factor, f, got, g, d)
					}
				}
			}
		}
	}
	base := testBase()
	for _, f := range []float64{0, 1, -2, math.NaN(), math.Inf(1)} {
		if _, err := Along(&base, Centre, f); err == nil {
			t.Errorf("factor %v was taken", f)
		}
	}
	if fmt.Sprint(FastShares) != "0.1:0.8:0.1" {
		t.Errorf("the fast ratio is %v", FastShares)
	}
}
