package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/internal/words"
	"effnet/latency"
	searchreport "effnet/report"
)

// compareCmd is the compare command under way.
type compareCmd struct {
	*cobra.Command
	out     string
	latency bool
	threads int
	json    bool
}

func newCompareCmd() *cobra.Command {
	k := &compareCmd{}
	k.Command = &cobra.Command{
		Use:   "compare NET NET...",
		Short: "Compare what networks cost",
		Long: `Compare prints what networks cost for one image each at its own resolution, with
the factor over the first: parameters, multiply-accumulates, activations, memory
at inference, and with --latency the time on this machine. NET is a zoo name
('effnet models') or a spec file. -o draws it, SVG or PNG by the name.`,
		Example: `  effnet compare b0 b1 b2 lite0
  effnet compare base.yaml deeper.yaml wider.yaml -o costs.svg --latency`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("compare wants networks; see 'effnet compare --help'")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return arch.Names(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error { return k.run(args) },
	}
	fs := k.Flags()
	fs.SortFlags = false
	fs.StringVarP(&k.out, "out", "o", "", "`FIGURE` to draw, .svg or .png")
	fs.BoolVar(&k.latency, "latency", false, "measure how long one image takes on this machine, too")
	fs.IntVar(&k.threads, "threads", 0, "threads of --latency (default: all)")
	fs.BoolVar(&k.json, "json", false, "print JSON")
	return k.Command
}

// comparedNet is a network as --json prints it.
type comparedNet struct {
	netReport
	Latency *timesReport `json:"latency,omitempty"`
}

func (k *compareCmd) run(args []string) error {
	if k.threads < 0 {
		return usagef("compare: --threads cannot be negative")
	}
	if k.out != "" {
		if err := checkFigure("compare: -o", k.out); err != nil {
			return err
		}
	}
	nets := &searchreport.Networks{}
	var specs []arch.Spec
	var list []comparedNet
	for _, arg := range args {
		s, err := loadNet(arg)
		if err != nil {
			return err
		}
		g, err := s.Graph()
		if err != nil {
			return err
		}
		c := g.Cost()
		specs = append(specs, s)
		list = append(list, comparedNet{netReport: report(g, c)})
		nets.List = append(nets.List, searchreport.NetworkCost{Name: s.Name, Resolution: s.Resolution, Totals: c.Totals})
	}
	if k.latency {
		if err := k.measure(specs, list, nets); err != nil {
			return err
		}
	}
	if k.out != "" {
		if err := nets.Write(k.out); err != nil {
			return err
		}
	}
	if k.json {
		return writeJSON(k.OutOrStdout(), list)
	}
	_, err := io.WriteString(k.OutOrStdout(), compareTable(nets.List))
	return err
}

// measure adds the times of the networks, which are measured together, in turns.
func (k *compareCmd) measure(specs []arch.Spec, list []comparedNet, nets *searchreport.Networks) error {
	opt := latency.Options{Threads: k.threads}
	here, err := latency.ConditionsOf(opt)
	if err != nil {
		return err
	}
	samples, err := latency.MeasureAll(k.Context(), specs, opt, func(float64) {})
	if k.Context().Err() != nil {
		return &interruptedError{}
	}
	if err != nil {
		return err
	}
	nets.Machine = fmt.Sprintf("%s, %s", latency.Processor(), words.Plural(here.Threads, "thread"))
	for i := range samples {
		s := &samples[i]
		took := times(s)
		list[i].Latency = &took
		nets.List[i].Seconds = s.Median.Seconds()
		if s.Busy() {
			fmt.Fprintf(k.ErrOrStderr(), "note: %s: 80 %% of the runs took %s to %s; something else was running\n", specs[i].Name, milliseconds(s.P10), milliseconds(s.P90))
		}
	}
	return nil
}

// compareTable lists networks with their factors over the first.
func compareTable(nets []searchreport.NetworkCost) string {
	headings := []string{"network", ">pixels", ">parameters", ">", ">MACs", ">", ">activations", ">", ">memory", ">"}
	if nets[0].Seconds > 0 {
		headings = append(headings, ">ms", ">")
	}
	t := newTable(headings...)
	first := &nets[0]
	for i := range nets {
		n := &nets[i]
		row := []string{n.Name, fmt.Sprint(n.Resolution)}
		add := func(text string, v, base float64) {
			row = append(row, text, fmt.Sprintf("×%.2f", v/base))
		}
		a, b := &n.Totals, &first.Totals
		add(short(a.Params), float64(a.Params), float64(b.Params))
		add(short(a.MACs), float64(a.MACs), float64(b.MACs))
		add(short(a.Activations), float64(a.Activations), float64(b.Activations))
		add(size(a.InferenceBytes()), float64(a.InferenceBytes()), float64(b.InferenceBytes()))
		if n.Seconds > 0 {
			add(msText(1e3*n.Seconds), n.Seconds, first.Seconds)
		}
		t.add(row...)
	}
	return t.String()
}
