package report

import (
	"fmt"
	"math"
	"strings"
)

// mark is a measured point: a network, or a trial of it.
type mark struct {
	net  string // its name
	x, y float64
	half float64 // of the interval around y; NaN or 0: none
	ink  ink
	r    float64
	open bool // a ring
	tip  string
}

// newChart is a panel on a scene of its own, with room for axes and a heading.
func newChart(w, h float64, title string) *panel {
	s := &scene{w: w, h: h, title: title}
	return &panel{s, frame{x: scale{a: 52, b: w - 16}, y: scale{a: h - 46, b: 34}}}
}

// extent is the least and the greatest of what was added.
type extent struct{ lo, hi float64 }

func newExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

// add takes in values; those that are not numbers are passed over.
func (e *extent) add(xs ...float64) {
	for _, x := range xs {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			e.lo, e.hi = min(e.lo, x), max(e.hi, x)
		}
	}
}

// costs takes in where marks lie from left to right.
func (e *extent) costs(ms []mark) {
	for _, m := range ms {
		e.add(m.x)
	}
}

// marks takes in the heights of marks with their intervals.
func (e *extent) marks(ms []mark) {
	for _, m := range ms {
		e.add(m.y)
		if m.half > 0 {
			e.add(m.y-m.half, m.y+m.half)
		}
	}
}

// percents sets y to e, with room around it, and gives ticks for about n lines.
func (p *panel) percents(e extent, n int) (ticks []float64, text func(float64) string) {
	p.y.lo, p.y.hi = pad(e.lo, e.hi, 0.07)
	if e.hi <= e.lo {
		p.y.lo, p.y.hi = e.lo-0.005, e.lo+0.005
	}
	ticks, decimals := linearTicks(100*p.y.lo, 100*p.y.hi, n)
	for i := range ticks {
		ticks[i] /= 100
	}
	return ticks, func(v float64) string { return fmt.Sprintf("%.*f %%", decimals, 100*v) }
}

// logs sets x to e on a logarithmic scale, with room around it, and gives
// ticks whose texts have room.
func (p *panel) logs(e extent, text func(float64) string) []float64 {
	p.x.log = true
	p.x.lo, p.x.hi = e.lo, e.hi
	if e.hi < e.lo*1.01 {
		p.x.lo, p.x.hi = e.lo/1.3, e.lo*1.3
	}
	room := math.Pow(p.x.hi/p.x.lo, 0.06)
	p.x.lo, p.x.hi = p.x.lo/room, p.x.hi*room
	return p.roomy(logTicks(p.x.lo, p.x.hi), text)
}

// multiples is logs for costs over the base's, which grow by doubling.
func (p *panel) multiples(e extent) []float64 {
	ticks := p.logs(e, factor)
	var doubled []float64
	for k := math.Ceil(math.Log2(p.x.lo) - 1e-9); math.Exp2(k) <= p.x.hi; k++ {
		doubled = append(doubled, math.Exp2(k))
	}
	if len(doubled) < 3 {
		return ticks
	}
	return p.roomy(doubled, factor)
}

// roomy leaves out ticks of x whose texts would touch the one before.
func (p *panel) roomy(ticks []float64, text func(float64) string) []float64 {
	var out []float64
	end := math.Inf(-1)
	for _, v := range ticks {
		half := textWidth(text(v), 12, false) / 2
		if at := p.x.at(v); at-half > end+8 {
			out = append(out, v)
			end = at + half
		}
	}
	return out
}

// bar draws a mark's interval at pixel x, cut at the panel's edges.
func (p *panel) bar(x float64, m *mark) {
	if !(m.half > 0) {
		return
	}
	lo, hi := max(m.y-m.half, p.y.lo), min(m.y+m.half, p.y.hi)
	if lo < hi {
		p.add(item{kind: shapeLine, pts: []point{{x, p.y.at(lo)}, {x, p.y.at(hi)}}, stroke: m.ink, width: 1.5, alpha: 0.7, net: m.net})
	}
}

// marks draws them with their intervals.
func (p *panel) marks(ms []mark) {
	for i := range ms {
		p.bar(p.x.at(ms[i].x), &ms[i])
	}
	for _, m := range ms {
		it := item{kind: shapeCircle, pts: []point{{p.x.at(m.x), p.y.at(m.y)}}, r: m.r, fill: m.ink, tip: m.tip, net: m.net}
		if m.open {
			it.fill, it.stroke, it.width = inkPaper, m.ink, 1.5
		}
		p.add(it)
	}
}

// band fills between two curves over the same x.
func (p *panel) band(lo, hi []point, fill ink) {
	if len(lo) < 2 {
		return
	}
	clamp := func(q point) point {
		return point{p.x.at(q.x), p.y.at(min(max(q.y, p.y.lo), p.y.hi))}
	}
	var pts []point
	for _, q := range lo {
		pts = append(pts, clamp(q))
	}
	for i := len(hi) - 1; i >= 0; i-- {
		pts = append(pts, clamp(hi[i]))
	}
	p.add(item{kind: shapeArea, pts: pts, fill: fill, alpha: 0.14})
}

// ends writes names behind the ends of lines, apart from each other.
type ends struct {
	ys    []float64
	items []item
}

func (e *ends) add(y float64, text string, c ink, bold bool, net string) {
	e.ys = append(e.ys, y)
	e.items = append(e.items, item{kind: shapeText, text: text, size: 12, fill: c, bold: bold, net: net})
}

func (e *ends) draw(p *panel) {
	for i, y := range spreadLabels(e.ys, 15, p.y.b+2, p.y.a) {
		it := e.items[i]
		it.pts = []point{{p.x.b + 8, y + 4}}
		p.add(it)
	}
}

// wrap breaks text into lines of at most width pixels.
func wrap(text string, size, width float64) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		next := word
		if line != "" {
			next = line + " " + word
		}
		if line != "" && textWidth(next, size, false) > width {
			lines = append(lines, line)
			next = word
		}
		line = next
	}
	return append(lines, line)
}

// sheet lays scenes out in rows of so many, for a file of its own.
func sheet(title string, panels []*scene, columns int) *scene {
	if len(panels) == 1 {
		return panels[0]
	}
	const gap = 16.0
	s := &scene{title: title}
	x, y, row := gap/2, gap/2, 0.0
	for i, p := range panels {
		if i > 0 && i%columns == 0 {
			x, y, row = gap/2, y+row+gap, 0
		}
		s.place(p, x, y)
		x += p.w + gap
		row = max(row, p.h)
		s.w, s.h = max(s.w, x-gap/2), max(s.h, y+row+gap/2)
	}
	return s
}
