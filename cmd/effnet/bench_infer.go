package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/internal/npy"
	"effnet/internal/words"
	"effnet/onnx"
)

// maxOutputDiff is how far the logits of two engines may be apart, over the
// largest.
const maxOutputDiff = 1e-3

// benchSetting is what ran, and where.
type benchSetting struct {
	Net        string      `json:"net"`
	Resolution int         `json:"resolution"`
	Batch      int         `json:"batch"`
	Threads    int         `json:"threads"`
	Kernel     string      `json:"kernel"`
	MACs       int64       `json:"macs"`                // of one image, forwards
	Optimizer  string      `json:"optimizer,omitempty"` // in training
	Data       string      `json:"data,omitempty"`      // in training
	Machine    machineInfo `json:"machine"`
}

// benchReport is the result of a measurement. Its own figures are effnet's.
type benchReport struct {
	benchFigures
	benchSetting
	PeakGFLOPS float64        `json:"peak_gflops"` // of this machine's multiply-adds at so many threads
	PeakShare  float64        `json:"peak_share"`  // gflops / peak_gflops
	Engines    []benchFigures `json:"engines"`     // effnet first
	Failed     []benchFailure `json:"failed,omitempty"`
	Ops        []benchOp      `json:"ops,omitempty"`
	Kinds      []benchKind    `json:"kinds,omitempty"`
	Ceilings   *ceilings      `json:"ceilings,omitempty"` // with --roofline
}

func (b *benchCmd) runInfer(impl *kernel.Impl, arg string) error {
	m, err := b.load(arg)
	if err != nil {
		return err
	}
	job, err := b.prepare(m)
	if err != nil {
		return err
	}
	if err := writeInput(job.Input, b.batch, &m.Spec); err != nil {
		return err
	}
	r := &benchReport{benchSetting: b.setting(&m.Spec)}
	m = nil // its memory is the engines' now
	each := min(peakTime, b.time())
	r.PeakGFLOPS = measurePeak(impl, b.threads, each)
	if b.roofline != "" {
		r.Ceilings = measureCeilings(impl, b.threads, each)
	}
	engines, err := b.startEngines(job)
	if err != nil {
		return err
	}
	defer engines.close()
	diffs := map[string]float64{}
	for _, p := range engines.list[1:] {
		diff, err := outputDiff(b.outputOf(ownEngine), b.outputOf(p.name))
		if err != nil {
			return fmt.Errorf("bench: %s: %w", p.name, err)
		}
		diffs[p.name] = diff
	}
	series, err := engines.measure(b.Context(), b.rounds, b.time())
	if err != nil {
		return err
	}
	if b.ops || b.roofline != "" {
		if r.Ops, err = profileOps(engines.list[0], b.time()); err != nil {
			return err
		}
		r.Kinds = sumKinds(r.Ops)
	}
	engines.close()
	r.PeakGFLOPS = max(r.PeakGFLOPS, measurePeak(impl, b.threads, each))
	if b.roofline != "" {
		r.Ceilings.raise(measureCeilings(impl, b.threads, each))
	}
	r.finish(series, 2*float64(r.MACs)*float64(b.batch))
	r.Failed = engines.failed
	for i := range r.Engines[1:] {
		f := &r.Engines[1+i]
		diff := diffs[f.Engine]
		f.OutputDiff = &diff
	}
	if b.roofline != "" {
		if err := r.roofline().Write(b.roofline); err != nil {
			return err
		}
	}
	return b.print(r, "run")
}

func (b *benchCmd) setting(s *arch.Spec) benchSetting {
	r := benchSetting{
		Net: s.Name, Resolution: s.Resolution, Batch: b.batch, Threads: b.threads, Kernel: b.kernel, Machine: describeMachine(),
	}
	if t, err := s.CostAt(s.Resolution); err == nil {
		r.MACs = t.MACs
	}
	return r
}

// finish fills in the figures of all engines for runs that take flops.
func (r *benchReport) finish(list []*benchSeries, flops float64) {
	for _, s := range list {
		f := s.figures(r.Batch, flops)
		if s.engine != ownEngine {
			f.benchRatio = ratioOf(r.Engines[0].Rounds, f.Rounds)
		}
		r.Engines = append(r.Engines, f)
		r.Machine.Versions[s.engine] = s.version
	}
	r.benchFigures = r.Engines[0]
	if r.PeakGFLOPS > 0 {
		r.PeakShare = r.GFLOPS / r.PeakGFLOPS
	}
}

// prepare makes the folder of the engines and writes the model there.
func (b *benchCmd) prepare(m *loadedModel) (benchJob, error) {
	var job benchJob
	if err := b.makeDir(); err != nil {
		return job, err
	}
	job.Net = describeNet(&m.Spec)
	job.Model, job.Input = filepath.Join(b.dir, "model.safetensors"), filepath.Join(b.dir, "input.npy")
	if err := m.Write(job.Model); err != nil {
		return job, err
	}
	if slices.Contains(b.compare, "ort") || slices.Contains(b.compare, "openvino") {
		job.ONNX = filepath.Join(b.dir, "model.onnx")
		return job, onnx.WriteFile(job.ONNX, m.Model, onnx.Options{})
	}
	return job, nil
}

// writeInput writes n images of noise, the same every time.
func writeInput(path string, n int, s *arch.Spec) error {
	rng := rand.New(rand.NewPCG(1, 2))
	w := npy.Create(path, n, s.Channels, s.Resolution, s.Resolution)
	defer w.Abort()
	x := make([]float32, s.Channels*s.Resolution*s.Resolution)
	for range n {
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		if err := w.Write(x); err != nil {
			return err
		}
	}
	return w.Close()
}

// outputDiff is the largest difference of two arrays over the largest value of
// the first. It is an error if it is above maxOutputDiff.
func outputDiff(own, other string) (float64, error) {
	x, err := readFloats(own)
	if err != nil {
		return 0, err
	}
	y, err := readFloats(other)
	if err != nil {
		return 0, err
	}
	if len(x) != len(y) {
		return 0, fmt.Errorf("%d logits, effnet has %d", len(y), len(x))
	}
	largest, diff := 0.0, 0.0
	for i, v := range x {
		largest = max(largest, math.Abs(float64(v)))
		diff = max(diff, math.Abs(float64(v)-float64(y[i]))) // NaN stays
	}
	if diff /= largest; !(diff <= maxOutputDiff) {
		return diff, fmt.Errorf("the logits differ from effnet's by %.1e of the largest, want at most %.0e", diff, maxOutputDiff)
	}
	return diff, nil
}

func readFloats(path string) ([]float32, error) {
	r, err := npy.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	x := make([]float32, r.Len())
	return x, r.Read(x, 0)
}

// print writes the report; what names one of the things that were timed. Its
// error is that of an engine that failed, which the report is without.
func (b *benchCmd) print(r *benchReport, what string) error {
	write := b.printText
	if b.json {
		write = func(r *benchReport, _ string) error { return writeJSON(b.OutOrStdout(), r) }
	}
	if err := write(r, what); err != nil || len(r.Failed) == 0 {
		return err
	}
	return r.Failed[0].err
}

func (b *benchCmd) printText(r *benchReport, what string) error {
	b.printSetting(&r.benchSetting)
	t := newTable("", "", "")
	t.add("time of a "+what, msText(r.P50)+" ms", fmt.Sprintf("90 %% below %s, 99 %% below %s, at best %s, of %s", msText(r.P90), msText(r.P99), msText(r.Min), thousands(int64(r.Runs))))
	t.add("images a second", perSecond(r.ImagesPerS))
	t.add("arithmetic", fmt.Sprintf("%.1f GFLOP/s", r.GFLOPS), fmt.Sprintf("%.0f %% of the %.1f that this machine's multiply-adds reach", 100*r.PeakShare, r.PeakGFLOPS))
	t.add("peak memory", fmt.Sprintf("%.1f MB", r.PeakRSSMB))
	_, rows, _ := strings.Cut(t.String(), "\n") // the headings are empty
	b.printf("%s", rows)
	if len(r.Engines) > 1 {
		b.printf("\nmedians of %s in turns\n%s", words.Plural(b.rounds, "round"), enginesTable(r.Engines))
	}
	for _, f := range r.Failed {
		b.printf("\n%s failed: %s\n", f.Engine, f.Error)
	}
	if b.ops {
		b.printf("\n%s", opsText(r))
	}
	if b.roofline != "" {
		b.printf("\nroofline in %s\n", b.roofline)
	}
	return nil
}

func (b *benchCmd) printSetting(r *benchSetting) {
	b.printf("%s at %dx%d, batch %d, %s, kernels %s\n%s\n", r.Net, r.Resolution, r.Resolution, r.Batch, words.Plural(r.Threads, "thread"), r.Kernel, r.Machine.line())
	if r.Optimizer != "" {
		b.printf("steps of %s on %s\n", r.Optimizer, r.Data)
	}
	b.printf("\n")
}

func enginesTable(list []benchFigures) *table {
	t := newTable("engine", "version", ">p50 ms", ">p90", ">p99", ">images/s", ">peak MB", ">effnet takes", "", ">logits differ by")
	if list[len(list)-1].OutputDiff == nil {
		t = newTable("engine", "version", ">p50 ms", ">p90", ">p99", ">images/s", ">peak MB", ">effnet takes", "")
	}
	for _, f := range list {
		row := []string{f.Engine, f.Version, msText(f.P50), msText(f.P90), msText(f.P99), perSecond(f.ImagesPerS), fmt.Sprintf("%.0f", f.PeakRSSMB)}
		row = append(row, f.cells()...)
		if f.OutputDiff != nil {
			row = append(row, fmt.Sprintf("%.0e", *f.OutputDiff))
		}
		t.add(row...)
	}
	return t
}

func perSecond(x float64) string {
	if x >= 100 {
		return thousands(int64(math.Round(x)))
	}
	return fmt.Sprintf("%.1f", x)
}
