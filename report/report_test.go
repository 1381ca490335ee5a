package report

import (
	"bytes"
	"encoding/xml"
	"flag"
	"html"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"effnet/search"
)

var update = flag.Bool("update", false, "rewrite the golden outline")

// write makes a report in a folder of its own, or in the one that
// EFFNET_LOOK names, to be looked at.
func write(t *testing.T, a *search.Analysis) string {
	t.Helper()
	dir := t.TempDir()
	if look := os.Getenv("EFFNET_LOOK"); look != "" {
		dir = filepath.Join(look, t.Name())
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	path, err := Write(dir, a)
	if err != nil {
		t.Fatal(err)
	}
	if path != filepath.Join(dir, PageName) {
		t.Errorf("the page is at %s", path)
	}
	return dir
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPage(t *testing.T) {
	_, a := usual(t)
	made, err := Page(t.TempDir(), a)
	if err != nil {
		t.Fatal(err)
	}
	page := string(made)
	// Nothing is fetched: no address but the name of SVG's namespace.
	for _, u := range regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|url\(|@import|<link|src="[^d]|href="[^#d]`).FindAllString(page, -1) {
		if u != "http://www.w3.org" {
			t.Errorf("the page mentions %q", u)
		}
	}
	for i := range a.Nets {
		if id := a.Nets[i].ID; !strings.Contains(page, ">"+id+"<") {
			t.Errorf("network %s is not in the table", id)
		}
	}
	for _, want := range []string{a.Verdict.Detail, a.Config.DataChecksum, "20 000", "prefers-color-scheme: dark", "@media print"} {
		if !strings.Contains(html.UnescapeString(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, networks, _ := strings.Cut(page, `<table id="networks"`)
	networks, _, _ = strings.Cut(networks, "</table>")
	if strings.Contains(networks, "<button") {
		t.Error("a table's head with buttons is not repeated on the next page of paper")
	}
	if n := strings.Count(networks, "<tr data-net"); n != len(a.Nets) {
		t.Errorf("the table has %d rows, want %d networks", n, len(a.Nets))
	}
	for _, bad := range []string{"NaN", "Inf", "%!", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page shows %q", bad)
		}
	}
	golden(t, "page.txt", outline(page))
}

// outline is the page's structure: headings, terms, figures, columns.
func outline(page string) string {
	var b strings.Builder
	for _, m := range regexp.MustCompile(`(?s)<(h1|h2|dt|figure|th)\b([^>]*)>(.*?)(?:</|\n)`).FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m[3], "")
		if m[1] == "h1" {
			text = "verdict"
		}
		id := ""
		if s := regexp.MustCompile(`id="([^"]*)"`).FindStringSubmatch(m[2]); s != nil {
			id = "#" + s[1]
		}
		b.WriteString(strings.TrimRight(m[1]+id+" "+text, " ") + "\n")
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, path), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestFigures: every figure is there twice, well-formed, in bounds, and the
// same when drawn again from the ledger alone.
func TestFigures(t *testing.T) {
	t.Parallel()
	run, a := usual(t)
	dir := write(t, a)
	names, err := filepath.Glob(filepath.Join(dir, FiguresFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range names {
		got = append(got, filepath.Base(n))
	}
	var want []string
	for _, f := range []string{"compound", "compute", "curves", "family", "finalists", "flow", "lead", "overview", "pareto", "saturation", "time", "triangle"} {
		want = append(want, f+".png", f+".svg")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("figures (-want +got):\n%s", diff)
	}
	first := map[string]string{}
	for _, name := range got {
		text := read(t, dir, FiguresFolder, name)
		first[name] = text
		if len(text) > 300_000 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		if strings.HasSuffix(name, ".png") {
			img, err := png.DecodeConfig(strings.NewReader(text))
			if err != nil || img.Width < 900 {
				t.Errorf("%s: %+v, %v", name, img, err)
			}
			continue
		}
		wellFormed(t, name, text)
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s shows NaN or Inf", name)
		}
	}
	if n := strings.Count(first["triangle.svg"], "<circle"); n < len(a.Of(search.StageExplore)) {
		t.Errorf("the triangle has %d circles for %d networks", n, len(a.Of(search.StageExplore)))
	}
	res, err := search.Load(run)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures(res.Analyse()) {
		if string(f.sheet().svg(false)) != first[f.name+".svg"] {
			t.Errorf("%s is another when drawn again", f.name)
		}
	}
}

func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := dec.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// TestTextFits: no text of a figure leaves it.
func TestTextFits(t *testing.T) {
	_, a := usual(t)
	for _, f := range figures(a) {
		for _, p := range f.panels {
			fits(t, f.name, p)
		}
		fits(t, f.name, f.sheet())
	}
	fits(t, "overview", overview(a, figures(a)))
}

func fits(t interface{ Errorf(string, ...any) }, name string, s *scene) {
	for _, it := range s.items {
		if it.kind != shapeText {
			for _, p := range it.pts {
				if p.x < -it.r || p.x > s.w+it.r || p.y < -it.r || p.y > s.h+it.r {
					t.Errorf("%s: a shape reaches %v in %v x %v", name, p, s.w, s.h)
				}
			}
			continue
		}
		if it.turn != 0 {
			continue
		}
		w := textWidth(it.text, it.size, it.bold)
		x := it.pts[0].x - w*float64(it.anchor)/2
		if x < 0 || x+w > s.w || it.pts[0].y-0.8*it.size < 0 || it.pts[0].y+0.25*it.size > s.h {
			t.Errorf("%s: %q reaches from %.0f to %.0f at %.0f, the figure has %v x %v", name, it.text, x, x+w, it.pts[0].y, s.w, s.h)
		}
	}
}

// TestKinds draws searches of other shapes: one seed, many networks and seeds,
// no validation, one epoch.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*search.Config)
	}{
		{"one seed", func(c *search.Config) { c.Seeds = 1 }},
		{"six seeds", func(c *search.Config) { c.Seeds = 6 }},
		{"no validation", func(c *search.Config) { c.ValidateFactors = nil }},
		{"one epoch", func(c *search.Config) { c.Epochs = 1 }},
		{"many epochs", func(c *search.Config) { c.Epochs, c.Networks = 90, 4 }},
		{"factors near", func(c *search.Config) { c.Factor, c.ValidateFactors = 1.5, []float64{1.8} }},
		{"factors far", func(c *search.Config) { c.Factor, c.ValidateFactors = 3, []float64{20} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := fixture(t, t.TempDir(), func(cfg *search.Config) {
				cfg.Networks = 9 // just enough for a surface
				c.change(cfg)
			})
			html, err := Page(t.TempDir(), a)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"NaN", "Inf", "%!"} {
				if i := strings.Index(string(html), bad); i >= 0 {
					t.Errorf("the page shows %q: %s", bad, html[max(0, i-80):i+20])
				}
			}
		})
	}
}

// TestUnfinished makes a report of every prefix of a ledger.
// TestGivenUp: a factor that the budget left no time for is not in the tables.
func TestGivenUp(t *testing.T) {
	_, whole := usual(t)
	a, res, plan := *whole, *whole.Result, *whole.Plan
	plan.Finals = slices.Clone(plan.Finals)
	last := &plan.Finals[len(plan.Finals)-1]
	last.Seeds = nil
	res.Plan = &plan
	a.Result = &res
	f := factorsFigure(&a)
	if at := factor(last.Factor); !strings.Contains(f.caption, "The budget left no time for "+at) || strings.Contains(f.see, at) {
		t.Errorf("of %s the figure says %q and %q", at, f.see, f.caption)
	}
	if got, want := len(rulesTable(&a).Columns), len(rulesTable(whole).Columns)-3; got != want {
		t.Errorf("the table has %d columns, want %d", got, want)
	}
}

func TestUnfinished(t *testing.T) {
	whole := t.TempDir()
	fixture(t, whole, func(c *search.Config) { c.Networks = 5 })
	lines := bytes.SplitAfter([]byte(read(t, whole, search.LedgerName)), []byte("\n"))
	dir := t.TempDir()
	for n := 1; n < len(lines); n++ {
		// Of the trials' lines, some.
		if trial := bytes.Contains(lines[n-1], []byte(`"trial":`)); trial && n%12 > 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, search.LedgerName), bytes.Join(lines[:n], nil), 0o666); err != nil {
			t.Fatal(err)
		}
		res, err := search.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		a := res.Analyse()
		if a.Plan == nil {
			if _, err := Write(dir, a); err == nil {
				t.Error("a report before there is a plan")
			}
			continue
		}
		b, err := Page(t.TempDir(), a)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, []byte("NaN")); i >= 0 {
			t.Fatalf("after %d lines: %s", n, b[max(0, i-80):i+10])
		}
		for _, f := range figures(a) {
			fits(t, f.name, f.sheet())
		}
	}
}

func TestTicks(t *testing.T) {
	ticks, d := linearTicks(86.41, 89.1, 6)
	if diff := cmp.Diff([]float64{86.5, 87, 87.5, 88, 88.5, 89}, ticks); diff != "" || d != 1 {
		t.Errorf("linear ticks with %d decimals:\n%s", d, diff)
	}
	for _, c := range [][2]float64{{0.3e6, 4e6}, {530e3, 2.4e6}, {1, 1e6}, {1.1, 1.9}, {3.2, 3.4}} {
		got := logTicks(c[0], c[1])
		if len(got) < 2 || len(got) > 12 || !slices.IsSorted(got) || got[0] < c[0]*0.999 || got[len(got)-1] > c[1]*1.001 {
			t.Errorf("ticks from %v to %v: %v", c[0], c[1], got)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(530432), "530k"}, {count(1066936), "1.07M"}, {count(999999), "1M"}, {count(42), "42"}, {count(12.5e12), "12.5T"},
		{signed(0.734, 2), "+0.73"}, {signed(-0.734, 2), "−0.73"}, {signed(-0.001, 2), "0.00"},
		{thousands(1234567), "1 234 567"}, {thousands(12), "12"},
		{num(3), "3"}, {num(-0.001), "0"}, {num(2.5), "2.5"},
		{seconds(12e-6), "12 µs"}, {seconds(0.25), "250 ms"}, {seconds(10), "10 s"}, {seconds(600), "10 min"}, {seconds(7200), "2.0 h"},
		{factor(4), "4×"}, {factor(1.5), "1.5×"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestSpreadLabels(t *testing.T) {
	for _, ys := range [][]float64{{10, 50, 90}, {40, 41, 42, 43}, {5, 5, 5, 95, 96}, {99, 98, 1}, {}} {
		got := spreadLabels(ys, 12, 0, 100)
		order := make([]int, len(ys))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, got[a]-got[b])) })
		for i := 1; i < len(order); i++ {
			if got[order[i]]-got[order[i-1]] < 12-1e-9 {
				t.Errorf("%v become %v: too close", ys, got)
			}
			if ys[order[i]] < ys[order[i-1]] {
				t.Errorf("%v become %v: out of order", ys, got)
			}
		}
		for _, y := range got {
			if y < -1e-9 || y > 100+1e-9 {
				t.Errorf("%v become %v: out of bounds", ys, got)
			}
		}
	}
	if got := spreadLabels([]float64{10, 50, 90}, 12, 0, 100); !slices.Equal(got, []float64{10, 50, 90}) {
		t.Errorf("labels with room moved to %v", got)
	}
}

// TestInk: the colours are written alike everywhere, and text stands out from
// paper by the contrast that accessibility rules ask for.
func TestInk(t *testing.T) {
	if got := shade(0); got != viridis[0] {
		t.Errorf("least shade is %s", got)
	}
	if got := shade(1); got != viridis[len(viridis)-1] {
		t.Errorf("greatest shade is %s", got)
	}
	luminance := func(c ink) float64 {
		v := rgba(c, 1)
		lin := func(x uint8) float64 {
			s := float64(x) / 255
			if s <= 0.04045 {
				return s / 12.92
			}
			return math.Pow((s+0.055)/1.055, 2.4)
		}
		return 0.2126*lin(v.R) + 0.7152*lin(v.G) + 0.0722*lin(v.B)
	}
	contrast := func(a, b string) float64 {
		x, y := luminance(ink(a)), luminance(ink(b))
		return (max(x, y) + 0.05) / (min(x, y) + 0.05)
	}
	var paper struct{ light, dark string }
	for _, p := range palette {
		if p.role == inkPaper {
			paper.light, paper.dark = p.light, p.dark
		}
	}
	for _, p := range palette {
		switch p.role {
		case inkPaper, inkGrid, inkFaint:
			continue
		}
		if a, b := contrast(p.light, paper.light), contrast(p.dark, paper.dark); a < 3.9 || b < 3.9 {
			t.Errorf("%s has contrast %.1f on light and %.1f on dark paper", p.role, a, b)
		}
	}
}

// TestGrow: the command on the page grows as the verdict says.
func TestGrow(t *testing.T) {
	_, made := usual(t)
	for _, c := range []struct {
		name   string
		change func(*search.Analysis)
		want   string
	}{
		{"compound", func(a *search.Analysis) { a.Verdict.Kind = search.CompoundWins }, "effnet scale tiny --ratio ratio.yaml --factor 6"},
		{"undecided", func(a *search.Analysis) { a.Verdict.Kind, a.Verdict.Single = search.Undecided, "depth" }, "effnet scale tiny --ratio ratio.yaml --factor 6"},
		{"single", func(a *search.Analysis) { a.Verdict.Kind, a.Verdict.Single = search.SingleWins, "width" }, "effnet scale tiny --ratio 0:1:0 --factor 6"},
		{"before the end", func(a *search.Analysis) { a.Verdict.Kind, a.Done = search.Unfinished, false }, "effnet scale tiny --ratio 0."},
		{"before the choice", func(a *search.Analysis) { a.Verdict.Kind, a.Done, a.Choice = search.Unfinished, false, nil }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, res := *made, *made.Result
			a.Result = &res
			c.change(&a)
			if got := growCommand(&a); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("the command is %q, want %q", got, c.want)
			}
			r := chosenRatio(&a)
			if (r == nil) != (a.Choice == nil) {
				t.Fatalf("the ratio is %+v", r)
			}
			if r != nil && (len(r.Shares) == 1) != (a.Verdict.Kind == search.SingleWins) {
				t.Errorf("the shares are %+v", r.Shares)
			}
		})
	}
}

// TestTrainers: kernels of several classes are warned of; one class is but
// named.
func TestTrainers(t *testing.T) {
	dir, _ := usual(t)
	res, err := search.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	show := func() string {
		html, err := Page(dir, res.Analyse())
		if err != nil {
			t.Fatal(err)
		}
		return string(html)
	}
	all := func(kernel, worker string, of func(id string) bool) {
		for id, x := range res.Trials {
			if x.Outcome != nil && of(id) {
				x.Outcome.Kernel, x.Outcome.Worker = kernel, worker
			}
		}
	}
	all("avx512", "", func(string) bool { return true })
	for _, word := range []string{"<dt>Warning", "unlike kernels", "<dt>Trained by", ">kernels<"} {
		if page := show(); strings.Contains(page, word) {
			t.Errorf("one class of kernels: the page has %q", word)
		}
	}
	all("avx2", "old machine", func(id string) bool { return strings.HasPrefix(id, "v4-width") })
	page := show()
	for _, word := range []string{"<dt>Warning", "unlike kernels", "old machine: ", ">kernels<", "avx2, old machine", "trained with unlike ones"} {
		if !strings.Contains(page, word) {
			t.Errorf("two classes of kernels: the page lacks %q", word)
		}
	}
}
