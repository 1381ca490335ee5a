package latency

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"effnet/arch"
	"effnet/infer"
	"effnet/weights"
)

// Options say what is measured.
type Options struct {
	Threads int           // of one run; 0: GOMAXPROCS
	Batch   int           // images of one run; 0: 1
	Time    time.Duration // of running each network; 0: half a second
}

func (o Options) withDefaults() Options {
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Batch == 0 {
		o.Batch = 1
	}
	if o.Time == 0 {
		o.Time = time.Second / 2
	}
	return o
}

// Sample is what one network took. Times are of one run, of a whole batch.
type Sample struct {
	Features Features      `json:"features"`
	Median   time.Duration `json:"median_ns"`
	P10      time.Duration `json:"p10_ns"`
	P90      time.Duration `json:"p90_ns"`
	Runs     int           `json:"runs"`
}

// Spread is the range of the middle 80 % of the runs, as a part of the median.
func (s *Sample) Spread() float64 { return float64(s.P90-s.P10) / float64(s.Median) }

// Busy reports runs of such unlike times as a machine of one's own does not
// show: something else was running.
func (s *Sample) Busy() bool { return s.Spread() > 0.25 }

// Measure times spec at its own resolution, with random weights, on a machine
// that should have nothing else to do.
func Measure(ctx context.Context, spec arch.Spec, opt Options) (Sample, error) {
	samples, err := MeasureAll(ctx, []arch.Spec{spec}, opt, func(float64) {})
	if err != nil {
		return Sample{}, err
	}
	return samples[0], nil
}

// rounds is how often networks that are measured together take turns, so that
// a machine that slows down for a while does so for all of them; minRuns is
// the fewest timed runs of each, however long they take.
const (
	rounds  = 5
	minRuns = 2 * rounds
)

// MeasureAll is Measure of several networks by turns. It tells done now and
// then how much of the work is behind, as a part of it.
func MeasureAll(ctx context.Context, specs []arch.Spec, opt Options, done func(part float64)) ([]Sample, error) {
	opt = opt.withDefaults()
	subjects := make([]*subject, len(specs))
	for i, spec := range specs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := prepare(spec, opt)
		if err != nil {
			return nil, err
		}
		defer s.plan.Close()
		subjects[i] = s
	}
	for r := range rounds {
		for i, s := range subjects {
			if err := s.turn(ctx, opt.Time/rounds); err != nil {
				return nil, err
			}
			done(float64(r*len(subjects)+i+1) / float64(rounds*len(subjects)))
		}
	}
	samples := make([]Sample, len(subjects))
	for i, s := range subjects {
		samples[i] = s.sample()
	}
	return samples, nil
}

// subject is a network under measurement.
type subject struct {
	features  Features
	plan      *infer.Plan
	batch     int
	x, logits []float32
	times     []time.Duration
}

func prepare(spec arch.Spec, opt Options) (*subject, error) {
	g, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	plan, err := infer.Compile(g, weights.Init(g, 1), infer.Options{Threads: opt.Threads})
	if err != nil {
		return nil, fmt.Errorf("latency: %s: %w", spec.Name, err)
	}
	s := &subject{
		features: FeaturesOf(g), plan: plan, batch: opt.Batch,
		x:      make([]float32, opt.Batch*g.Ops[0].Shape.Elems()),
		logits: make([]float32, opt.Batch*plan.Classes()),
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range s.x {
		s.x[i] = float32(r.NormFloat64())
	}
	return s, nil
}

// turn runs the network for about d: first untimed, as another one has had
// the caches since its last turn.
func (s *subject) turn(ctx context.Context, d time.Duration) error {
	run := func() (time.Duration, error) {
		start := time.Now()
		err := s.plan.RunInto(ctx, s.x, s.batch, s.logits)
		return time.Since(start), err
	}
	if _, err := run(); err != nil {
		return err
	}
	for n, end := 0, time.Now().Add(d); n < minRuns/rounds || time.Now().Before(end); n++ {
		took, err := run()
		if err != nil {
			return err
		}
		s.times = append(s.times, took)
	}
	return nil
}

func (s *subject) sample() Sample {
	slices.Sort(s.times)
	at := func(q float64) time.Duration { return s.times[int(q*float64(len(s.times)-1)+0.5)] }
	return Sample{s.features, at(0.5), at(0.1), at(0.9), len(s.times)}
}
