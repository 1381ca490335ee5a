package infer

import (
	"fmt"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/weights"
)

// lowering turns the ops of a graph into steps. From each op that no step
// holds yet it starts one, and takes in as many of the ops that follow as one
// step can do: batch norm, activation, the sum with an earlier value and its
// activation, the pooling of the result. An op is taken in only if nothing but it reads what
// the step has made so far.
type lowering struct {
	g       *arch.Graph
	weights *weights.Set

	readers [][]int // of each op's value; dropout does nothing here and is seen through
	kept    []bool  // the logits and the taps
	taken   []bool  // by a step

	stored []*value    // of each op, where a step stores it
	sums   []*value    // of each op, where a step sums it over pixels
	gates  map[int]int // pointwise convolution -> the gate that it applies to its input

	steps  []*step
	values []*value
}

// lower makes the steps of g, the values they use, and the values of outputs.
func lower(g *arch.Graph, w *weights.Set, outputs []int) (steps []*step, values, results []*value, err error) {
	n := len(g.Ops)
	l := &lowering{
		g: g, weights: w,
		readers: make([][]int, n), kept: make([]bool, n), taken: make([]bool, n),
		stored: make([]*value, n), sums: make([]*value, n), gates: map[int]int{},
	}
	for i := range g.Ops {
		op := &g.Ops[i]
		if _, ok := acts[op.Act]; op.Kind == arch.OpActivation && !ok {
			return nil, nil, nil, fmt.Errorf("infer: %s: no rule for the activation %v", op.Name, op.Act)
		}
		if op.Kind == arch.OpDropout {
			continue
		}
		for j := range g.Ops[i].In {
			in := l.input(i, j)
			l.readers[in] = append(l.readers[in], i)
		}
	}
	for _, o := range outputs {
		if o < 0 || o >= n {
			return nil, nil, nil, fmt.Errorf("infer: op %d is tapped, the graph has %d", o, n)
		}
		l.kept[l.source(o)] = true
	}
	for i := range g.Ops {
		if !l.taken[i] {
			if err := l.begin(i); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	for _, o := range outputs {
		v := l.stored[l.source(o)]
		v.use(len(l.steps))
		results = append(results, v)
	}
	return l.steps, l.values, results, nil
}

// source is the op that makes the value of op i.
func (l *lowering) source(i int) int {
	for l.g.Ops[i].Kind == arch.OpDropout {
		i = l.g.Ops[i].In[0]
	}
	return i
}

// input is the op that makes the j-th input of op i.
func (l *lowering) input(i, j int) int { return l.source(l.g.Ops[i].In[j]) }

// onlyReader is the op that alone reads the value of op i, or -1.
func (l *lowering) onlyReader(i int) int {
	if len(l.readers[i]) == 1 && !l.kept[i] {
		return l.readers[i][0]
	}
	return -1
}

// isPointwise reports a matrix product on the input as it lies.
func isPointwise(op *arch.Op) bool {
	return op.Kind == arch.OpLinear ||
		op.Kind == arch.OpConv && op.Groups == 1 && op.Kernel == 1 && op.Stride == 1 && op.Pad == arch.Pad{}
}

// begin makes the steps that start at op i.
func (l *lowering) begin(i int) error {
	op := &l.g.Ops[i]
	switch op.Kind {
	case arch.OpInput:
		l.stored[i] = &value{shape: op.Shape, image: true}
	case arch.OpDropout:
	case arch.OpConv, arch.OpLinear:
		return l.conv(i)
	case arch.OpBatchNorm, arch.OpActivation, arch.OpAdd:
		st := &step{name: op.Name, in: l.stored[l.input(i, 0)], shape: op.Shape}
		l.absorb(st, i, l.input(i, 0))
		l.finish(st, i)
	case arch.OpGate:
		if r := l.onlyReader(i); r >= 0 && isPointwise(&l.g.Ops[r]) {
			l.gates[r] = i
			return nil
		}
		st := &step{name: op.Name, shape: op.Shape}
		l.setGate(st, i)
		l.finish(st, i)
	case arch.OpMaxPool:
		l.finish(&step{
			name: op.Name, producer: maxPool, in: l.stored[l.input(i, 0)], shape: op.Shape,
			kernel: op.Kernel, stride: op.Stride, pad: op.Pad,
		}, i)
	case arch.OpGlobalPool:
		in := l.input(i, 0)
		if l.sums[in] == nil { // no step makes it: the image
			st := &step{name: op.Name, in: l.stored[in], shape: l.g.Ops[in].Shape}
			st.cut()
			l.sum(st, in)
			l.emit(st)
		}
		st := &step{name: op.Name, producer: reduce, in: l.sums[in], shape: op.Shape}
		s := l.g.Ops[in].Shape
		st.scale, st.shift = filled(s.C, 1/float32(s.H*s.W)), filled(s.C, 0)
		l.finish(st, i)
	default:
		return fmt.Errorf("infer: %s: no rule for an op of kind %v", op.Name, op.Kind)
	}
	return nil
}

// conv starts a step with a convolution or linear layer and the batch norm
// that follows it.
func (l *lowering) conv(i int) error {
	op := &l.g.Ops[i]
	st := &step{
		name: op.Name, producer: dense, in: l.stored[l.input(i, 0)], shape: op.Shape,
		kernel: op.Kernel, stride: op.Stride, pad: op.Pad,
	}
	switch {
	case isPointwise(op):
		st.producer, st.kernel, st.stride = pointwise, 1, 1
		if gate, ok := l.gates[i]; ok {
			l.setGate(st, gate)
		}
	case op.Depthwise():
		st.producer = depthwise
		if st.in.pad != op.Pad {
			p := &step{name: op.Name + ".pad", in: st.in, shape: st.in.shape}
			p.cut()
			st.in = l.store(p, op.Pad)
			l.emit(p)
		}
	case op.Groups != 1:
		return fmt.Errorf("infer: %s: a convolution with %d groups and %d outputs is not supported", op.Name, op.Groups, op.Shape.C)
	}
	last := i
	var bn *arch.Op
	if r := l.onlyReader(i); r >= 0 && l.g.Ops[r].Kind == arch.OpBatchNorm {
		bn, last = &l.g.Ops[r], r
		l.taken[r] = true
	}
	st.weight, st.shift = fold(op, bn, l.weights)
	if st.shift != nil {
		st.scale = filled(op.Shape.C, 1)
	}
	l.finish(st, last)
	return nil
}

// setGate makes the gate op i a part of st, before its producer.
func (l *lowering) setGate(st *step, i int) {
	st.in, st.gate = l.stored[l.input(i, 0)], l.stored[l.input(i, 1)]
	st.zeros = filled(st.in.shape.C, 0)
}

// absorb makes op i, which reads cur, the next part of st if it can be.
func (l *lowering) absorb(st *step, i, cur int) bool {
	op := &l.g.Ops[i]
	switch {
	case st.residual != nil: // only an activation comes after it
		if op.Kind == arch.OpActivation && st.last == kernel.Identity {
			st.last = acts[op.Act]
			return true
		}
		return false
	case op.Kind == arch.OpBatchNorm && st.scale == nil && st.act == kernel.Identity:
		scale, shift := l.weights.Affine(op)
		st.scale, st.shift = round(scale), round(shift)
		return true
	case op.Kind == arch.OpActivation && st.act == kernel.Identity:
		st.act = acts[op.Act]
		return true
	case op.Kind == arch.OpAdd:
		other := l.input(i, 0)
		if other == cur {
			other = l.input(i, 1)
		}
		st.residual = l.stored[other] // nil if its step comes later
		return st.residual != nil
	}
	return false
}

// finish takes the readers of op cur, whose value st makes so far, into st as
// long as that works, decides how the value is kept, and emits st.
func (l *lowering) finish(st *step, cur int) {
	for r := l.onlyReader(cur); r >= 0 && l.absorb(st, r, cur); r = l.onlyReader(cur) {
		l.taken[r] = true
		cur = r
	}
	st.cut()
	keep := l.kept[cur]
	for _, r := range l.readers[cur] {
		if l.g.Ops[r].Kind == arch.OpGlobalPool {
			if st.sums == nil {
				l.sum(st, cur)
			}
		} else {
			keep = true
		}
	}
	if keep {
		l.stored[cur] = l.store(st, l.padding(cur))
	}
	l.emit(st)
}

// padding is the one that the value of op i is stored with: that of the
// depthwise convolutions that read it, if they agree and no other reader needs
// the pixels without gaps.
func (l *lowering) padding(i int) arch.Pad {
	var pad arch.Pad
	for _, r := range l.readers[i] {
		switch op := &l.g.Ops[r]; {
		case isPointwise(op), op.Depthwise() && pad != arch.Pad{} && pad != op.Pad:
			return arch.Pad{}
		case op.Depthwise():
			pad = op.Pad
		}
	}
	return pad
}

func (l *lowering) store(st *step, pad arch.Pad) *value {
	st.out = &value{shape: st.shape, pad: pad}
	l.values = append(l.values, st.out)
	return st.out
}

func (l *lowering) sum(st *step, i int) {
	st.sums = &value{shape: arch.Shape{H: st.bands, W: 1, C: st.shape.C}}
	l.values = append(l.values, st.sums)
	l.sums[i] = st.sums
}

// emit appends st to the plan; what it reads and writes is alive in it.
func (l *lowering) emit(st *step) {
	at := len(l.steps)
	for _, v := range []*value{st.in, st.gate, st.residual} {
		if v != nil {
			v.use(at)
		}
	}
	for _, v := range []*value{st.out, st.sums} {
		if v != nil {
			v.first, v.last = at, at
		}
	}
	l.steps = append(l.steps, st)
}

var acts = map[arch.Act]kernel.Act{
	arch.ActIdentity:    kernel.Identity,
	arch.ActReLU:        kernel.ReLU,
	arch.ActReLU6:       kernel.ReLU6,
	arch.ActSwish:       kernel.Swish,
	arch.ActSigmoid:     kernel.Sigmoid,
	arch.ActHardSwish:   kernel.HardSwish,
	arch.ActHardSigmoid: kernel.HardSigmoid,
}
