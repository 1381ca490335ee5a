// Package latency finds out how long networks take on this machine.
//
// [Measure] runs a network and takes the time. [Fit] makes a [Model] of a few
// networks measured, which predicts any other scaling of the same base within
// a stated error. A [Search] uses both to find the largest network within a
// latency: the model says where to look, and what is found has been measured.
package latency

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"effnet/arch"
)

// Meter measures networks by turns and tells done how far it is, as
// [MeasureAll] does.
type Meter func(ctx context.Context, specs []arch.Spec, done func(part float64)) ([]Sample, error)

// Search is for the largest network on the line that arch.Fit knows from Base
// and Shares, within Budget, whose median latency is at most Max.
type Search struct {
	Base   arch.Spec
	Shares arch.Shares
	Budget arch.Budget // besides latency; may be without limits
	Max    time.Duration

	Meter    Meter
	Samples  []Sample       // of Base and its scalings, known from before
	Progress func(Progress) // nil for none
	Keep     func([]Sample) // given all samples whenever there are new ones; nil for none
}

// Progress is how far a search is.
type Progress struct {
	Doing string
	Done  float64       // measurements, with a part of those under way
	Most  int           // measurements in all
	Left  time.Duration // at most, as far as is known; 0 before that
}

// Found is the network found.
type Found struct {
	arch.Fitted
	Predicted Estimate // from the other networks measured
	Measured  Sample
	Above     *Measured // the smallest network above it that took longer than Max, if one was measured
	Networks  int       // that were measured, those known from before not counted
}

// Measured is a network and what it took.
type Measured struct {
	arch.Fitted
	Sample
}

// TooSlowError says that even the smallest network takes longer than allowed.
type TooSlowError struct {
	Smallest Measured
	Shares   arch.Shares
	Max      time.Duration
}

func (e *TooSlowError) Error() string {
	return fmt.Sprintf("latency: no network on the ratio %s is fast enough: the smallest, with %d MACs, takes %v where %v is allowed",
		e.Shares, e.Smallest.Totals.MACs, e.Smallest.Median, e.Max)
}

// Measurements at most: to find out about where the budget lies, around there
// for the model, and to find the answer, the last of which may be of two.
const (
	maxProbes = 4
	maxArms   = 1 + len(arms)
	maxWalk   = 10
	maxMore   = 5 // where those left the answer wide open
)

// Run searches. Between networks and inside a measurement it heeds ctx.
func (s *Search) Run(ctx context.Context) (Found, error) {
	if s.Max <= 0 {
		return Found{}, fmt.Errorf("latency: the budget is %v, want more than 0", s.Max)
	}
	r := &run{Search: s, samples: slices.Clone(s.Samples), distinct: map[Features]bool{}, start: time.Now(), most: maxProbes + maxArms + maxWalk}
	// Limits that leave no network at all need no measurement.
	if s.Budget.MACs != 0 || s.Budget.Params != 0 || s.Budget.Memory != 0 || s.Budget.Within != nil {
		var none *arch.NoFitError
		if _, err := arch.Fit(s.Base, s.Budget, s.Shares); errors.As(err, &none) {
			return Found{}, err
		}
	}
	if err := r.calibrate(ctx); err != nil {
		return Found{}, err
	}
	model, err := Fit(r.samples)
	if err != nil {
		return Found{}, err
	}
	r.most = r.measurements + maxWalk
	return r.walk(ctx, model)
}

// run is a search under way.
type run struct {
	*Search
	samples      []Sample
	measurements int
	distinct     map[Features]bool // networks measured
	most         int               // measurements
	start        time.Time
}

// fit is the largest network within the budget and allowed, or with none such
// the smallest.
func (r *run) fit(allowed func(*Features) bool) (f arch.Fitted, smallest bool, err error) {
	b := r.Budget
	b.Within = func(s *arch.Spec) bool {
		g, err := s.Graph()
		if err != nil {
			return false
		}
		x := FeaturesOf(g)
		return allowed(&x) && (r.Budget.Within == nil || r.Budget.Within(s))
	}
	f, err = arch.Fit(r.Base, b, r.Shares)
	var none *arch.NoFitError
	if errors.As(err, &none) && none.Smallest != nil {
		return *none.Smallest, true, nil
	}
	return f, false, err
}

// measure measures networks, which join the samples. What was measured in a
// busy moment is measured once more, and the steadier sample counts.
func (r *run) measure(ctx context.Context, doing string, specs ...arch.Spec) ([]Sample, error) {
	r.most = max(r.most, r.measurements+len(specs))
	tell := func(part float64) {
		if r.Progress == nil {
			return
		}
		p := Progress{Doing: doing, Done: float64(r.measurements) + part*float64(len(specs)), Most: r.most}
		if p.Done > 0 {
			p.Left = time.Duration(float64(time.Since(r.start)) * (float64(r.most) - p.Done) / p.Done)
		}
		r.Progress(p)
	}
	tell(0)
	samples, err := r.Meter(ctx, specs, tell)
	if err != nil {
		return nil, err
	}
	var again []arch.Spec
	var which []int
	for i := range samples {
		if samples[i].Busy() {
			again, which = append(again, specs[i]), append(which, i)
		}
	}
	if len(again) > 0 {
		more, err := r.Meter(ctx, again, func(float64) { tell(1) })
		if err != nil {
			return nil, err
		}
		for k, i := range which {
			if more[k].Spread() < samples[i].Spread() {
				samples[i] = more[k]
			}
		}
	}
	r.measurements += len(specs)
	for i := range samples {
		r.distinct[samples[i].Features] = true
		// A network measured again counts by its latest sample.
		r.samples = slices.DeleteFunc(r.samples, func(old Sample) bool { return old.Features == samples[i].Features })
	}
	r.samples = append(r.samples, samples...)
	if r.Keep != nil {
		r.Keep(r.samples)
	}
	return samples, nil
}

// The model is used where nearCount samples are within a factor of nearFactor
// of the budget.
const (
	nearFactor = 2.5
	nearCount  = 5
)

// calibrate sees to it that there are samples around the budget: networks
// that differ from one about that large in one dimension each, up and down,
// whatever the ratio that is asked for.
func (r *run) calibrate(ctx context.Context) error {
	near := 0
	for i := range r.samples {
		if r.off(&r.samples[i]) < math.Log(nearFactor) {
			near++
		}
	}
	if near >= nearCount {
		return nil
	}
	center, err := r.probe(ctx)
	if err != nil {
		return err
	}
	specs := []arch.Spec{center.Spec}
	seen := map[Features]bool{}
	for i := range r.samples {
		seen[r.samples[i].Features] = true
	}
	for _, arm := range arms {
		f := center.Factors
		f.Depth *= arm.Depth
		f.Width *= arm.Width
		f.Resolution = int(math.Round(float64(center.Spec.Resolution) * arm.resolution))
		spec, err := r.Base.Scale(f)
		if err != nil { // over a limit of networks
			continue
		}
		g, err := spec.Graph()
		if err != nil || seen[FeaturesOf(g)] {
			continue
		}
		seen[FeaturesOf(g)] = true
		specs = append(specs, spec)
	}
	_, err = r.measure(ctx, "networks around the budget", specs...)
	return err
}

// arms are the ways from the center of a calibration to its other networks.
var arms = [...]struct{ Depth, Width, resolution float64 }{
	{0.5, 1, 1}, {1, 0.7, 1}, {1, 1, 0.7},
	{1.4, 1, 1}, {1, 1.2, 1}, {1, 1, 1.2},
	{0.7, 0.8, 0.8},
}

// off is how far a sample is from the budget, as the logarithm of a factor.
func (r *run) off(s *Sample) float64 {
	return math.Abs(math.Log(s.Median.Seconds() / r.Max.Seconds()))
}

// nearest is the sample nearest to the budget.
func (r *run) nearest() *Sample {
	best := &r.samples[0]
	for i := range r.samples {
		if r.off(&r.samples[i]) < r.off(best) {
			best = &r.samples[i]
		}
	}
	return best
}

func (f *Features) macs() float64 { return f[pointwiseMACs] + f[denseMACs] + f[depthwiseMACs] }

// probe finds a network within the limits of about the latency allowed. It
// starts small, and takes time to grow as MACs do, which overshoots seldom:
// large networks do more of them in a second.
func (r *run) probe(ctx context.Context) (arch.Fitted, error) {
	macs := 0.0
	if len(r.samples) == 0 {
		t, err := r.Base.CostAt(r.Base.Resolution)
		if err != nil {
			return arch.Fitted{}, err
		}
		macs = float64(t.MACs) / 64
	}
	for n := 0; ; n++ {
		if len(r.samples) > 0 {
			s := r.nearest()
			macs = s.Features.macs() * min(max(r.Max.Seconds()/s.Median.Seconds(), 1.0/64), 16)
		}
		f, smallest, err := r.fit(func(x *Features) bool { return x.macs() <= macs })
		if err != nil {
			return arch.Fitted{}, err
		}
		g, err := f.Spec.Graph()
		if err != nil {
			return arch.Fitted{}, err
		}
		x := FeaturesOf(g)
		known := slices.ContainsFunc(r.samples, func(s Sample) bool { return s.Features == x })
		if known || n == maxProbes || len(r.samples) > 0 && r.off(r.nearest()) < math.Log(1.5) {
			return f, nil
		}
		samples, err := r.measure(ctx, "small networks first", f.Spec)
		if err != nil {
			return arch.Fitted{}, err
		}
		if smallest && samples[0].Median > r.Max {
			return arch.Fitted{}, &TooSlowError{Measured{f, samples[0]}, r.Shares, r.Max}
		}
	}
}
