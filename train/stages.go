package train

import (
	"fmt"
	"math"
	"runtime/debug"

	"effnet/arch"
	"effnet/autoaugment"
)

// Progressive learning (EfficientNetV2, arXiv:2104.00298, algorithm 1): training
// is cut into stages of equal length. The first has small images and weak
// regularisation, the last has the network's resolution and what the recipe
// says; between them everything grows linearly.

// Stage is a part of a run that sees images of one size.
type Stage struct {
	Index, Of   int // from 0, and the number of stages
	First, Last int // epochs, from 0

	Resolution int     // pixels a side
	Dropout    float64 // rate before the classifier
	DropPath   float64 // rate of the last block

	AutoAugment string  // policy as package autoaugment reads it
	Mixup       float64 // alpha
}

// Stages are the stages of a run, in order.
type Stages []Stage

// At is the stage of an epoch, from 0.
func (s Stages) At(epoch int) Stage {
	for _, s := range s {
		if epoch <= s.Last {
			return s
		}
	}
	return s[len(s)-1]
}

// sideStep is what the sides of images between the first and the last stage are
// whole multiples of, and the first's where it is a share: the first two
// halvings of a network then meet even sides.
const sideStep = 4

// leastMixup is the smallest alpha that is any: what lies below hardly mixes.
const leastMixup = 0.01

// Stages are those of the run, in order: one unless its recipe is progressive.
// The error is a [*FieldError] where a stage's images do not suit the network.
func (c *RunConfig) Stages() (Stages, error) {
	r, side := &c.Recipe, c.Spec.Resolution
	n := max(1, r.Progressive)
	first := r.firstSide(side)
	if first > side {
		return nil, &FieldError{"first_resolution", fmt.Sprintf("is %v, want at most the %d pixels of the network, or a share of them up to 1", r.FirstResolution, side)}
	}
	stages := make(Stages, n)
	for i := range stages {
		s := &stages[i]
		*s = Stage{
			Index: i, Of: n, First: stageStart(i, n, r.Epochs), Last: stageStart(i+1, n, r.Epochs) - 1,
			Resolution: side, Dropout: *r.Dropout, DropPath: *r.DropPath, AutoAugment: r.AutoAugment, Mixup: r.Mixup,
		}
		if i == n-1 {
			break
		}
		grow := func(first, last float64) float64 { return first + float64((last-first)*float64(i)/float64(n-1)) }
		if r.FirstDropout != nil {
			s.Dropout = grow(*r.FirstDropout, s.Dropout)
		}
		if r.FirstDropPath != nil {
			s.DropPath = grow(*r.FirstDropPath, s.DropPath)
		}
		if r.FirstMixup != nil {
			if s.Mixup = grow(*r.FirstMixup, s.Mixup); s.Mixup < leastMixup {
				s.Mixup = 0
			}
		}
		if r.FirstMagnitude != nil {
			p, err := autoaugment.Parse(r.AutoAugment)
			if err != nil {
				return nil, &FieldError{"auto_augment", err.Error()}
			}
			last, _ := p.Magnitude()
			s.AutoAugment = p.WithMagnitude(int(math.Round(grow(float64(*r.FirstMagnitude), float64(last))))).String()
		}
		s.Resolution = first
		if i > 0 {
			s.Resolution = min(side, max(first, roundSide(grow(float64(first), float64(side)))))
		}
		if _, err := s.spec(c.Spec).Graph(); err != nil {
			return nil, &FieldError{"first_resolution", fmt.Sprintf("is %v: %v", r.FirstResolution, err)}
		}
	}
	return stages, nil
}

// stageStart is the first epoch of stage i of n: epoch e is of stage e*n/epochs.
func stageStart(i, n, epochs int) int { return (i*epochs + n - 1) / n }

// firstSide is the side of the first stage's images for a network of side.
func (r *Recipe) firstSide(side int) int {
	if r.FirstResolution > 1 {
		return int(r.FirstResolution)
	}
	return min(side, roundSide(r.FirstResolution*float64(side)))
}

func roundSide(x float64) int { return sideStep * max(1, int(math.Round(x/sideStep))) }

// spec is the network of the stage.
func (s *Stage) spec(c arch.Spec) arch.Spec {
	c.Resolution, c.Dropout, c.DropPath = s.Resolution, s.Dropout, s.DropPath
	return c
}

// plan sets up the stages of the run.
func (l *loop) plan() (err error) {
	if l.stages, err = l.Config.Stages(); err != nil {
		return err
	}
	l.stage = l.stages[0]
	l.costs, err = l.stages.costs(l.Config.Spec)
	return err
}

// costs are the multiplications of an image of each stage, as shares of those
// at the network's resolution.
func (s Stages) costs(spec arch.Spec) ([]float64, error) {
	whole, err := spec.CostAt(spec.Resolution)
	if err != nil {
		return nil, err
	}
	var costs []float64
	for _, s := range s {
		t, err := spec.CostAt(s.Resolution)
		if err != nil {
			return nil, err
		}
		costs = append(costs, float64(t.MACs)/float64(whole.MACs))
	}
	return costs, nil
}

// RelativeCost is the multiplications of the whole run as a share of those it
// would take at the network's resolution throughout.
func (c *RunConfig) RelativeCost() (float64, error) {
	stages, err := c.Stages()
	if err != nil {
		return 0, err
	}
	costs, err := stages.costs(c.Spec)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i, s := range stages {
		sum += float64(s.Last+1-s.First) * costs[i]
	}
	return sum / float64(c.Recipe.Epochs), nil
}

// enter goes on with the engine of another stage. The old one's memory is given
// back first, so that both never add up.
func (l *loop) enter(s Stage) (err error) {
	state := l.engine.View()
	l.closeEngine()
	debug.FreeOSMemory()
	if l.engine, err = l.start(l.folder, s); err != nil {
		return err
	}
	l.stage, l.meter = s, meter{}
	return l.engine.Restore(state)
}

func (l *loop) closeEngine() {
	if l.engine != nil {
		l.engine.Close()
		l.engine = nil
	}
}

// work is what is left to train, in steps of the current stage: the other
// stages' steps count by the multiplications of their images.
func (l *loop) work() float64 {
	sum := 0.0
	for i, s := range l.stages {
		left := (s.Last+1)*l.perEpoch - max(l.step, s.First*l.perEpoch)
		sum += float64(max(0, left)) * l.costs[i]
	}
	return sum / l.costs[l.stage.Index]
}
