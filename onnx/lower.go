package onnx

import (
	"fmt"

	"effnet/arch"
	"effnet/weights"
)

// lowering turns the ops of a graph into nodes, one reader of the graph among
// others: a switch over kinds.
type lowering struct {
	g   *arch.Graph
	w   *weights.Set
	opt Options
	n   *network

	values  []string // name of each op's value
	readers []int    // number of readers of each op's value
	six     bool     // the bounds of ReLU6 are among the tensors
}

func lower(g *arch.Graph, w *weights.Set, opt Options) (*network, error) {
	in := g.Ops[0].Shape
	l := &lowering{
		g: g, w: w, opt: opt,
		n: &network{
			name: g.Spec.Name, in: [3]int{in.C, in.H, in.W}, freeSize: opt.FreeSize,
			classes: g.Ops[g.Output()].Shape.C,
		},
		values: make([]string, len(g.Ops)), readers: make([]int, len(g.Ops)),
	}
	for i := range g.Ops {
		for _, j := range g.Ops[i].In {
			l.readers[j]++
		}
	}
	for i := range g.Ops {
		if err := l.op(i); err != nil {
			return nil, err
		}
	}
	return l.n, nil
}

// op appends the nodes of op i.
func (l *lowering) op(i int) error {
	op := &l.g.Ops[i]
	switch op.Kind {
	case arch.OpInput:
		l.values[i] = InputName
	case arch.OpConv:
		l.conv(i)
	case arch.OpBatchNorm:
		if c := op.In[0]; l.folds(c) {
			l.values[i] = l.values[c]
			break
		}
		l.add(i, "BatchNormalization", l.params(op), attribute{"epsilon", float32(op.Eps)})
	case arch.OpActivation:
		return l.activation(i)
	case arch.OpMaxPool:
		l.add(i, "MaxPool", nil, l.window(op)...)
	case arch.OpGlobalPool:
		l.add(i, "GlobalAveragePool", nil)
	case arch.OpGate: // [N,C,H,W] times [N,C,1,1]
		l.add(i, "Mul", nil)
	case arch.OpAdd:
		l.add(i, "Add", nil)
	case arch.OpDropout:
		l.values[i] = l.values[op.In[0]]
	case arch.OpLinear:
		flat := op.Name + ".flatten"
		l.n.nodes = append(l.n.nodes, node{"Flatten", flat, l.inputs(op), []string{flat}, []attribute{{"axis", 1}}})
		l.values[i] = l.output(i)
		in := append([]string{flat}, l.params(op)...)
		l.n.nodes = append(l.n.nodes, node{"Gemm", op.Name, in, []string{l.values[i]}, []attribute{{"transB", 1}}})
	default:
		return fmt.Errorf("%s: no ONNX for an op of kind %v", op.Name, op.Kind)
	}
	return nil
}

// add appends a node for op i: what op i reads, then more inputs.
func (l *lowering) add(i int, kind string, more []string, attrs ...attribute) {
	op := &l.g.Ops[i]
	l.values[i] = l.output(i)
	l.n.nodes = append(l.n.nodes, node{kind, op.Name, append(l.inputs(op), more...), []string{l.values[i]}, attrs})
}

func (l *lowering) inputs(op *arch.Op) []string {
	var in []string
	for _, j := range op.In {
		in = append(in, l.values[j])
	}
	return in
}

// output names the value of op i.
func (l *lowering) output(i int) string {
	if i == l.g.Output() {
		return OutputName
	}
	return l.g.Ops[i].Name
}

// params makes op's tensors constants, as they are, and names them.
func (l *lowering) params(op *arch.Op) []string {
	var names []string
	for _, p := range op.Params {
		names = append(names, p.Name)
		l.n.tensors = append(l.n.tensors, tensor{p.Name, p.Shape, func() []float32 { return l.w.Tensors[p.Name].Data }})
	}
	return names
}

// window is the attributes of a convolution or a pool.
func (l *lowering) window(op *arch.Op) []attribute {
	k, s, p := op.Kernel, op.Stride, op.Pad
	attrs := []attribute{{"kernel_shape", []int{k, k}}, {"strides", []int{s, s}}}
	if l.opt.FreeSize && l.g.Spec.Padding == arch.PadSame {
		// The zeros depend on the size: SAME_UPPER is the rule itself.
		return append(attrs, attribute{"auto_pad", "SAME_UPPER"})
	}
	return append(attrs, attribute{"pads", []int{p.Top, p.Left, p.Bottom, p.Right}})
}

// folds reports whether a batch norm, the only reader of op i, goes into it.
func (l *lowering) folds(i int) bool {
	return !l.opt.KeepBatchNorm && l.g.Ops[i].Kind == arch.OpConv && l.readers[i] == 1 && l.batchNorm(i) != nil
}

// batchNorm is the batch norm that reads op i.
func (l *lowering) batchNorm(i int) *arch.Op {
	for j := i + 1; j < len(l.g.Ops); j++ {
		if op := &l.g.Ops[j]; op.Kind == arch.OpBatchNorm && op.In[0] == i {
			return op
		}
	}
	return nil
}

func (l *lowering) conv(i int) {
	op := &l.g.Ops[i]
	attrs := append(l.window(op), attribute{"group", op.Groups})
	if !l.folds(i) {
		l.add(i, "Conv", l.params(op), attrs...)
		return
	}
	weight, bias := op.Params[0], op.Name+".bias"
	bn := l.batchNorm(i)
	l.n.tensors = append(l.n.tensors,
		tensor{weight.Name, weight.Shape, func() []float32 {
			scale, _ := l.w.Affine(bn)
			from := l.w.Tensors[weight.Name].Data
			to := make([]float32, len(from))
			n := len(from) / len(scale)
			for k, v := range from {
				to[k] = float32(float64(v) * scale[k/n])
			}
			return to
		}},
		tensor{bias, []int{op.Shape.C}, func() []float32 {
			scale, shift := l.w.Affine(bn)
			own := l.w.Of(op, arch.BiasVector)
			to := make([]float32, len(shift))
			for c := range to {
				if own != nil {
					shift[c] += float64(own[c]) * scale[c]
				}
				to[c] = float32(shift[c])
			}
			return to
		}})
	l.add(i, "Conv", []string{weight.Name, bias}, attrs...)
}

func (l *lowering) activation(i int) error {
	op := &l.g.Ops[i]
	switch op.Act {
	case arch.ActIdentity:
		l.values[i] = l.values[op.In[0]]
	case arch.ActReLU:
		l.add(i, "Relu", nil)
	case arch.ActReLU6:
		if !l.six {
			l.six = true
			l.n.tensors = append(l.n.tensors, scalar("relu6.min", 0), scalar("relu6.max", 6))
		}
		l.add(i, "Clip", []string{"relu6.min", "relu6.max"})
	case arch.ActSwish:
		x, gate := l.values[op.In[0]], op.Name+".sigmoid"
		l.n.nodes = append(l.n.nodes, node{"Sigmoid", gate, []string{x}, []string{gate}, nil})
		l.add(i, "Mul", []string{gate})
	case arch.ActSigmoid:
		l.add(i, "Sigmoid", nil)
	case arch.ActHardSwish:
		l.add(i, "HardSwish", nil)
	case arch.ActHardSigmoid:
		l.add(i, "HardSigmoid", nil, attribute{"alpha", float32(1. / 6)}, attribute{"beta", float32(0.5)})
	default:
		return fmt.Errorf("%s: no ONNX for the activation %v", op.Name, op.Act)
	}
	return nil
}

func scalar(name string, v float32) tensor {
	return tensor{name, nil, func() []float32 { return []float32{v} }}
}
