// Curves reads reports of 'effnet bench --losses STEPS --json', prints them as
// one table and draws them as one figure:
//
//	go run ./bench/curves [-o FIGURE.svg] REPORT.json...
//
// Its exit status is 1 where effnet is farther from PyTorch than the reports allow.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	figures "effnet/report"
)

// report is what is read of a report.
type report struct {
	Net        string `json:"net"`
	Resolution int    `json:"resolution"`
	Batch      int    `json:"batch"`
	Threads    int    `json:"threads"`
	Kernel     string `json:"kernel"`
	Optimizer  string `json:"optimizer"`
	Data       string `json:"data"`
	Machine    struct {
		CPU   string `json:"cpu"`
		Cores int    `json:"cores"`
	} `json:"machine"`
	LR        float64   `json:"lr"`
	Steps     int       `json:"steps"`
	Reference curve     `json:"reference"`
	Engines   []curve   `json:"engines"`
	Bound     []float64 `json:"bound"`
	Agree     bool      `json:"agree"`
}

type curve struct {
	Engine  string    `json:"engine"`
	Version string    `json:"version"`
	Losses  []float64 `json:"losses"`
	Apart   []float64 `json:"apart"`
	States  []struct {
		Weights  float64 `json:"weights"`
		Norms    float64 `json:"gamma_beta"`
		Mean     float64 `json:"running_mean"`
		Variance float64 `json:"running_variance"`
		Logits   float64 `json:"logits"`
	} `json:"states"`
}

func main() {
	figure := flag.String("o", "", "the figure's `file`, .svg or .png")
	flag.Parse()
	ok, err := run(os.Stdout, *figure, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "curves:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run reports whether all reports say that effnet and PyTorch agree.
func run(w io.Writer, figure string, files []string) (bool, error) {
	var list []*report
	agree := true
	for _, name := range files {
		r, err := read(name)
		if err != nil {
			return false, err
		}
		list = append(list, r)
		agree = agree && r.Agree
	}
	if len(list) == 0 {
		return false, fmt.Errorf("no reports given")
	}
	if err := table(w, list); err != nil {
		return false, err
	}
	if figure == "" {
		return agree, nil
	}
	return agree, draw(list).Write(figure)
}

func read(name string) (*report, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Steps < 1 || len(r.Engines) == 0 || len(r.Reference.Losses) != r.Steps {
		return nil, fmt.Errorf("%s: no report of 'effnet bench --losses'", name)
	}
	for i := range r.Engines {
		if c := &r.Engines[i]; len(c.Losses) != r.Steps || len(c.Apart) != r.Steps || len(c.States) == 0 {
			return nil, fmt.Errorf("%s: %s has %d losses and %d distances, want %d", name, c.Engine, len(c.Losses), len(c.Apart), r.Steps)
		}
	}
	return r, nil
}

// table writes how far every engine is from PyTorch in float64: its losses up
// to some steps, the rest after the last.
func table(w io.Writer, list []*report) error {
	fmt.Fprintf(w, "%s; relative differences from PyTorch %s in float64: of losses, the largest up to a step; of the rest after the last\n",
		machine(list), list[0].Reference.Version)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "network\tpixels\tbatch\toptimizer\trate\tsteps\tloss\tengine\tto 1\tto 10\tto 50\tto 100\tto the last\tallowed\tweights\tgamma, beta\trunning means\tvariances\tlogits\t")
	for _, r := range list {
		for i, c := range r.Engines {
			cells := []string{"", "", "", "", "", "", ""}
			if i == 0 {
				l := r.Reference.Losses
				cells = []string{r.Net, fmt.Sprint(r.Resolution), fmt.Sprint(r.Batch), r.Optimizer, fmt.Sprint(r.LR), fmt.Sprint(r.Steps), fmt.Sprintf("%.3f to %.3f", l[0], l[r.Steps-1])}
			}
			cells = append(cells, engineName(c.Engine))
			for _, step := range []int{1, 10, 50, 100, r.Steps} {
				cells = append(cells, at(c.Apart, step))
			}
			if i == 0 {
				cells = append(cells, at(r.Bound, r.Steps))
			} else {
				cells = append(cells, "")
			}
			s := c.States[len(c.States)-1]
			for _, v := range []float64{s.Weights, s.Norms, s.Mean, s.Variance, s.Logits} {
				cells = append(cells, fmt.Sprintf("%.1e", v))
			}
			verdict := ""
			if i == 0 {
				verdict = "within"
				if !r.Agree {
					verdict = "TOO FAR"
				}
			}
			fmt.Fprintln(t, strings.Join(append(cells, verdict), "\t"))
		}
	}
	return t.Flush()
}

// at is the value of a step, counted from 1.
func at(values []float64, step int) string {
	if step > len(values) {
		return "-"
	}
	return fmt.Sprintf("%.1e", values[step-1])
}

func machine(list []*report) string {
	r := list[0]
	return fmt.Sprintf("%s, %d cores, kernels %s", r.Machine.CPU, r.Machine.Cores, r.Kernel)
}

func engineName(engine string) string {
	names := map[string]string{
		"torch": "PyTorch, channels_last", "torch-eager": "PyTorch, NCHW", "torch-compile": "PyTorch, compiled", "torch-float64": "PyTorch, float64",
	}
	if n, ok := names[engine]; ok {
		return n
	}
	return engine
}

func draw(list []*report) *figures.Losses {
	f := &figures.Losses{
		Title:   "The same training in effnet and in PyTorch",
		Machine: fmt.Sprintf("%s; PyTorch %s; the same weights to begin with, the same batches", machine(list), list[0].Reference.Version),
	}
	for _, r := range list {
		p := figures.LossPanel{
			Title:     fmt.Sprintf("%s at %dx%d, %s, %s at %g, batch %d", r.Net, r.Resolution, r.Resolution, r.Data, r.Optimizer, r.LR, r.Batch),
			Reference: lossCurve(&r.Reference),
			Bound:     slices.Clone(r.Bound),
		}
		for i := range r.Engines {
			p.Engines = append(p.Engines, lossCurve(&r.Engines[i]))
		}
		f.Panels = append(f.Panels, p)
	}
	return f
}

func lossCurve(c *curve) figures.LossCurve {
	return figures.LossCurve{Name: engineName(c.Engine), Loss: c.Losses, Apart: c.Apart}
}
