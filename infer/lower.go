package infer

import (
	"cmp"
	"fmt"

	"effnet/arch"
	"effnet/internal/kernel"
	"effnet/weights"
)

// lowering turns the ops of a graph into steps. From each op that no layer
// holds yet it starts one, and takes in as many of the ops that follow as one
// layer can do: batch norm, activation, the sum with an earlier value and its
// activation. A convolution that alone reads the last layer may become the next
// layer of its step. An op is taken in only if nothing but it reads what has
// been made so far.
type lowering struct {
	g       *arch.Graph
	weights weights.Source
	kernel  *kernel.Impl
	threads int

	readers [][]int // of each op's value; dropout does nothing here and is seen through
	kept    []bool  // the logits and the taps
	taken   []bool  // by a layer

	stored []*value    // of each op, where a step stores it
	sums   []*value    // of each op, where a step sums it over pixels
	gates  map[int]int // pointwise convolution -> the gate whose factors its weight takes

	slab []float32 // room for the packed weights, which lie in the order of their use
	tmp  []float32 // of packing

	err error // in reading a batch norm

	open   *step // the last one, which may still grow
	at     int   // the op whose value it makes
	steps  []*step
	values []*value
}

// lower makes the steps of g, the values they use, the values of outputs, and
// the memory of the packed weights.
func lower(g *arch.Graph, w weights.Source, k *kernel.Impl, threads int, outputs []int) (steps []*step, values, results []*value, packed []float32, err error) {
	n := len(g.Ops)
	l := &lowering{
		g: g, weights: w, kernel: k, threads: threads,
		readers: make([][]int, n), kept: make([]bool, n), taken: make([]bool, n),
		stored: make([]*value, n), sums: make([]*value, n), gates: map[int]int{},
	}
	for i := range g.Ops {
		op := &g.Ops[i]
		if _, ok := acts[op.Act]; op.Kind == arch.OpActivation && !ok {
			return nil, nil, nil, nil, fmt.Errorf("infer: %s: no rule for the activation %v", op.Name, op.Act)
		}
		if op.Kind == arch.OpDropout {
			continue
		}
		for j := range g.Ops[i].In {
			in := l.input(i, j)
			l.readers[in] = append(l.readers[in], i)
		}
	}
	size := 0
	for i := range g.Ops {
		if op := &g.Ops[i]; op.Kind == arch.OpConv || op.Kind == arch.OpLinear {
			size += l.packedSize(l.layer(i))
		}
	}
	packed = aligned(size)
	l.slab = packed
	for _, o := range outputs {
		if o < 0 || o >= n {
			return nil, nil, nil, nil, fmt.Errorf("infer: op %d is tapped, the graph has %d", o, n)
		}
		l.kept[l.source(o)] = true
	}
	for i := range g.Ops {
		if !l.taken[i] {
			if err := l.begin(i); err != nil {
				return nil, nil, nil, nil, err
			}
		}
	}
	if l.err != nil {
		return nil, nil, nil, nil, l.err
	}
	l.close()
	for _, o := range outputs {
		v := l.stored[l.source(o)]
		v.use(len(l.steps))
		results = append(results, v)
	}
	return l.steps, l.values, results, packed, nil
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

// begin makes the layers that start at op i.
func (l *lowering) begin(i int) error {
	op := &l.g.Ops[i]
	if op.Kind == arch.OpConv || op.Kind == arch.OpLinear {
		return l.conv(i)
	}
	l.close()
	switch op.Kind {
	case arch.OpInput:
		l.stored[i] = &value{shape: op.Shape, image: true}
	case arch.OpDropout:
	case arch.OpBatchNorm, arch.OpActivation, arch.OpAdd:
		in := l.input(i, 0)
		a := &layer{in: op.Shape, shape: op.Shape}
		l.absorb(a, i, in)
		l.start(op.Name, l.stored[in], a, i)
	case arch.OpGate:
		l.gate(i)
	case arch.OpMaxPool:
		in := l.stored[l.input(i, 0)]
		l.start(op.Name, in, &layer{
			kind: maxPool, in: in.shape, shape: op.Shape, kernel: op.Kernel, stride: op.Stride, pad: op.Pad,
		}, i)
	case arch.OpGlobalPool:
		in := l.input(i, 0)
		s := l.g.Ops[in].Shape
		if l.sums[in] == nil { // no step makes it: the image
			l.open = &step{name: op.Name, in: l.stored[in], layers: []*layer{{in: s, shape: s}}, pool: true}
			l.at = in
			l.close()
		}
		sums := l.sums[in]
		l.start(op.Name, sums, &layer{
			kind: reduce, in: sums.shape, shape: op.Shape, scale: filled(s.C, 1/float32(s.H*s.W)), shift: filled(s.C, 0),
		}, i)
	default:
		return fmt.Errorf("infer: %s: no rule for an op of kind %v", op.Name, op.Kind)
	}
	return nil
}

// gate makes the gate op i. Before a pointwise convolution its factors go into
// the smaller of the two things they can be multiplied into: the weight, or the
// value itself in its place.
func (l *lowering) gate(i int) {
	op := &l.g.Ops[i]
	x := l.input(i, 0)
	in, factors := l.stored[x], l.stored[l.input(i, 1)]
	a := &layer{in: op.Shape, shape: op.Shape, gate: factors, zeros: filled(op.Shape.C, 0)}
	r := l.onlyReader(i)
	if r < 0 || !isPointwise(&l.g.Ops[r]) {
		l.start(op.Name, in, a, i)
		return
	}
	mine := !in.image && !l.kept[x] && factors != in
	for _, reader := range l.readers[x] {
		mine = mine && (reader == i || l.g.Ops[reader].Kind == arch.OpGlobalPool)
	}
	if !mine || l.g.Ops[r].Shape.C < op.Shape.H*op.Shape.W {
		l.gates[r] = i
		return
	}
	l.open = &step{name: op.Name, in: in, layers: []*layer{a}, keep: true, out: in}
	l.at = i
	l.close()
}

// layer is the convolution or linear layer of op i without its weight.
func (l *lowering) layer(i int) *layer {
	op := &l.g.Ops[i]
	a := &layer{
		kind: conv, in: l.g.Ops[l.input(i, 0)].Shape, shape: op.Shape,
		kernel: max(1, op.Kernel), stride: max(1, op.Stride), pad: op.Pad,
	}
	if op.Depthwise() {
		a.kind = depthwise
		return a
	}
	if a.kernel == 3 && a.stride == 1 && a.pad != (arch.Pad{}) && min(a.in.C, a.shape.C) >= l.kernel.MinWinograd &&
		op.Shape.H*op.Shape.W >= minWinograd && !preferChannels(a) {
		a.winograd = true
		a.pad.Right += a.shape.W % 2
	}
	return a
}

// minWinograd is the number of pixels from which a 3x3 convolution is done as
// kernel.Winograd says.
const minWinograd = 196

// packedSize is the number of floats of the packed weight of a.
func (l *lowering) packedSize(a *layer) int {
	if a.winograd {
		return 16 * l.kernel.PackedSize(a.in.C, a.shape.C)
	}
	return l.kernel.PackedSize(a.patch(), a.shape.C)
}

// conv makes a layer of a convolution or linear layer and the batch norm that
// follows it.
func (l *lowering) conv(i int) error {
	op := &l.g.Ops[i]
	x := l.input(i, 0)
	a := l.layer(i)
	last := i
	var bn *arch.Op
	if r := l.onlyReader(i); r >= 0 && l.g.Ops[r].Kind == arch.OpBatchNorm {
		bn, last = &l.g.Ops[r], r
		l.taken[r] = true
	}
	if a.kind == conv && op.Groups > 1 {
		return fmt.Errorf("infer: %s: a convolution with %d groups and %d outputs is not supported", op.Name, op.Groups, op.Shape.C)
	}
	f, err := fold(op, bn, l.weights)
	if err != nil {
		return fmt.Errorf("infer: %s: %w", op.Name, err)
	}
	a.shift = f.shift
	if a.kind == depthwise {
		a.weight = aligned(a.patch() * op.Shape.C)
		f.columns(a.weight, 0, op.Shape.C)
	} else {
		n := l.packedSize(a)
		a.weight, l.slab = l.slab[:n], l.slab[n:]
		l.tmp = a.pack(l.kernel, &f, l.tmp)
	}
	if gate, ok := l.gates[i]; ok {
		l.close()
		x = l.input(gate, 0)
		a.scaled = l.scaled(a, op.Name, l.stored[l.input(gate, 1)])
		l.start(op.Name, l.stored[x], a, last)
		return nil
	}
	if l.open != nil && l.onlyReader(l.at) == i && l.open.joins(l.kernel, a) {
		l.open.layers = append(l.open.layers, a)
		l.grow(last)
		return nil
	}
	l.close()
	in := l.stored[x]
	if a.pad == (arch.Pad{}) {
		l.start(op.Name, in, a, last)
		return nil
	}
	p := &layer{in: in.shape, shape: in.shape}
	if a.kind == conv && preferChannels(a) {
		st := &step{name: op.Name + ".pad", in: in, layers: []*layer{p}, keep: true, out: l.value(in.shape)}
		st.out.pad = a.pad
		l.emit(st)
		l.start(op.Name, st.out, a, last)
		return nil
	}
	l.open = &step{name: op.Name, in: in, layers: []*layer{p, a}}
	l.grow(last)
	return nil
}

// scaled makes the step that multiplies the factors into the weight of a.
func (l *lowering) scaled(a *layer, name string, factors *value) *value {
	shape := arch.Shape{H: 1, W: 1, C: len(a.weight)}
	st := &step{name: name + ".gate", in: factors, keep: true, out: l.value(shape), layers: []*layer{{
		kind: scaleWeight, in: factors.shape, shape: shape, weight: a.weight, columns: a.shape.C,
	}}}
	l.emit(st)
	return st.out
}

// joins reports whether the convolution a, which alone reads the value of st, is
// worth being made from it part by part.
func (st *step) joins(k *kernel.Impl, a *layer) bool {
	b := st.end()
	if len(st.layers) == maxLayers || b.kind != conv && b.kind != depthwise || b.residual != nil {
		return false
	}
	switch {
	case a.kind == depthwise:
		return b.kind == conv && a.kernel > 1 && !b.winograd
	case a.kernel > 1 || a.stride > 1 || b.kind == conv && b.kernel == 1:
		return false
	}
	// A product reads its input many times: a small one had better be whole.
	st.keep = true
	st.chooseWay(k)
	st.keep = false
	return !st.byChannels && b.shape.Elems() > cacheFloats
}

// absorb makes op i, which reads the value that a makes so far, of op cur, part
// of a if it can be.
func (l *lowering) absorb(a *layer, i, cur int) bool {
	op := &l.g.Ops[i]
	switch {
	case a.residual != nil: // only an activation comes after it
		if op.Kind == arch.OpActivation && a.last == kernel.Identity {
			a.last = acts[op.Act]
			return true
		}
		return false
	case op.Kind == arch.OpBatchNorm && a.kind != conv && a.kind != depthwise && a.scale == nil && a.act == kernel.Identity:
		scale, shift, err := weights.Affine(l.weights, op)
		if err != nil {
			l.err = cmp.Or(l.err, fmt.Errorf("infer: %s: %w", op.Name, err))
		}
		a.scale, a.shift = round(scale), round(shift)
		return true
	case op.Kind == arch.OpActivation && a.act == kernel.Identity:
		a.act = acts[op.Act]
		return true
	case op.Kind == arch.OpAdd:
		other := l.input(i, 0)
		if other == cur {
			other = l.input(i, 1)
		}
		a.residual = l.stored[other] // nil if its step comes later
		return a.residual != nil
	}
	return false
}

// start opens a step with the layer a, which makes the value of op cur so far.
func (l *lowering) start(name string, in *value, a *layer, cur int) {
	l.open = &step{name: name, in: in, layers: []*layer{a}}
	l.grow(cur)
}

// grow takes the readers of op cur, whose value the open step makes so far, into
// its last layer as long as that works.
func (l *lowering) grow(cur int) {
	for r := l.onlyReader(cur); r >= 0 && l.absorb(l.open.end(), r, cur); r = l.onlyReader(cur) {
		l.taken[r] = true
		cur = r
	}
	l.at = cur
}

// close emits the open step, if there is one, with places for its value.
func (l *lowering) close() {
	st := l.open
	if st == nil {
		return
	}
	l.open = nil
	st.keep = st.keep || l.kept[l.at]
	for _, r := range l.readers[l.at] {
		if l.g.Ops[r].Kind == arch.OpGlobalPool {
			st.pool = true
		} else {
			st.keep = true
		}
	}
	if st.keep && st.out == nil {
		st.out = l.value(st.end().shape)
	}
	l.emit(st)
	l.stored[l.at] = st.out
	if st.sums != nil {
		l.sums[l.at] = st.sums
	}
}

func (l *lowering) value(s arch.Shape) *value {
	v := &value{shape: s, first: -1}
	l.values = append(l.values, v)
	return v
}

// emit appends st to the plan; what it reads and writes is alive in it.
func (l *lowering) emit(st *step) {
	st.cut(l.kernel, l.threads)
	if st.pool {
		s := arch.Shape{H: st.parts, W: 1, C: st.end().shape.C}
		if st.byChannels {
			s.H = 1
		}
		st.sums = l.value(s)
	}
	at := len(l.steps)
	for _, v := range []*value{st.out, st.sums} {
		if v != nil && v.first < 0 {
			v.first, v.last = at, at
		}
	}
	st.in.use(at)
	for _, a := range st.layers {
		for _, v := range []*value{a.scaled, a.gate, a.residual} {
			if v != nil {
				v.use(at)
			}
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
