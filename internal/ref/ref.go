// Package ref is the oracle: it runs a graph forwards and backwards in float64
// with plain nested loops. It is the definition of what the ops mean, written
// to be read, and what the engine is tested against; it is itself tested
// against PyTorch (package golden) and against finite differences.
//
// A value is a flat []float64 of n images in NHWC order, channel innermost.
// Parameters have PyTorch's layout. In the comments x is an op's input, y its
// output, and dx, dy the gradients of the loss with respect to them.
//
// Arguments that do not fit the graph are a caller's bug and panic.
package ref

import (
	"fmt"

	"effnet/arch"
	"effnet/weights"
)

// Tensors holds parameters and buffers, or their gradients, by timm's names.
type Tensors map[string][]float64

// FromSet widens a set of weights to float64.
func FromSet(s *weights.Set) Tensors {
	p := Tensors{}
	for name, t := range s.Tensors {
		v := make([]float64, len(t.Data))
		for i, x := range t.Data {
			v[i] = float64(x)
		}
		p[name] = v
	}
	return p
}

// Set narrows p to the float32 weights of g.
func (p Tensors) Set(g *arch.Graph) *weights.Set {
	s := &weights.Set{Tensors: map[string]weights.Tensor{}, Meta: map[string]string{}}
	for _, q := range g.Params() {
		t := weights.Tensor{Shape: q.Shape, Data: make([]float32, q.Elems())}
		for i, v := range p.of(q) {
			t.Data[i] = float32(v)
		}
		s.Tensors[q.Name] = t
	}
	return s
}

// Clone copies p, data and all.
func (p Tensors) Clone() Tensors {
	c := Tensors{}
	for name, v := range p {
		c[name] = append([]float64(nil), v...)
	}
	return c
}

// Mode says how a graph runs.
type Mode struct {
	// Train normalises with the statistics of the batch; otherwise batch norm
	// uses its running statistics and masks are ignored.
	Train bool
	// Masks multiply branches and elements in training, by op name: drop path
	// (OpAdd) has a factor per image, dropout a factor per element; a factor is
	// 0 or 1/(1-rate). An op without a mask drops nothing.
	Masks Tensors
	// Running names the batch norms that normalise with their running
	// statistics in training too, and keep them; nil: none.
	Running func(op *arch.Op) bool
}

// Trace is one run of a graph with everything that going back needs.
type Trace struct {
	Graph  *arch.Graph
	N      int         // images
	Values [][]float64 // of each op, [N, H, W, C]

	params Tensors
	mode   Mode
	stats  map[int]moments // of the batch, per batch-norm op
}

// Forward runs g on n images x [n, H, W, C].
func Forward(g *arch.Graph, p Tensors, x []float64, n int, m Mode) *Trace {
	t := &Trace{Graph: g, N: n, Values: make([][]float64, len(g.Ops)), params: p, mode: m, stats: map[int]moments{}}
	if want := n * g.Ops[0].Shape.Elems(); len(x) != want {
		panic(fmt.Sprintf("ref: the input has %d values, %d images want %d", len(x), n, want))
	}
	for i := range g.Ops {
		op := &g.Ops[i]
		y := make([]float64, n*op.Shape.Elems())
		switch op.Kind {
		case arch.OpInput:
			copy(y, x)
		case arch.OpConv:
			t.conv(op, t.in(op, 0), y)
		case arch.OpBatchNorm:
			t.batchNorm(i, t.in(op, 0), y)
		case arch.OpActivation:
			activation(op.Act, t.in(op, 0), y)
		case arch.OpMaxPool:
			t.maxPool(op, t.in(op, 0), y)
		case arch.OpGlobalPool:
			globalPool(n, t.shape(op, 0), t.in(op, 0), y)
		case arch.OpGate:
			gate(n, op.Shape, t.in(op, 0), t.in(op, 1), y)
		case arch.OpAdd:
			t.add(op, t.in(op, 0), t.in(op, 1), y)
		case arch.OpDropout:
			t.dropout(op, t.in(op, 0), y)
		case arch.OpLinear:
			t.linear(op, t.in(op, 0), y)
		default:
			panic(fmt.Sprintf("ref: %s: no forward rule for %v", op.Name, op.Kind))
		}
		t.Values[i] = y
	}
	return t
}

// Logits is the value of the last op, [N, classes].
func (t *Trace) Logits() []float64 { return t.Values[t.Graph.Output()] }

// Grads is what Backward finds.
type Grads struct {
	Params Tensors     // of every trainable parameter
	Values [][]float64 // of each op's value; Values[0] is the gradient of the images
}

// Backward goes from the gradient of the logits back to every trainable
// parameter and to the input.
func (t *Trace) Backward(dLogits []float64) *Grads {
	ops := t.Graph.Ops
	if want := len(t.Logits()); len(dLogits) != want {
		panic(fmt.Sprintf("ref: the gradient of the logits has %d values, want %d", len(dLogits), want))
	}
	d := &Grads{Params: Tensors{}, Values: make([][]float64, len(ops))}
	for i := range ops {
		d.Values[i] = make([]float64, len(t.Values[i]))
		for _, p := range ops[i].Params {
			if p.Role.Trainable() {
				d.Params[p.Name] = make([]float64, p.Elems())
			}
		}
	}
	copy(d.Values[len(ops)-1], dLogits)
	// Every rule adds to the gradients of its inputs: a value read by two ops
	// has the sum of what comes back from both.
	for i := len(ops) - 1; i >= 0; i-- {
		op := &ops[i]
		dy := d.Values[i]
		dx := func(j int) []float64 { return d.Values[op.In[j]] }
		switch op.Kind {
		case arch.OpInput:
		case arch.OpConv:
			t.convBackward(op, t.in(op, 0), dy, dx(0), d.Params)
		case arch.OpBatchNorm:
			t.batchNormBackward(i, t.in(op, 0), dy, dx(0), d.Params)
		case arch.OpActivation:
			activationBackward(op.Act, t.in(op, 0), dy, dx(0))
		case arch.OpMaxPool:
			t.maxPoolBackward(op, t.in(op, 0), dy, dx(0))
		case arch.OpGlobalPool:
			globalPoolBackward(t.N, t.shape(op, 0), dy, dx(0))
		case arch.OpGate:
			gateBackward(t.N, op.Shape, t.in(op, 0), t.in(op, 1), dy, dx(0), dx(1))
		case arch.OpAdd:
			t.addBackward(op, dy, dx(0), dx(1))
		case arch.OpDropout:
			t.dropoutBackward(op, dy, dx(0))
		case arch.OpLinear:
			t.linearBackward(op, t.in(op, 0), dy, dx(0), d.Params)
		default:
			panic(fmt.Sprintf("ref: %s: no backward rule for %v", op.Name, op.Kind))
		}
	}
	return d
}

// in is the value of op's j-th input.
func (t *Trace) in(op *arch.Op, j int) []float64 { return t.Values[op.In[j]] }

// shape is the shape of op's j-th input.
func (t *Trace) shape(op *arch.Op, j int) arch.Shape { return t.Graph.Ops[op.In[j]].Shape }

// param is op's tensor of a role.
func (t *Trace) param(op *arch.Op, r arch.Role) []float64 {
	return t.params.of(param(op, r))
}

func (p Tensors) of(q arch.Param) []float64 {
	v, ok := p[q.Name]
	if !ok || len(v) != q.Elems() {
		panic(fmt.Sprintf("ref: %s: have %d values, the network wants %v", q.Name, len(v), q.Shape))
	}
	return v
}

func param(op *arch.Op, roles ...arch.Role) arch.Param {
	for _, p := range op.Params {
		for _, r := range roles {
			if p.Role == r {
				return p
			}
		}
	}
	panic(fmt.Sprintf("ref: %s has no parameter of role %v", op.Name, roles))
}

// mask is the multipliers given for op, nil where nothing is dropped.
func (t *Trace) mask(op *arch.Op, want int) []float64 {
	m := t.mode.Masks[op.Name]
	if !t.mode.Train || m == nil {
		return nil
	}
	if len(m) != want {
		panic(fmt.Sprintf("ref: %s: the mask has %d values, want %d", op.Name, len(m), want))
	}
	return m
}
