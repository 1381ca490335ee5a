package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"effnet/dataset"
	"effnet/infer"
	"effnet/internal/imagenet"
	"effnet/train"
	"effnet/weights"
)

// evalCmd is the eval command under way.
type evalCmd struct {
	*cobra.Command
	data  dataFlags
	model modelFlags

	split          string
	batch, threads int
	mirror, json   bool
}

func newEvalCmd() *cobra.Command {
	e := &evalCmd{}
	e.Command = &cobra.Command{
		Use:   "eval MODEL --data DATA",
		Short: "Measure a trained network on a data set",
		Long: `Eval runs MODEL, a weights file or a run folder, on every image of one part of a
data set and prints accuracy with its 95 % confidence interval, loss, accuracy
per class and the confusion matrix.

--mirror runs each image a second time, mirrored left to right, and takes the mean
of both logits: a little more accurate at twice the time, where a mirrored image
is of the same class.

For a run folder, --data may be left out: it is then the data the run was
trained on, and --split val and train are the images that training used so.`,
		Example: `  effnet eval run
  effnet eval model.safetensors --data fashion-mnist
  effnet eval model.safetensors --data photos/ --split val --json`,
		Args: exactly("MODEL"),
		RunE: func(_ *cobra.Command, args []string) error { return e.run(args[0]) },
	}
	fs := e.Flags()
	fs.SortFlags = false
	e.data.register(fs)
	e.model.register(fs)
	fs.StringVar(&e.split, "split", "test", "`part` of the data set: test, val or train")
	fs.IntVar(&e.batch, "batch", 0, "images at a time (default: by their size); does not change the result")
	fs.IntVar(&e.threads, "threads", 0, "threads (default: all); does not change the result")
	fs.BoolVar(&e.mirror, "mirror", false, "mean of the logits of each image and of its mirror image")
	fs.BoolVar(&e.json, "json", false, "print the result as JSON")
	return e.Command
}

func (e *evalCmd) run(arg string) error {
	if e.batch < 0 || e.threads < 0 {
		return usagef("eval: --batch and --threads cannot be negative")
	}
	if !slices.Contains([]string{"test", "val", "train"}, e.split) {
		return usagef("eval: --split is %q, want test, val or train", e.split)
	}
	m, err := e.model.load(e.Command, arg)
	if err != nil {
		return err
	}
	model, path := m.Model, m.Path
	set, data, err := e.images(m.Run)
	if err != nil {
		return err
	}
	if model.Labels == nil && model.Spec.Classes == imagenet.Classes {
		model.Labels = imagenetLabels(data.Classes)
	}
	labels, err := matchLabels(model, data.Classes)
	if err != nil {
		return fmt.Errorf("eval: %s and %s: %w", path, data.Name, err)
	}
	if e.threads == 0 {
		e.threads = runtime.GOMAXPROCS(0)
	}
	t := newEvalTally(model, data.Classes, labels)
	start := time.Now()
	err = e.measure(model, set, t)
	switch {
	case e.Context().Err() != nil:
		return &interruptedError{"effnet eval " + shellQuote(arg) + " --data " + shellQuote(e.data.source) + " --split " + e.split}
	case err != nil:
		return fmt.Errorf("eval: %w", err)
	}
	took := time.Since(start)
	rate := float64(t.images) / took.Seconds()
	fmt.Fprintf(e.ErrOrStderr(), "%s images in %.1fs, %s images/s with %d thread(s)\n",
		thousands(int64(t.images)), took.Seconds(), thousands(int64(rate)), e.threads)

	r := t.report()
	r.Model, r.Network, r.Resolution, r.Data, r.Split, r.Mirror = path, model.Spec.Name, model.Spec.Resolution, data.Name, e.split, e.mirror
	if e.json {
		enc := json.NewEncoder(e.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(e.OutOrStdout())
}

// images opens the data set and takes the part that --split names.
func (e *evalCmd) images(run *train.RunConfig) (dataset.Set, *dataset.Data, error) {
	if run != nil && !e.Flags().Changed("data") {
		e.data.source = run.Data.Source
	}
	if run != nil && !e.Flags().Changed("split-seed") {
		e.data.splitSeed = run.Data.SplitSeed
	}
	if run != nil && !e.Flags().Changed("on-bad-image") {
		e.data.onBad = run.Data.BadImages
	}
	data, err := e.data.open(e.Context(), e.ErrOrStderr())
	if err != nil {
		return nil, nil, err
	}
	parts := dataParts{data.Train, data.Val, data.Test}
	if run != nil {
		if run.Data.Subset > 0 {
			part := *data
			part.Train = dataset.Subset(data.Train, run.Data.Subset, e.data.splitSeed)
			data = &part
		}
		job := trainJob{Data: data, Recipe: run.Recipe, SplitSeed: e.data.splitSeed}
		if parts, err = job.parts(); err != nil {
			return nil, nil, err
		}
	}
	set := map[string]dataset.Set{"train": parts.train, "val": parts.val, "test": parts.test}[e.split]
	if set == nil || set.Len() == 0 {
		return nil, nil, fmt.Errorf("eval: %s has no %s images; choose another --split", data.Name, e.split)
	}
	return set, data, nil
}

// imagenetLabels are ImageNet's classes by the kind of name that the data has;
// nil if its classes are others.
func imagenetLabels(classes []string) []string {
	for _, names := range [][]string{imagenet.Synsets(), imagenet.Names()} {
		if !slices.ContainsFunc(classes, func(c string) bool { return !slices.Contains(names, c) }) {
			return names
		}
	}
	return nil
}

// matchLabels gives, for each class of the data, the model's class of that
// name. A model whose classes have no names is taken to have the data's.
func matchLabels(m *weights.Model, classes []string) ([]int, error) {
	labels := make([]int, len(classes))
	if m.Labels == nil {
		if len(classes) != m.Spec.Classes {
			return nil, fmt.Errorf("the data has %d classes, the network %d", len(classes), m.Spec.Classes)
		}
		for i := range labels {
			labels[i] = i
		}
		return labels, nil
	}
	for i, name := range classes {
		if labels[i] = slices.Index(m.Labels, name); labels[i] < 0 {
			return nil, fmt.Errorf("the data has a class %q, the model only has %s", name, list(m.Labels, 12))
		}
	}
	return labels, nil
}

// list joins names, at most n of them.
func list(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	}
	return strings.Join(names, ", ")
}

// measure runs the model on every image of set.
func (e *evalCmd) measure(m *weights.Model, set dataset.Set, t *evalTally) error {
	g, err := m.Spec.Graph()
	if err != nil {
		return err
	}
	plan, err := infer.Compile(g, m.Set, infer.Options{Threads: e.threads})
	if err != nil {
		return err
	}
	defer plan.Close()
	batch := e.batch
	if batch == 0 {
		batch = evalBatch(g)
	}
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	l, err := pipelineOf(&m.Spec, set).Load(ctx, dataset.LoaderOptions{Batch: batch, Workers: e.threads})
	if err != nil {
		return err
	}
	defer l.Close()
	w := e.ErrOrStderr()
	bar := newBar(io.Discard, int64(set.Len()))
	if isTerminal(w) {
		bar = newBar(w, int64(set.Len()))
	}
	defer bar.Clear()
	run := runPlan(plan, &m.Spec, e.mirror)
	logits := make([]float32, batch*plan.Classes())
	for {
		b, err := l.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		out := logits[:b.N*plan.Classes()]
		if err := run(ctx, b.X, b.N, out); err != nil {
			return err
		}
		for i, label := range b.Labels {
			if err := t.add(out[i*plan.Classes():][:plan.Classes()], label); err != nil {
				return fmt.Errorf("image %d: %w", b.IDs[i], err)
			}
		}
		bar.Add(b.N)
	}
}
