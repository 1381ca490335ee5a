package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	searchreport "effnet/report"
	"effnet/train"
)

func newPlotCmd() *cobra.Command {
	var out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plot RUN... {-o FIGURE|--json}",
		Short: "Draw the learning curves of runs",
		Long: `Plot draws loss, accuracy and learning rate of a run, by what its run folder says
so far; of several runs, over each other, named by what differs in their
config.yaml. The figure is SVG or PNG by its name. --json prints the curves.`,
		Example: `  effnet plot run -o run.svg
  effnet plot runs/* -o compare.png
  effnet plot run --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("plot wants one run folder or more; see 'effnet plot --help'")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" && !asJSON {
				return usagef("plot: say where to draw: -o FIGURE.svg or -o FIGURE.png; or --json")
			}
			if out != "" {
				if err := checkFigure("plot: -o", out); err != nil {
					return err
				}
			}
			return plot(c, args, out, asJSON)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "`FIGURE` to draw, .svg or .png")
	c.Flags().BoolVar(&asJSON, "json", false, "print the curves as JSON")
	return c
}

// plotRun is a run as --json prints it.
type plotRun struct {
	Run     string                       `json:"run"`
	Name    string                       `json:"name"`
	Network string                       `json:"network"`
	Differs map[string]string            `json:"differs,omitempty"` // from the others, by path in config.yaml
	Best    *searchreport.LearningPoint  `json:"best,omitempty"`
	Steps   []searchreport.LearningPoint `json:"steps"`
	Epochs  []searchreport.LearningPoint `json:"epochs"`
}

func plot(c *cobra.Command, dirs []string, out string, asJSON bool) error {
	var configs []*train.RunConfig
	var runs []plotRun
	for _, dir := range dirs {
		h, err := train.ReadHistory(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return usagef("plot: %s holds no run: it wants %s and %s", dir, train.ConfigFile, train.MetricsFile)
		}
		if err != nil {
			return err
		}
		configs = append(configs, h.Config)
		runs = append(runs, plotRun{Run: dir, Network: h.Config.Spec.Name, Steps: stepPoints(h), Epochs: epochPoints(h)})
	}
	paths, values, err := train.Differences(configs)
	if err != nil {
		return err
	}
	figure := &searchreport.Learning{Title: plotTitle(configs, dirs)}
	for i := range runs {
		r := &runs[i]
		r.Name = filepath.Base(r.Run)
		if len(paths) > 0 {
			r.Differs = map[string]string{}
			for k, path := range paths {
				r.Differs[path] = values[k][i]
			}
			r.Name += ": " + differenceText(paths, values, i)
		}
		lr := searchreport.LearningRun{Name: r.Name, Steps: r.Steps, Epochs: r.Epochs}
		r.Best = lr.Best()
		figure.Runs = append(figure.Runs, lr)
	}
	if out != "" {
		if err := figure.Write(out); err != nil {
			return err
		}
		if !asJSON {
			_, err := fmt.Fprintln(c.OutOrStdout(), out)
			return err
		}
	}
	return writeJSON(c.OutOrStdout(), runs)
}

// plotTitle says what all runs have in common.
func plotTitle(configs []*train.RunConfig, dirs []string) string {
	same := func(text func(c *train.RunConfig) string, many string) string {
		if slices.ContainsFunc(configs, func(c *train.RunConfig) bool { return text(c) != text(configs[0]) }) {
			return many
		}
		return text(configs[0])
	}
	what := same(func(c *train.RunConfig) string { return c.Spec.Name }, "networks") + " on " +
		same(func(c *train.RunConfig) string { return filepath.Base(c.Data.Source) }, "data sets") + ", " +
		same(func(c *train.RunConfig) string { return "recipe " + c.Recipe.Name }, "recipes")
	if len(dirs) == 1 {
		return what + ": " + filepath.Base(dirs[0])
	}
	return fmt.Sprintf("%s: %d runs", what, len(dirs))
}

// differenceText names the values of run i in which it differs from others, what
// the user chose first: the recipe, the network, the data.
func differenceText(paths []string, values [][]string, i int) string {
	const longest = 24 // runes of a value
	var parts []string
	for _, section := range []string{"recipe.", "network.", "start.", "data.", "kernel"} {
		for k, path := range paths {
			name, ok := strings.CutPrefix(path, section)
			if !ok || strings.HasSuffix(path, "checksum") && len(paths) > 1 {
				continue
			}
			switch {
			case path == "recipe.name":
				name = "recipe"
			case path == "network.name":
				name = "network"
			case name == "":
				name = path
			}
			v := values[k][i]
			if v == train.Absent {
				continue
			}
			if utf8.RuneCountInString(v) > longest {
				v = string([]rune(v)[:longest-1]) + "…"
			}
			parts = append(parts, strings.ReplaceAll(name, "_", " ")+" "+v)
		}
	}
	return strings.Join(parts, ", ")
}

func stepPoints(h *train.History) []searchreport.LearningPoint {
	points := []searchreport.LearningPoint{}
	for _, s := range h.Steps {
		points = append(points, searchreport.LearningPoint{
			Epoch: float64(s.Step) / float64(max(1, h.StepsPerEpoch())), LR: s.LR, Loss: s.Loss, Accuracy: s.Accuracy,
		})
	}
	return points
}

func epochPoints(h *train.History) []searchreport.LearningPoint {
	points := []searchreport.LearningPoint{}
	for _, e := range h.Epochs {
		p := searchreport.LearningPoint{Epoch: float64(e.Epoch), LR: e.LR, Loss: e.TrainLoss, Accuracy: e.TrainAccuracy}
		if e.ValLoss != nil && e.ValAccuracy != nil {
			p.Val = &searchreport.LearningVal{Loss: *e.ValLoss, Accuracy: *e.ValAccuracy}
		}
		points = append(points, p)
	}
	return points
}
