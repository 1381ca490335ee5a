package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	searchreport "effnet/report"
	"effnet/search"
	"effnet/search/export"
)

func newReportCmd() *cobra.Command {
	var asJSON bool
	var exports string
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Draw a search's report from its ledger",
		Long: `Report makes RUN/report.html and RUN/figures again from RUN/ledger.jsonl alone,
and prints the page's path. It may be called while the search runs.

With --export it writes the search for other programs instead, and prints their
paths: optuna.log, which optuna-dashboard opens; summary.csv, a row a network
with timm's column names; and tensorboard, a folder with a run a trial and its
hyperparameters.`,
		Example: "  effnet report run\n  effnet report run --json\n  effnet report run --export out && optuna-dashboard out/optuna.log",
		Args:    exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			res, err := search.Load(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return usagef("report: %s holds no search: there is no %s", args[0], search.LedgerName)
			}
			if err != nil {
				return err
			}
			a := res.Analyse()
			if asJSON {
				enc := json.NewEncoder(c.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(a.Summary())
			}
			if exports != "" {
				paths, err := export.Write(exports, a)
				for _, p := range paths {
					fmt.Fprintln(c.OutOrStdout(), p)
				}
				return err
			}
			path, err := searchreport.Write(args[0], a)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), path)
			return err
		},
	}
	c.Flags().StringVar(&exports, "export", "", "write the search for Optuna, TensorBoard and tables into a `folder` instead")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON instead")
	return c
}
