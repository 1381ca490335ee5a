package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"effnet/internal/kernel"
	"effnet/internal/npy"
	"effnet/weights"
)

// fakePython stands in for a Python that has every engine: it is started with
// a script and a job, and serves the job with effnet's own engine; or
// misbehaves as $FAKE_PEER says. The script is not run.
func fakePython() {
	if err := fakePeer(os.Args[2], os.Getenv("FAKE_PEER")); err != nil {
		fmt.Fprintf(os.Stderr, "Traceback: somewhere\n%v\n", err)
		os.Exit(3)
	}
}

func fakePeer(path, fault string) error {
	for _, name := range []string{"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} {
		if _, ok := os.LookupEnv(name); ok {
			return fmt.Errorf("%s is set", name)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var job benchJob
	if err := json.Unmarshal(text, &job); err != nil {
		return err
	}
	switch fault {
	case "missing":
		fmt.Println(`{"missing": "onnxruntime"}`)
		return nil
	case "error":
		fmt.Println(`{"error": "ValueError: not like this"}`)
		return nil
	case "garbage":
		fmt.Println("Loading...")
		return nil
	case "early":
		return fmt.Errorf("out of patience")
	}
	if job.Start != nil {
		var out, errs bytes.Buffer
		if run([]string{"classify", job.Model, job.Start.Image, "--json", "--top", "1"}, &out, &errs) != 0 {
			return fmt.Errorf("%s", &errs)
		}
		var list []classified
		if err := json.Unmarshal(out.Bytes(), &list); err != nil {
			return err
		}
		class := list[0].Predictions[0].Class
		if fault == "disagree" {
			class++
		}
		fmt.Printf("{\"class\": %d, \"version\": \"0.1\"}\n", class)
		return nil
	}
	serve := newInferServer
	if job.Train != nil {
		serve = newTrainServer
	} else if _, err := os.Stat(job.ONNX); err != nil {
		return err
	}
	s, err := serve(context.Background(), &job)
	if err != nil {
		return err
	}
	switch fault {
	case "params":
		s.hello.Params++
	case "die":
		s.commands["run"] = func(float64) (any, error) { return nil, fmt.Errorf("out of memory") }
	case "drift":
		losses := s.commands["losses"]
		s.commands["losses"] = func(n float64) (any, error) {
			l, err := losses(n)
			if b, ok := l.(benchLosses); ok {
				b.Losses[len(b.Losses)-1] /= 1.001
			}
			return l, err
		}
	case "uncompiled": // fails where it would be compiled first
		if job.Engine == "torch-compile" {
			s.commands["losses"] = func(float64) (any, error) { return nil, fmt.Errorf("no C++ compiler") }
		}
	case "nothing":
		s.commands["run"] = func(float64) (any, error) { return benchRuns{}, nil }
	case "disagree":
		if job.Train != nil {
			s.commands["losses"] = func(n float64) (any, error) { return benchLosses{make([]float64, int(n))}, nil }
			break
		}
		x, err := readFloats(job.Output)
		if err != nil {
			return err
		}
		x[0] += 1
		if err := npy.WriteFile(job.Output, x, job.Batch, len(x)/job.Batch); err != nil {
			return err
		}
	}
	return s.serve("0.1", os.Stdin, os.Stdout)
}

func TestFigures(t *testing.T) {
	s := &benchSeries{engine: "x", version: "1", peakRSS: 12, rounds: [][]float64{{3, 1, 2}, {4, 4}, {10, 10, 10, 10}}}
	got := s.figures(2, 8e6)
	want := benchFigures{
		Engine: "x", Version: "1", PeakRSSMB: 12,
		P50: 4, P90: 4, P99: 4, Min: 1, Runs: 9, Rounds: []float64{2, 4, 10},
		ImagesPerS: 500, GFLOPS: 2,
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(benchFigures{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(benchRatio{Ratio: 0.5, Ratios: []float64{0.5, 1, 0.25}}, ratioOf([]float64{2, 4, 1}, []float64{4, 4, 4})); d != "" {
		t.Error(d)
	}
	for _, c := range []struct{ q, want float64 }{{0, 1}, {0.5, 2.5}, {0.9, 3.7}, {1, 4}} {
		if got := quantile([]float64{1, 2, 3, 4}, c.q); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("quantile %g is %g, want %g", c.q, got, c.want)
		}
	}
}

// TestJudge holds that effnet may be as far from the reference as a multiple of
// the farthest of PyTorch's runs, and its losses not farther than maxLossApart.
func TestJudge(t *testing.T) {
	curve := func(apart float64, s stateApart) lossCurve {
		return lossCurve{Apart: []float64{0, apart}, States: []stateApart{{Step: 1}, s}}
	}
	near := curve(1e-5, stateApart{Step: 2, Weights: 1e-4, Norms: 1e-4, Mean: 1e-4, Variance: 1e-4, Logits: 1e-4})
	for _, c := range []struct {
		name  string
		own   lossCurve
		other lossCurve
		want  string
	}{
		{"as near", near, near, ""},
		{"twice as far", curve(2e-5, stateApart{Logits: 2e-4}), near, ""},
		{"roundings", curve(1e-6, stateApart{Weights: 1e-6}), curve(0, stateApart{}), ""},
		{"loss", curve(2.3e-5, stateApart{}), near, "loss of step 2: effnet is 2.3e-05 from torch-float64, relative; want at most 2.2e-05"},
		{"weights", curve(0, stateApart{Step: 2, Weights: 3e-4}), near, "weights of step 2"},
		{"norms", curve(0, stateApart{Norms: 3e-4}), near, "gamma and beta"},
		{"means", curve(0, stateApart{Mean: 3e-4}), near, "running means"},
		{"variances", curve(0, stateApart{Variance: 3e-4}), near, "running variances"},
		{"logits", curve(0, stateApart{Logits: 3e-4}), near, "logits"},
		{"all losses far", curve(0.02, stateApart{}), curve(0.5, stateApart{}), "want at most 1.0e-02"},
		{"all weights far", curve(0, stateApart{Weights: 0.9}), curve(0, stateApart{Weights: 0.5}), ""},
	} {
		r := &lossReport{Reference: lossCurve{Engine: referenceEngine}, Engines: []lossCurve{c.own, curve(0, stateApart{}), c.other}}
		err := r.judge()
		if r.Agree != (c.want == "") || (err == nil) != r.Agree || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (%v), want %q", c.name, err, r.Agree, c.want)
		}
	}
}

// TestStateApart holds that every tensor counts for its role.
func TestStateApart(t *testing.T) {
	state := func(weight, gamma, mean, variance, logit float32) *trainedState {
		tensor := func(x ...float32) weights.Tensor { return weights.Tensor{Shape: []int{len(x)}, Data: x} }
		return &trainedState{step: 3, logits: []float32{1, logit}, set: &weights.Set{Tensors: map[string]weights.Tensor{
			"conv.weight": tensor(-4, weight), "fc.bias": tensor(1), "bn.weight": tensor(1), "bn.bias": tensor(gamma),
			"bn.running_mean": tensor(2, mean), "bn.running_var": tensor(variance),
		}}}
	}
	got, err := state(0.5, 0.5, 0, 1, -1).apart(state(0.25, 0.25, 0.5, 2, 1))
	want := stateApart{Step: 3, Weights: 0.0625, Norms: 0.25, Mean: 0.25, Variance: 0.5, Logits: 2}
	if err != nil || got != want {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	nan := float32(math.NaN())
	if _, err := state(1, nan, 1, 1, 1).apart(state(1, 1, 1, 1, 1)); err == nil || !strings.Contains(err.Error(), "gamma and beta after step 3 are NaN") {
		t.Errorf("NaN: %v", err)
	}
	other := state(1, 1, 1, 1, 1)
	delete(other.set.Tensors, "fc.bias")
	if _, err := other.apart(state(1, 1, 1, 1, 1)); err == nil {
		t.Error("a tensor is missing")
	}
}

func TestSumKinds(t *testing.T) {
	ops := []benchOp{
		{Kind: "a", MFLOP: 2, Us: 10}, {Kind: "b", Us: 30}, {Kind: "a", MFLOP: 4, Us: 10},
	}
	want := []benchKind{
		{Kind: "b", Steps: 1, Us: 30, Share: 0.6},
		{Kind: "a", Steps: 2, MFLOP: 6, Us: 20, GFLOPS: 300, Share: 0.4},
	}
	if d := cmp.Diff(want, sumKinds(ops)); d != "" {
		t.Error(d)
	}
}

func TestTimeRuns(t *testing.T) {
	n := 0
	r, err := timeRuns(0.05, func() error { n++; time.Sleep(time.Millisecond); return nil })
	if err != nil || len(r.Times) == 0 || len(r.Times) >= n {
		t.Fatalf("%v: %d times of %d runs; the first do not count", err, len(r.Times), n)
	}
	for _, ms := range r.Times {
		if ms < 1 {
			t.Errorf("a run of 1 ms took %g", ms)
		}
	}
	// A run that fills the time counts at once.
	n = 0
	if r, err = timeRuns(1e-6, func() error { n++; time.Sleep(time.Millisecond); return nil }); err != nil || len(r.Times) != 1 || n != 1 {
		t.Errorf("%v: %d times of %d runs, want 1 of 1", err, len(r.Times), n)
	}
	if _, err = timeRuns(1, func() error { return os.ErrClosed }); err != os.ErrClosed {
		t.Errorf("error %v", err)
	}
}

func TestOutputDiff(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, x ...float32) string {
		path := filepath.Join(dir, name)
		if err := npy.WriteFile(path, x, 1, len(x)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nan := float32(math.NaN())
	own := write("own", 1, -4, 2)
	for _, c := range []struct {
		other string
		err   string
	}{
		{write("same", 1, -4, 2), ""},
		{write("near", 1.002, -4, 2), ""},
		{write("far", 1.1, -4, 2), "differ from effnet's by 2.5e-02 of the largest"},
		{write("nan", 1, nan, 2), "differ from effnet's by NaN"},
		{write("short", 1, -4), "2 logits, effnet has 3"},
		{filepath.Join(dir, "none"), "none"},
	} {
		_, err := outputDiff(own, c.other)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", filepath.Base(c.other), err, c.err)
		}
	}
	if d, err := outputDiff(own, write("near", 1.002, -4, 2)); err != nil || math.Abs(d-0.0005) > 1e-6 {
		t.Errorf("difference %g, %v, want 0.0005", d, err)
	}
}

// TestMachine holds that the machine's figures are of the right order: what
// any machine reaches, and more than one thread's part of it.
func TestMachine(t *testing.T) {
	impl, err := kernel.Lookup("")
	if err != nil {
		t.Fatal(err)
	}
	if peak := measurePeak(impl, 1, 20*time.Millisecond); !(peak > 0.1 && peak < 1e4) {
		t.Errorf("peak of %g GFLOP/s", peak)
	}
	if w := measureBandwidth(impl, 2, 64<<10, 20*time.Millisecond); !(w > 0.1 && w < 1e5) {
		t.Errorf("bandwidth of %g GB/s", w)
	}
	for _, c := range []struct {
		caches  map[string]int
		threads int
		want    []bandwidth
	}{
		{nil, 1, []bandwidth{{Level: "l2", Bytes: 256 << 10}, {Level: "memory", Bytes: 64 << 20}}},
		{map[string]int{"l2": 1 << 20, "l3": 32 << 20}, 2, []bandwidth{{Level: "l2", Bytes: 512 << 10}, {Level: "l3", Bytes: 4 << 20}, {Level: "memory", Bytes: 64 << 20}}},
		{map[string]int{"l2": 2 << 20, "l3": 32 << 20}, 4, []bandwidth{{Level: "l2", Bytes: 1 << 20}, {Level: "memory", Bytes: 32 << 20}}},
		{map[string]int{"l2": 2 << 20, "l3": 1 << 30}, 1, []bandwidth{{Level: "l2", Bytes: 1 << 20}, {Level: "l3", Bytes: 256 << 20}, {Level: "memory", Bytes: 512 << 20}}},
	} {
		if d := cmp.Diff(c.want, streamSizes(c.caches, c.threads)); d != "" {
			t.Errorf("%v, %d threads: %s", c.caches, c.threads, d)
		}
	}
	if s := measureSwish(impl, 1, 20*time.Millisecond); !(s > 1e-3 && s < 1e3) {
		t.Errorf("%g values of swish a nanosecond", s)
	}
}

// TestBenchInterrupted holds that a signal ends the measured process too, and
// leaves no files.
func TestBenchInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	var stderr bytes.Buffer
	cmd := exec.Command(exe)
	cmd.Args = []string{"effnet", "bench", "small_300k", "--seconds", "60"} // see TestMain
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The logits are written when the process is about to be measured.
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(tmp, "*", ownEngine+".npy")); len(found) > 0 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("nothing is measured")
		}
	}
	cmd.Process.Signal(os.Interrupt)
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || stderr.String() != "effnet: interrupted\n" {
		t.Errorf("status %d (%v), %q; want %d", code, err, &stderr, exitInterrupted)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
