package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/pflag"

	"effnet/arch"
	"effnet/infer"
	"effnet/latency"
	"effnet/search"
	"effnet/weights"
)

// candidateFlags say what a search's networks may cost and where they come from.
type candidateFlags struct {
	cost   string
	limits []string
	grid   string
	star   int
	list   string
}

func (c *candidateFlags) register(f *pflag.FlagSet) {
	f.StringVar(&c.cost, "cost", "macs", "what --factor multiplies: macs, params, activations, memory or latency")
	f.StringArrayVar(&c.limits, "limit", nil, "upper `limit` of the explored networks over the base's, such as memory=2x; may be given again")
	f.StringVar(&c.grid, "grid", "", "explore the grid of alpha, beta and gamma with a `step`, as step=0.05")
	f.IntVar(&c.star, "star", 0, "explore each dimension alone, at so many costs up to --factor")
	f.StringVar(&c.list, "list", "", "explore the networks of this `file`: depth width resolution on each line")
}

// settle puts into cfg what is set.
func (c *candidateFlags) settle(cfg *search.Config, set func(name string) bool) error {
	if set("cost") {
		m, err := search.ParseMeasure(c.cost)
		if err != nil {
			return &usageError{err}
		}
		if cfg.Cost = m; m == search.MeasureMACs {
			cfg.Cost = ""
		}
	}
	if set("limit") {
		cfg.Limits = nil
		for _, text := range c.limits {
			l, err := search.ParseLimit(text)
			if err != nil {
				return &usageError{err}
			}
			cfg.Limits = append(cfg.Limits, l)
		}
	}
	return c.settleSource(cfg, set)
}

// settleSource reads where the candidates come from; a search that goes on
// without a word of it keeps what it has.
func (c *candidateFlags) settleSource(cfg *search.Config, set func(name string) bool) error {
	var texts, names []string
	add := func(name, text string) { texts, names = append(texts, text), append(names, "--"+name) }
	if c.grid != "" {
		add("grid", "grid "+c.grid)
	}
	if c.star != 0 {
		add("star", fmt.Sprintf("star steps=%d", c.star))
	}
	if c.list != "" {
		text, err := readSmall(c.list, search.MaxList)
		if err != nil {
			return err
		}
		if _, err := search.ParseList(c.list, text); err != nil {
			return err
		}
		add("list", "list\n"+string(text))
	}
	switch {
	case len(texts) > 1:
		return usagef("search: %s and %s exclude each other", names[0], names[1])
	case len(texts) == 1:
		src, err := search.ParseSource(texts[0])
		if err != nil {
			return &usageError{err}
		}
		cfg.Candidates = src.String()
	case set("grid") && set("star") && set("list"):
		cfg.Candidates = ""
	}
	return nil
}

// readSmall reads a file of at most so many bytes, and one more where there
// are more.
func readSmall(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no file %s", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, want a file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), most)
	}
	return os.ReadFile(path)
}

// searchMeter measures the memory and the latency of a search's networks: of
// one image at a time, on one thread.
type searchMeter struct {
	kernel  string
	samples map[latency.Features]latency.Sample // the latest of each network
	known   map[string]latency.Features         // by [search.Key]
}

// features are a network's; building its graph takes long where thousands are
// looked at, round after round.
func (m *searchMeter) features(s *arch.Spec) (latency.Features, error) {
	key := search.Key(s)
	if f, ok := m.known[key]; ok {
		return f, nil
	}
	g, err := s.Graph()
	if err != nil {
		return latency.Features{}, err
	}
	f := latency.FeaturesOf(g)
	m.known[key] = f
	return f, nil
}

// meterTime is how long each network runs for its latency.
const meterTime = 300 * time.Millisecond

func newSearchMeter(kernel string) *search.Meter {
	m := &searchMeter{kernel, map[latency.Features]latency.Sample{}, map[string]latency.Features{}}
	return &search.Meter{Measure: m.measure, Model: m.model}
}

func (m *searchMeter) measure(ctx context.Context, what search.Measure, specs []arch.Spec) ([]float64, error) {
	values := make([]float64, len(specs))
	if what == search.MeasureMemory {
		for i := range specs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			n, err := m.bytes(&specs[i])
			if err != nil {
				return nil, err
			}
			values[i] = float64(n)
		}
		return values, nil
	}
	samples, err := latency.MeasureAll(ctx, specs, latency.Options{Threads: 1, Batch: 1, Time: meterTime}, func(float64) {})
	if err != nil {
		return nil, err
	}
	for i := range samples {
		m.samples[samples[i].Features] = samples[i]
		values[i] = samples[i].Median.Seconds()
	}
	return values, nil
}

// bytes is the peak memory of a network's inference plan.
func (m *searchMeter) bytes(spec *arch.Spec) (int64, error) {
	g, err := spec.Graph()
	if err != nil {
		return 0, err
	}
	w := &weights.Set{Tensors: map[string]weights.Tensor{}} // all 0, which take as much room
	for _, p := range g.Params() {
		w.Tensors[p.Name] = weights.Tensor{Shape: p.Shape, Data: make([]float32, p.Elems())}
	}
	plan, err := infer.Compile(g, w, infer.Options{Threads: 1, Kernel: m.kernel})
	if err != nil {
		return 0, err
	}
	defer plan.Close()
	return plan.Bytes(), nil
}

// model predicts latency as 'effnet fit' does. Memory is left to the search.
func (m *searchMeter) model(what search.Measure, specs []arch.Spec, values []float64) (func(*arch.Spec) (float64, error), error) {
	if what == search.MeasureMemory {
		return nil, nil
	}
	var samples []latency.Sample
	for i := range specs {
		f, err := m.features(&specs[i])
		if err != nil {
			return nil, err
		}
		s := m.samples[f]
		scale := values[i] / s.Median.Seconds() // values are in units of one measurement of the base
		s.Median = time.Duration(scale * float64(s.Median))
		s.P10, s.P90 = time.Duration(scale*float64(s.P10)), time.Duration(scale*float64(s.P90))
		samples = append(samples, s)
	}
	model, err := latency.Fit(samples)
	if err != nil {
		return nil, err
	}
	return func(s *arch.Spec) (float64, error) {
		f, err := m.features(s)
		return model.Predict(f).Latency.Seconds(), err
	}, nil
}
