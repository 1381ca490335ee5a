package arch

import (
	"fmt"
	"math"
)

// layer is one convolution of a block with its batch norm.
type layer struct {
	name           string // timm's, within the block
	width          int
	kernel, stride int
	depthwise      bool
	act            bool // an activation follows the batch norm
}

// layout is a block resolved for the width and stride it meets: what the graph
// and the cost without a graph both follow.
type layout struct {
	layers   [3]layer
	n        int  // layers in use
	squeeze  int  // width of the squeeze-and-excite before the last layer; 0 for none
	skip     bool // the block's input is added to its branch
	project  bool // a 1x1 convolution of it and its batch norm are
	finalAct bool // an activation follows the sum
}

// layout is the block of st on an input of in channels.
func (s *Spec) layout(st *Stage, in, stride int) layout {
	out, k := st.Width, st.Kernel
	same := stride == 1 && in == out
	l := layout{skip: same && !st.NoSkip}
	set := func(layers ...layer) { l.n = copy(l.layers[:], layers) }
	switch st.Block {
	case DepthwiseSeparable, DepthwiseSeparableAct:
		pwAct := st.Block == DepthwiseSeparableAct
		set(layer{"conv_dw", in, k, stride, true, true},
			layer{"conv_pw", out, 1, 1, false, pwAct})
		l.skip = l.skip && !pwAct
	case InvertedResidual:
		mid := s.expandedWidth(in, st.Expand)
		set(layer{"conv_pw", mid, 1, 1, false, true},
			layer{"conv_dw", mid, k, stride, true, true},
			layer{"conv_pwl", out, 1, 1, false, false})
	case EdgeResidual:
		base := in
		if st.ForceIn > 0 {
			base = st.ForceIn
		}
		set(layer{"conv_exp", s.expandedWidth(base, st.Expand), k, stride, false, true},
			layer{"conv_pwl", out, 1, 1, false, false})
	case ConvNormAct:
		set(layer{"conv", out, k, stride, false, true})
	case Basic, Bottleneck:
		mid := out
		if st.Expand != 1 {
			mid = s.expandedWidth(out, st.Expand)
		}
		if st.Block == Basic {
			set(layer{"conv1", mid, k, stride, false, true},
				layer{"conv2", out, k, 1, false, false})
		} else {
			set(layer{"conv1", mid, 1, 1, false, true},
				layer{"conv2", mid, k, stride, false, true},
				layer{"conv3", out, 1, 1, false, false})
		}
		l.skip, l.project, l.finalAct = same, !same, true
	default:
		panic(fmt.Sprintf("arch: layout of %s blocks is not known", st.Block))
	}
	if st.SERatio > 0 {
		l.squeeze = s.squeezeWidth(st, l.layers[l.n-2].width)
	}
	return l
}

// expandedWidth is the width in the middle of a block. Like timm it rounds to
// the divisor, which changes nothing for a whole ratio of such a width.
func (s *Spec) expandedWidth(base int, ratio float64) int {
	return roundWidth(float64(base)*ratio, s.Rule.WidthDivisor, 0.9)
}

// squeezeWidth is the number of channels between SE's two 1x1 convolutions on
// mid channels: as timm, relative to the block's input by way of the expand
// ratio, which differs from the input's own share where mid was rounded.
func (s *Spec) squeezeWidth(st *Stage, mid int) int {
	ratio := st.SERatio
	if !s.SE.FromExpanded {
		ratio /= st.Expand
	}
	x := float64(mid) * ratio
	if s.SE.Divisor > 1 {
		return roundWidth(x, s.SE.Divisor, 0.9)
	}
	return max(1, int(math.RoundToEven(x)))
}

// roundWidth rounds a channel count to a multiple of divisor, at least one
// divisor, adding one more where rounding down lost more than 1-limit of it.
func roundWidth(x float64, divisor int, limit float64) int {
	x = float64(x) // the product that x may be is rounded before it is used
	n := max(divisor, int(math.Floor(x+float64(divisor)/2))/divisor*divisor)
	if float64(n) < limit*x {
		n += divisor
	}
	return n
}

// resnet reports whether s bears timm's ResNet names: all its rows are ResNet's.
func (s *Spec) resnet() bool {
	for _, st := range s.Stages {
		if st.Block != Basic && st.Block != Bottleneck {
			return false
		}
	}
	return true
}

// blockOps appends one block.
func (b *builder) blockOps(x int, st *Stage, name string, stride int, dropPath float64) int {
	a := st.Act
	if a == ActDefault {
		a = b.spec.Act
	}
	l := b.spec.layout(st, b.shape(x).C, stride)
	y := x
	for i, c := range l.layers[:l.n] {
		if i == l.n-1 && l.squeeze > 0 {
			y = b.squeezeExcite(y, name+".se", l.squeeze, a)
		}
		y = b.conv(y, name+"."+c.name, c.width, c.kernel, c.stride, c.depthwise, false)
		y = b.bn(y, fmt.Sprintf("%s.bn%d", name, i+1))
		if c.act {
			y = b.act(y, fmt.Sprintf("%s.act%d", name, i+1), a)
		}
	}
	short := x
	if l.project {
		short = b.conv(x, name+".downsample.0", st.Width, 1, stride, false, false)
		short = b.bn(short, name+".downsample.1")
	}
	if l.skip || l.project {
		y = b.add(Op{Kind: OpAdd, Name: name + ".add", In: []int{y, short}, Shape: b.shape(y), DropPath: dropPath})
	}
	if l.finalAct {
		y = b.act(y, fmt.Sprintf("%s.act%d", name, l.n), a)
	}
	return y
}

// squeezeExcite is mean over the image, 1x1 reduce, act, 1x1 expand, gate.
func (b *builder) squeezeExcite(x int, name string, squeeze int, a Act) int {
	gate := ActSigmoid
	se := &b.spec.SE
	if se.Gate != ActDefault {
		gate = se.Gate
	}
	if se.Act != ActDefault {
		a = se.Act
	}
	c := b.shape(x)
	p := b.add(Op{Kind: OpGlobalPool, Name: name + ".pool", In: []int{x}, Shape: Shape{1, 1, c.C}})
	p = b.conv(p, name+".conv_reduce", squeeze, 1, 1, false, true)
	p = b.act(p, name+".act1", a)
	p = b.conv(p, name+".conv_expand", c.C, 1, 1, false, true)
	p = b.act(p, name+".gate", gate)
	return b.add(Op{Kind: OpGate, Name: name, In: []int{x, p}, Shape: c})
}
