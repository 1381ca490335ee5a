package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	searchreport "effnet/report"
	"effnet/train"
)

// lrFindCmd is the lr-find command under way. What it trains, it prepares as
// train does.
type lrFindCmd struct {
	trainCmd
	test   train.LRRange
	figure string
}

func newLRFindCmd() *cobra.Command {
	l := &lrFindCmd{test: train.DefaultLRRange()}
	l.Command = &cobra.Command{
		Use:   "lr-find {NET|MODEL} --data DATA",
		Short: "Find a learning rate: train for a few steps while it rises",
		Long: `Lr-find trains a network for some steps, the learning rate rising exponentially
from one to the next, until the loss grows to several times its lowest. It prints
where the smoothed loss fell steepest, and a tenth of where it was lowest: peak
learning rates (--lr) to start from. Batch, optimizer and augmentation are the
recipe's, its schedule is not used. Nothing is kept.`,
		Example: `  effnet lr-find small_1m --data fashion-mnist
  effnet lr-find net.yaml --data photos/ --optimizer sgd --batch 32 -o lr.svg`,
		Args:              exactly("NET"),
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return l.run(args[0]) },
	}
	fs := l.Flags()
	fs.SortFlags = false
	l.data.register(fs)
	fs.IntVar(&l.trainImages, "train-images", 0, "train on this `many` of the training images, every class in proportion (default: all)")
	fs.Float64Var(&l.test.From, "from", l.test.From, "learning rate of the first step")
	fs.Float64Var(&l.test.To, "to", l.test.To, "learning rate of the last step")
	fs.IntVar(&l.test.Steps, "steps", l.test.Steps, "`steps` at most")
	fs.Float64Var(&l.test.Smoothing, "smoothing", l.test.Smoothing, "`share` of the past in the smoothed loss")
	fs.Float64Var(&l.test.Diverged, "diverged", l.test.Diverged, "end when the smoothed loss is this many `times` its lowest")
	fs.StringVarP(&l.figure, "output", "o", "", "`FIGURE` to draw, .svg or .png")
	fs.BoolVar(&l.json, "json", false, "print all points and the result as JSON")
	fs.IntVar(&l.resolution, "resolution", 0, "`pixels` a side that the network sees (default: the network's)")
	l.start.register(fs)
	fs.IntVar(&l.threads, "threads", 0, "threads (default: all); does not change the result")
	l.recipe.register(fs, "lr", "schedule", "warmup", "lr-per-256", "decay-rate", "decay-epochs", "progressive", "first-resolution", "first-dropout", "first-drop-path", "epochs", "ema")
	return l.Command
}

func (l *lrFindCmd) run(arg string) error {
	if l.threads < 0 || l.resolution < 0 || l.trainImages < 0 {
		return usagef("lr-find: --threads, --resolution and --train-images cannot be negative")
	}
	if err := l.test.Check(); err != nil {
		return &usageError{err}
	}
	if l.figure != "" {
		if err := checkFigure("lr-find: -o", l.figure); err != nil {
			return err
		}
	}
	job, err := l.prepare(arg)
	if err == nil {
		var res *train.LRResult
		if res, err = l.find(job); err == nil {
			return l.report(&job, res)
		}
	}
	if l.Context().Err() != nil {
		return &interruptedError{}
	}
	return err
}

// find makes the test.
func (l *lrFindCmd) find(job trainJob) (*train.LRResult, error) {
	job.Recipe.Progressive = 0 // at the network's resolution
	parts, cfg, err := job.settle()
	if err != nil {
		return nil, err
	}
	if l.threads == 0 {
		l.threads = runtime.GOMAXPROCS(0)
	}
	src, err := newSource(&cfg, parts.train, l.threads)
	if err != nil {
		return nil, err
	}
	run := train.Job{Config: cfg, Source: src, Start: job.Weights, Threads: l.threads}
	tell, done := func(train.LRPoint) {}, func() {}
	if w := l.ErrOrStderr(); isTerminal(w) {
		bar := newBar(w, int64(l.test.Steps))
		tell, done = func(p train.LRPoint) {
			bar.Describe(fmt.Sprintf("learning rate %.2g  loss %.3f", p.LR, p.Smoothed))
			bar.Add(1)
		}, func() { bar.Clear() }
	}
	defer done()
	return train.FindLR(l.Context(), run, l.test, tell)
}

// report prints the result and draws it.
func (l *lrFindCmd) report(job *trainJob, res *train.LRResult) error {
	if l.figure != "" {
		c := searchreport.LRCurve{Title: fmt.Sprintf("%s on %s, %s, batch %d", job.Spec.Name, job.Data.Name, job.Recipe.Optimizer, job.Recipe.Batch)}
		for _, p := range res.Points {
			c.Points = append(c.Points, searchreport.LRCurvePoint(p))
		}
		if res.Steepest > 0 {
			c.Marks = []searchreport.LRMark{{Name: "steepest", LR: res.Steepest}, {Name: "lowest / 10", LR: res.Tenth}, {Name: "lowest", LR: res.Lowest}}
		}
		if err := c.Write(l.figure); err != nil {
			return err
		}
	}
	w := l.OutOrStdout()
	if l.json {
		return writeJSON(w, res)
	}
	if res.Stopped != "" {
		fmt.Fprintf(l.ErrOrStderr(), "ended after %d of %d steps: %s\n", len(res.Points), l.test.Steps, res.Stopped)
	}
	if res.Steepest == 0 {
		return errors.New("lr-find: the loss never fell; try a lower --from, a higher --to or more --steps")
	}
	t := newTable("learning rate", ">", "")
	t.add("steepest", fmt.Sprintf("%.2e", res.Steepest), "the smoothed loss falls fastest")
	t.add("lowest / 10", fmt.Sprintf("%.2e", res.Tenth), "a tenth of where it is lowest")
	t.add("lowest", fmt.Sprintf("%.2e", res.Lowest), "from here on it grows")
	_, err := fmt.Fprint(w, t)
	return err
}
