package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A benchPeer is another engine: one run by peerScript, or effnet by itself in
// another way.
type benchPeer struct {
	name    string // of --compare
	engine  string // in the results
	trains  bool
	threads int // 0: those of --threads
}

var benchPeers = []benchPeer{
	{"ort", "onnxruntime", false, 0},
	{"openvino", "openvino", false, 0},
	{"torch", "torch", true, 0},
	{"torch-eager", "torch-eager", true, 0},
	{"torch-compile", "torch-compile", true, 0},
	{singleEngine, singleEngine, true, 1},
}

func peerNames() []string {
	var names []string
	for _, p := range benchPeers {
		names = append(names, p.name)
	}
	return names
}

func findPeer(name string) (benchPeer, error) {
	for _, p := range benchPeers {
		if p.name == name {
			return p, nil
		}
	}
	return benchPeer{}, usagef("bench: --compare %s: no such engine, have %s", name, strings.Join(peerNames(), ", "))
}

// The names of this program in the results: with all threads asked for, and
// beside that with one, which shows what the others are worth.
const (
	ownEngine    = "effnet"
	singleEngine = "effnet-1"
)

// isOwn reports that an engine is this program.
func isOwn(engine string) bool { return engine == ownEngine || engine == singleEngine }

//go:embed bench_peer.py
var peerScript []byte

// benchJob is what a process is told to do, a JSON file. Arrays are .npy files
// of float32.
type benchJob struct {
	Engine  string `json:"engine"`
	Threads int    `json:"threads"`
	Batch   int    `json:"batch"`
	Model   string `json:"model"`   // safetensors
	ONNX    string `json:"onnx"`    // "" in training
	Input   string `json:"input"`   // [N,C,H,W]: one batch, in training several
	Output  string `json:"output"`  // to write: logits [batch,classes] of the first run
	Weights string `json:"weights"` // to write, safetensors; only in training

	Net   benchNet    `json:"net"`
	Train *benchTrain `json:"train,omitempty"`
	Start *benchStart `json:"start,omitempty"`
}

// benchHello is what a process says when it is ready.
type benchHello struct {
	Version string `json:"version"`
	Params  int64  `json:"params"` // trainable numbers; only in training
	Missing string `json:"missing"`
}

// benchRuns answers "run SECONDS".
type benchRuns struct {
	Times     []float64 `json:"times_ms"` // of each run or step
	PeakRSSMB float64   `json:"peak_rss_mb"`
}

// benchProcess is an engine in a process of its own. It says benchHello, then
// answers each line it is sent with JSON, {"error": "..."} if it cannot.
type benchProcess struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	errors bytes.Buffer
}

// startProcess starts the engine for a job and waits for its hello.
func (b *benchCmd) startProcess(ctx context.Context, job benchJob, hello *benchHello) (*benchProcess, error) {
	job.Threads, job.Batch = b.threadsOf(job.Engine), b.batch
	job.Output, job.Weights = b.outputOf(job.Engine), b.weightsOf(job.Engine)
	argv, err := b.command(job)
	if err != nil {
		return nil, err
	}
	p := &benchProcess{name: job.Engine}
	p.cmd = benchExec(ctx, argv)
	p.cmd.Stderr = &p.errors
	p.cmd.WaitDelay = time.Second
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, b.cannotStart(p.name, err)
	}
	if err := p.read(hello); err != nil {
		p.close()
		return nil, err
	}
	if hello.Missing != "" {
		p.close()
		return nil, b.missing(p.name, hello.Missing)
	}
	return p, nil
}

// threadsOf is how many threads an engine has.
func (b *benchCmd) threadsOf(engine string) int {
	for _, p := range benchPeers {
		if p.engine == engine && p.threads > 0 {
			return p.threads
		}
	}
	return b.threads
}

// outputOf is the file of an engine's logits.
func (b *benchCmd) outputOf(engine string) string { return filepath.Join(b.dir, engine+".npy") }

// weightsOf is the file of an engine's weights.
func (b *benchCmd) weightsOf(engine string) string {
	return filepath.Join(b.dir, engine+".trained.safetensors")
}

// command is what runs a job.
func (b *benchCmd) command(job benchJob) ([]string, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, job.Engine+".json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	if isOwn(job.Engine) {
		self, err := os.Executable()
		return []string{self, "bench", "--serve", file}, err
	}
	script := filepath.Join(b.dir, "bench_peer.py")
	return []string{b.python, script, file}, os.WriteFile(script, peerScript, 0o600)
}

// benchExec is a command of an engine. What tunes OpenBLAS for other machines
// than this one is left out of its environment.
func benchExec(ctx context.Context, argv []string) *exec.Cmd {
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if self, err := os.Executable(); err == nil && argv[0] == self {
		c.Args[0] = os.Args[0]
	}
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OPENBLAS_CORETYPE=") || strings.HasPrefix(v, "OPENBLAS_L2_SIZE=")
	})
	return c
}

func (b *benchCmd) cannotStart(engine string, err error) error {
	if !isOwn(engine) && (errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist)) {
		return fmt.Errorf("bench: %s: no program %s; name a Python that has %s with --python", engine, b.python, engine)
	}
	return fmt.Errorf("bench: %s: %w", engine, err)
}

// missing is the error of an engine whose Python lacks a module.
func (b *benchCmd) missing(engine, module string) error {
	return fmt.Errorf("bench: %s needs the module %s, which %s does not have; install it there (%s -m pip install %s) or name another Python with --python",
		engine, module, b.python, shellQuote(b.python), module)
}

// ask sends a line and reads the answer to it.
func (p *benchProcess) ask(answer any, format string, args ...any) error {
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		return p.died()
	}
	return p.read(answer)
}

func (p *benchProcess) read(answer any) error {
	var text json.RawMessage
	if err := p.out.Decode(&text); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			p.cmd.Process.Kill()
			return fmt.Errorf("bench: %s answered what is not JSON: %w", p.name, err)
		}
		return p.died()
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(text, &failed); err != nil {
		return fmt.Errorf("bench: %s answered %s: %w", p.name, clip(string(text), 60), err)
	}
	if failed.Error != "" {
		return fmt.Errorf("bench: %s: %s", p.name, printable(failed.Error))
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("bench: %s answered %s: %w", p.name, clip(string(text), 60), err)
	}
	return nil
}

// died is the error of a process that ended before it was told to.
func (p *benchProcess) died() error {
	p.in.Close()
	state := "it closed its output"
	if err := p.cmd.Wait(); err != nil {
		state = err.Error()
	}
	return fmt.Errorf("bench: %s ended early: %s%s", p.name, state, lastLine(p.errors.String()))
}

// lastLine is what a program said last, as the end of an error.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return ": " + clip(printable(last), 300)
	}
	return ""
}

// close ends the process, which does so by itself when nothing more comes.
func (p *benchProcess) close() {
	p.in.Close()
	timer := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	p.cmd.Wait()
}

// benchEngines are all that are measured, effnet first.
type benchEngines struct {
	list   []*benchProcess
	hellos []benchHello
	failed []benchFailure
}

// benchFailure is an engine that could not do its work.
type benchFailure struct {
	Engine string `json:"engine"`
	Error  string `json:"error"`

	err error
}

// drop leaves out engine i, which failed with err; the others go on. Without
// effnet there is nothing to compare: that error comes back.
func (e *benchEngines) drop(ctx context.Context, i int, err error) error {
	if i == 0 || ctx.Err() != nil {
		return err
	}
	p := e.list[i]
	p.close()
	e.failed = append(e.failed, benchFailure{p.name, err.Error(), err})
	e.list, e.hellos = slices.Delete(e.list, i, i+1), slices.Delete(e.hellos, i, i+1)
	return nil
}

// startEngines starts effnet and all others on a job.
func (b *benchCmd) startEngines(job benchJob) (*benchEngines, error) {
	names := []string{ownEngine}
	for _, name := range b.compare {
		p, err := findPeer(name)
		if err != nil {
			return nil, err
		}
		names = append(names, p.engine)
	}
	e := &benchEngines{hellos: make([]benchHello, len(names))}
	for i, name := range names {
		job.Engine = name
		p, err := b.startProcess(b.Context(), job, &e.hellos[i])
		if err != nil {
			e.close()
			return nil, err
		}
		e.list = append(e.list, p)
	}
	return e, nil
}

func (e *benchEngines) close() {
	for _, p := range e.list {
		p.close()
	}
	e.list = nil
}

// measure runs the engines in turns, for d each; one that is alone needs no
// rounds. The order changes from round to round, and what still spins in the
// one gets time to fall asleep before the next begins. An engine that fails is
// dropped with what it did before.
func (e *benchEngines) measure(ctx context.Context, rounds int, d time.Duration) ([]*benchSeries, error) {
	if len(e.list) == 1 {
		rounds = 1
	}
	series := map[*benchProcess]*benchSeries{}
	for i, p := range e.list {
		series[p] = &benchSeries{engine: p.name, version: e.hellos[i].Version}
	}
	for r := range rounds {
		turns := append(slices.Clone(e.list[r%len(e.list):]), e.list[:r%len(e.list)]...)
		for _, p := range turns {
			if err := series[p].turn(p, d); err != nil {
				if err := e.drop(ctx, slices.Index(e.list, p), err); err != nil {
					return nil, err
				}
			}
			if len(e.list) > 1 {
				time.Sleep(min(d/5, 200*time.Millisecond))
			}
		}
	}
	var list []*benchSeries
	for _, p := range e.list {
		list = append(list, series[p])
	}
	return list, nil
}

// turn adds the times of one round.
func (s *benchSeries) turn(p *benchProcess, d time.Duration) error {
	var runs benchRuns
	if err := p.ask(&runs, "run %g", d.Seconds()); err != nil {
		return err
	}
	if len(runs.Times) == 0 || slices.ContainsFunc(runs.Times, func(t float64) bool { return !(t > 0) }) {
		return fmt.Errorf("bench: %s answered with no times, or not above 0", p.name)
	}
	s.rounds = append(s.rounds, runs.Times)
	s.peakRSS = max(s.peakRSS, runs.PeakRSSMB)
	return nil
}
