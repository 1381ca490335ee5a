package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"effnet/arch"
	"effnet/train"
)

// stopAfter is a train.Source that ends its run when n batches were read.
type stopAfter struct {
	train.Source
	n    *int
	stop func()
}

func (s stopAfter) Epoch(ctx context.Context, epoch, first int) (train.Batches, error) {
	b, err := s.Source.Epoch(ctx, epoch, first)
	return stopBatches{b, s}, err
}

type stopBatches struct {
	train.Batches
	source stopAfter
}

func (b stopBatches) Next() ([]float32, train.Targets, error) {
	if *b.source.n == 0 {
		b.source.stop()
	}
	*b.source.n--
	return b.Batches.Next()
}

// TestResumeAugmented stops a run with each kind of augmentation inside an
// epoch and lets it go on: the model must be that of a run left alone, and
// another than without the augmentation.
func TestResumeAugmented(t *testing.T) {
	d := openData(t, "synthetic:classes=4,size=8,train=40,test=4")
	spec, _, err := adaptSpec(t.Context(), arch.MustLookup("small_300k"), d, 8)
	if err != nil {
		t.Fatal(err)
	}
	base, err := train.LookupRecipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	base.Epochs, base.Batch, base.Validation = 2, 8, 0
	models := map[string]string{}
	for _, c := range []struct {
		name   string
		change func(r *train.Recipe)
	}{
		{"plain", func(r *train.Recipe) {}},
		{"v0", func(r *train.Recipe) { r.AutoAugment = "v0" }},
		{"rand", func(r *train.Recipe) { r.AutoAugment = "rand-m9-n2-p1-mstd0.5-inc1" }},
		{"erasing", func(r *train.Recipe) { r.Erasing = 0.5 }},
		{"mixup", func(r *train.Recipe) { r.Mixup = 0.4 }},
		{"all", func(r *train.Recipe) { r.AutoAugment, r.Erasing, r.Mixup = "v0", 0.5, 0.4 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := trainJob{Spec: spec, Data: d, Source: "synthetic", Recipe: base}
			c.change(&job.Recipe)
			parts, err := job.parts()
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := job.config(parts)
			if err != nil {
				t.Fatal(err)
			}
			run := func(dir string, threads, stop int) (string, error) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				src, err := newSource(&cfg, parts.train, threads)
				if err != nil {
					return "", err
				}
				_, err = train.Run(ctx, train.Job{
					Config: cfg, Source: stopAfter{src, &stop, cancel}, Labels: d.Classes, Threads: threads,
					Dir: dir, CheckpointEvery: time.Hour,
				})
				if err != nil {
					return "", err
				}
				model, err := os.ReadFile(filepath.Join(dir, train.ModelFile))
				return string(model), err
			}
			want, err := run(filepath.Join(t.TempDir(), "whole"), 1, -1)
			if err != nil {
				t.Fatal(err)
			}
			for other, m := range models {
				if m == want {
					t.Errorf("the model is that of %s", other)
				}
			}
			models[c.name] = want
			for _, stop := range []int{2, 7} {
				dir := filepath.Join(t.TempDir(), "cut")
				if _, err := run(dir, 1, stop); !errors.Is(err, train.ErrInterrupted) {
					t.Fatalf("stopped at %d: %v", stop, err)
				}
				got, err := run(dir, 2, -1)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("stopped at %d, the model differs", stop)
				}
			}
		})
	}
}
