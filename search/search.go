// Package search finds, by real trials, how much of a compute budget a base
// network should spend on depth, on width and on resolution.
//
// The networks that cost s times the base form a triangle: write the shares
// (d, w, r) of the growth, summing to one, and depth grows by s^d, width by
// s^(w/2), resolution by s^(r/2). The corners are the single dimensions.
// Because channels and repeats are integers, a search enumerates the distinct
// networks behind the triangle and knows each by its realised cost
// ([Enumerate]), picks a well-spread few, trains them with common seeds,
// chooses a ratio, and then validates: the chosen ratio, the three single
// dimensions and EfficientNet-B0's ratio are grown to a larger factor at equal
// realised cost, trained, and compared on test images that nothing before
// looked at.
//
// The package knows no engine. It trains through an [Engine], writes what
// happens to a ledger, and derives every number and the verdict from that
// ledger alone ([Load]).
package search

import (
	"context"
	"errors"
	"fmt"
	"time"

	"effnet/arch"
)

// Config is what a search is asked for. It is the ledger's first line, and a
// resumed search must agree with it field by field. Fields that are zero are
// chosen by the plan.
type Config struct {
	Base         string  `json:"base"`                 // the base network, YAML
	Data         string  `json:"data"`                 // the data set's name
	Source       string  `json:"source"`               // where to open it again
	DataChecksum string  `json:"data_checksum"`        // of its content
	BadImages    string  `json:"bad_images,omitempty"` // "skip": those that cannot be read are left out
	Factor       float64 `json:"factor"`               // cost of the explored networks over the base's
	Tolerance    float64 `json:"tolerance"`            // of their realised cost, relative to Factor
	Cost         Measure `json:"cost,omitempty"`       // what a cost is; "": MACs
	Limits       []Limit `json:"limits,omitempty"`     // on other measures
	Candidates   string  `json:"candidates,omitempty"` // where the explored networks come from; "": the triangle
	Networks     int     `json:"networks"`             // explored networks at most, the base not counted
	Eta          int     `json:"eta"`                  // a rung promotes one in so many networks, to so many times the epochs
	Rungs        int     `json:"rungs"`
	Exhaustive   bool    `json:"exhaustive,omitempty"` // every network in full length: one rung
	Seeds        int     `json:"seeds"`                // trainings of each network of a rung
	NoiseSeeds   int     `json:"noise_seeds"`          // trainings of the base that measure the noise
	Finalists    int     `json:"finalists"`            // networks of the last rung that are trained again
	FreshSeeds   int     `json:"fresh_seeds"`          // trainings of each of them
	Sweep        bool    `json:"sweep,omitempty"`      // widths are swept at several depths and resolutions
	// ValidateFactors are the costs over the base's, from 1 outwards, at which the
	// chosen ratio is compared with the rules; empty: no validation.
	ValidateFactors []float64 `json:"validate_factors"`
	FinalSeeds      int       `json:"final_seeds"` // trainings of each network compared
	Seed            uint64    `json:"seed"`        // the first of the seeds
	SplitSeed       uint64    `json:"split_seed"`  // of the choice of training and validation images
	Epochs          int       `json:"epochs"`
	TrainImages     int       `json:"train_images"`   // training images of every trial
	BudgetSeconds   float64   `json:"budget_seconds"` // wall-clock the plan is made to fit
	Recipe          string    `json:"recipe"`         // how a trial trains, as the engine writes it
	Kernel          string    `json:"kernel"`         // implementation of the arithmetic: others round differently

	Memory int64 `json:"memory,omitempty"` // limit of a trial's memory, bytes: it decides the micro-batches; 0: none
}

// BaseSpec is the base network.
func (c *Config) BaseSpec() (arch.Spec, error) {
	return arch.ParseSpec(LedgerName, []byte(c.Base))
}

// Check reports the first value that makes no sense.
func (c *Config) Check() error {
	if err := c.checkBudget(); err != nil {
		return err
	}
	switch {
	case c.Networks != 0 && (c.Networks < minNetworks || c.Networks > maxNetworks):
		return fmt.Errorf("search: networks is %d, want %d to %d", c.Networks, minNetworks, maxNetworks)
	case c.Eta != 0 && (c.Eta < 2 || c.Eta > 10):
		return fmt.Errorf("search: eta is %d, want 2 to 10", c.Eta)
	case c.Rungs < 0 || c.Rungs > 10:
		return fmt.Errorf("search: the number of rungs is %d, want 1 to 10", c.Rungs)
	case c.Exhaustive && c.Rungs > 1:
		return fmt.Errorf("search: an exhaustive search has one rung, %d are asked for", c.Rungs)
	case c.Finalists < 0 || c.Finalists > maxNetworks:
		return fmt.Errorf("search: the number of finalists is %d, want 1 to %d", c.Finalists, maxNetworks)
	case c.Epochs < 0 || c.Epochs > maxEpochs:
		return fmt.Errorf("search: epochs is %d, want 1 to %d", c.Epochs, maxEpochs)
	case c.TrainImages < 0:
		return fmt.Errorf("search: the number of training images is %d, want it positive", c.TrainImages)
	case !(c.BudgetSeconds >= 0 && c.BudgetSeconds <= maxBudget):
		return fmt.Errorf("search: the budget is %v seconds, want it positive, at most %g", c.BudgetSeconds, float64(maxBudget))
	}
	for _, s := range []struct {
		name string
		n    int
	}{{"seeds", c.Seeds}, {"noise seeds", c.NoiseSeeds}, {"fresh seeds", c.FreshSeeds}, {"seeds of the validation", c.FinalSeeds}} {
		if s.n < 0 || s.n > maxSeeds {
			return fmt.Errorf("search: the number of %s is %d, want 1 to %d", s.name, s.n, maxSeeds)
		}
	}
	return nil
}

const (
	minNetworks = 4 // the corners and one between them
	maxNetworks = 1000
	maxSeeds    = seedRange
	maxBudget   = 1e8 // seconds
	maxEpochs   = 10000
)

// Session is one process that worked on a search.
type Session struct {
	Workers int    `json:"workers"` // trials at a time
	Threads int    `json:"threads"` // of each trial
	CPUs    int    `json:"cpus"`
	Go      string `json:"go"`
}

// Trial is one training to be done and scored.
type Trial struct {
	ID          string // unique in the search: network, "-e", epochs, "-s", seed
	Phase       Phase
	Rung        int       // of PhaseRung
	Attempt     int       // the first is 1; a result of any but the newest attempt does not count
	Spec        arch.Spec // the network
	Seed        uint64    // of initial weights, data order and augmentation
	SplitSeed   uint64    // of the choice of training and validation images
	Epochs      int
	TrainImages int
	Test        bool // score on the test images too
	// Floor holds an accuracy on the validation images for every epoch but the
	// last: after an epoch that ends below it, the trial stops, scored as it
	// is. Empty: it never stops early. Zero: not after that epoch.
	Floor   []float64
	Threads int    // to compute with; must not change the outcome
	Dir     string // the trial's own folder: checkpoints to resume from, the model
}

// Progress is how far a running trial is.
type Progress struct {
	Done     float64 // share of the whole trial, 0 to 1
	Epoch    int     // epochs finished
	Accuracy float64 // on the validation images after the last finished epoch, 0 before
	Rate     float64 // training images a second
}

// Score counts correctly classified images.
type Score struct {
	Correct int `json:"correct"`
	Total   int `json:"total"`
}

// Accuracy is the share of correct ones.
func (s Score) Accuracy() float64 { return float64(s.Correct) / float64(s.Total) }

// Point is one point of a learning curve.
type Point struct {
	Epoch    int     `json:"epoch"`
	Loss     float64 `json:"loss"`     // mean over the epoch's training batches
	Accuracy float64 `json:"accuracy"` // on the validation images
}

// Outcome is what a trial gave. But for Worker it holds nothing that depends on
// time or on the machine's load.
type Outcome struct {
	Validation Score   `json:"validation"`
	Test       *Score  `json:"test,omitempty"`
	TestHits   []byte  `json:"test_hits,omitempty"` // bit i set: test image i correct
	Curve      []Point `json:"curve,omitempty"`
	Stopped    int     `json:"stopped,omitempty"` // the epoch after which Trial.Floor ended it; 0: it had its full length
	Model      string  `json:"model,omitempty"`   // file name in the trial's folder
	SHA256     string  `json:"sha256,omitempty"`  // of that file
	Kernel     string  `json:"kernel,omitempty"`  // implementation of the arithmetic that trained it
	Worker     string  `json:"worker,omitempty"`  // who trained it; "": the searching process
}

// check reports an outcome that its trial cannot have under the plan.
func (o *Outcome) check(t *Trial, p *Plan) error {
	bad := func(s Score) bool { return s.Total < 1 || s.Correct < 0 || s.Correct > s.Total }
	switch {
	case bad(o.Validation):
		return fmt.Errorf("search: trial %s: %d of %d validation images correct makes no sense", t.ID, o.Validation.Correct, o.Validation.Total)
	case t.Test != (o.Test != nil):
		return fmt.Errorf("search: trial %s: scored on the test images: %v, want %v", t.ID, o.Test != nil, t.Test)
	case o.Test != nil && bad(*o.Test):
		return fmt.Errorf("search: trial %s: %d of %d test images correct makes no sense", t.ID, o.Test.Correct, o.Test.Total)
	case o.TestHits != nil && (o.Test == nil || len(o.TestHits) != (o.Test.Total+7)/8 || countHits(o.TestHits) != o.Test.Correct):
		return fmt.Errorf("search: trial %s: the test hits do not agree with the test score", t.ID)
	case o.Validation.Total != p.Validation:
		return fmt.Errorf("search: trial %s: scored on %d validation images, want %d", t.ID, o.Validation.Total, p.Validation)
	case o.Test != nil && o.Test.Total != p.Test:
		return fmt.Errorf("search: trial %s: scored on %d test images, want %d", t.ID, o.Test.Total, p.Test)
	case o.Stopped < 0 || o.Stopped > 0 && (o.Stopped >= t.Epochs || t.Test):
		return fmt.Errorf("search: trial %s: stopped after epoch %d of %d", t.ID, o.Stopped, t.Epochs)
	}
	return nil
}

// ErrDiverged is wrapped by an engine's error when the training itself went
// wrong (a loss that is not a number), which a second attempt would repeat.
// The trial is recorded as failed and the search goes on without it; any
// other error stops the search.
var ErrDiverged = errors.New("training diverged")

// ErrAbandoned is wrapped by an engine's error for a trial that it gives up
// because it took down every worker that tried. It is recorded as failed, too.
var ErrAbandoned = errors.New("trial abandoned")

// Speed is the measured cost of one image, in seconds.
type Speed struct {
	Train float64 // one image through a training step
	Score float64 // one image through a scoring pass
}

// Engine trains for a search. Its functions are called concurrently.
type Engine struct {
	// Train does a trial, going on from what an earlier attempt left in its
	// folder. When ctx ends it saves its state there and returns ctx's error.
	Train func(ctx context.Context, t *Trial, progress func(Progress)) (*Outcome, error)
	// Probe measures a network's speed with the given threads, within a
	// second or two.
	Probe func(ctx context.Context, spec *arch.Spec, threads int) (Speed, error)

	// Tidy, if there is one, removes what a finished trial's folder holds
	// beside its model.
	Tidy func(dir string) error

	// Meter measures memory and latency; nil where no budget is in them.
	Meter *Meter

	TrainImages      int // there are for training
	ValidationImages int // every epoch ends by scoring so many
	TestImages       int // there are
}

// Options say how to run a search, not what it finds.
type Options struct {
	Workers int                  // trials at a time
	Threads int                  // of each trial
	Planned func(*Plan, *Status) // called when the plan stands, before the first trial
	// Preparing is called before that, from the moment that the folder is this
	// process's own, as what is done changes; not where the plan stands already.
	Preparing func(Preparation)
	Status    func(*Status)                    // called after every event, and at least every Tick
	Tick      time.Duration                    // 0: a second
	Note      func(format string, args ...any) // things the user should know

	now func() time.Time // of tests; nil: time.Now
}
