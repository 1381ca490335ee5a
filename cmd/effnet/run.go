package main

import (
	"github.com/spf13/cobra"

	"effnet/internal/npy"
)

// runCmd is the run command under way.
type runCmd struct {
	*cobra.Command
	model modelFlags

	input, output string
	layout        layout
	threads       int
}

func newRunCmd() *cobra.Command {
	r := &runCmd{layout: nchw}
	r.Command = &cobra.Command{
		Use:   "run MODEL --input X.npy --output Y.npy",
		Short: "Run a network on an array of numbers",
		Long: `Run reads images from a NumPy array [N,C,H,W] ([N,H,W,C] with --layout nhwc) and
writes the logits of MODEL, a weights file or a run folder, as a NumPy array
[N,classes] of float32.

The numbers go into the network as they are: pixels have to be normalised
already ('effnet show' tells how; 'effnet classify' does it itself). N, H and W
are any; the network is laid out for the size of the images. Floats, integers
and booleans of every width are read.`,
		Example: `  effnet run model.safetensors --input x.npy --output logits.npy
  effnet run tf_b3.pth --net tf_efficientnet_b3 --input x.npy --output y.npy --layout nhwc`,
		Args: exactly("MODEL"),
		RunE: func(_ *cobra.Command, args []string) error { return r.run(args[0]) },
	}
	fs := r.Flags()
	fs.SortFlags = false
	fs.StringVar(&r.input, "input", "", "array of images to read, a .npy `file`")
	fs.StringVar(&r.output, "output", "", "array of logits to write, a .npy `file`")
	fs.Var(&r.layout, "layout", "order of the input's dimensions")
	r.model.running = true
	r.model.register(fs)
	fs.IntVar(&r.threads, "threads", 0, "threads (default: all); does not change the result")
	return r.Command
}

func (r *runCmd) run(arg string) error {
	switch {
	case r.input == "":
		return usagef("run: say what to run on with --input X.npy")
	case r.output == "":
		return usagef("run: say where the logits go with --output Y.npy")
	case r.threads < 0:
		return usagef("run: --threads cannot be negative")
	}
	m, err := r.model.load(r.Command, arg)
	if err != nil {
		return err
	}
	in, err := openImages(r.input, r.layout, m.Spec.Channels)
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := newForward(r.Command, m, in.h, in.w, r.threads, nil)
	if err != nil {
		return err
	}
	defer f.Close()
	out := npy.Create(r.output, in.n, f.Classes())
	defer out.Abort()
	err = f.run(in.n, in.read, func(logits []float32, _ [][]float32) error { return out.Write(logits) })
	if err != nil {
		return err
	}
	return out.Close()
}
