package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"effnet/arch"
	"effnet/infer"
	"effnet/internal/npy"
	"effnet/weights"
)

// A benchServer is this program as one of the processes that are measured: it
// says hello, then does what each line of its input asks for.
type benchServer struct {
	hello    benchHello
	commands map[string]func(number float64) (any, error)
	close    func()
}

// serveBench serves the job in a file until its input ends.
func serveBench(ctx context.Context, path string, in io.Reader, out io.Writer) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var job benchJob
	if err := json.Unmarshal(text, &job); err != nil {
		return fmt.Errorf("bench: %s: %w", path, err)
	}
	runtime.GOMAXPROCS(min(job.Threads, runtime.GOMAXPROCS(0)))
	serve := newInferServer
	if job.Train != nil {
		serve = newTrainServer
	}
	s, err := serve(ctx, &job)
	if err != nil {
		return err
	}
	return s.serve(version(), in, out)
}

// serve says hello and answers until the input ends.
func (s *benchServer) serve(version string, in io.Reader, out io.Writer) error {
	defer s.close()
	s.hello.Version = version
	enc := json.NewEncoder(out)
	if err := enc.Encode(s.hello); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		name, arg, _ := strings.Cut(lines.Text(), " ")
		number, err := strconv.ParseFloat(arg, 64)
		do := s.commands[name]
		if do == nil || err != nil {
			return fmt.Errorf("bench: there is no command %q", lines.Text())
		}
		answer, err := do(number)
		if err != nil {
			return err
		}
		if err := enc.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

// open reads the job's model.
func (job *benchJob) open() (*weights.Model, *arch.Graph, error) {
	m, err := weights.OpenModel(job.Model)
	if err != nil {
		return nil, nil, err
	}
	g, err := m.Spec.Graph()
	return m, g, err
}

// newInferServer runs the model on the input.
func newInferServer(ctx context.Context, job *benchJob) (*benchServer, error) {
	m := &loadedModel{Path: job.Model}
	if !(&modelFlags{running: true}).open(m, nil) {
		return nil, fmt.Errorf("bench: %s is not a model of effnet's", job.Model)
	}
	g, err := m.Spec.Graph()
	if err != nil {
		return nil, err
	}
	plan, err := infer.Compile(g, m.source(), infer.Options{Threads: job.Threads})
	if err != nil {
		return nil, err
	}
	x, err := readImages(job.Input, m.Spec.Channels)
	if err != nil {
		return nil, err
	}
	n := job.Batch
	logits := make([]float32, n*plan.Classes())
	run := func() error { return plan.RunInto(ctx, x, n, logits) }
	if err := run(); err != nil {
		return nil, err
	}
	if err := npy.WriteFile(job.Output, logits, n, plan.Classes()); err != nil {
		return nil, err
	}
	return &benchServer{
		close: plan.Close,
		commands: map[string]func(float64) (any, error){
			"run": func(seconds float64) (any, error) { return timeRuns(seconds, run) },
			"ops": func(seconds float64) (any, error) { return profile(ctx, plan, x, n, logits, seconds) },
		},
	}, nil
}

// readImages reads an array [N,C,H,W] of images as [N,H,W,C].
func readImages(path string, channels int) ([]float32, error) {
	a, err := openImages(path, nchw, channels)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	x := make([]float32, a.Len())
	return x, a.read(x, 0)
}

// timeRuns calls run for so many seconds and times each call. What comes in the
// first tenth is not counted: caches are the other engines' then. A run that
// takes longer than all of it needs no such thing.
func timeRuns(seconds float64, run func() error) (*benchRuns, error) {
	r := &benchRuns{}
	begin := time.Now()
	for {
		start := time.Now()
		if err := run(); err != nil {
			return nil, err
		}
		took := time.Since(start).Seconds()
		if start.Sub(begin).Seconds() >= seconds/10 || took >= seconds {
			r.Times = append(r.Times, max(took, 1e-9)*1e3)
			if time.Since(begin).Seconds() >= seconds {
				r.PeakRSSMB = peakRSS()
				return r, nil
			}
		}
	}
}

// profile times the steps of a plan for so many seconds.
func profile(ctx context.Context, plan *infer.Plan, x []float32, n int, logits []float32, seconds float64) (*benchSteps, error) {
	steps := plan.Steps()
	sums, least, times := make([]time.Duration, len(steps)), make([]time.Duration, len(steps)), make([]time.Duration, len(steps))
	images := 0
	for begin := time.Now(); images == 0 || time.Since(begin).Seconds() < seconds; images += n {
		clear(times)
		if err := plan.Profile(ctx, x, n, logits, times); err != nil {
			return nil, err
		}
		for i, t := range times {
			sums[i] += t
			if images == 0 || t < least[i] {
				least[i] = t
			}
		}
	}
	a := &benchSteps{}
	for i, s := range steps {
		a.Steps = append(a.Steps, benchOp{
			Name: s.Name, Kind: s.Kind, In: shapeOf(s.In), Out: shapeOf(s.Out),
			MFLOP: float64(s.FLOPs) / 1e6, Done: float64(s.Done) / 1e6, Bytes: s.Bytes, Swish: s.Swish,
			Us: sums[i].Seconds() * 1e6 / float64(images), MinUs: least[i].Seconds() * 1e6 / float64(n),
		})
	}
	return a, nil
}
