package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"effnet/arch"
)

// modelReport is one network of 'effnet models --json'.
type modelReport struct {
	Name        string   `json:"name"`
	Aliases     []string `json:"aliases"`
	Family      string   `json:"family"`
	Resolution  int      `json:"resolution"`
	Params      int64    `json:"params"`
	MACs        int64    `json:"macs"`
	Activations int64    `json:"activations"`
}

func newModelsCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "models",
		Short: "List the networks that effnet knows by name",
		Long: `Models lists the built-in networks, each a starting point for show, scale, fit,
train and search. A spec file of your own works in every place a name does; see
docs/spec.md.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return modelsJSON(c.OutOrStdout())
			}
			return modelsText(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func eachModel(f func(family arch.Family, m arch.Model, s *arch.Spec, t *arch.Totals)) error {
	for _, family := range arch.Families() {
		for _, m := range family.Models {
			s := arch.MustLookup(m.Name)
			t, err := s.CostAt(s.Resolution)
			if err != nil {
				return err
			}
			f(family, m, &s, &t)
		}
	}
	return nil
}

func modelsJSON(w io.Writer) error {
	var list []modelReport
	err := eachModel(func(family arch.Family, m arch.Model, s *arch.Spec, t *arch.Totals) {
		list = append(list, modelReport{m.Name, append([]string{}, m.Aliases...), family.Name, s.Resolution, t.Params, t.MACs, t.Activations})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, list)
}

func modelsText(w io.Writer) error {
	tab := newTable("name", "alias", ">pixels", ">parameters", ">MACs", ">activations")
	var about []arch.Family
	var starts []int // row at which each family starts
	err := eachModel(func(family arch.Family, m arch.Model, s *arch.Spec, t *arch.Totals) {
		if len(about) == 0 || about[len(about)-1].About != family.About {
			about = append(about, family)
			starts = append(starts, len(tab.rows))
		}
		tab.add("  "+m.Name, strings.Join(m.Aliases, " "), fmt.Sprint(s.Resolution), short(t.Params), short(t.MACs), short(t.Activations))
	})
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, line := range strings.SplitAfter(tab.String(), "\n") {
		if len(starts) > 0 && i == starts[0] {
			b.WriteString("\n" + about[0].About + "\n")
			about, starts = about[1:], starts[1:]
		}
		b.WriteString(line)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// writeJSON prints v indented, for people and programs alike.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
