package main

import (
	"context"
	"slices"

	"effnet/arch"
	"effnet/infer"
)

// logitsOf computes the logits out [n,classes] of images x [n,H,W,C], which it may
// change.
type logitsOf func(ctx context.Context, x []float32, n int, out []float32) error

// runPlan runs plan, of a network of spec s; with mirror twice, on images and on
// their mirror images, for the mean of both logits.
func runPlan(plan *infer.Plan, s *arch.Spec, mirror bool) logitsOf {
	once := func(ctx context.Context, x []float32, n int, out []float32) error {
		return plan.RunInto(ctx, x, n, out)
	}
	if !mirror {
		return once
	}
	var other []float32
	return func(ctx context.Context, x []float32, n int, out []float32) error {
		if err := once(ctx, x, n, out); err != nil {
			return err
		}
		mirrorRows(x, s.Resolution, s.Channels)
		other = slices.Grow(other[:0], len(out))[:len(out)]
		if err := once(ctx, x, n, other); err != nil {
			return err
		}
		for i, v := range other {
			out[i] = (out[i] + v) / 2
		}
		return nil
	}
}

// mirrorRows turns every row of x [rows,width,channels] around.
func mirrorRows(x []float32, width, channels int) {
	for row := range slices.Chunk(x, width*channels) {
		for i, j := 0, (width-1)*channels; i < j; i, j = i+channels, j-channels {
			for c := range channels {
				row[i+c], row[j+c] = row[j+c], row[i+c]
			}
		}
	}
}
