package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"effnet/arch"
)

// benchOp is one step of a network as it is run, for one image.
type benchOp struct {
	Name   string  `json:"name"`
	Kind   string  `json:"kind"`
	In     [3]int  `json:"in"`  // height, width, channels
	Out    [3]int  `json:"out"` // likewise
	MFLOP  float64 `json:"mflop"`
	Done   float64 `json:"done_mflop"` // of MFLOP: fewer where a convolution is done in fewer products
	Bytes  int64   `json:"bytes"`      // weights, input and output, once each
	Swish  int64   `json:"swishes"`    // values that swish makes
	Us     float64 `json:"us"`
	MinUs  float64 `json:"min_us"` // the quickest of all runs
	GFLOPS float64 `json:"gflops"`
	Share  float64 `json:"share"` // of the time of all steps
}

// benchKind is all steps of one kind.
type benchKind struct {
	Kind   string  `json:"kind"`
	Steps  int     `json:"steps"`
	MFLOP  float64 `json:"mflop"`
	Us     float64 `json:"us"`
	GFLOPS float64 `json:"gflops"`
	Share  float64 `json:"share"`
}

// benchSteps answers "ops SECONDS".
type benchSteps struct {
	Steps []benchOp `json:"steps"` // without GFLOPS and Share
}

// profileOps has effnet's process time its steps.
func profileOps(p *benchProcess, d time.Duration) ([]benchOp, error) {
	var answer benchSteps
	if err := p.ask(&answer, "ops %g", d.Seconds()); err != nil {
		return nil, err
	}
	total := 0.0
	for _, o := range answer.Steps {
		total += o.Us
	}
	for i := range answer.Steps {
		o := &answer.Steps[i]
		o.GFLOPS, o.Share = rates(o.MFLOP, o.Us, total)
	}
	return answer.Steps, nil
}

func rates(mflop, us, total float64) (gflops, share float64) {
	if us > 0 {
		gflops = mflop / us * 1e3
	}
	if total > 0 {
		share = us / total
	}
	return gflops, share
}

// sumKinds sums steps up by kind, the one that takes longest first.
func sumKinds(ops []benchOp) []benchKind {
	var kinds []benchKind
	total := 0.0
	for _, o := range ops {
		i := slices.IndexFunc(kinds, func(k benchKind) bool { return k.Kind == o.Kind })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, benchKind{Kind: o.Kind})
		}
		kinds[i].Steps++
		kinds[i].MFLOP += o.MFLOP
		kinds[i].Us += o.Us
		total += o.Us
	}
	for i := range kinds {
		k := &kinds[i]
		k.GFLOPS, k.Share = rates(k.MFLOP, k.Us, total)
	}
	slices.SortStableFunc(kinds, func(a, b benchKind) int { return cmp.Compare(b.Us, a.Us) })
	return kinds
}

func opsText(r *benchReport) string {
	cells := func(mflop, us, gflops, share float64) []string {
		speed := ""
		if mflop > 0 {
			speed = fmt.Sprintf("%.1f", gflops)
		}
		return []string{fmt.Sprintf("%.3f", mflop), fmt.Sprintf("%.1f", us), speed, fmt.Sprintf("%.1f", 100*share)}
	}
	steps := newTable("step", "kind", "in", "out", ">MFLOP", ">us", ">GFLOP/s", ">% of time")
	for _, o := range r.Ops {
		steps.add(append([]string{o.Name, o.Kind, shapeText(o.In), shapeText(o.Out)}, cells(o.MFLOP, o.Us, o.GFLOPS, o.Share)...)...)
	}
	kinds := newTable("kind", ">steps", ">MFLOP", ">us", ">GFLOP/s", ">% of time")
	for _, k := range r.Kinds {
		kinds.add(append([]string{k.Kind, fmt.Sprint(k.Steps)}, cells(k.MFLOP, k.Us, k.GFLOPS, k.Share)...)...)
	}
	return "one image, all threads on one step at a time\n" + steps.String() + "\n" + kinds.String()
}

func shapeText(s [3]int) string { return fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]) }

func shapeOf(s arch.Shape) [3]int { return [3]int{s.H, s.W, s.C} }
