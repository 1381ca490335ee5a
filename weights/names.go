package weights

import (
	"fmt"
	"maps"
	"strings"

	"effnet/arch"
)

// Naming is a code base's way to name the tensors of a network.
type Naming uint8

const (
	// TimmNames are timm's, and geffnet's, which timm grew out of. They are
	// this program's own. ResNet has the same names in torchvision.
	TimmNames Naming = iota + 1
	// TorchvisionNames number the children of nn.Sequential:
	// features.2.0.block.1.0.weight.
	TorchvisionNames
	// LukemelasNames are those of EfficientNet-PyTorch and of what was made of
	// it, EfficientNet-Lite-PyTorch among them: _blocks.1._depthwise_conv.weight.
	LukemelasNames
)

func (n Naming) String() string {
	switch n {
	case TimmNames:
		return "timm"
	case TorchvisionNames:
		return "torchvision"
	case LukemelasNames:
		return "EfficientNet-PyTorch"
	}
	return fmt.Sprintf("Naming(%d)", uint8(n))
}

// A layout names the modules of a graph as one code base does: module returns
// the name of an op's, or "" where that code has none like it.
type layout struct {
	naming Naming
	module func(p *place) string
}

var layouts = []layout{
	{TimmNames, func(p *place) string { return p.op.Name }},
	{TorchvisionNames, torchvisionEfficientNet},
	{TorchvisionNames, torchvisionMobileNetV2},
	{LukemelasNames, lukemelas},
}

// place is where in a network an op with tensors stands.
type place struct {
	op     *arch.Op
	stages int // of the network
	blocks int // of the network
	row    int // index of the block in its stage

	se bool // part of squeeze-and-excite
	// In a block: part counts the convolutions so far from 0, squeeze-and-excite
	// as one; conv counts those outside of it. A batch norm has the numbers of
	// its convolution.
	part, conv  int
	convs       int // of the block, outside of squeeze-and-excite
	depthwise   int // conv of the depthwise one; -1 for none
	isBatchNorm bool
}

// places lists the ops of g that have tensors.
func places(g *arch.Graph) []*place {
	var ps []*place
	var block []*place // of the block under way
	blocks, firsts := 0, map[int]int{}
	for i := range g.Ops {
		op := &g.Ops[i]
		if op.Block >= blocks {
			blocks = op.Block + 1
			block = nil
		}
		if _, ok := firsts[op.Stage]; !ok {
			firsts[op.Stage] = op.Block
		}
		if len(op.Params) == 0 {
			continue
		}
		p := &place{op: op, stages: len(g.Spec.Stages), row: op.Block - firsts[op.Stage],
			se: strings.Contains(op.Name, ".se."), part: -1, conv: -1, depthwise: -1, isBatchNorm: op.Kind == arch.OpBatchNorm}
		ps = append(ps, p)
		if op.Block < 0 {
			continue
		}
		if n := len(block); n > 0 {
			last := block[n-1]
			p.part, p.conv, p.depthwise = last.part, last.conv, last.depthwise
		}
		if op.Kind == arch.OpConv {
			if n := len(block); !p.se || n == 0 || !block[n-1].se {
				p.part++
			}
			if !p.se {
				p.conv++
			}
			if op.Depthwise() {
				p.depthwise = p.conv
			}
		}
		block = append(block, p)
		for _, q := range block {
			q.convs, q.depthwise = p.conv+1, p.depthwise
		}
	}
	for _, p := range ps {
		p.blocks = blocks
	}
	return ps
}

// names maps the layout's name of every tensor of g to timm's; nil where the
// layout cannot name them all.
func (l *layout) names(g *arch.Graph) map[string]string {
	m := map[string]string{}
	for _, p := range places(g) {
		module := l.module(p)
		if module == "" {
			return nil
		}
		for _, param := range p.op.Params {
			m[module+strings.TrimPrefix(param.Name, p.op.Name)] = param.Name
		}
	}
	return m
}

// torchvisionEfficientNet numbers the stem 0, the stages from 1 and the head
// behind them; in a block, the parts, of which each is a convolution and a
// batch norm or a squeeze-and-excite.
func torchvisionEfficientNet(p *place) string {
	if p.op.Block < 0 {
		return torchvisionEnds(p, p.stages+1)
	}
	block := fmt.Sprintf("features.%d.%d.block.%d.", p.op.Stage+1, p.row, p.part)
	switch {
	case p.se && strings.HasSuffix(p.op.Name, "conv_reduce"):
		return block + "fc1"
	case p.se:
		return block + "fc2"
	case p.isBatchNorm:
		return block + "1"
	}
	return block + "0"
}

// torchvisionMobileNetV2 numbers blocks over all stages. In a block, the last
// convolution and its batch norm have no activation and stand alone.
func torchvisionMobileNetV2(p *place) string {
	if p.op.Block < 0 {
		return torchvisionEnds(p, p.blocks+1)
	}
	if p.se {
		return ""
	}
	block := fmt.Sprintf("features.%d.conv.%d", p.op.Block+1, p.conv)
	switch {
	case p.conv < p.convs-1 && p.isBatchNorm:
		return block + ".1"
	case p.conv < p.convs-1:
		return block + ".0"
	case p.isBatchNorm:
		return fmt.Sprintf("features.%d.conv.%d", p.op.Block+1, p.conv+1)
	}
	return block
}

// torchvisionEnds names what is outside of blocks.
func torchvisionEnds(p *place, head int) string {
	if p.op.Kind == arch.OpLinear {
		return "classifier.1"
	}
	feature, sub := 0, 0
	if p.op.Stage >= 0 {
		feature = head
	}
	if p.isBatchNorm {
		sub = 1
	}
	return fmt.Sprintf("features.%d.%d", feature, sub)
}

// lukemelas numbers blocks over all stages and names their modules by what
// they do relative to the depthwise convolution, batch norms from 0 before it.
func lukemelas(p *place) string {
	if p.op.Block < 0 {
		switch {
		case p.op.Kind == arch.OpLinear:
			return "_fc"
		case p.op.Stage < 0 && p.isBatchNorm:
			return "_bn0"
		case p.op.Stage < 0:
			return "_conv_stem"
		case p.isBatchNorm:
			return "_bn1"
		}
		return "_conv_head"
	}
	at := p.conv - p.depthwise + 1 // 0 expand, 1 depthwise, 2 project
	if p.depthwise < 0 || at < 0 || at > 2 {
		return ""
	}
	block := fmt.Sprintf("_blocks.%d.", p.op.Block)
	switch {
	case p.se && strings.HasSuffix(p.op.Name, "conv_reduce"):
		return block + "_se_reduce"
	case p.se:
		return block + "_se_expand"
	case p.isBatchNorm:
		return fmt.Sprintf("%s_bn%d", block, at)
	}
	return block + [3]string{"_expand_conv", "_depthwise_conv", "_project_conv"}[at]
}

// canonical gives the tensors of s the names of g, whoever named them. It
// shares their values with s. Tensors without a place in g keep their names.
// back maps the names that changed to those of s.
func (s *Set) canonical(g *arch.Graph) (named *Set, n Naming, back map[string]string) {
	var best map[string]string
	most := -1
	for i := range layouts {
		names := layouts[i].names(g)
		known := 0
		for name := range s.Tensors {
			if _, ok := names[name]; ok {
				known++
			}
		}
		if known > most {
			best, most, n = names, known, layouts[i].naming
		}
	}
	if n == TimmNames {
		return s, n, nil
	}
	named = &Set{Tensors: make(map[string]Tensor, len(s.Tensors)), Meta: maps.Clone(s.Meta)}
	back = map[string]string{}
	for name, t := range s.Tensors {
		if to, ok := best[name]; ok {
			back[to] = name
			named.Tensors[to] = t
		}
	}
	for name, t := range s.Tensors {
		if _, ok := best[name]; ok {
			continue
		}
		if _, taken := named.Tensors[name]; taken {
			name += " beside " + back[name]
		}
		named.Tensors[name] = t
	}
	return named, n, back
}
