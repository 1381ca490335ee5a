package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"effnet/train"
)

// isTerminal reports whether w is a terminal, which bars are drawn on.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// newBar is a progress bar over total units on the terminal w.
func newBar(w io.Writer, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(10),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
	)
}

// trainProgress shows how training gets on: a bar on a terminal, plain lines
// elsewhere.
type trainProgress struct {
	w    io.Writer
	bar  *progressbar.ProgressBar // nil elsewhere
	last time.Time                // of the last plain line
}

// lineInterval is the longest silence where there is no terminal.
const lineInterval = 15 * time.Second

func newTrainProgress(w io.Writer) *trainProgress { return &trainProgress{w: w} }

func (t *trainProgress) observer() train.Observer {
	return train.Observer{Start: t.start, Step: t.step, Epoch: t.epoch, Note: t.note}
}

func (t *trainProgress) start(p train.Progress) {
	t.last = time.Now()
	if p.Step > 0 && p.Step < p.Steps {
		fmt.Fprintf(t.w, "going on from epoch %d of %d, step %d of %d\n", p.Step*p.Epochs/p.Steps+1, p.Epochs, p.Step, p.Steps)
	}
	if isTerminal(t.w) && p.Step < p.Steps {
		t.bar = newBar(t.w, int64(p.Steps))
	}
}

// dataBound is the share of its time from which on a run that waits for images
// says so.
const dataBound = 0.1

func waitText(share float64) string {
	if share <= dataBound {
		return ""
	}
	return fmt.Sprintf(", data-bound (%.0f %% waiting)", 100*share)
}

func (t *trainProgress) step(p train.Progress) {
	middle := fmt.Sprintf("acc %.1f%%", 100*p.Accuracy)
	if p.DataWait > dataBound {
		middle = "data-bound"
	}
	switch {
	case t.bar != nil: // 80 columns wide at most
		t.bar.Describe(fmt.Sprintf("%d/%d  loss %.3f  %s  %s img/s  %s left",
			p.Epoch, p.Epochs, p.Loss, middle, thousands(int64(math.Round(p.ImagesPerSecond))), duration(p.Left)))
		t.bar.Set(p.Step)
	case time.Since(t.last) >= lineInterval:
		t.last = time.Now()
		fmt.Fprintf(t.w, "epoch %d/%d  loss %.3f  accuracy %.1f %%  %s images/s%s  %s left\n",
			p.Epoch, p.Epochs, p.Loss, 100*p.Accuracy, thousands(int64(math.Round(p.ImagesPerSecond))), waitText(p.DataWait), duration(p.Left))
	}
}

func (t *trainProgress) epoch(e train.EpochRecord, p train.Progress) {
	t.last = time.Now()
	line := fmt.Sprintf("epoch %*d/%d  train loss %.3f accuracy %5.2f %%", len(fmt.Sprint(p.Epochs)), e.Epoch, p.Epochs, e.TrainLoss, 100*e.TrainAccuracy)
	if e.ValLoss != nil {
		line += fmt.Sprintf("  val loss %.3f accuracy %5.2f %%", *e.ValLoss, 100**e.ValAccuracy)
	}
	line += fmt.Sprintf("  %s images/s%s  %s elapsed", thousands(int64(math.Round(e.ImagesPerSecond))), waitText(e.DataWait), duration(p.Elapsed))
	if p.Left > 0 {
		line += fmt.Sprintf("  %s left", duration(p.Left))
	}
	if p.Stage.Of > 1 {
		line += fmt.Sprintf("  at %d px", e.Resolution)
	}
	t.print(line)
	if t.bar != nil {
		t.bar.Set(p.Step)
	}
}

func (t *trainProgress) note(msg string) { t.print("note: " + msg) }

// print writes a line above the bar.
func (t *trainProgress) print(line string) {
	if t.bar != nil {
		t.bar.Clear()
	}
	fmt.Fprintln(t.w, line)
	if t.bar != nil {
		t.bar.RenderBlank()
	}
}

// close removes the bar.
func (t *trainProgress) close() {
	if t.bar != nil {
		t.bar.Clear()
	}
}

// download shows the downloads of a data set.
type download struct {
	w    io.Writer
	file string
	bar  *progressbar.ProgressBar
}

func newDownload(w io.Writer) *download { return &download{w: w} }

func (d *download) progress(file string, done, total int64) {
	if file != d.file {
		d.close()
		d.file = file
		if isTerminal(d.w) {
			d.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(d.w), progressbar.OptionSetWidth(20),
				progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetTheme(progressbar.ThemeASCII),
				progressbar.OptionSetDescription("download "+file))
		} else {
			fmt.Fprintf(d.w, "download %s\n", file)
		}
	}
	if d.bar != nil {
		d.bar.Set64(done)
	}
}

func (d *download) close() {
	if d.bar != nil {
		d.bar.Clear()
		d.bar = nil
	}
}

// duration is d to the second: 5s, 2m05s, 1h02m.
func duration(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// shellQuote makes s one word of a shell command.
func shellQuote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=,+@%", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
