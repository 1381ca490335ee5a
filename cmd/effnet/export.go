package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	lib "effnet"
	"effnet/onnx"
)

// exportCmd is the export command under way.
type exportCmd struct {
	*cobra.Command
	model modelFlags

	out      string
	seed     uint64
	bn       string
	freeSize bool
}

func newExportCmd() *cobra.Command {
	e := &exportCmd{}
	e.Command = &cobra.Command{
		Use:   "export NET|MODEL -o FILE",
		Short: "Write a network and its weights for other programs: ONNX, safetensors",
		Long: `Export writes MODEL, a weights file or a run folder, in the format that the
ending of FILE names:

  .onnx         for onnxruntime, OpenVINO and others: input [N,3,H,W] of
                normalised pixels with any N, output logits [N,classes]
  .safetensors  for timm and PyTorch: tensors by timm's names

Either holds the network's spec, the names of its classes and its preprocessing
in the metadata. A NET, the name of a network or a spec file, gets random
weights: the same for the same --seed. See docs/export.md.`,
		Example: `  effnet export run -o model.onnx
  effnet export efficientnet_b0 --seed 7 -o b0.safetensors
  effnet export checkpoint.pth --net tf_efficientnet_b3 -o b3.onnx --bn keep`,
		Args:              exactly("NET|MODEL"),
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return e.run(args[0]) },
	}
	fs := e.Flags()
	fs.SortFlags = false
	fs.StringVarP(&e.out, "out", "o", "", "`file` to write; its ending is the format: .onnx or .safetensors")
	e.model.register(fs)
	fs.Uint64Var(&e.seed, "seed", 0, "of the random weights of a NET")
	fs.StringVar(&e.bn, "bn", "fold", "batch norms of an ONNX file: fold them into the convolutions, or keep them (`fold|keep`)")
	fs.BoolVar(&e.freeSize, "free-size", false, "leave height and width of an ONNX file's input free")
	return e.Command
}

func (e *exportCmd) run(arg string) error {
	format := strings.ToLower(filepath.Ext(e.out))
	switch {
	case e.out == "":
		return usagef("export: say where to with -o FILE, which ends in .onnx or .safetensors")
	case format != ".onnx" && format != ".safetensors":
		return usagef("export: %s: want a file that ends in .onnx or .safetensors", e.out)
	case e.bn != "fold" && e.bn != "keep":
		return usagef("export: --bn is %q, want fold or keep", e.bn)
	case format != ".onnx" && (e.Flags().Changed("bn") || e.freeSize):
		return usagef("export: --bn and --free-size are for .onnx files")
	}
	m, err := e.model.loadOrInit(e.Command, arg, e.seed)
	if err != nil {
		return err
	}
	if m.Path != "" && e.Flags().Changed("seed") {
		return usagef("export: --seed is for random weights, %s has its own", arg)
	}
	if m.Path != "" {
		m.Labels = lib.ClassNames(m.Model)
	}
	if format == ".onnx" {
		err = onnx.WriteFile(e.out, m.Model, onnx.Options{KeepBatchNorm: e.bn == "keep", FreeSize: e.freeSize})
	} else {
		err = m.Write(e.out)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(e.out)
	if err != nil {
		return err
	}
	what := m.Spec.Name
	if m.Path == "" {
		what += fmt.Sprintf(" with random weights of seed %d", e.seed)
	}
	fmt.Fprintf(e.ErrOrStderr(), "wrote %s: %s, %s\n", e.out, what, size(info.Size()))
	return nil
}
