package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	lib "effnet"
	"effnet/arch"
	"effnet/internal/npy"
)

// featuresCmd is the features command under way.
type featuresCmd struct {
	*cobra.Command
	model modelFlags
	prep  prepFlags

	input, out string
	layout     layout
	threads    int
}

func newFeaturesCmd() *cobra.Command {
	f := &featuresCmd{layout: nchw}
	f.Command = &cobra.Command{
		Use:   "features MODEL IMAGE...|--input X.npy -o DIR",
		Short: "Write what a network sees in images, for other uses than its own classes",
		Long: `Features runs MODEL, a weights file or a run folder, on images and writes NumPy
arrays of float32 into the folder DIR:

  pooled.npy       [N,C]      the embedding: what the classifier is given
  reduction_1.npy  [N,C,H,W]  the last map of the largest resolution below the
  reduction_2.npy             image's, of the next one, and so on: for an
  ...                         EfficientNet a half, a quarter, ... of the image

Images are prepared as for 'effnet classify'; all have to be readable. Numbers
from --input, an array [N,C,H,W] of any size, go in as they are. --layout nhwc
is the order of dimensions of both the input and the maps.`,
		Example: `  effnet features model.safetensors photos/*.jpg -o features
  effnet features model.safetensors --input x.npy -o features --layout nhwc`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("features wants MODEL and images; see 'effnet features --help'")
			}
			return f.run(args[0], args[1:])
		},
	}
	fs := f.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.input, "input", "", "array of images instead of IMAGE, a .npy `file`")
	fs.StringVarP(&f.out, "out", "o", "", "`folder` to write to")
	fs.Var(&f.layout, "layout", "order of dimensions")
	f.model.running = true
	f.model.register(fs)
	f.prep.register(fs)
	fs.IntVar(&f.threads, "threads", 0, "threads (default: all); does not change the result")
	return f.Command
}

func (f *featuresCmd) run(arg string, images []string) error {
	switch {
	case f.out == "":
		return usagef("features: say where to with -o DIR")
	case f.input == "" && len(images) == 0:
		return usagef("features: give images, or an array with --input X.npy")
	case f.input != "" && len(images) > 0:
		return usagef("features: --input and images exclude each other")
	case f.input != "" && f.prep != prepFlags{}:
		return usagef("features: --resolution, --crop and --filter are for images, an array goes in as it is")
	case f.threads < 0:
		return usagef("features: --threads cannot be negative")
	}
	m, err := f.model.load(f.Command, arg)
	if err != nil {
		return err
	}
	var h, w, n int
	var fill func(x []float32, first int) error
	if f.input != "" {
		in, err := openImages(f.input, f.layout, m.Spec.Channels)
		if err != nil {
			return err
		}
		defer in.Close()
		h, w, n, fill = in.h, in.w, in.n, in.read
	} else {
		if err := f.prep.apply("features", &m.Spec); err != nil {
			return err
		}
		h, w = m.Spec.Resolution, m.Spec.Resolution
		prep, err := lib.NewPreparer(&m.Spec)
		if err != nil {
			return err
		}
		photos := photosOf(images)
		n = len(photos)
		fill = func(x []float32, first int) error {
			for i := range len(x) / prep.Elems() {
				im, err := photos[first+i].read(f.InOrStdin())
				if err != nil {
					return err
				}
				prep.Apply(x[i*prep.Elems():][:prep.Elems()], im)
			}
			return nil
		}
	}
	net, err := newForward(f.Command, m, h, w, f.threads, func(g *arch.Graph) []int { return append([]int{g.Features}, g.Taps...) })
	if err != nil {
		return err
	}
	defer net.Close()
	return f.write(net, n, fill)
}

// write runs the network and writes the arrays.
func (f *featuresCmd) write(net *forward, n int, fill func(x []float32, first int) error) error {
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return err
	}
	var files []*npy.Writer
	for i, op := range net.taps {
		name, s := "pooled.npy", net.g.Ops[op].Shape
		shape := []int{n, s.C}
		if i > 0 {
			name, shape = fmt.Sprintf("reduction_%d.npy", i), f.layout.shape(n, s.H, s.W, s.C)
		}
		w := npy.Create(filepath.Join(f.out, name), shape...)
		defer w.Abort()
		files = append(files, w)
	}
	var buf []float32
	err := net.run(n, fill, func(_ []float32, taps [][]float32) error {
		for i, x := range taps {
			s := net.g.Ops[net.taps[i]].Shape
			if f.layout == nchw {
				buf = append(buf[:0], x...)
				for at := 0; at < len(x); at += s.Elems() {
					toNCHW(buf[at:at+s.Elems()], x[at:at+s.Elems()], s.H*s.W, s.C)
				}
				x = buf
			}
			if err := files[i].Write(x); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range files {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}
