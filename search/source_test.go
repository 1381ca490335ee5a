package search

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"effnet/arch"
)

func TestParseSource(t *testing.T) {
	for text, want := range map[string]Source{
		"":                {Kind: SourceTriangle},
		"triangle":        {Kind: SourceTriangle},
		"grid":            {Kind: SourceGrid, Step: 0.05},
		"grid step=0.1":   {Kind: SourceGrid, Step: 0.1},
		"star":            {Kind: SourceStar, Steps: 4},
		"star steps=7":    {Kind: SourceStar, Steps: 7},
		"list\n1 1.2 1.5": {Kind: SourceList, List: "1 1.2 1.5"},
	} {
		got, err := ParseSource(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
			continue
		}
		if again, err := ParseSource(got.String()); err != nil || again != got {
			t.Errorf("%q comes back as %+v, %v", got.String(), again, err)
		}
	}
	for _, bad := range []string{"square", "grid step=0", "grid step=2", "grid step=x", "grid steps=1", "grid step=0.1 step=0.2", "star steps=0", "star step=1", "triangle 3", "triangle\n1", "list", "list\n1 2", "list x\n1 1 1"} {
		if got, err := ParseSource(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than a line: %v", bad, err)
		}
	}
}

func TestParseList(t *testing.T) {
	got, err := ParseList("f", []byte("# depth width resolution\n\n1.2 1.1 32 # pixels\r\n  2\t1 1.5\n1 1 2.0\n"))
	want := []ListEntry{{3, 1.2, 1.1, 32, 0}, {4, 2, 1, 0, 1.5}, {5, 1, 1, 0, 2}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if f := got[1].Factors(28); f != (arch.Factors{Depth: 2, Width: 1, Resolution: 42}) {
		t.Errorf("factors %+v", f)
	}
	for text, where := range map[string]string{
		"":                    "f:1:1: the list is empty",
		"# nothing":           "f:1:1: the list is empty",
		"1 1":                 "f:1:3: the line has two words",
		"1 1 1.5\n1":          "f:2:1: the line has one word",
		"1 1 1.5 2":           "f:1:9: the line has more than three words",
		"1 1 1.5 2 3 4 5":     "f:1:9: the line has more than three words",
		"\n  1   x 1.5":       `f:2:7: the width is "x"`,
		"0 1 1.5":             `f:1:1: the depth is "0"`,
		"1 -1 1.5":            `f:1:3: the width is "-1"`,
		"1 1 nan":             `f:1:5: the resolution is "nan"`,
		"1 1 1e2":             `f:1:5: the resolution is "1e2"`,
		"1 1 0":               `f:1:5: the resolution is "0"`,
		"1 1 70000":           `f:1:5: the resolution is "70000"`,
		"1 1 1.5\n2 inf 1.5#": `f:2:3: the width is "inf"`,
	} {
		_, err := ParseList("f", []byte(text))
		var le *ListError
		if !errors.As(err, &le) || !strings.HasPrefix(err.Error(), where) {
			t.Errorf("%q: got %v, want %s...", text, err, where)
		}
	}
	if _, err := ParseList("f", []byte(strings.Repeat("1 1 1.5\n", maxNetworks+1))); err == nil || !strings.HasPrefix(err.Error(), "f:1001:1:") {
		t.Errorf("too many: %v", err)
	}
	if _, err := ParseList("f", make([]byte, MaxList+1)); err == nil {
		t.Error("a file that is too large was read")
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("1.2 1.1 32\n# c\n2 1 1.5")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := ParseList("f", []byte(text))
		if err != nil {
			var le *ListError
			if !errors.As(err, &le) || le.Line < 1 || le.Column < 1 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, e := range entries {
			if f := e.Factors(28); !(f.Depth > 0 && f.Width > 0) || f.Resolution < 1 {
				t.Fatalf("%q: %+v", text, f)
			}
		}
	})
}

func pool(t *testing.T, base string, b Budget, text string, n int) *Pool {
	t.Helper()
	src, err := ParseSource(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Candidates(t.Context(), lookup(base), b, src, n, (&slow{}).meter())
	if err != nil {
		t.Fatal(err)
	}
	ids, keys := map[string]bool{}, map[string]bool{}
	own := lookup(base)
	for i := range p.Networks {
		net := &p.Networks[i]
		if ids[net.ID] || keys[net.key()] {
			t.Errorf("%s %q: network %s is there twice", base, text, net.ID)
		}
		ids[net.ID], keys[net.key()] = true, true
		if _, err := net.Spec(&own); err != nil {
			t.Error(err)
		}
	}
	return p
}

// TestGrid: every grid point whose realised cost is near the factor has its
// network in the pool, whose factors are grid points.
func TestGrid(t *testing.T) {
	for _, c := range []struct {
		base   string
		factor float64
		step   float64
		least  int
	}{{"efficientnet_b0", 2, 0.05, 20}, {"small_1m", 2, 0.1, 5}, {"tinynet_a", 0.5, 0.05, 5}, {"test", 3, 0.05, 30}} {
		base := lookup(c.base)
		own, err := base.CostAt(base.Resolution)
		if err != nil {
			t.Fatal(err)
		}
		const tolerance = 0.08
		p := pool(t, c.base, Budget{Factor: c.factor, Tolerance: tolerance}, fmt.Sprintf("grid step=%v", c.step), 0)
		have := map[string]bool{}
		onGrid := func(x float64) bool {
			k := (x - 1) / c.step
			return math.Abs(k-math.Round(k)) < 1e-6
		}
		for _, n := range p.Networks {
			have[n.key()] = true
			if !onGrid(n.Depth) || !onGrid(n.Width) {
				t.Errorf("%s: depth %v, width %v are no points of the grid", c.base, n.Depth, n.Width)
			}
		}
		sign := math.Copysign(1, c.factor-1)
		for i := range 100 {
			for j := range 60 {
				for k := range 60 {
					d, w, r := 1+sign*c.step*float64(i), 1+sign*c.step*float64(j), 1+sign*c.step*float64(k)
					if nominal := d * w * w * r * r; min(d, w, r) <= 0 || math.Abs(math.Log(nominal/c.factor)) > 0.3 {
						continue
					}
					// Corners may be farther than the tolerance from the factor.
					s, err := Scale(&base, arch.Factors{Depth: round6(d), Width: round6(w), Resolution: pixels(base.Resolution, round6(r))})
					if err != nil {
						continue
					}
					var n Network
					if err := n.resolve(&s, own.MACs); err != nil {
						continue
					}
					if math.Abs(n.CostRatio/c.factor-1) <= tolerance && !have[n.key()] {
						t.Fatalf("%s: alpha %v, beta %v, gamma %v give %s (%.3f times the base), which is missing", c.base, d, w, r, n.key(), n.CostRatio)
					}
				}
			}
		}
		if len(p.Networks) < c.least {
			t.Errorf("%s: %d networks, want at least %d", c.base, len(p.Networks), c.least)
		}
	}
}

func round6(x float64) float64 { return math.Round(x*1e6) / 1e6 }

func TestStar(t *testing.T) {
	for _, c := range []struct {
		base   string
		factor float64
	}{{"small_1m", 8}, {"efficientnet_b0", 4}, {"mobilenetv2_100", 0.25}} {
		p := pool(t, c.base, Budget{Factor: c.factor, Tolerance: 0.08}, "star steps=4", 0)
		count := [3]int{}
		last := [3]float64{1, 1, 1}
		for _, n := range p.Networks {
			for dim, corner := range corners {
				if n.Realised == corner {
					count[dim]++
					if (n.CostRatio > last[dim]) == (c.factor < 1) {
						t.Errorf("%s: %s costs %v after %v", c.base, n.ID, n.CostRatio, last[dim])
					}
					last[dim] = n.CostRatio
				}
			}
		}
		if count[0]+count[1]+count[2] != len(p.Networks) || count[1] != 4 || count[2] < 3 || (c.factor > 1 && count[0] < 3) {
			t.Errorf("%s: %d networks, by dimension %v", c.base, len(p.Networks), count)
		}
	}
}

func TestList(t *testing.T) {
	b := Budget{Factor: 2, Tolerance: 0.2}
	p := pool(t, "efficientnet_b0", b, "list\n1 1.4 1.0\n1 1.1 1.25\n1 1.4 224\n0.9 1.5 224", 0)
	if len(p.Networks) != 3 || p.Note == "" {
		t.Fatalf("%d networks, note %q", len(p.Networks), p.Note)
	}
	if s := p.Networks[2].Realised; s != WidthCorner {
		t.Errorf("a network that got shallower lies at %v", s)
	}
	for _, c := range []struct{ text, want string }{
		{"list\n1 1.4 1.0\n1 1.1 1.0", "list:2: the network costs"},
		{"list\n# x\n1 900 1.0", "list:2: "},
	} {
		src, err := ParseSource(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Candidates(t.Context(), lookup("efficientnet_b0"), b, src, 0, nil); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s...", c.text, err, c.want)
		}
	}
	b.Limits = []Limit{{MeasureParams, 1.3}}
	src, _ := ParseSource("list\n1 1.0 1.42\n1 1.4 1.0")
	if _, err := Candidates(t.Context(), lookup("efficientnet_b0"), b, src, 0, nil); err == nil || !strings.HasPrefix(err.Error(), "list:2: the network has") {
		t.Errorf("over a limit: %v", err)
	}
	b.Cost, b.Limits, b.Tolerance = MeasureLatency, nil, 0.5
	for _, n := range pool(t, "efficientnet_b0", b, "list\n1 1.4 1.0\n1 1 1.4", 0).Networks {
		if n.Latency == 0 || math.Abs(n.CostRatio/2-1) > 0.5 {
			t.Errorf("%s: latency %v, %v times the base's", n.ID, n.Latency, n.CostRatio)
		}
	}
}

// A tolerance that leaves hardly a network is widened, and that is said.
func TestWiden(t *testing.T) {
	p := pool(t, "small_300k", Budget{Factor: 2, Tolerance: 0.001}, "triangle", 16)
	if p.Tolerance <= 0.001 || p.Tolerance > maxTolerance || !strings.Contains(p.Note, "0.1 %") || len(p.Networks) < fewest {
		t.Errorf("tolerance %v, %d networks, note %q", p.Tolerance, len(p.Networks), p.Note)
	}
	p = pool(t, "small_300k", Budget{Factor: 2, Tolerance: 0.08}, "triangle", 16)
	if p.Tolerance != 0.08 || p.Note != "" || len(p.Networks) != 16 {
		t.Errorf("tolerance %v, %d networks, note %q", p.Tolerance, len(p.Networks), p.Note)
	}
}

func TestWidthSweeps(t *testing.T) {
	for _, name := range []string{"small_1m", "efficientnet_b0"} {
		base := lookup(name)
		nets, err := WidthSweeps(&base, 8, 5)
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string]int{}
		seen := map[string]bool{}
		for i := range nets {
			n := &nets[i]
			line, _, _ := strings.Cut(n.ID, "-w")
			lines[line]++
			if seen[n.key()] || n.CostRatio > 8*(1+cornerTolerance) {
				t.Errorf("%s: %s is there twice or costs %v", name, n.ID, n.CostRatio)
			}
			seen[n.key()] = true
			if _, err := n.Spec(&base); err != nil {
				t.Error(err)
			}
		}
		if len(lines) != 4 || lines["d1-r1"] < 5 || lines["d2-r1.3"] < 2 {
			t.Errorf("%s: sweeps %v", name, lines)
		}
	}
	base := lookup("test")
	if _, err := WidthSweeps(&base, 1, 5); err == nil {
		t.Error("a sweep up to the base itself was made")
	}
}
