package infer

import (
	"context"
	"fmt"
	"time"

	"effnet/arch"
)

// Step describes one step of a plan: a pass over an image that computes one or
// several ops of the graph.
type Step struct {
	Name  string     // of the op it starts with
	Kind  string     // what it does: "pointwise", "depthwise", ...
	In    arch.Shape // of what it reads
	Out   arch.Shape // of what it makes
	FLOPs int64      // of one image: two for each product of a convolution
	Done  int64      // of FLOPs: fewer where a convolution is done in fewer products
	Bytes int64      // of one image: weights, input and output, once each
	Swish int64      // of one image: values that swish makes
}

// Steps lists the steps of the plan in their order.
func (p *Plan) Steps() []Step {
	list := make([]Step, len(p.steps))
	for i, st := range p.steps {
		list[i] = st.describe()
	}
	return list
}

// Profile is RunInto image by image, all workers on one step at a time, and
// adds the time that each step took to its element of times.
func (p *Plan) Profile(ctx context.Context, x []float32, n int, logits []float32, times []time.Duration) error {
	if len(times) != len(p.steps) {
		return fmt.Errorf("infer: room for the times of %d steps, the plan has %d", len(times), len(p.steps))
	}
	return p.runInto(ctx, x, n, logits, nil, times)
}
