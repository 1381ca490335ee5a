package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	lib "effnet"
	"effnet/arch"
	"effnet/internal/words"
)

// benchStart is a job of one classification: the answer is {"class": N}.
type benchStart struct {
	Image string    `json:"image"`
	Prep  benchPrep `json:"prep"`
}

// benchPrep is what happens to an image before the network.
type benchPrep struct {
	Size   int       `json:"size"`   // of the network's input
	Resize int       `json:"resize"` // of the short side, or of both where squash is set
	Squash bool      `json:"squash"`
	Filter string    `json:"filter"`
	Mean   []float64 `json:"mean"`
	Std    []float64 `json:"std"`
}

// startReport is the result of --start, in ms from the start of a process to
// its first answer.
type startReport struct {
	startFigures
	Net        string         `json:"net"`
	Resolution int            `json:"resolution"`
	Threads    int            `json:"threads"`
	Kernel     string         `json:"kernel"`
	Image      string         `json:"image"`
	Class      int            `json:"class"`
	Machine    machineInfo    `json:"machine"`
	Engines    []startFigures `json:"engines"` // effnet first
}

// startFigures are the times of one engine.
type startFigures struct {
	Engine  string    `json:"engine"`
	Version string    `json:"version"`
	P50     float64   `json:"p50_ms"`
	Min     float64   `json:"min_ms"`
	Rounds  []float64 `json:"rounds_ms"`
	benchRatio
}

func (b *benchCmd) runStart(arg string) error {
	if _, err := os.Stat(b.start); err != nil {
		return err
	}
	m, err := b.load(arg)
	if err != nil {
		return err
	}
	job, err := b.prepare(m)
	if err != nil {
		return err
	}
	prep, err := lib.NewPreparer(&m.Spec)
	if err != nil {
		return err
	}
	job.Threads, job.Batch = b.threads, 1
	job.Start = &benchStart{b.start, benchPrep{
		Size: prep.Fit.Size, Resize: int(float64(prep.Fit.Size) / prep.Fit.Crop), Squash: prep.Fit.Squash,
		Filter: map[bool]string{true: "bilinear", false: "bicubic"}[m.Spec.Prep.Filter == arch.Bilinear],
		Mean:   m.Spec.Prep.Mean, Std: m.Spec.Prep.Std,
	}}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	model := []string{job.Model}
	if m.Path != "" && b.resolution == 0 { // the file as it is, as a user would
		model = []string{m.Path}
		if b.model.net != "" {
			model = append(model, "--net", b.model.net)
		}
	}
	engines := []startEngine{{
		startFigures: startFigures{Engine: ownEngine, Version: version()},
		argv:         append(append([]string{self, "classify"}, model...), b.start, "--top", "1", "--json", "--threads", fmt.Sprint(b.threads)),
	}}
	for _, name := range b.compare {
		p, err := findPeer(name)
		if err != nil {
			return err
		}
		job.Engine = p.engine
		argv, err := b.command(job)
		if err != nil {
			return err
		}
		engines = append(engines, startEngine{startFigures: startFigures{Engine: p.engine}, argv: argv})
	}
	r := &startReport{
		Net: m.Spec.Name, Resolution: m.Spec.Resolution, Threads: b.threads, Kernel: b.kernel, Image: b.start, Machine: describeMachine(),
	}
	m = nil
	for round := range b.rounds + 1 { // the first fills the file cache
		for i := range engines {
			e := &engines[(i+round)%len(engines)]
			took, err := b.startOnce(e)
			if err != nil {
				return err
			}
			if round > 0 {
				e.Rounds = append(e.Rounds, took.Seconds()*1e3)
			}
		}
	}
	for i := range engines {
		e := &engines[i]
		e.P50, e.Min = median(e.Rounds), slices.Min(e.Rounds)
		if i > 0 {
			e.benchRatio = ratioOf(engines[0].Rounds, e.Rounds)
			if e.class != engines[0].class {
				return fmt.Errorf("bench: %s says that %s is class %d, effnet that it is %d", e.Engine, b.start, e.class, engines[0].class)
			}
		}
		r.Engines = append(r.Engines, e.startFigures)
		r.Machine.Versions[e.Engine] = e.Version
	}
	r.startFigures, r.Class = r.Engines[0], engines[0].class
	return b.printStart(r)
}

// startEngine is a program that classifies one image.
type startEngine struct {
	startFigures
	argv  []string
	class int
}

// startOnce runs the program and returns the time to its first output.
func (b *benchCmd) startOnce(e *startEngine) (time.Duration, error) {
	c := benchExec(b.Context(), e.argv)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := c.Start(); err != nil {
		return 0, b.cannotStart(e.Engine, err)
	}
	first := make([]byte, 1)
	_, err = io.ReadFull(out, first)
	took := time.Since(begin)
	rest, _ := io.ReadAll(out)
	if werr := c.Wait(); werr != nil {
		return 0, fmt.Errorf("bench: %s: %w%s", e.Engine, werr, lastLine(stderr.String()))
	} else if err != nil {
		return 0, fmt.Errorf("bench: %s printed nothing", e.Engine)
	}
	return took, b.readClass(e, append(first, rest...))
}

// readClass reads the answer of a program.
func (b *benchCmd) readClass(e *startEngine, text []byte) error {
	if e.Engine == ownEngine {
		var list []classified
		if err := json.Unmarshal(text, &list); err != nil || len(list) != 1 {
			return fmt.Errorf("bench: %s classified %d images, want 1 (%v)", b.start, len(list), err)
		}
		e.class = list[0].Predictions[0].Class
		return nil
	}
	var a struct {
		Class   *int   `json:"class"`
		Version string `json:"version"`
		Missing string `json:"missing"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("bench: %s answered what is not JSON: %w", e.Engine, err)
	}
	switch {
	case a.Missing != "":
		return b.missing(e.Engine, a.Missing)
	case a.Error != "" || a.Class == nil:
		return fmt.Errorf("bench: %s: %s", e.Engine, printable(a.Error))
	}
	e.class, e.Version = *a.Class, a.Version
	return nil
}

func (b *benchCmd) printStart(r *startReport) error {
	if b.json {
		return writeJSON(b.OutOrStdout(), r)
	}
	b.printf("%s at %dx%d, %s, kernels %s\n%s\n\nfrom process start to the class of %s, medians of %s\n",
		r.Net, r.Resolution, r.Resolution, words.Plural(r.Threads, "thread"), r.Kernel, r.Machine.line(), filepath.Base(r.Image), words.Plural(b.rounds, "round"))
	t := newTable("engine", "version", ">ms", ">at best", ">effnet takes", "")
	for _, f := range r.Engines {
		t.add(append([]string{f.Engine, f.Version, msText(f.P50), msText(f.Min)}, f.cells()...)...)
	}
	b.printf("%s", t)
	return nil
}
