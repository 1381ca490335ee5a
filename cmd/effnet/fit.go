package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/search"
)

// fitReport is 'effnet fit --json'.
type fitReport struct {
	Cost    float64        `json:"cost_factor"`
	Ratio   ratioReport    `json:"ratio"`
	Budget  budgetReport   `json:"budget"`
	Used    budgetReport   `json:"used"`
	Latency *latencyReport `json:"latency,omitempty"`
	scaleReport
}

type ratioReport struct {
	Depth      float64 `json:"depth"`
	Width      float64 `json:"width"`
	Resolution float64 `json:"resolution"`
}

// budgetReport has 0 for no limit.
type budgetReport struct {
	MACs   int64 `json:"macs"`
	Params int64 `json:"params"`
	Memory int64 `json:"memory_bytes"`
}

// fitCmd is the fit command under way.
type fitCmd struct {
	*cobra.Command
	macs, params, memory amount
	latency              latencyLimit
	threads, batch       int
	remeasure            bool
	ratio                string
	out                  string
	name                 netName
	json                 bool
}

func newFitCmd() *cobra.Command {
	f := &fitCmd{macs: amount{base: 1000}, params: amount{base: 1000}, memory: amount{base: 1024}}
	f.Command = &cobra.Command{
		Use:   "fit NET {--max-macs N | --max-params N | --max-memory N | --max-latency T}... [--ratio D:W:R]",
		Short: "Find the largest network within a budget",
		Long: `Fit scales NET along a ratio of depth, width and resolution to the largest
network within every limit given, by real cost after rounding; down, where NET is
too large already.

The ratio says how growth is shared: 1:1:1 gives each dimension a third of the
cost factor, 1:0:0 grows depth alone. It may be what a search found: its
ratio.yaml, or the run folder. The default is EfficientNet's own.

Limits take the suffixes K, M and G: powers of 1000 for MACs and parameters, of
1024 for memory. Memory is what classifying one image takes in float32: weights
and the most activations alive at once.

Latency is the median time that one run takes on this machine, now: the network
found has been run and timed, and so have some around it. What other networks
took is kept in the user's cache folder for the next fit of NET with the same
program, threads and batch; --remeasure starts afresh. Nothing else should keep
the machine busy meanwhile.`,
		Example: `  effnet fit small_1m --max-macs 4M --max-params 200K
  effnet fit b0 --max-memory 64M --ratio 1:8:1 -o net.yaml
  effnet fit b0 --max-latency 12ms --threads 1 --max-params 10M`,
		Args:              exactly("NET"),
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return f.run(args[0]) },
	}
	fs := f.Flags()
	fs.SortFlags = false
	fs.Var(&f.macs, "max-macs", "most multiply-accumulates")
	fs.Var(&f.params, "max-params", "most parameters")
	fs.Var(&f.memory, "max-memory", "most bytes of weights and activations")
	fs.Var(&f.latency, "max-latency", "most time of one run, measured on this machine")
	fs.IntVar(&f.threads, "threads", 0, "threads that --max-latency holds for (default: all)")
	fs.IntVar(&f.batch, "batch", 1, "images of one run that --max-latency holds for")
	fs.BoolVar(&f.remeasure, "remeasure", false, "use no measurements from before")
	fs.StringVar(&f.ratio, "ratio", "", "shares of growth as `depth:width:resolution`, or a search's ratio.yaml (default: EfficientNet's, 0.28:0.29:0.43)")
	fs.StringVarP(&f.out, "output", "o", "", "write the network to this spec `file`")
	fs.Var(&f.name, "name", "what to call the network (default: made from the factors)")
	fs.BoolVar(&f.json, "json", false, "print JSON")
	return f.Command
}

func (f *fitCmd) run(arg string) error {
	budget := arch.Budget{MACs: f.macs.n, Params: f.params.n, Memory: f.memory.n}
	if max(budget.MACs, budget.Params, budget.Memory) == 0 && f.latency == 0 {
		return usagef("fit: say what may be used, with --max-macs, --max-params, --max-memory or --max-latency; see 'effnet fit --help'")
	}
	for _, name := range []string{"threads", "batch", "remeasure"} {
		if f.latency == 0 && f.Flags().Changed(name) {
			return usagef("fit: --%s belongs to --max-latency, which is not given", name)
		}
	}
	switch {
	case f.threads < 0:
		return usagef("fit: --threads cannot be negative")
	case f.batch < 1 || f.batch > maxFitBatch:
		return usagef("fit: --batch is %d, want 1 to %d", f.batch, maxFitBatch)
	}
	shares, err := arch.B0Compound.Shares()
	var file *search.Ratio
	if f.Flags().Changed("ratio") {
		shares, file, err = readRatio(f.ratio)
	}
	if err != nil {
		return err
	}
	base, err := loadNet(arg)
	if err != nil {
		return err
	}
	var fit arch.Fitted
	var times *latencyReport
	if f.latency > 0 {
		fit, times, err = f.byLatency(base, budget, shares)
	} else {
		fit, err = arch.Fit(base, budget, shares)
	}
	if err != nil {
		return err
	}
	if file != nil {
		noteRatio(f.ErrOrStderr(), file, base.Name, fit.Cost > 1)
	}
	if f.name != "" {
		fit.Spec.Name = string(f.name)
	}
	g0, err := base.Graph()
	if err != nil {
		return err
	}
	g1, err := fit.Spec.Graph()
	if err != nil {
		return err
	}
	d := &comparison{base: g0, scaled: g1, factors: fit.Factors}
	used := budgetReport{fit.Totals.MACs, fit.Totals.Params, fit.Totals.InferenceBytes()}
	if f.json {
		allowed := budgetReport{budget.MACs, budget.Params, budget.Memory}
		err = writeJSON(f.OutOrStdout(), fitReport{fit.Cost, ratioReport{shares.D, shares.W, shares.R}, allowed, used, times, d.report()})
	} else {
		_, err = io.WriteString(f.OutOrStdout(), d.text("fitted")+"\n"+f.budgetText(&fit, shares, used, times)+"same as: "+f.command(arg, &base, &fit)+"\n")
	}
	if err != nil || f.out == "" {
		return err
	}
	return writeSpec(f.Command, f.out, d, "fitted")
}

// maxFitBatch keeps the memory of a batch within reason.
const maxFitBatch = 1024

// budgetText is what was allowed and what is used.
func (f *fitCmd) budgetText(fit *arch.Fitted, shares arch.Shares, used budgetReport, times *latencyReport) string {
	tab := newTable("budget", ">allowed", ">used", ">")
	add := func(name string, limit amount, used int64) {
		if limit.n > 0 {
			tab.add(name, thousands(limit.n), thousands(used), percent(used, limit.n))
		}
	}
	add("MACs", f.macs, used.MACs)
	add("parameters", f.params, used.Params)
	add("memory bytes", f.memory, used.Memory)
	if times != nil {
		median := times.found.Measured.Median
		tab.add("latency", milliseconds(times.allowed), milliseconds(median), percent(int64(median), int64(times.allowed)))
	}
	var b strings.Builder
	b.WriteString(tab.String() + "\n")
	if times != nil {
		b.WriteString(times.text() + "\n")
	}
	fmt.Fprintf(&b, "ratio %s, cost factor %s\n", shares, short4(fit.Cost))
	return b.String()
}

// command is the scale command that makes the same network, with as few digits
// as that takes.
func (f *fitCmd) command(arg string, base *arch.Spec, fit *arch.Fitted) string {
	want := fit.Spec.YAML()
	for digits := 3; ; digits++ {
		round := func(x float64) (string, float64) {
			text := strconv.FormatFloat(x, 'g', digits, 64)
			x, _ = strconv.ParseFloat(text, 64)
			return text, x
		}
		d, depth := round(fit.Factors.Depth)
		w, width := round(fit.Factors.Width)
		got, err := base.Scale(arch.Factors{Depth: depth, Width: width, Resolution: fit.Spec.Resolution})
		got.Name = fit.Spec.Name
		if digits == 17 || err == nil && bytes.Equal(got.YAML(), want) {
			return fmt.Sprintf("effnet scale %s --depth %s --width %s --resolution %d", shellQuote(arg), d, w, fit.Spec.Resolution)
		}
	}
}
