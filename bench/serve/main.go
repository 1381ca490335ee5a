//go:build unix

// Serve measures 'effnet serve' beside Python servers of the same network:
//
//	go run ./bench/serve --effnet bin/effnet --python venv/bin/python --net b0 --photos FOLDER [--json FILE]
//
// Servers run on this machine and take turns; bench/serve.sh and docs/serve.md
// say what is measured.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"effnet/internal/atomicfile"
	"effnet/latency"
)

type options struct {
	Effnet  string        `json:"-"`
	Python  string        `json:"-"`
	Net     string        `json:"net"`
	Named   string        `json:"-"`
	Photos  string        `json:"-"`
	Peers   []string      `json:"peers"`
	Clients []int         `json:"clients"`
	Rounds  int           `json:"rounds"`
	Turn    time.Duration `json:"turn_ns"`
	Threads int           `json:"threads"`
	Batch   int           `json:"max_batch"`
	Pprof   string        `json:"-"`
}

// report is all that was measured.
type report struct {
	options
	CPU      string     `json:"cpu"`
	Cores    int        `json:"cores"`
	Pictures int        `json:"pictures"`
	Kilobyte float64    `json:"kilobytes_of_one"`
	Possible []possible `json:"possible"`  // of each round
	Rate     float64    `json:"same_rate"` // of open loops in which every server is sent the same
	Servers  []*result  `json:"servers"`   // effnet first
	ClientMS []float64  `json:"client_ms"` // of a core, that the client takes for a picture, of each turn
	Others   []float64  `json:"others"`    // share of the processors' time that other programs took, of each turn
}

func main() {
	var o options
	peers, clients, out := "", "", ""
	flag.StringVar(&o.Effnet, "effnet", "bin/effnet", "the `program`")
	flag.StringVar(&o.Python, "python", "python3", "`program` that has what serve_peer.py imports")
	flag.StringVar(&o.Net, "net", "efficientnet_b0", "a `network`, whose weights are random, or a file of weights")
	flag.StringVar(&o.Named, "named", "", "the `network` of a file that does not name its own")
	flag.StringVar(&o.Photos, "photos", ".cache/photos", "`folder` of pictures, of which JPEGs of 256 to 500 pixels are made")
	flag.StringVar(&peers, "peers", "ort-batch,ort-streams,openvino-streams,openvino-streams-cv2", "servers to compare with: `ENGINE-MODE[-DECODER],...`; ort or openvino; batch, streams or workers; pillow or cv2; or effnet with other flags, as in 'effnet --max-delay 0'")
	flag.StringVar(&clients, "clients", "1,2,8,32", "`numbers` of clients of the closed loops")
	flag.IntVar(&o.Rounds, "rounds", 5, "in which each server has its turn")
	flag.DurationVar(&o.Turn, "turn", 2*time.Second, "of each closed loop, half of an open one")
	flag.IntVar(&o.Threads, "threads", runtime.NumCPU(), "of each server's engine")
	flag.IntVar(&o.Batch, "max-batch", 8, "pictures that are run together, at most")
	flag.StringVar(&o.Pprof, "pprof", "", "`file` for a CPU profile of effnet under the most clients; nothing is compared")
	flag.StringVar(&out, "json", "", "`file` for all that was measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.set(peers, clients)
	if err == nil {
		err = o.run(ctx, os.Stdout, out)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func (o *options) set(peers, clients string) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flag.Arg(0))
	}
	if peers != "" {
		o.Peers = strings.Split(peers, ",")
	}
	for text := range strings.SplitSeq(clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("--clients has %q, want numbers above 0", text)
		}
		o.Clients = append(o.Clients, n)
	}
	if o.Rounds < 1 || o.Turn <= 0 || o.Threads < 1 || o.Batch < 1 {
		return fmt.Errorf("--rounds, --turn, --threads and --max-batch are %d, %v, %d and %d, want more than 0", o.Rounds, o.Turn, o.Threads, o.Batch)
	}
	return nil
}

func (o *options) run(ctx context.Context, stdout io.Writer, out string) error {
	dir, err := os.MkdirTemp("", "effnet-serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pictures, err := makePictures(o.Photos)
	if err != nil {
		return err
	}
	for _, ending := range []string{".safetensors", ".onnx"} {
		args := []string{"export", o.Net, "-o", filepath.Join(dir, "model"+ending)}
		if o.Named != "" {
			args = append(args, "--net", o.Named)
		}
		if text, err := exec.CommandContext(ctx, o.Effnet, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("effnet export: %w: %s", err, text)
		}
	}
	engine, err := newDecoders(filepath.Join(dir, "model.safetensors"), pictures)
	if err != nil {
		return err
	}
	r := &report{options: *o, CPU: latency.Processor(), Cores: runtime.NumCPU(), Pictures: len(pictures)}
	for _, p := range pictures {
		r.Kilobyte += float64(len(p)) / 1e3 / float64(len(pictures))
	}
	if o.Pprof != "" {
		return o.profile(ctx, dir, pictures)
	}
	servers, err := o.start(ctx, dir, engine.spec)
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	if err := o.compare(servers, pictures); err != nil {
		return err
	}
	if err := o.measure(ctx, r, servers, engine, pictures); err != nil {
		return err
	}
	if out != "" {
		text, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(out, append(text, '\n')); err != nil {
			return err
		}
	}
	return r.print(stdout)
}
