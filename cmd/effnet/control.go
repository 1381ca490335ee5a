package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"effnet/search"
	"effnet/search/live"
)

func newControlCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "control RUN pause | resume | stop TRIAL | extend TIME",
		Short: "Pause, resume or extend a search that runs, or give up one of its trials",
		Long: `Control steps into the search that another process runs in the folder RUN.

  pause         running trials save their state and rest; the machine is free
  resume        they go on from there
  stop TRIAL    that trial ends without a result, as one that diverged
  extend TIME   the budget grows by TIME, such as 30m

A command is kept until the searching process takes it, within a second or so.
It becomes a line of the ledger: it changes what the search does, and a search
that is resumed knows of it. A paused search may be killed; 'effnet search
--resume RUN' goes on.`,
		Example:           "  effnet control run pause\n  effnet control run resume\n  effnet control run stop x2-depth-e8-s1\n  effnet control run extend 30m",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeControl,
		RunE:              control,
	}
}

// completeControl offers the commands, and the running trials to stop.
func completeControl(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return nil, cobra.ShellCompDirectiveFilterDirs
	case len(args) == 1:
		return []string{string(search.OpPause), string(search.OpResume), string(search.OpStop), string(search.OpExtend)}, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 2 && args[1] == string(search.OpStop):
		var ids []string
		if v, err := live.NewWatcher(args[0], nil).View(); err == nil {
			for _, t := range v.Running {
				ids = append(ids, t.ID)
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// parseControl reads the command line's command.
func parseControl(args []string) (search.Command, error) {
	c := search.Command{Op: search.Op(args[0])}
	rest, wants := args[1:], 0
	switch c.Op {
	case search.OpPause, search.OpResume:
	case search.OpStop:
		if wants = 1; len(rest) == 1 {
			c.Trial = rest[0]
		}
	case search.OpExtend:
		if wants = 1; len(rest) == 1 {
			d, err := time.ParseDuration(rest[0])
			if err != nil || d <= 0 {
				return c, usagef("control: extend by %q: want a time above 0, such as 30m or 1h30m", rest[0])
			}
			c.Seconds = d.Seconds()
		}
	default:
		return c, usagef("control: unknown command %q, want %s, %s, %s TRIAL or %s TIME", args[0], search.OpPause, search.OpResume, search.OpStop, search.OpExtend)
	}
	switch {
	case len(rest) < wants && c.Op == search.OpStop:
		return c, usagef("control: stop wants the name of a trial; 'effnet watch RUN' shows those that run")
	case len(rest) < wants:
		return c, usagef("control: extend wants a time, such as 30m")
	case len(rest) > wants:
		return c, usagef("control: %s: unexpected %q", c.Op, rest[wants])
	}
	return c, nil
}

// takenWithin is how long a command line waits to see its command taken.
const takenWithin = 5 * time.Second

func control(c *cobra.Command, args []string) error {
	if len(args) < 2 {
		return usagef("control wants a run folder and a command: pause, resume, stop TRIAL or extend TIME")
	}
	run := args[0]
	cmd, err := parseControl(args[1:])
	if err != nil {
		return err
	}
	v, err := watchedView(c, live.NewWatcher(run, nil), run)
	if err != nil {
		return err
	}
	if err := search.Control(run, cmd); err != nil {
		return err
	}
	if v.State == live.Stopped || v.State == live.Lost {
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s: waits: no process searches in %s at the moment\n", cmd.Op, run)
		return err
	}
	word := "taken"
	for until := time.Now().Add(takenWithin); search.ControlWaits(run); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) || c.Context().Err() != nil {
			word = "waits for the searching process"
			break
		}
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", cmd.Op, word)
	return err
}

// watchedView is the state of the search in the folder run, which there must
// be.
func watchedView(c *cobra.Command, w *live.Watcher, run string) (*live.View, error) {
	r, err := w.Result()
	if errors.Is(err, fs.ErrNotExist) || err == nil && r == nil {
		return nil, usagef("%s: %s holds no search: there is no %s", c.Name(), run, search.LedgerName)
	}
	if err != nil {
		return nil, err
	}
	return w.View()
}
