package main

import "effnet/arch"

// benchNet is what timm needs to build a network from its rows.
type benchNet struct {
	Name       string   `json:"name"`
	Resolution int      `json:"resolution"`
	Channels   int      `json:"channels"`
	Classes    int      `json:"classes"`
	Stem       int      `json:"stem"`
	StemKernel int      `json:"stem_kernel"`
	StemStride int      `json:"stem_stride"`
	StemPool   int      `json:"stem_pool"`
	Stages     []string `json:"stages"`
	Head       int      `json:"head"`
	Act        string   `json:"act"`
	Padding    string   `json:"padding"`
	Eps        float64  `json:"eps"`
	Momentum   float64  `json:"momentum"`
	SE         struct {
		FromExpanded bool   `json:"from_expanded"`
		Divisor      int    `json:"divisor"`
		Act          string `json:"act"`  // "" is the block's
		Gate         string `json:"gate"` // "" is sigmoid
	} `json:"se"`
}

func describeNet(s *arch.Spec) benchNet {
	n := benchNet{
		Name: s.Name, Resolution: s.Resolution, Channels: s.Channels, Classes: s.Classes,
		Stem: s.Stem.Width, StemKernel: s.Stem.Kernel, StemStride: s.Stem.Stride, StemPool: s.Stem.Pool,
		Head: s.Head, Act: s.Act.String(), Padding: s.Padding.String(), Eps: s.BN.Eps, Momentum: s.BN.Momentum,
	}
	for i := range s.Stages {
		n.Stages = append(n.Stages, s.Stages[i].String())
	}
	n.SE.FromExpanded, n.SE.Divisor = s.SE.FromExpanded, s.SE.Divisor
	if s.SE.Act != arch.ActDefault {
		n.SE.Act = s.SE.Act.String()
	}
	if s.SE.Gate != arch.ActDefault {
		n.SE.Gate = s.SE.Gate.String()
	}
	return n
}
