package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"effnet/internal/words"
	"effnet/search"
	"effnet/search/live"
)

func newWatchCmd() *cobra.Command {
	var asJSON bool
	var ui uiFlags
	c := &cobra.Command{
		Use:   "watch RUN",
		Short: "Watch a search that another process runs",
		Long: `Watch shows the search in the folder RUN: its phases, the trials that run, the
best network so far and the time left. It reads what the searching process
leaves in the folder, and ends with the search, with its verdict. On a terminal
the picture is redrawn in place; elsewhere there is a line for every trial.

With --ui the page of 'effnet search --ui' is served until Ctrl-C, also of a
search that has ended.`,
		Example: "  effnet watch run\n  effnet watch run --ui\n  effnet watch run --json",
		Args:    exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := ui.check(c.Flags()); err != nil {
				return err
			}
			run := args[0]
			w := newWatcher(run)
			v, err := watchedView(c, w, run)
			if err != nil {
				return err
			}
			switch {
			case asJSON && ui.on:
				return usagef("watch: --json prints one moment, --ui shows a page: choose one")
			case asJSON:
				enc := json.NewEncoder(c.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(v)
			case ui.on:
				s, err := ui.serve(run, c.ErrOrStderr())
				if err != nil {
					return err
				}
				<-c.Context().Done()
				return s.Close(pagePatience)
			}
			return (&watch{Command: c, run: run, watcher: w, screen: newScreen(c.OutOrStdout()), said: map[string]bool{}}).follow()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the present state as JSON, and end")
	ui.register(c.Flags())
	return c
}

// watch is the watch command under way.
type watch struct {
	*cobra.Command
	run     string
	watcher *live.Watcher
	screen  *screen
	said    map[string]bool // trials and preparations that there was a line for
	state   live.State
	last    time.Time // of the last plain line
}

// lostPatience is how many looks a process may give no sign of life: a machine
// that wakes up is looked at before it can move.
const lostPatience = 10

// follow looks again and again until the search ends, one way or another.
func (w *watch) follow() error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	defer w.screen.clear()
	for lost := 0; ; {
		r, err := w.watcher.Result()
		if err != nil {
			return err
		}
		v, err := w.watcher.View()
		if err != nil {
			return err
		}
		if w.screen.term != nil {
			width, height := w.screen.size()
			w.screen.draw(watchLines(v, width, height, time.Now()))
		} else {
			w.plain(r, v)
		}
		if lost++; v.State != live.Lost {
			lost = 0
		}
		after := fmt.Sprintf("after %d of %s", v.Ended, words.Plural(v.Total, "trial"))
		if v.Total == 0 {
			after = "while it was planned"
		}
		switch again := "go on with: effnet search --resume " + shellQuote(w.run); {
		case v.State == live.Done:
			w.screen.clear()
			return w.verdict(r)
		case v.State == live.Stopped:
			return fmt.Errorf("watch: the search was stopped %s; %s", after, again)
		case lost >= lostPatience:
			return fmt.Errorf("watch: the searching process gives no sign of life %s; %s", after, again)
		}
		select {
		case <-t.C:
		case <-w.Context().Done():
			return &interruptedError{}
		}
	}
}

// verdict ends the watch.
func (w *watch) verdict(r *search.Result) error {
	out, v := w.OutOrStdout(), r.Analyse().Verdict
	fmt.Fprintln(out, v.Text)
	if v.Detail != "" {
		fmt.Fprintln(out, v.Detail)
	}
	_, err := fmt.Fprintf(out, "report with: effnet report %s\n", shellQuote(w.run))
	return err
}

// plain writes lines about what is new.
func (w *watch) plain(r *search.Result, v *live.View) {
	out := w.OutOrStdout()
	if w.state == "" {
		about := ""
		if v.Total > 0 {
			about = fmt.Sprintf(", %d of %s", v.Ended, words.Plural(v.Total, "trial"))
		}
		fmt.Fprintf(out, "%s on %s: %s%s\n", v.Base, v.Data, v.State, about)
		for id, t := range r.Trials {
			w.said[id] = t.Ended()
		}
		w.state, w.last = v.State, time.Now()
	}
	if v.State == live.Planning && v.Doing != "" && !w.said[v.Doing] {
		w.said[v.Doing], w.last = true, time.Now()
		fmt.Fprintf(out, "%s: %s\n", v.State, v.Doing)
	}
	if v.State != w.state && (v.State == live.Paused || w.state == live.Paused) {
		fmt.Fprintf(out, "%s\n", v.State)
	}
	w.state = v.State
	count := fmt.Sprintf("[%*d/%d]", len(fmt.Sprint(v.Total)), v.Ended, v.Total)
	var fresh []string
	for id, t := range r.Trials {
		if t.Ended() && !w.said[id] {
			fresh = append(fresh, id)
			w.said[id] = true
		}
	}
	slices.Sort(fresh)
	for _, id := range fresh {
		t := r.Trials[id]
		what := "failed: " + t.Error
		if o := t.Outcome; o != nil {
			what = fmt.Sprintf("%6.2f %% on validation images", 100*o.Validation.Accuracy())
			if o.Stopped > 0 {
				what += fmt.Sprintf(", given up after epoch %d", o.Stopped)
			}
		}
		fmt.Fprintf(out, "%s %-22s %s, %s left\n", count, id, what, duration(seconds(v.Left)))
		w.last = time.Now()
	}
	if v.State != live.Planning && time.Since(w.last) >= lineInterval {
		w.last = time.Now()
		var running []string
		for i := range v.Running {
			running = append(running, fmt.Sprintf("%s %.0f %%", v.Running[i].ID, 100*v.Running[i].Done))
		}
		fmt.Fprintf(out, "%s %s: %s, %s left\n", count, v.State, strings.Join(running, ", "), duration(seconds(v.Left)))
	}
}

// watchLines is the picture of a search, for a terminal of the given size.
// Trials that do not fit are counted.
func watchLines(v *live.View, width, height int, now time.Time) []string {
	head := fmt.Sprintf("%s  %s on %s", v.State, v.Base, v.Data)
	times := progressLine(v.Ended, v.Total, seconds(v.Spent), seconds(v.Left))
	if v.State == live.Running && v.Left > 0 {
		times += ", ends " + now.Add(seconds(v.Left)).Format("15:04")
	}
	if v.Budget > 0 {
		head += fmt.Sprintf(", budget %s", duration(seconds(v.Budget)))
	}
	if v.Total == 0 {
		times = v.Doing
	}
	lines := []string{head, times, ""}
	parts := newTable("phase", "", ">trials")
	for _, p := range v.Parts {
		parts.add(p.Name, asciiBar(float64(p.Ended)/float64(p.Total), 20), fmt.Sprintf("%d/%d", p.Ended, p.Total))
	}
	lines = append(lines, tableLines(parts)...)
	if v.Best != nil {
		lines = append(lines, "", fmt.Sprintf("best so far  %s, %.2f %% on validation images (%s)", v.Best.Network, 100*v.Best.Accuracy, words.Plural(v.Best.Trials, "trial")))
	}
	if len(v.Running) > 0 {
		running := newTable("running", "for", "", ">epoch", ">accuracy", "curve", ">left")
		room := max(1, height-len(lines)-3)
		for i := range v.Running {
			t := &v.Running[i]
			if i == room {
				running.add(fmt.Sprintf("and %d more", len(v.Running)-room))
				break
			}
			acc := ""
			if t.Accuracy > 0 {
				acc = fmt.Sprintf("%.2f %%", 100*t.Accuracy)
			}
			left := duration(seconds(t.Left))
			if t.Resting {
				left = "rests"
			}
			running.add(t.ID, t.Phase, asciiBar(t.Done, 16), fmt.Sprintf("%d/%d", min(t.Epoch+1, t.Epochs), t.Epochs), acc, sparkline(t.Curve, 16), left)
		}
		lines = append(append(lines, ""), tableLines(running)...)
	}
	if len(lines) > height {
		lines = lines[:height]
	}
	for i := range lines {
		lines[i] = clip(lines[i], width-1)
	}
	if rest, ok := strings.CutPrefix(lines[0], string(v.State)); ok {
		lines[0] = bold(string(v.State)) + rest
	}
	return lines
}

// progressLine is how many trials have ended, as a bar too, and the time.
func progressLine(ended, total int, elapsed, left time.Duration) string {
	share := 0.0
	if total > 0 {
		share = float64(ended) / float64(total)
	}
	return fmt.Sprintf("%s %d of %s, %s elapsed, %s left", asciiBar(share, 30), ended, words.Plural(total, "trial"), duration(elapsed), duration(left))
}

func tableLines(t *table) []string { return strings.Split(strings.TrimRight(t.String(), "\n"), "\n") }

// asciiBar is a bar that is full to a share.
func asciiBar(share float64, width int) string {
	full := max(0, min(width, int(share*float64(width))))
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// sparkline draws the last points of a curve as blocks, on its own scale.
func sparkline(curve []search.Point, width int) string {
	if len(curve) > width {
		curve = curve[len(curve)-width:]
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	lo, hi := 1.0, 0.0
	for _, p := range curve {
		lo, hi = min(lo, p.Accuracy), max(hi, p.Accuracy)
	}
	var b strings.Builder
	for _, p := range curve {
		k := 0
		if hi > lo {
			k = int((p.Accuracy - lo) / (hi - lo) * float64(len(blocks)-1))
		}
		b.WriteRune(blocks[k])
	}
	return b.String()
}
