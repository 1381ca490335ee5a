package train

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// LRRange is a learning-rate range test (Smith, "Cyclical Learning Rates for
// Training Neural Networks", WACV 2017): a network is trained for a few steps
// while the learning rate rises exponentially, and the loss shows from where on
// the network learns and from where on it no longer does.
type LRRange struct {
	From, To  float64 // learning rates of the first and of the last step
	Steps     int
	Smoothing float64 // share of the past in the smoothed loss, 0 to below 1
	Diverged  float64 // the test ends when the smoothed loss is this many times its lowest
}

// DefaultLRRange is a test of 200 steps.
func DefaultLRRange() LRRange {
	return LRRange{From: 1e-6, To: 10, Steps: 200, Smoothing: 0.9, Diverged: 4}
}

// Check reports the first value that makes no sense.
func (r *LRRange) Check() error {
	switch {
	case !(r.From > 0) || !(r.To > r.From) || math.IsInf(r.To, 0):
		return fmt.Errorf("train: the learning rate would go from %v to %v, want above 0 and rising", r.From, r.To)
	case r.Steps < lrWindow || r.Steps > 1e6:
		return fmt.Errorf("train: %d steps, want %d to 1000000", r.Steps, lrWindow)
	case !(r.Smoothing >= 0 && r.Smoothing < 1):
		return fmt.Errorf("train: smoothing is %v, want 0 to below 1", r.Smoothing)
	case !(r.Diverged > 1):
		return fmt.Errorf("train: the loss at which the test ends is %v times the lowest, want above 1", r.Diverged)
	}
	return nil
}

// LRPoint is a step of a test.
type LRPoint struct {
	LR       float64 `json:"lr"`
	Loss     float64 `json:"loss"`     // of the batch, before its update
	Smoothed float64 `json:"smoothed"` // exponential average of the losses so far, without bias to the first
}

// LRResult is a finished test.
type LRResult struct {
	Points  []LRPoint `json:"points"`
	Stopped string    `json:"stopped,omitempty"` // why it ended before LRRange.To
	// Where the smoothed loss is lowest, a tenth of that, and where it falls
	// steepest by the logarithm of the learning rate; 0 if it never fell.
	Lowest   float64 `json:"lowest,omitempty"`
	Tenth    float64 `json:"lowest_tenth,omitempty"`
	Steepest float64 `json:"steepest,omitempty"`
}

// FindLR makes a range test on the network, the recipe and the data of job,
// whose Dir, Evaluate and Observer are not used; nor is the recipe's schedule.
// It keeps nothing. tell, which may be nil, hears of every step.
func FindLR(ctx context.Context, job Job, r LRRange, tell func(LRPoint)) (*LRResult, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	g, err := job.Config.Spec.Graph()
	if err != nil {
		return nil, err
	}
	job.Config.Recipe.EMADecay = 0
	engine, err := compile(g, job, nil)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	return findLR(ctx, job, r, engine, tell)
}

func findLR(ctx context.Context, job Job, r LRRange, engine stepper, tell func(LRPoint)) (*LRResult, error) {
	perEpoch := job.Config.Recipe.StepsPerEpoch(job.Source.Len())
	if perEpoch < 1 {
		return nil, fmt.Errorf("train: %d training images do not fill a batch of %d", job.Source.Len(), job.Config.Recipe.Batch)
	}
	l := &loop{Job: job, perEpoch: perEpoch, engine: engine}
	defer l.closeBatches()
	res := &LRResult{}
	average, lowest := 0.0, math.Inf(1)
	for i := range r.Steps {
		if i%perEpoch == 0 {
			l.closeBatches()
			b, err := job.Source.Epoch(ctx, i/perEpoch, 0)
			if err != nil {
				return nil, err
			}
			l.batches = b
		}
		x, y, err := l.batches.Next()
		if err != nil {
			return nil, err
		}
		p := LRPoint{LR: r.From * math.Pow(r.To/r.From, float64(i)/float64(r.Steps-1))}
		stats, err := engine.Step(ctx, x, y, p.LR)
		if bad := (*NonFiniteError)(nil); errors.As(err, &bad) {
			res.Stopped = fmt.Sprintf("the loss is %v at learning rate %.3g", bad.Loss, p.LR)
			break
		}
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		if err != nil {
			return nil, err
		}
		average = r.Smoothing*average + (1-r.Smoothing)*stats.Loss
		p.Loss, p.Smoothed = stats.Loss, average/(1-math.Pow(r.Smoothing, float64(i+1)))
		res.Points = append(res.Points, p)
		if tell != nil {
			tell(p)
		}
		lowest = min(lowest, p.Smoothed)
		if p.Smoothed > r.Diverged*lowest {
			res.Stopped = fmt.Sprintf("the loss is %.3g at learning rate %.3g, more than %g times its lowest", p.Smoothed, p.LR, r.Diverged)
			break
		}
	}
	res.suggest()
	return res, nil
}

// lrWindow is the number of points whose slope is taken together.
const lrWindow = 11

// suggest finds the learning rates that the points speak for.
func (r *LRResult) suggest() {
	low := 0
	for i, p := range r.Points {
		if p.Smoothed < r.Points[low].Smoothed {
			low = i
		}
	}
	steepest := 0.0
	for i := lrWindow / 2; i+lrWindow/2 < len(r.Points) && i <= low; i++ {
		if s := slope(r.Points[i-lrWindow/2 : i+lrWindow/2+1]); s < steepest {
			steepest, r.Steepest = s, r.Points[i].LR
		}
	}
	if r.Steepest > 0 {
		r.Lowest = r.Points[low].LR
		r.Tenth = r.Lowest / 10
	}
}

// slope is that of the smoothed loss by the logarithm of the learning rate, by
// least squares.
func slope(points []LRPoint) float64 {
	n := float64(len(points))
	var mx, my, xy, xx float64
	for _, p := range points {
		mx += math.Log(p.LR) / n
		my += p.Smoothed / n
	}
	for _, p := range points {
		dx := math.Log(p.LR) - mx
		xy += dx * (p.Smoothed - my)
		xx += dx * dx
	}
	return xy / xx
}
