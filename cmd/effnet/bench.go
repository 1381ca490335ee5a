package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"effnet/internal/kernel"
	"effnet/train"
)

// benchCmd is the bench command under way.
type benchCmd struct {
	*cobra.Command
	model modelFlags

	batch, threads int
	seconds        positive
	resolution     pixels
	rounds         int
	json, ops      bool
	roofline       string // the figure's file

	compare []string
	python  string

	train     bool
	optimizer string
	lr        positive // 0: the recipe's
	losses    int
	memory    amount
	data      string
	start     string
	machine   bool
	serve     string // this process is one of those measured: its job's file

	kernel string // the kernels' name
	dir    string // of the files that the engines share; empty before it is made
}

func newBenchCmd() *cobra.Command {
	b := &benchCmd{seconds: 2}
	b.Command = &cobra.Command{
		Use:   "bench MODEL|NET",
		Short: "Measure how fast a network runs or trains, alone or beside other engines",
		Long: `Bench measures MODEL, a weights file or a run folder, or NET, the name of a
network or a spec file, which gets random weights: the time of a run over a
batch, images and arithmetic a second, the share of what this machine's
multiply-add units can do, and the most memory the process held.

--compare runs other engines on the same numbers, from a Python that has them:

  ort            ONNX Runtime             openvino   OpenVINO
  torch          PyTorch, channels_last   effnet-1   effnet with one thread
  torch-eager    PyTorch as it comes
  torch-compile  PyTorch, torch.compile

Each engine is a process of its own, limited to --threads. They are measured in
turns for --seconds each, --rounds times; figures are medians of rounds. Their
logits must agree with effnet's to 1e-3 of the largest, else the exit status is
1. Without --compare there is one round.

--ops times the steps of the network, and --roofline draws them: how much
arithmetic they do with a byte, and how near they come to what the machine's
multiply-adds and memory can do.

--train measures whole training steps: forward, backward, update. With --losses it
takes so many steps in each engine instead, from the same weights on the same
batches, and compares losses, weights and running statistics with those of
PyTorch in float64: effnet may be as far from them as twice what PyTorch's own
float32 is, else the exit status is 1.

--start measures from the start of a process to its first answer. --machine needs
no network: it measures the machine. EFFNET_KERNEL chooses effnet's kernels:
avx512, avx2, neon (on arm64) or go. See docs/bench.md.`,
		Example: `  effnet bench efficientnet_b0 --threads 1
  effnet bench model.safetensors --batch 16 --ops
  effnet bench efficientnet_b0 --roofline roofline.svg
  effnet bench efficientnet_b0 --compare ort,openvino --python venv/bin/python --json
  effnet bench efficientnet_b0 --start cat.jpg --compare ort
  effnet bench --train small_1m --batch 128
  effnet bench --train small_1m --batch 128 --data fashion-mnist --losses 200 --compare torch,torch-eager
  effnet bench --machine`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case (b.machine || b.serve != "") && len(args) == 0:
				return nil
			case b.machine:
				return usagef("bench: --machine measures the machine and takes no %s", args[0])
			}
			return exactly("MODEL|NET")(b.Command, args)
		},
		ValidArgsFunction: completeNet,
		RunE:              func(_ *cobra.Command, args []string) error { return b.run(args) },
	}
	fs := b.Flags()
	fs.SortFlags = false
	fs.IntVar(&b.batch, "batch", 0, "images of a run or a step (default: 1, with --train 32)")
	fs.IntVar(&b.threads, "threads", 0, "threads of every engine (default: all)")
	fs.Var(&b.seconds, "seconds", "how long to measure, each round")
	fs.Var(&b.resolution, "resolution", "image side (default: the network's)")
	fs.BoolVar(&b.ops, "ops", false, "also the time of every step of the network")
	fs.StringVar(&b.roofline, "roofline", "", "also draw every step beside the machine's ceilings: a `file`.svg or .png")
	fs.BoolVar(&b.json, "json", false, "print JSON")
	fs.StringSliceVar(&b.compare, "compare", nil, "other `engines` to measure in turns: "+strings.Join(peerNames(), ","))
	fs.StringVar(&b.python, "python", "python3", "the Python that has them, a `program`")
	fs.IntVar(&b.rounds, "rounds", 5, "of --compare and --start")
	fs.BoolVar(&b.train, "train", false, "measure training steps")
	fs.StringVar(&b.optimizer, "optimizer", "rmsprop", "of --train: "+train.OptimizerChoices())
	fs.Var(&b.lr, "lr", "of --train: the learning `rate` (default: that of the recipe efficientnet for this batch)")
	fs.IntVar(&b.losses, "losses", 0, "of --train: compare the losses of so many `steps` instead of the time")
	b.memory.base = 1024
	fs.Var(&b.memory, "memory", "of --train: effnet's limit, such as 600M (see 'effnet train')")
	fs.StringVar(&b.data, "data", "", "of --train: the data `set` to train on (default: noise)")
	fs.StringVar(&b.start, "start", "", "measure from process start to the class of this `image`")
	fs.BoolVar(&b.machine, "machine", false, "measure the machine: multiply-adds and memory")
	b.model.register(fs)
	fs.StringVar(&b.serve, "serve", "", "")
	fs.Lookup("serve").Hidden = true
	return b.Command
}

func (b *benchCmd) run(args []string) error {
	if b.serve != "" {
		return serveBench(b.Context(), b.serve, b.InOrStdin(), b.OutOrStdout())
	}
	impl, err := b.check()
	if err != nil {
		return err
	}
	b.kernel = impl.Name
	if b.machine {
		return b.runMachine(impl)
	}
	defer func() { os.RemoveAll(b.dir) }()
	switch {
	case b.start != "":
		err = b.runStart(args[0])
	case b.losses != 0:
		err = b.runLosses(args[0])
	case b.train:
		err = b.runTrain(impl, args[0])
	default:
		err = b.runInfer(impl, args[0])
	}
	if b.Context().Err() != nil {
		return &interruptedError{}
	}
	return err
}

// benchModes are the ways of this command, with the flags that mean nothing there.
var benchModes = []struct {
	flag     string // "" is inference
	on       func(b *benchCmd) bool
	excludes []string
}{
	{"machine", func(b *benchCmd) bool { return b.machine }, []string{"train", "start", "batch", "seconds", "resolution", "ops", "roofline", "compare", "python", "rounds", "net", "optimizer", "memory", "data", "losses"}},
	{"start", func(b *benchCmd) bool { return b.start != "" }, []string{"train", "batch", "seconds", "ops", "roofline", "optimizer", "memory", "data", "losses"}},
	{"losses", func(b *benchCmd) bool { return b.train && b.losses != 0 }, []string{"ops", "roofline", "seconds", "rounds"}},
	{"train", func(b *benchCmd) bool { return b.train }, []string{"ops", "roofline"}},
	{"", func(*benchCmd) bool { return true }, []string{"optimizer", "memory", "data", "losses"}},
}

// check holds the flags against each other and fills in what they leave open.
func (b *benchCmd) check() (*kernel.Impl, error) {
	for _, m := range benchModes {
		if !m.on(b) {
			continue
		}
		for _, f := range m.excludes {
			switch {
			case !b.Flags().Changed(f):
			case m.flag == "":
				return nil, usagef("bench: --%s is of --train", f)
			default:
				return nil, usagef("bench: --%s does not go with --%s", f, m.flag)
			}
		}
		break
	}
	switch {
	case b.batch < 0 || b.batch == 0 && b.Flags().Changed("batch"):
		return nil, usagef("bench: --batch is %d, want at least 1", b.batch)
	case b.threads < 0:
		return nil, usagef("bench: --threads cannot be negative")
	case b.losses < 0 || b.losses == 0 && b.Flags().Changed("losses"):
		return nil, usagef("bench: --losses is %d, want at least 1", b.losses)
	case b.losses > 0 && len(b.compare) == 0:
		return nil, usagef("bench: --losses wants engines to --compare with: torch, torch-eager or torch-compile")
	case b.rounds < 1:
		return nil, usagef("bench: --rounds is %d, want at least 1", b.rounds)
	case len(b.compare) == 0 && b.Flags().Changed("python"):
		return nil, usagef("bench: --python is for --compare")
	case len(b.compare) == 0 && b.start == "" && b.Flags().Changed("rounds"):
		return nil, usagef("bench: --rounds is for --compare and --start")
	}
	for i, name := range b.compare {
		p, err := findPeer(name)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(b.compare[:i], name):
			return nil, usagef("bench: --compare names %s twice", name)
		case b.train && !p.trains:
			return nil, usagef("bench: %s does not train; --train compares with torch, torch-eager and torch-compile", name)
		case b.train && name != singleEngine && b.optimizer == "muon":
			return nil, usagef("bench: %s has no Muon in float32; --optimizer muon does not compare with it", name)
		case (b.start != "" || b.losses > 0) && name == singleEngine:
			return nil, usagef("bench: %s is a matter of speed; --start and --losses do not compare with it", name)
		}
	}
	if b.threads == 0 {
		b.threads = runtime.GOMAXPROCS(0)
	}
	if b.batch == 0 {
		b.batch = 1
		if b.train {
			b.batch = 32
		}
	}
	if b.roofline != "" {
		if err := checkFigure("bench: --roofline", b.roofline); err != nil {
			return nil, err
		}
	}
	impl, err := kernel.Lookup("")
	if err != nil {
		return nil, &usageError{err}
	}
	return impl, nil
}

// load loads the MODEL or NET at the resolution asked for.
func (b *benchCmd) load(arg string) (*loadedModel, error) {
	m, err := b.model.loadOrInit(b.Command, arg, 0)
	if err != nil {
		return nil, err
	}
	if b.resolution > 0 {
		m.Spec.Resolution = int(b.resolution)
	}
	if _, err := m.Spec.Graph(); err != nil {
		return nil, err
	}
	return m, nil
}

// makeDir makes the folder of the files that the engines share.
func (b *benchCmd) makeDir() (err error) {
	b.dir, err = os.MkdirTemp("", "effnet-bench-")
	return err
}

func (b *benchCmd) time() time.Duration { return seconds(float64(b.seconds)) }

func (b *benchCmd) printf(format string, args ...any) { fmt.Fprintf(b.OutOrStdout(), format, args...) }
