package report

import (
	"fmt"
	"math"
	"slices"
)

// LRCurve is a learning-rate range test.
type LRCurve struct {
	Title  string
	Points []LRCurvePoint // learning rates rising
	Marks  []LRMark
}

// LRCurvePoint is the loss of one step.
type LRCurvePoint struct{ LR, Loss, Smoothed float64 }

// LRMark is a learning rate to point out.
type LRMark struct {
	Name string
	LR   float64
}

// Write draws c into a file, in the format that its name ends in.
func (c *LRCurve) Write(path string) error {
	s, err := c.draw()
	if err != nil {
		return err
	}
	return s.write(path)
}

func (c *LRCurve) draw() (*scene, error) {
	if len(c.Points) < 2 {
		return nil, fmt.Errorf("report: a learning-rate test of %d steps, want 2 or more", len(c.Points))
	}
	s := &scene{w: 760, h: 440, title: "Loss by learning rate: " + c.Title}
	s.boldLabel(8, 22, clipText(c.Title, 15, true, s.w-16), 15, anchorStart, inkText)
	p := &panel{s, frame{
		x: scale{lo: c.Points[0].LR, hi: c.Points[len(c.Points)-1].LR, a: 60, b: 736, log: true},
		y: scale{a: 388, b: 92},
	}}
	var raw, smooth []point
	var ys []float64
	least := math.Inf(1)
	for _, q := range c.Points {
		raw, smooth = append(raw, point{q.LR, q.Loss}), append(smooth, point{q.LR, q.Smoothed})
		ys = append(ys, q.Smoothed)
		least = min(least, q.Loss)
	}
	// Where the loss has grown past twice its first value, nothing is to be learnt.
	p.y.lo, p.y.hi = pad(least, min(slices.Max(ys), max(2*ys[0], least+1e-9)), 0.08)
	ticks, decimals := linearTicks(p.y.lo, p.y.hi, 6)
	var decades []float64
	for e := math.Ceil(math.Log10(p.x.lo) - 1e-9); e <= math.Log10(p.x.hi)+1e-9; e++ {
		decades = append(decades, math.Pow(10, e))
	}
	if len(decades) < 2 {
		decades = logTicks(p.x.lo, p.x.hi)
	}
	p.axes("loss", "learning rate", decades, ticks, short, func(v float64) string { return tick(v, decimals) })
	p.curve(raw, item{stroke: inkDepth, width: 1, alpha: 0.35})
	p.curve(smooth, item{stroke: inkDepth, width: 2.5})

	x := 8.0
	for _, e := range []struct {
		text  string
		style item
	}{{"smoothed", item{stroke: inkDepth, width: 2.5}}, {"of each batch", item{stroke: inkDepth, width: 1, alpha: 0.35}}} {
		x = s.key(x, 44, e.text, e.style, inkText)
	}
	inks := []ink{inkWidth, inkResolution, inkCompound}
	for i, m := range c.Marks {
		c := inks[i%len(inks)]
		at := p.x.at(m.LR)
		style := item{stroke: c, width: 1.5, dash: []float64{5, 4}}
		x = s.key(x, 44, fmt.Sprintf("%s: %.2g", m.Name, m.LR), style, c)
		style.kind, style.pts, style.tip = shapeLine, []point{{at, p.y.a}, {at, p.y.b}}, m.Name
		s.add(style)
	}
	return s, nil
}
