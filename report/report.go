// Package report draws a search: figures as SVG and PNG, and one HTML page
// that needs nothing but itself. Everything comes from the analysis of a
// ledger, so that a report can be made again at any time. It also draws how
// fast a network runs: see [Roofline].
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"effnet/internal/atomicfile"
	"effnet/search"
)

// Names of what Write makes in a run folder.
const (
	PageName      = "report.html"
	FiguresFolder = "figures"
)

// figure is one drawing of the report.
type figure struct {
	name    string // of its files
	title   string
	caption string
	draw    func(a *search.Analysis) *scene
}

// figures in the order of the page.
func figures(a *search.Analysis) []figure {
	bars := "Bars are 95 % intervals of the mean over seeds, from the noise pooled over all networks."
	if a.Validation.DF == 0 {
		bars = "With one seed there is no estimate of the noise and no interval."
	}
	figs := []figure{
		{"accuracy-cost", "Accuracy against cost",
			"Each line grows the base along one dimension, or along the chosen ratio. " + bars + " Points of equal cost are drawn slightly apart; grey dots are the other explored networks. The chosen ratio was picked for its accuracy at " + factor(a.Config.Factor) + ", so there it looks a little better than it is.", costFigure},
		{"triangle", "Where the growth goes",
			"A network's place says how the growth of its cost divides over the dimensions after rounding: the nearer to a corner, the larger that dimension's share.", triangleFigure},
	}
	if len(a.Plan.Finals) > 0 {
		figs = append(figs, figure{"comparison", "The comparison on test images",
			"Networks of equal cost, looked at by the test images once, here. An interval that leaves out zero is a difference that chance does not explain.", finalFigure})
	}
	return append(figs,
		figure{"explored", "Every explored network", exploredCaption(a, bars), exploredFigure},
		figure{"learning-curves", "Learning curves",
			"Validation accuracy after every epoch, mean over seeds. The scale may leave out the first epochs.", curvesFigure},
	)
}

func exploredCaption(a *search.Analysis, bars string) string {
	t := "Open circles are single trainings, filled ones their mean. " + bars
	if math.IsNaN(a.Luck) || math.IsNaN(a.Differ) {
		return t
	}
	t += fmt.Sprintf(" The best of %d equal networks would look %s points better than it is by luck alone;", len(ranked(a)), search.Points(a.Luck))
	if a.Differ < 0.05 {
		return t + fmt.Sprintf(" these differ by more than that kind of luck (p\u00a0%s).", pValue(a.Differ))
	}
	return t + fmt.Sprintf(" the spread seen here is what equal networks could show too (p\u00a0%s).", pValue(a.Differ))
}

func pValue(p float64) string {
	if p < 0.001 {
		return "<\u00a00.001"
	}
	return fmt.Sprintf("=\u00a0%.2g", p)
}

// Write makes the figures and the page of a search in the folder dir, and
// returns the page's path.
func Write(dir string, a *search.Analysis) (string, error) {
	if a.Plan == nil {
		return "", fmt.Errorf("report: %s: the search there has no plan yet, so there is nothing to show", dir)
	}
	folder := filepath.Join(dir, FiguresFolder)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", err
	}
	figs := figures(a)
	for _, f := range append(slices.Clip(figs), figure{name: "overview", draw: overview}) {
		s := f.draw(a)
		img, err := s.png()
		if err != nil {
			return "", err
		}
		base := filepath.Join(folder, f.name)
		if err := atomicfile.WriteBytes(base+".svg", s.svg(false)); err != nil {
			return "", err
		}
		if err := atomicfile.WriteBytes(base+".png", img); err != nil {
			return "", err
		}
	}
	html, err := page(a, figs)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, PageName)
	return path, atomicfile.WriteBytes(path, html)
}

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// fact is a term and what it is.
type fact struct{ Term, Text string }

// drawn is a figure on the page.
type drawn struct {
	Name, Title, Caption string
	SVG                  template.HTML
}

// cell is one entry of the table; Sort orders it where text would not.
type cell struct {
	Text string
	Sort string
	Tip  string
	Ink  string
}

func page(a *search.Analysis, figs []figure) ([]byte, error) {
	data := struct {
		Title, Verdict, Kind string
		Detail               string
		Light, Dark          template.CSS
		TextRule             template.CSS
		Lead                 []fact
		Figures              []drawn
		Columns              []column
		Rows                 [][]cell
		Method, Origin       []fact
	}{
		Title:    "Scaling " + baseName(a),
		Verdict:  a.Verdict.Text,
		Detail:   a.Verdict.Detail,
		Kind:     string(a.Verdict.Kind),
		Light:    template.CSS(variables(false)),
		Dark:     template.CSS(variables(true)),
		TextRule: template.CSS(textRule),
		Lead:     lead(a),
		Columns:  columns,
		Method:   method(a),
		Origin:   origin(a),
	}
	for _, f := range figs {
		data.Figures = append(data.Figures, drawn{f.name, f.title, f.caption, template.HTML(f.draw(a).svg(true))})
	}
	for i := range a.Nets {
		data.Rows = append(data.Rows, tableRow(a, &a.Nets[i]))
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, data)
	return b.Bytes(), err
}

// factors lists those validated at.
func factors(a *search.Analysis) string {
	var names []string
	for _, f := range a.Plan.Finals {
		names = append(names, factor(f.Factor))
	}
	return strings.Join(names, ", ")
}

// largest names the chosen ratio's network at the largest factor validated at;
// "" where there is none.
func largest(a *search.Analysis) string {
	if a.Choice == nil || len(a.Choice.Compounds) == 0 {
		return ""
	}
	return a.Choice.Compounds[len(a.Choice.Compounds)-1].ID
}

// baseName finds the name in the base network's YAML.
func baseName(a *search.Analysis) string {
	for line := range strings.Lines(a.Config.Base) {
		if name, ok := strings.CutPrefix(line, "name:"); ok {
			return strings.Trim(strings.TrimSpace(name), `"'`)
		}
	}
	return "a base network"
}

// duration is a time to read.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// decimals writes a factor with at most four decimals.
func decimals(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.4f", x), "0"), ".")
}

// flops writes floating-point operations: 3.46 TFLOP.
func flops(x float64) string {
	s := count(x)
	if c := s[len(s)-1]; c >= 'A' {
		return s[:len(s)-1] + " " + string(c) + "FLOP"
	}
	return s + " FLOP"
}

// thousands groups the digits of a whole number.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// lead is what was done, in a few facts.
func lead(a *search.Analysis) []fact {
	p := a.Plan
	ended, all := a.Ended()
	facts := []fact{
		{"Base network", fmt.Sprintf("%s: %s MACs, %s parameters, %d px", baseName(a), count(float64(p.BaseNet.MACs)), count(float64(p.BaseNet.Params)), p.BaseNet.Resolution)},
		{"Data", fmt.Sprintf("%s: %s training, %s validation, %s test images", a.Config.Data, thousands(p.TrainImages), thousands(p.Validation), thousands(p.Test))},
		{"Explored", fmt.Sprintf("%d of %s distinct networks that cost %s the base's within %.3g %%", len(p.Networks), thousands(p.Enumerated), factor(a.Config.Factor), 100*a.Config.Tolerance)},
	}
	if len(p.Finals) > 0 {
		facts = append(facts, fact{"Validated", fmt.Sprintf("at %s the base's cost, all networks of a factor at a realised cost as near as can be", factors(a))})
	}
	trials := fmt.Sprintf("%d, each %s over its images, %s a network", all, epochs(p.Epochs), seedCount(len(p.Rungs[len(p.Rungs)-1].Seeds)))
	if ended < all {
		trials = fmt.Sprintf("%d of %d so far, each %s, %s a network", ended, all, epochs(p.Epochs), seedCount(len(p.Rungs[len(p.Rungs)-1].Seeds)))
	}
	facts = append(facts, fact{"Trainings", trials})
	took := duration(a.Compute()) + " of training"
	if n := len(a.Sessions); n > 0 {
		took += fmt.Sprintf(", %d at a time", a.Sessions[n-1].Workers)
	}
	if n := len(a.Sessions); n == 1 {
		took = fmt.Sprintf("%s from start to end (forecast %s); %s", duration(a.Finished.Sub(a.Started)), duration(time.Duration(p.Forecast.Seconds*float64(time.Second))), took)
	}
	facts = append(facts, fact{"Time", took})
	if a.Test.DF > 0 {
		facts = append(facts, fact{"Noise", fmt.Sprintf("±%s points of validation and ±%s of test accuracy (standard deviation between seeds of one network)", search.Points(a.Validation.SD), search.Points(a.Test.SD))})
	}
	if a.Choice != nil {
		n := a.Net(a.Choice.Winner)
		facts = append(facts, fact{"Chosen ratio", fmt.Sprintf("%.0f %% depth, %.0f %% width, %.0f %% resolution (network %s: depth ×%.2f, width ×%.2f, %d px)",
			100*n.Realised.D, 100*n.Realised.W, 100*n.Realised.R, n.ID, n.Depth, n.Width, n.Resolution)})
		if n := a.Net(largest(a)); n != nil {
			facts = append(facts, fact{"To grow it again", fmt.Sprintf("effnet scale %s --depth %s --width %s --resolution %d", baseName(a), decimals(n.Depth), decimals(n.Width), n.Resolution)})
		}
	}
	return facts
}

func epochs(n int) string {
	if n == 1 {
		return "1 epoch"
	}
	return fmt.Sprintf("%d epochs", n)
}

// method says how the numbers came about.
func method(a *search.Analysis) []fact {
	facts := []fact{
		{"Candidates", "Every distinct network behind the triangle of shares is enumerated, rounding included; those whose realised multiply-accumulates lie within the tolerance are candidates, and a well-spread few of them are trained. Single dimensions are always among them."},
		{"Seeds", "All networks train with the same seeds, which fix initial weights, the order of images and augmentation. The split into training and validation images is the same for all."},
		{"Choice", "The ratio is chosen on validation images. The test images are used for the networks of the final comparison and the base alone, after their training has ended."},
	}
	seeds := 0
	if n := len(a.Plan.Finals); n > 0 {
		seeds = len(a.Plan.Finals[n-1].Seeds)
	}
	if seeds >= 6 {
		facts = append(facts, fact{"Comparison", "The difference of two networks is judged by its spread over common seeds and by the draw of test images together, with Student's t; a claim also needs a sign-flip test to agree."})
	} else {
		facts = append(facts, fact{"Comparison", fmt.Sprintf("With %s, the spread over seeds is pooled over all networks (%d degrees of freedom) and joined with the error of drawing these test images, taken image by image; intervals are Student's t.", seedCount(seeds), a.Pooled.DF)})
	}
	return append(facts, fact{"Verdict", "Compound is said to win when it is ahead of every single dimension at the 5 % level; a single dimension is said to win when it is ahead at 5 % shared among the three. Otherwise the search is undecided."})
}

// origin says what the report was made from.
func origin(a *search.Analysis) []fact {
	c := a.Config
	facts := []fact{
		{"Ledger", fmt.Sprintf("%s, begun %s", search.LedgerName, a.Started.UTC().Format("2006-01-02 15:04 UTC"))},
		{"Data checksum", c.DataChecksum},
		{"Kernels", c.Kernel},
		{"Seeds", strings.Trim(fmt.Sprint(a.Plan.Rungs[0].Seeds), "[]")},
		{"Training", fmt.Sprintf("%s in all, at 6 × MACs an image", flops(a.Plan.Forecast.FLOPs))},
	}
	if n := len(a.Sessions); n > 0 {
		s := a.Sessions[n-1]
		facts = append(facts, fact{"Machine", fmt.Sprintf("%d CPUs, %d trials at a time with %d thread(s) each, %s on %s", s.CPUs, s.Workers, s.Threads, s.Go, runtime.GOARCH)})
	}
	return facts
}
