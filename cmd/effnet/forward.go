package main

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"effnet/arch"
	"effnet/infer"
)

// forward runs a network on many images for a command.
type forward struct {
	*infer.Plan
	c       *cobra.Command
	g       *arch.Graph
	taps    []int // ops whose values are wanted beside the logits
	threads int
}

// newForward compiles m for images of h x w pixels. taps chooses ops of the
// graph; it may be nil.
func newForward(c *cobra.Command, m *loadedModel, h, w, threads int, taps func(g *arch.Graph) []int) (*forward, error) {
	g, err := m.Spec.GraphFor(h, w)
	if err != nil {
		return nil, err
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	f := &forward{c: c, g: g, threads: threads}
	if taps != nil {
		f.taps = taps(g)
	}
	f.Plan, err = infer.Compile(g, m.source(), infer.Options{Threads: threads, Taps: f.taps})
	return f, err
}

// run runs n images, a batch at a time: fill writes those from number first on
// to x [batch,H,W,C], use is given their logits [batch,classes] and taps
// [batch,H,W,C], which are its own only until it returns.
func (f *forward) run(n int, fill func(x []float32, first int) error, use func(logits []float32, taps [][]float32) error) error {
	batch := min(n, evalBatch(f.g))
	elems := f.g.Ops[0].Shape.Elems()
	x, logits := make([]float32, batch*elems), make([]float32, batch*f.Classes())
	values, taps := make([][]float32, len(f.taps)), make([][]float32, len(f.taps))
	for i, op := range f.taps {
		values[i] = make([]float32, batch*f.g.Ops[op].Shape.Elems())
	}
	w := f.c.ErrOrStderr()
	bar := newBar(io.Discard, int64(n))
	if isTerminal(w) {
		bar = newBar(w, int64(n))
	}
	defer bar.Clear()
	start := time.Now()
	for first := 0; first < n; first += batch {
		k := min(batch, n-first)
		if err := fill(x[:k*elems], first); err != nil {
			return err
		}
		for i := range taps {
			taps[i] = values[i][:k*(len(values[i])/batch)]
		}
		if err := f.RunInto(f.c.Context(), x[:k*elems], k, logits[:k*f.Classes()], taps...); err != nil {
			if f.c.Context().Err() != nil {
				err = &interruptedError{}
			}
			return err
		}
		if err := use(logits[:k*f.Classes()], taps); err != nil {
			return err
		}
		bar.Add(k)
	}
	bar.Clear()
	if took := time.Since(start).Seconds(); took > 0 && n > 0 {
		fmt.Fprintf(w, "%s images in %.1fs, %s images/s with %d thread(s)\n", thousands(int64(n)), took, thousands(int64(float64(n)/took)), f.threads)
	}
	return nil
}
