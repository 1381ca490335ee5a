// Command effnet finds how to grow a small CNN, and builds, trains, runs and
// serves the grown network.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitFailure     = 1   // the command could not do its work
	exitUsage       = 2   // the command line was wrong
	exitInterrupted = 130 // SIGINT or SIGTERM; the command printed how to go on
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments. Results go to stdout,
// everything else, errors included, to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal kills at once.
	context.AfterFunc(ctx, stop)
	root := newRootCmd()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	// Whatever fails before a command's own code starts is the command line's fault.
	started := false
	eachCommand(root, func(c *cobra.Command) {
		if do := c.RunE; do != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				started = true
				return do(c, args)
			}
		}
	})
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var in *interruptedError
	if errors.As(err, &in) {
		fmt.Fprintf(stderr, "effnet: %v\n", err)
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "effnet: %v\n", err)
	var ue *usageError
	if !started || errors.As(err, &ue) {
		return exitUsage
	}
	return exitFailure
}

func eachCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, f)
	}
}

// usageError marks an error of the command line itself.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a usage error.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// interruptedError ends a command that a signal stopped. If there is something
// to resume, resume is the command that does.
type interruptedError struct{ resume string }

func (e *interruptedError) Error() string {
	if e.resume == "" {
		return "interrupted"
	}
	return "interrupted; resume with: " + e.resume
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "effnet",
		Short:         "Grow a small CNN in depth, width and resolution, and train and run what came out",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if args := c.Flags().Args(); c == root && len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		if c == root {
			return usagef("%w; see 'effnet --help'", err)
		}
		return usagef("%s: %w; see '%s --help'", c.Name(), err, c.CommandPath())
	})
	root.AddCommand(
		newDataCmd(), newEvalCmd(), newTrainCmd(), newPlotCmd(), newLRFindCmd(),
		newClassifyCmd(), newFeaturesCmd(), newExplainCmd(), newServeCmd(), newRunCmd(), newBenchCmd(),
		newExportCmd(), newPullCmd(),
		newSearchCmd(), newWorkerCmd(), newReportCmd(), newWatchCmd(), newControlCmd(),
		newModelsCmd(), newRecipesCmd(), newShowCmd(), newCompareCmd(), newScaleCmd(), newFitCmd(),
	)
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [command]",
		Short: "Help about a command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil {
				return &usageError{err}
			}
			if len(rest) > 0 {
				return unknownCommand(c, rest[0])
			}
			return c.Help()
		},
	})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	eachCommand(root, func(c *cobra.Command) {
		if c.HasSubCommands() { // only a place for commands
			c.Args, c.RunE = noSuchCommand, func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	})
	return root
}

// noSuchCommand is the argument check of a command that only has subcommands.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	return nil
}

func unknownCommand(parent *cobra.Command, name string) error {
	hint := fmt.Sprintf("'%s --help' lists the commands", parent.CommandPath())
	if close := parent.SuggestionsFor(name); len(close) > 0 {
		hint = "did you mean " + strings.Join(close, " or ") + "?"
	}
	return usagef("unknown command %q; %s", name, hint)
}

// atMostOne makes an argument check for a command that wants one thing, or
// nothing where it resumes.
func atMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("%s wants %s, got %q; see 'effnet %s --help'", c.Name(), what, args, c.Name())
		}
		return nil
	}
}

// exactly makes an argument check that names what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != len(names) {
			want := strings.Join(names, " ")
			if want == "" {
				want = "no arguments"
			}
			return usagef("%s wants %s, got %d argument(s); see 'effnet %s --help'", c.Name(), want, len(args), c.Name())
		}
		return nil
	}
}
