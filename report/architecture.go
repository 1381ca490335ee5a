package report

import (
	"fmt"
	"math"

	"effnet/arch"
)

// WriteArchitecture draws a network into a file, in the format that its name
// ends in: its stages from the image to the classes, and what each costs.
func WriteArchitecture(path string, g *arch.Graph) error { return drawArchitecture(g).write(path) }

// ArchitectureSVG is the drawing of [WriteArchitecture] as SVG.
func ArchitectureSVG(g *arch.Graph) []byte { return drawArchitecture(g).svg(false) }

const (
	stageWidth  = 92.0  // pixels of a stage's column
	stageLeft   = 96.0  // before the first one, for headings
	slabSide    = 112.0 // of the largest map
	costHeight  = 62.0  // of a row of bars
	costSpacing = 30.0
)

// stageKinds are the colours of stages by what they are made of.
var stageKinds = []struct {
	name string
	ink  ink
	has  func(arch.BlockKind) bool
}{
	{"mobile blocks", inkDepth, func(k arch.BlockKind) bool {
		return k == arch.InvertedResidual || k == arch.DepthwiseSeparable || k == arch.DepthwiseSeparableAct
	}},
	{"fused blocks", inkResolution, func(k arch.BlockKind) bool { return k == arch.EdgeResidual }},
	{"residual blocks", inkCompound, func(k arch.BlockKind) bool { return k == arch.Basic || k == arch.Bottleneck }},
	{"convolutions", inkWidth, func(k arch.BlockKind) bool { return k == arch.ConvNormAct }},
}

const inkEnds = inkMuted // of stem, head and classifier

// drawnStage is a column of the drawing.
type drawnStage struct {
	arch.StageCost
	out         arch.Shape // of what leaves it
	ink         ink
	activations int64
}

func drawnStages(g *arch.Graph) []drawnStage {
	c := g.Cost()
	stages := make([]drawnStage, len(c.Stages))
	for i, s := range c.Stages {
		stages[i] = drawnStage{StageCost: s, ink: inkEnds}
		if i > 0 && i <= len(g.Spec.Stages) {
			for _, k := range stageKinds {
				if k.has(g.Spec.Stages[i-1].Block) {
					stages[i].ink = k.ink
				}
			}
		}
	}
	last := len(stages) - 1
	for i := range g.Ops {
		s := min(g.Ops[i].Stage+1, last)
		if g.Ops[i].Stage == len(g.Spec.Stages) && i > g.HeadMap {
			s = last
		}
		stages[s].activations += c.Ops[i].Activations
		stages[s].out = g.Ops[i].Shape
	}
	return stages
}

// costRow is a row of bars below the stages.
type costRow struct {
	name, tip string
	of        func(*drawnStage) int64
	total     int64
}

func drawArchitecture(g *arch.Graph) *scene {
	stages := drawnStages(g)
	spec, total := &g.Spec, g.Cost().Totals
	rows := []costRow{
		{"MACs", "multiply-accumulates", func(s *drawnStage) int64 { return s.MACs }, total.MACs},
		{"parameters", "trainable numbers", func(s *drawnStage) int64 { return s.Params }, total.Params},
		{"activations", "elements of convolution outputs", func(s *drawnStage) int64 { return s.activations }, total.Activations},
	}
	s := &scene{title: fmt.Sprintf("Architecture of %s: %d stages, %s MACs, %s parameters", spec.Name, len(spec.Stages), count(float64(total.MACs)), count(float64(total.Params)))}
	s.w = stageLeft + stageWidth*float64(len(stages)) + 12
	s.boldLabel(8, 22, clipText(spec.Name, 16, true, s.w-16), 16, anchorStart, inkText)
	s.label(8, 42, clipText(fmt.Sprintf("%d×%d×%d image, %s MACs, %s parameters, %s activations", g.Ops[0].Shape.H, g.Ops[0].Shape.W, spec.Channels,
		count(float64(total.MACs)), count(float64(total.Params)), count(float64(total.Activations))), 12, false, s.w-16), 12, anchorStart, inkMuted)

	base := 62 + slabSide + 10 // where the slabs stand
	s.stageHeadings(base)
	for i := range stages {
		s.stage(&stages[i], stageLeft+stageWidth*float64(i), base, g.Ops[0].Shape.H)
	}
	y := base + 88
	for _, r := range rows {
		y += costSpacing
		s.costBars(&r, stages, y)
		y += costHeight
	}
	s.h = y + s.stageLegend(y+26, stages) + 8
	return s
}

func (s *scene) stageHeadings(base float64) {
	for i, name := range []string{"stage", "operator", "blocks", "output"} {
		s.label(8, base+20+18*float64(i), name, 12, anchorStart, inkMuted)
	}
}

// stage draws a stage's blocks as maps behind each other, as high as the
// logarithm of their side, and its texts.
func (s *scene) stage(d *drawnStage, x, base float64, resolution int) {
	const step, most, thick = 5.0, 8, 9.0
	side := slabSide * math.Log2(1+float64(d.out.H)) / math.Log2(1+float64(resolution))
	n := min(d.Layers, most)
	tip := fmt.Sprintf("%s: %s, %s, %d×%d×%d to %d×%d×%d\n%s MACs, %s parameters, %s activations", stageTitle(d.Name), d.Operator, blocks(d.Layers),
		d.In.H, d.In.W, d.In.C, d.out.H, d.out.W, d.out.C, count(float64(d.MACs)), count(float64(d.Params)), count(float64(d.activations)))
	middle := x + stageWidth/2
	left := middle - (thick+step*float64(n-1))/2
	for i := range n {
		l := left + step*float64(i)
		s.add(item{kind: shapeArea, pts: []point{{l, base - side}, {l + thick, base - side - 4}, {l + thick, base - 4}, {l, base}},
			fill: d.ink, stroke: inkPaper, width: 1, tip: tip})
	}
	fit := func(text string) string { return clipText(text, 11, false, stageWidth-4) }
	s.boldLabel(middle, base+20, d.Name, 12, anchorMiddle, inkText)
	s.label(middle, base+38, fit(d.Operator), 11, anchorMiddle, inkText)
	layers := fmt.Sprintf("×%d", d.Layers)
	if d.Stride > 1 {
		layers += fmt.Sprintf(", stride %d", d.Stride)
	}
	s.label(middle, base+56, fit(layers), 11, anchorMiddle, inkText)
	s.label(middle, base+74, fit(fmt.Sprintf("%d×%d×%d", d.out.H, d.out.W, d.out.C)), 11, anchorMiddle, inkText)
}

func stageTitle(name string) string {
	if name[0] >= '0' && name[0] <= '9' {
		return "stage " + name
	}
	return name
}

func blocks(n int) string {
	if n == 1 {
		return "1 block"
	}
	return fmt.Sprintf("%d blocks", n)
}

// costBars draws the share of each stage in a cost, below y.
func (s *scene) costBars(r *costRow, stages []drawnStage, y float64) {
	most := int64(1)
	for i := range stages {
		most = max(most, r.of(&stages[i]))
	}
	s.boldLabel(8, y+costHeight-18, r.name, 12, anchorStart, inkText)
	s.label(8, y+costHeight-2, count(float64(r.total)), 12, anchorStart, inkMuted)
	s.line(stageLeft, y+costHeight, s.w-12, y+costHeight, inkGrid, 1)
	for i := range stages {
		d := &stages[i]
		v := r.of(d)
		h := (costHeight - 14) * float64(v) / float64(most)
		x := stageLeft + stageWidth*float64(i)
		tip := fmt.Sprintf("%s: %s of %s %s", stageTitle(d.Name), count(float64(v)), count(float64(r.total)), r.tip)
		s.add(item{kind: shapeArea, pts: []point{{x + 16, y + costHeight - h}, {x + stageWidth - 16, y + costHeight - h}, {x + stageWidth - 16, y + costHeight}, {x + 16, y + costHeight}}, fill: d.ink, tip: tip})
		if v > 0 {
			s.label(x+stageWidth/2, y+costHeight-h-4, fmt.Sprintf("%.1f %%", 100*float64(v)/float64(r.total)), 11, anchorMiddle, inkMuted)
		}
	}
}

// stageLegend names the colours that the stages have, and returns its height.
func (s *scene) stageLegend(y float64, stages []drawnStage) float64 {
	x := stageLeft
	add := func(text string, c ink) {
		s.rect(x, y-9, 10, 10, c)
		s.label(x+16, y, text, 12, anchorStart, inkMuted)
		x += 16 + textWidth(text, 12, false) + 22
	}
	for _, k := range stageKinds {
		for i := range stages {
			if stages[i].ink == k.ink {
				add(k.name, k.ink)
				break
			}
		}
	}
	add("stem, head, classifier", inkEnds)
	return 30
}
