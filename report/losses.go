package report

import (
	"fmt"
	"math"
)

// Losses compares engines that train the same networks on the same batches
// from the same weights: their curves should be one.
type Losses struct {
	Title, Machine string
	Panels         []LossPanel
}

// LossPanel is the training of one network.
type LossPanel struct {
	Title     string
	Reference LossCurve   // the one that the others' distances are from
	Engines   []LossCurve // the most important first
	Bound     []float64   // of the first one's distance; nil: none
}

// LossCurve is the loss of every step and its relative distance from the
// reference's.
type LossCurve struct {
	Name  string
	Loss  []float64
	Apart []float64
}

// Write draws l into a file, in the format that its name ends in.
func (l *Losses) Write(path string) error {
	s, err := l.draw()
	if err != nil {
		return err
	}
	return s.write(path)
}

// lossInks are the colours of the engines.
var lossInks = []ink{inkCompound, inkDepth, inkResolution, inkWidth}

const (
	lossPanelWidth  = 500.0
	lossPanelHeight = 436.0
	lossHead        = 48.0 // room for the titles of the figure
)

// draw makes the figure, two panels a row: losses above, and below them the
// distances, logarithmic.
func (l *Losses) draw() (*scene, error) {
	if len(l.Panels) == 0 {
		return nil, fmt.Errorf("report: no losses to draw")
	}
	rows := (len(l.Panels) + 1) / 2
	s := &scene{
		w: lossPanelWidth * min(2, float64(len(l.Panels))), h: lossHead + lossPanelHeight*float64(rows),
		title: "Loss of every step in several engines, and its distance from the reference: " + l.Title,
	}
	s.boldLabel(8, 20, clipText(l.Title, 15, true, s.w-16), 15, anchorStart, inkText)
	s.label(8, 39, clipText(l.Machine, 12, false, s.w-16), 12, anchorStart, inkMuted)
	for i := range l.Panels {
		p, err := l.Panels[i].draw()
		if err != nil {
			return nil, err
		}
		s.place(p, lossPanelWidth*float64(i%2), lossHead+lossPanelHeight*float64(i/2))
	}
	return s, nil
}

func (p *LossPanel) check() error {
	n := len(p.Reference.Loss)
	if n == 0 || len(p.Engines) == 0 {
		return fmt.Errorf("report: %s: %d losses of %d engines", p.Title, n, len(p.Engines))
	}
	for _, c := range p.Engines {
		if len(c.Loss) != n || len(c.Apart) != n {
			return fmt.Errorf("report: %s: %d losses and %d distances of %s, the reference has %d", p.Title, len(c.Loss), len(c.Apart), c.Name, n)
		}
	}
	if p.Bound != nil && len(p.Bound) != n {
		return fmt.Errorf("report: %s: %d bounds of %d losses", p.Title, len(p.Bound), n)
	}
	return nil
}

func (p *LossPanel) draw() (*scene, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	s := &scene{w: lossPanelWidth, h: lossPanelHeight}
	n := float64(len(p.Reference.Loss))
	x := scale{lo: min(1, n-0.5), hi: n, a: 58, b: lossPanelWidth - 16}
	upper := panel{s, frame{x: x, y: scale{a: 196, b: 32}}}
	lower := panel{s, frame{x: x, y: scale{a: 348, b: 234, log: true}}}

	lo, hi, most := math.Inf(1), math.Inf(-1), 1e-7
	for i, c := range append([]LossCurve{p.Reference}, p.Engines...) {
		for k, v := range c.Loss {
			lo, hi = min(lo, v), max(hi, v)
			if i > 0 {
				most = max(most, c.Apart[k])
			}
		}
	}
	for _, v := range p.Bound {
		most = max(most, v)
	}
	upper.y.lo, upper.y.hi = pad(lo, hi, 0.05)
	losses, decimals := linearTicks(upper.y.lo, upper.y.hi, 5)
	upper.axes(clipText("loss: "+p.Title, 13, true, s.w-16), "", nil, losses, nil, func(v float64) string { return fmt.Sprintf("%.*f", decimals, v) })
	// From less than a rounding of float32 to a power of ten above all.
	top := math.Ceil(math.Log10(most))
	lower.y.lo, lower.y.hi = 1e-8, math.Pow(10, top)
	var powers, steps []float64
	for e := -8.0; e <= top; e += max(1, math.Ceil((top+8)/6)) {
		powers = append(powers, math.Pow(10, e))
	}
	step := max(1, niceStep(n, 6))
	for v := step; v <= n; v += step {
		steps = append(steps, v)
	}
	lower.axes("relative distance from "+p.Reference.Name+", the largest so far", "step", steps, powers,
		func(v float64) string { return fmt.Sprintf("%.0f", v) }, func(v float64) string { return fmt.Sprintf("1e%.0f", math.Log10(v)) })

	// The reference lies below, wide and pale; the first engine on top.
	upper.steps(p.Reference.Loss, item{stroke: inkFaint, width: 6, alpha: 0.55, tip: p.Reference.Name})
	if p.Bound != nil {
		lower.steps(p.Bound, item{stroke: inkMuted, width: 1.2, dash: []float64{4, 3}, tip: "tolerance of " + p.Engines[0].Name})
	}
	for i := len(p.Engines) - 1; i >= 0; i-- {
		c := &p.Engines[i]
		how := item{stroke: lossInks[min(i, len(lossInks)-1)], width: 1.2, tip: c.Name}
		if i == 0 {
			how.width = 1.6
		}
		lower.steps(c.Apart, how)
		if i > 0 {
			how.dash = []float64{5, 3 + 2*float64(i)}
		}
		upper.steps(c.Loss, how)
	}
	p.legend(s, x.a, lower.y.a+58)
	return s, nil
}

// steps draws the values of steps 1, 2, ...; those outside the panel at its edge.
func (p *panel) steps(values []float64, style item) {
	var points []point
	for i, v := range values {
		points = append(points, point{float64(i + 1), min(max(v, p.y.lo), p.y.hi)})
	}
	p.curve(points, style)
}

// legend names the lines, as many in a row as have room.
func (p *LossPanel) legend(s *scene, left, y float64) {
	x := left
	add := func(name string, style item) {
		room := 28 + textWidth(name, 12, false)
		if x > left && x+room > s.w-8 {
			x, y = left, y+17
		}
		style.kind, style.pts = shapeLine, []point{{x, y - 4}, {x + 22, y - 4}}
		s.add(style)
		s.label(x+28, y, name, 12, anchorStart, inkText)
		x += room + 18
	}
	for i, c := range p.Engines {
		add(c.Name, item{stroke: lossInks[min(i, len(lossInks)-1)], width: 2})
	}
	add(p.Reference.Name, item{stroke: inkFaint, width: 6, alpha: 0.55})
	if p.Bound != nil {
		add("tolerance", item{stroke: inkMuted, width: 1.2, dash: []float64{4, 3}})
	}
}
