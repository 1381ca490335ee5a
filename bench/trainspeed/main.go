// Command trainspeed measures whole training steps of one network: forward,
// backward, and the update of TensorFlow's RMSProp. By itself it prints one
// line of JSON; with -serve it is one side of bench/train.py, which runs it and
// PyTorch in turns on the same batches.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"effnet/arch"
	"effnet/internal/ref/golden"
	"effnet/train"
)

func main() {
	net := flag.String("net", "small_1m", "network: a name or a spec `file`")
	batch := flag.Int("batch", 128, "images a step")
	threads := flag.Int("threads", 1, "threads")
	kern := flag.String("kernel", "", "kernels: go, avx2, avx512; empty: the best")
	images := flag.String("images", "", "`file` of float32 images, NHWC, whole batches; empty: pseudo-random ones")
	labels := flag.String("labels", "", "`file` of int32 labels")
	seconds := flag.Float64("seconds", 3, "how long to measure")
	serve := flag.Bool("serve", false, "answer commands on stdin: 'losses N' and 'time SECONDS'")
	describe := flag.Bool("describe", false, "print the network as JSON and exit")
	flag.Parse()
	if err := run(*net, *batch, *threads, *kern, *images, *labels, *seconds, *serve, *describe); err != nil {
		fmt.Fprintln(os.Stderr, "trainspeed:", err)
		os.Exit(1)
	}
}

func run(net string, batch, threads int, kern, images, labels string, seconds float64, serve, describe bool) error {
	spec, err := lookup(net)
	if err != nil {
		return err
	}
	// The measured step has no randomness, so that losses can be compared.
	spec.Dropout, spec.DropPath = 0, 0
	if describe {
		return json.NewEncoder(os.Stdout).Encode(description(&spec))
	}
	runtime.GOMAXPROCS(threads)
	b, err := newBench(spec, batch, threads, kern, images, labels)
	if err != nil {
		return err
	}
	defer b.trainer.Close()
	out := json.NewEncoder(os.Stdout)
	if !serve {
		if _, err := b.losses(3); err != nil {
			return err
		}
		t, err := b.time(seconds)
		if err != nil {
			return err
		}
		return out.Encode(t)
	}
	if err := out.Encode(map[string]any{"params": trainable(b.graph)}); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var answer any
		command, arg, _ := strings.Cut(in.Text(), " ")
		x, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return fmt.Errorf("command %q wants a number", in.Text())
		}
		switch command {
		case "losses":
			answer, err = b.losses(int(x))
		case "time":
			answer, err = b.time(x)
		default:
			err = fmt.Errorf("no command %q", command)
		}
		if err != nil {
			return err
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

// lookup finds a network of the zoo, or reads a spec file.
func lookup(net string) (arch.Spec, error) {
	if ext := filepath.Ext(net); ext != ".yaml" && ext != ".yml" {
		return arch.Lookup(net)
	}
	data, err := os.ReadFile(net)
	if err != nil {
		return arch.Spec{}, err
	}
	return arch.ParseSpec(net, data)
}

func trainable(g *arch.Graph) int {
	n := 0
	for _, p := range g.Params() {
		if p.Role.Trainable() {
			n += p.Elems()
		}
	}
	return n
}

// description is what PyTorch needs to build the same network.
func description(s *arch.Spec) map[string]any {
	var rows []string
	for i := range s.Stages {
		rows = append(rows, s.Stages[i].String())
	}
	return map[string]any{
		"name": s.Name, "resolution": s.Resolution, "channels": s.Channels, "classes": s.Classes,
		"stem": s.Stem.Width, "stem_kernel": s.Stem.Kernel, "stem_stride": s.Stem.Stride,
		"stages": rows, "head": s.Head, "act": s.Act.String(),
		"padding": map[arch.PaddingRule]string{arch.PadSame: "same", arch.PadSymmetric: "symmetric"}[s.Padding],
		"eps":     s.BN.Eps, "momentum": s.BN.Momentum, "dropout": 0, "drop_path": 0,
		"mean": s.Prep.Mean, "std": s.Prep.Std,
	}
}

// bench is a trainer and the batches it visits in turn.
type bench struct {
	graph   *arch.Graph
	trainer *train.Trainer
	batch   int
	lr      float64
	x       []float32 // [batches*batch, H, W, C]
	y       []int32
	step    int
}

func newBench(spec arch.Spec, batch, threads int, kern, images, labels string) (*bench, error) {
	g, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	opt, err := train.DefaultOptimizer(train.RMSPropTF)
	if err != nil {
		return nil, err
	}
	b := &bench{graph: g, batch: batch, lr: 0.016 * float64(batch) / 256}
	b.trainer, err = train.Compile(g, golden.Weights(g), train.Config{
		Batch: batch, Threads: threads, Kernel: kern, LabelSmoothing: 0.1, Optimizer: opt,
	})
	if err != nil {
		return nil, err
	}
	if images == "" {
		b.x, b.y = golden.RandomBatch(g, batch)
		return b, nil
	}
	raw, err := words(images)
	if err != nil {
		return nil, err
	}
	for _, u := range raw {
		b.x = append(b.x, math.Float32frombits(u))
	}
	if raw, err = words(labels); err != nil {
		return nil, err
	}
	for _, u := range raw {
		b.y = append(b.y, int32(u))
	}
	if n := len(b.y); n == 0 || n%batch != 0 || len(b.x) != n*g.Ops[0].Shape.Elems() {
		return nil, fmt.Errorf("%s has %d values and %s %d labels, want whole batches of %d images of %v",
			images, len(b.x), labels, n, batch, g.Ops[0].Shape)
	}
	return b, nil
}

// words reads a file of little-endian 32-bit words.
func words(name string) ([]uint32, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	w := make([]uint32, st.Size()/4)
	if err := binary.Read(bufio.NewReader(f), binary.LittleEndian, w); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return w, nil
}

// next trains on the next batch.
func (b *bench) next() (float64, error) {
	elems := b.graph.Ops[0].Shape.Elems()
	i := b.step * b.batch % len(b.y)
	b.step++
	st, err := b.trainer.Step(context.Background(), b.x[i*elems:][:b.batch*elems], b.y[i:][:b.batch], b.lr)
	return st.Loss, err
}

func (b *bench) losses(n int) (map[string]any, error) {
	losses := []float64{}
	for range n {
		loss, err := b.next()
		if err != nil {
			return nil, err
		}
		losses = append(losses, loss)
	}
	return map[string]any{"losses": losses}, nil
}

func (b *bench) time(seconds float64) (map[string]any, error) {
	start, images := time.Now(), 0
	for time.Since(start).Seconds() < seconds {
		if _, err := b.next(); err != nil {
			return nil, err
		}
		images += b.batch
	}
	took := time.Since(start).Seconds()
	return map[string]any{"images_per_s": float64(images) / took, "peak_rss_mb": peakRSS()}, nil
}

// peakRSS is the most memory the process has held, in MB; 0 where the system
// does not say.
func peakRSS() float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1000
		}
	}
	return 0
}
