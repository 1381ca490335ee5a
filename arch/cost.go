package arch

import "fmt"

// Totals is what a network costs for one image at one resolution.
type Totals struct {
	MACs          int64 // multiply-accumulates of convolutions and the linear layer
	DepthwiseMACs int64 // those of depthwise convolutions
	Params        int64 // trainable numbers
	Buffers       int64 // batch-norm running statistics
	Activations   int64 // elements of all convolution outputs
	PeakBytes     int64 // most activation memory alive at once at inference, float32
	TrainBytes    int64 // activation memory of one training step per image, float32
}

// Inference memory is the largest sum of tensors alive at once, the image
// included, when ops run in order: a convolution needs its input and its
// output; batch norm, activation, gate, residual add and dropout write over
// their input; a residual's shortcut stays alive until its add.
//
// Training memory is what must wait for the backward pass, plus what its most
// demanding convolution needs beside that. Waiting: the image, each block's
// input, each convolution's raw output (batch norm and activation are computed
// again from it), each pooled vector, the logits. Working: the gradients of the
// convolution's output and input, its recomputed input, and inside a residual
// block the gradient of the shortcut. Weights, their gradients and the
// optimiser's state are not per image and not included.

// WeightBytes is the size of all parameters and buffers as float32.
func (t *Totals) WeightBytes() int64 { return 4 * (t.Params + t.Buffers) }

// InferenceBytes is weights and activations together: what one image at a
// time needs.
func (t *Totals) InferenceBytes() int64 { return t.WeightBytes() + t.PeakBytes }

func (t *Totals) String() string {
	return fmt.Sprintf("%d params, %d MACs, %d activations", t.Params, t.MACs, t.Activations)
}

// OpCost is one op's part of the totals.
type OpCost struct {
	MACs        int64
	Params      int64
	Buffers     int64
	Activations int64
	Bytes       int64 // read and written as float32: inputs, output, parameters and buffers
}

// StageCost is one row of a table like the paper's Table 1.
type StageCost struct {
	Name     string // "stem", "1", "2", ..., "head", "classifier"
	Operator string // "MBConv6, k3x3"
	In       Shape  // what enters the stage
	Width    int    // channels that leave it
	Layers   int    // blocks, or 1
	Stride   int    // of the first layer
	Params   int64
	MACs     int64
}

// Cost is a graph's cost in full.
type Cost struct {
	Totals
	Ops    []OpCost // one per op of the graph
	Stages []StageCost
}

// Cost counts g.
func (g *Graph) Cost() *Cost {
	c := &Cost{Ops: make([]OpCost, len(g.Ops))}
	for i := range g.Ops {
		op, oc := &g.Ops[i], &c.Ops[i]
		for _, p := range op.Params {
			if p.Role.Trainable() {
				oc.Params += int64(p.Elems())
			} else {
				oc.Buffers += int64(p.Elems())
			}
		}
		oc.Bytes = 4 * (oc.Params + oc.Buffers + int64(op.Shape.Elems()))
		for _, j := range op.In {
			oc.Bytes += 4 * int64(g.Ops[j].Shape.Elems())
		}
		switch op.Kind {
		case OpConv:
			in := g.Ops[op.In[0]].Shape
			oc.Activations = int64(op.Shape.Elems())
			oc.MACs = oc.Activations * int64(op.Kernel*op.Kernel) * int64(in.C/op.Groups)
			if op.Depthwise() {
				c.DepthwiseMACs += oc.MACs
			}
		case OpLinear:
			oc.MACs = int64(g.Ops[op.In[0]].Shape.C) * int64(op.Shape.C)
		case OpInput, OpBatchNorm, OpActivation, OpMaxPool, OpGlobalPool, OpGate, OpAdd, OpDropout:
		default:
			panic(fmt.Sprintf("arch: cost of %s is not known", op.Kind))
		}
		c.MACs += oc.MACs
		c.Params += oc.Params
		c.Buffers += oc.Buffers
		c.Activations += oc.Activations
	}
	c.PeakBytes = 4 * g.peakElems()
	c.TrainBytes = 4 * g.trainElems()
	c.Stages = g.stageCosts(c.Ops)
	return c
}

// peakElems is the largest number of elements alive at once.
func (g *Graph) peakElems() int64 {
	last := make([]int, len(g.Ops)) // the last op that reads a value
	for i := range g.Ops {
		last[i] = i
		for _, j := range g.Ops[i].In {
			last[j] = i
		}
	}
	var live, peak int64
	free := make([]int64, len(g.Ops)) // elements that die after an op
	for i := range g.Ops {
		op := &g.Ops[i]
		n := int64(op.Shape.Elems())
		switch op.Kind {
		case OpBatchNorm, OpActivation, OpGate, OpAdd, OpDropout:
			if last[op.In[0]] == i { // written over the input, which dies with this value instead
				free[i] -= n
				free[last[i]] += n
				live -= free[i]
				peak = max(peak, live)
				continue
			}
		}
		live += n
		peak = max(peak, live)
		free[last[i]] += n
		live -= free[i]
	}
	return peak
}

// trainElems is the number of elements that wait for the backward pass plus
// the largest working set of one convolution.
func (g *Graph) trainElems() int64 {
	skip := map[int]int64{} // by block: elements of its shortcut
	for i := range g.Ops {
		if g.Ops[i].Kind == OpAdd {
			skip[g.Ops[i].Block] = int64(g.Ops[i].Shape.Elems())
		}
	}
	var stored, working int64
	for i := range g.Ops {
		op := &g.Ops[i]
		n := int64(op.Shape.Elems())
		switch op.Kind {
		case OpInput, OpGlobalPool, OpLinear:
			stored += n
		case OpConv:
			stored += n
			in := int64(g.Ops[op.In[0]].Shape.Elems())
			working = max(working, n+2*in+skip[op.Block])
		}
		if first := op.Block >= 0 && g.Ops[i-1].Block != op.Block; first {
			stored += int64(g.Ops[i-1].Shape.Elems())
		}
	}
	return stored + working
}

// stageCosts sums ops by stage.
func (g *Graph) stageCosts(ops []OpCost) []StageCost {
	s := &g.Spec
	rows := make([]StageCost, len(s.Stages)+3)
	stem, head, classifier := &rows[0], &rows[len(rows)-2], &rows[len(rows)-1]
	*stem = StageCost{Name: "stem", Operator: convName(s.Stem.Kernel), Width: s.Stem.Width, Layers: 1, Stride: s.Stem.Stride}
	if s.Stem.Pool > 0 {
		stem.Operator += fmt.Sprintf(", MaxPool%dx%d", s.Stem.Pool, s.Stem.Pool)
	}
	*head = StageCost{Name: "head", Operator: convName(1), Width: s.Head, Layers: 1, Stride: 1}
	*classifier = StageCost{Name: "classifier", Operator: "Pooling & FC", Width: s.Classes, Layers: 1, Stride: 1}
	for i := range s.Stages {
		st := &s.Stages[i]
		rows[i+1] = StageCost{Name: fmt.Sprint(i + 1), Operator: st.Operator(), Width: st.Width, Layers: st.Repeats, Stride: st.Stride}
	}
	for i := range g.Ops {
		op := &g.Ops[i]
		row := &rows[op.Stage+1]
		if op.Stage == len(s.Stages) && i > g.HeadMap {
			row = classifier
		}
		if row.In.C == 0 && len(op.In) > 0 {
			row.In = g.Ops[op.In[0]].Shape
		}
		row.Params += ops[i].Params
		row.MACs += ops[i].MACs
	}
	if s.Head == 0 {
		*head = *classifier
		rows = rows[:len(rows)-1]
	}
	return rows
}

func convName(kernel int) string { return fmt.Sprintf("Conv%dx%d", kernel, kernel) }

// Operator is st in the words of the papers' tables: "MBConv6, k3x3".
func (st *Stage) Operator() string {
	name := ""
	switch st.Block {
	case ConvNormAct:
		return convName(st.Kernel)
	case DepthwiseSeparableAct:
		name = "DSConv"
	case EdgeResidual:
		name = "Fused-MBConv" + number(st.Expand)
	case Basic:
		name = "Basic"
	case Bottleneck:
		name = "Bottleneck"
	default:
		name = "MBConv" + number(st.Expand)
	}
	return fmt.Sprintf("%s, k%dx%d", name, st.Kernel, st.Kernel)
}
