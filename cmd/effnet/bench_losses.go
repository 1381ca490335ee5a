package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/arch"
	"effnet/infer"
	"effnet/internal/npy"
	"effnet/internal/words"
	"effnet/weights"
)

// Training amplifies rounding: a difference in the last bit of one step is a
// larger one in the next. How far float32 may drift is therefore not a fixed
// number. The yardstick is PyTorch itself: its float32 runs against its
// float64 run, from the same weights, on the same batches.
const (
	referenceEngine = "torch-float64"

	// effnet may be this many times as far from the reference as PyTorch's
	// float32 runs are at their farthest, and this much farther (a few
	// roundings of float32); its losses, though, no farther than maxLossApart.
	// Weights have no such limit: AdamW moves those whose gradient is zero but
	// for rounding, a beta before another batch norm, at random by all of the
	// learning rate.
	apartFactor  = 2.0
	apartFloor   = 2e-6
	maxLossApart = 1e-2

	earlySteps = 10 // after which weights are compared, besides at the end
)

// lossReport is how engines that train from the same weights on the same
// batches stay together.
type lossReport struct {
	benchSetting
	LR        float64     `json:"lr"` // of every step
	Steps     int         `json:"steps"`
	Reference lossCurve   `json:"reference"` // PyTorch in float64
	Engines   []lossCurve `json:"engines"`   // effnet first
	Bound     []float64   `json:"bound"`     // of effnet's Apart
	Agree     bool        `json:"agree"`
}

// lossCurve is what one engine saw, and how far it is from the reference;
// relative differences all.
type lossCurve struct {
	Engine  string       `json:"engine"`
	Version string       `json:"version"`
	Losses  []float64    `json:"losses"`           // before each step's update
	Apart   []float64    `json:"apart,omitempty"`  // of losses, the largest up to each step
	States  []stateApart `json:"states,omitempty"` // after some of the steps

	params int64
	states []trainedState
}

// stateApart is how far a network in training is from the reference's: the
// largest difference over the largest value, of all tensors of a role.
type stateApart struct {
	Step     int     `json:"step"`
	Weights  float64 `json:"weights"`          // of convolutions and linear layers
	Norms    float64 `json:"gamma_beta"`       // of batch norm
	Mean     float64 `json:"running_mean"`     // likewise
	Variance float64 `json:"running_variance"` // likewise
	Logits   float64 `json:"logits"`           // of the first batch, by the running statistics
}

// trainedState is a network in training after some steps.
type trainedState struct {
	step   int
	set    *weights.Set
	logits []float32
}

// runLosses follows the losses of effnet and PyTorch.
func (b *benchCmd) runLosses(arg string) error {
	job, setting, err := b.prepareTraining(arg)
	if err != nil {
		return err
	}
	r := &lossReport{benchSetting: setting, LR: job.Train.LR, Steps: b.losses}
	if err := b.follow(job, &r.Reference, referenceEngine); err != nil {
		return err
	}
	engines := []string{ownEngine}
	for _, name := range b.compare {
		p, err := findPeer(name)
		if err != nil {
			return err
		}
		engines = append(engines, p.engine)
	}
	r.Engines = make([]lossCurve, len(engines))
	for i, name := range engines {
		c := &r.Engines[i]
		if err := b.follow(job, c, name); err != nil {
			return err
		}
		if err := c.measure(&r.Reference); err != nil {
			return err
		}
	}
	fault := r.judge()
	if err := b.printLosses(r); err != nil {
		return err
	}
	return fault
}

// follow has an engine train, in a process that ends with it.
func (b *benchCmd) follow(job benchJob, c *lossCurve, engine string) error {
	job.Engine, c.Engine = engine, engine
	var hello benchHello
	p, err := b.startProcess(b.Context(), job, &hello)
	if err != nil {
		return err
	}
	defer p.close()
	c.Version, c.params = hello.Version, hello.Params
	for _, step := range slices.Compact([]int{min(earlySteps, b.losses), b.losses}) {
		var l benchLosses
		if err := p.ask(&l, "losses %d", step-len(c.Losses)); err != nil {
			return err
		}
		if c.Losses = append(c.Losses, l.Losses...); len(c.Losses) != step {
			return fmt.Errorf("bench: %s answered with %d losses in all, want %d", engine, len(c.Losses), step)
		}
		if err := p.ask(&struct{}{}, "state 0"); err != nil {
			return err
		}
		s := trainedState{step: step}
		if s.set, err = weights.Open(b.weightsOf(engine)); err != nil {
			return err
		}
		if s.logits, err = readFloats(b.outputOf(engine)); err != nil {
			return err
		}
		c.states = append(c.states, s)
	}
	return nil
}

// writeState writes a network in training: its weights, and the logits of the
// first batch of x by its running statistics.
func writeState(ctx context.Context, job *benchJob, g *arch.Graph, w *weights.Set, x []float32) error {
	if err := w.WriteFile(job.Weights); err != nil {
		return err
	}
	plan, err := infer.Compile(g, w, infer.Options{Threads: job.Threads})
	if err != nil {
		return err
	}
	defer plan.Close()
	logits, err := plan.Run(ctx, x[:job.Batch*g.Ops[0].Shape.Elems()], job.Batch)
	if err != nil {
		return err
	}
	return npy.WriteFile(job.Output, logits, job.Batch, plan.Classes())
}

// measure fills in how far c is from the reference.
func (c *lossCurve) measure(ref *lossCurve) error {
	if c.params != ref.params {
		return fmt.Errorf("bench: %s has %d parameters, %s %d: not the same network", c.Engine, c.params, ref.Engine, ref.params)
	}
	most := 0.0
	for i, want := range ref.Losses {
		most = max(most, math.Abs(c.Losses[i]-want)/math.Abs(want))
		if !(most < math.Inf(1)) {
			return fmt.Errorf("bench: the loss of step %d is %g in %s, %g in %s: no two numbers to compare", i+1, c.Losses[i], c.Engine, want, ref.Engine)
		}
		c.Apart = append(c.Apart, most)
	}
	for i := range ref.states {
		s, err := c.states[i].apart(&ref.states[i])
		if err != nil {
			return fmt.Errorf("bench: %s: %w", c.Engine, err)
		}
		c.States = append(c.States, s)
	}
	return nil
}

// apart compares a state with the reference's.
func (s *trainedState) apart(ref *trainedState) (stateApart, error) {
	a := stateApart{Step: s.step}
	if len(s.set.Tensors) != len(ref.set.Tensors) {
		return a, fmt.Errorf("%d tensors after step %d, the reference has %d", len(s.set.Tensors), s.step, len(ref.set.Tensors))
	}
	var all, gammas, means, variances, logits apartness
	for _, name := range ref.set.Names() {
		x, ok := s.set.Tensors[name]
		want := ref.set.Tensors[name]
		if !ok || !slices.Equal(x.Shape, want.Shape) {
			return a, fmt.Errorf("%s after step %d has shape %v, want %v", name, s.step, x.Shape, want.Shape)
		}
		role := &all
		switch _, norm := ref.set.Tensors[siblingMean(name)]; {
		case strings.HasSuffix(name, ".running_mean"):
			role = &means
		case strings.HasSuffix(name, ".running_var"):
			role = &variances
		case norm:
			role = &gammas
		}
		role.add(x.Data, want.Data)
	}
	if len(s.logits) != len(ref.logits) {
		return a, fmt.Errorf("%d logits after step %d, the reference has %d", len(s.logits), s.step, len(ref.logits))
	}
	logits.add(s.logits, ref.logits)
	a.Weights, a.Norms, a.Mean, a.Variance, a.Logits = all.of(), gammas.of(), means.of(), variances.of(), logits.of()
	for _, v := range stateValues {
		if !(v.of(&a) < math.Inf(1)) {
			return a, fmt.Errorf("%s after step %d are %g from the reference's: no numbers to compare", v.name, s.step, v.of(&a))
		}
	}
	return a, nil
}

// siblingMean is the name of the running mean beside a tensor, which only a
// batch norm has.
func siblingMean(name string) string {
	return name[:strings.LastIndexByte(name, '.')+1] + "running_mean"
}

// apartness is the largest difference, and the largest value.
type apartness struct{ diff, most float64 }

func (a *apartness) add(x, want []float32) {
	for i, w := range want {
		a.most = max(a.most, math.Abs(float64(w)))
		a.diff = max(a.diff, math.Abs(float64(x[i])-float64(w)))
	}
}

func (a *apartness) of() float64 {
	if a.diff == 0 {
		return 0
	}
	return a.diff / a.most
}

// judge works out how far effnet may be from the reference, and says where it
// is farther.
func (r *lossReport) judge() error {
	bound := func(of func(c *lossCurve) float64) float64 {
		most := 0.0
		for i := range r.Engines[1:] {
			most = max(most, of(&r.Engines[1+i]))
		}
		return apartFactor*most + apartFloor
	}
	own := &r.Engines[0]
	var fault error
	check := func(what string, step int, got, most float64) {
		if !(got <= most) {
			fault = cmp.Or(fault, fmt.Errorf("bench: %s of step %d: effnet is %.1e from %s, relative; want at most %.1e (%g times what PyTorch's float32 is from it, and %.0e; of losses no more than %g)",
				what, step, got, r.Reference.Engine, most, apartFactor, apartFloor, maxLossApart))
		}
	}
	for i := range own.Apart {
		r.Bound = append(r.Bound, min(maxLossApart, bound(func(c *lossCurve) float64 { return c.Apart[i] })))
		check("loss", i+1, own.Apart[i], r.Bound[i])
	}
	for i := range own.States {
		for _, v := range stateValues {
			check(v.name, own.States[i].Step, v.of(&own.States[i]), bound(func(c *lossCurve) float64 { return v.of(&c.States[i]) }))
		}
	}
	r.Agree = fault == nil
	return fault
}

// stateValues are all that a stateApart says.
var stateValues = []struct {
	name string
	of   func(s *stateApart) float64
}{
	{"weights", func(s *stateApart) float64 { return s.Weights }},
	{"gamma and beta", func(s *stateApart) float64 { return s.Norms }},
	{"running means", func(s *stateApart) float64 { return s.Mean }},
	{"running variances", func(s *stateApart) float64 { return s.Variance }},
	{"logits", func(s *stateApart) float64 { return s.Logits }},
}

func (b *benchCmd) printLosses(r *lossReport) error {
	if b.json {
		return writeJSON(b.OutOrStdout(), r)
	}
	b.printSetting(&r.benchSetting)
	b.printf("%s at %g from the same weights; relative differences from %s %s, whose loss went from %.4f to %.4f\n",
		words.Plural(r.Steps, "step"), r.LR, r.Reference.Engine, r.Reference.Version, r.Reference.Losses[0], r.Reference.Losses[r.Steps-1])
	steps := lossMarks(r.Steps)
	head := []string{"engine", "version"}
	for _, s := range steps {
		head = append(head, fmt.Sprintf(">loss to %d", s))
	}
	last := len(r.Engines[0].States) - 1
	for _, v := range stateValues {
		head = append(head, ">"+v.name)
	}
	t := newTable(head...)
	for i := range r.Engines {
		c := &r.Engines[i]
		row := []string{c.Engine, c.Version}
		for _, s := range steps {
			row = append(row, fmt.Sprintf("%.1e", c.Apart[s-1]))
		}
		for _, v := range stateValues {
			row = append(row, fmt.Sprintf("%.1e", v.of(&c.States[last])))
		}
		t.add(row...)
	}
	b.printf("%s", t)
	return nil
}

// lossMarks are steps to name in a table, the last among them.
func lossMarks(steps int) []int {
	marks := slices.DeleteFunc([]int{1, 10, 50, 100}, func(s int) bool { return s >= steps })
	return append(marks, steps)
}
