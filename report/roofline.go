package report

import (
	"fmt"
	"math"
	"slices"
)

// Roofline is how fast a network ran beside what its machine can do.
type Roofline struct {
	Title, Machine string
	Peak           float64    // multiply-adds, FLOP/s
	Swish          float64    // values of swish a second
	Reads          []RoofRead // quickest first
	Steps          []RoofStep
	Seconds        float64 // of one image through the whole network
	FLOPs          int64   // of that, with all that its steps do in fewer
}

// RoofRead is how fast data comes from a level of memory.
type RoofRead struct {
	From string
	Rate float64 // bytes a second
}

// RoofStep is one step of a network on one image.
type RoofStep struct {
	Name, Kind   string
	FLOPs, Bytes int64 // FLOPs that are done
	Swish        int64 // values that swish makes
	Seconds      float64
}

func (s *RoofStep) intensity() float64 { return float64(s.FLOPs) / float64(s.Bytes) }
func (s *RoofStep) rate() float64      { return float64(s.FLOPs) / s.Seconds }

// drawable reports that the step has a place between logarithmic axes.
func (s *RoofStep) drawable() bool { return s.FLOPs > 0 && s.Bytes > 0 && s.Seconds > 0 }

// whole is the network as one step.
func (r *Roofline) whole() RoofStep {
	w := RoofStep{Name: "whole network", Seconds: r.Seconds}
	for i := range r.Steps {
		s := &r.Steps[i]
		w.FLOPs += s.FLOPs
		w.Bytes += s.Bytes
		w.Swish += s.Swish
	}
	return w
}

// saves reports that the network's arithmetic is done in less.
func (r *Roofline) saves() bool {
	w := r.whole()
	return float64(r.FLOPs) > 1.001*float64(w.FLOPs)
}

// Reachable is the FLOP/s of a step whose products run at the peak, one after
// the other with its swish, and whose data is there.
func (r *Roofline) Reachable(s *RoofStep) float64 {
	seconds := float64(s.FLOPs) / r.Peak
	if s.Swish > 0 && r.Swish > 0 {
		seconds += float64(s.Swish) / r.Swish
	}
	return float64(s.FLOPs) / seconds
}

// ReachableByAll is Reachable of the whole network.
func (r *Roofline) ReachableByAll() float64 {
	w := r.whole()
	return r.Reachable(&w)
}

// Write draws r into a file, in the format that its name ends in.
func (r *Roofline) Write(path string) error {
	s, err := r.draw()
	if err != nil {
		return err
	}
	return s.write(path)
}

const (
	roofLabels  = 30   // steps with their names, at most
	roofCovered = 0.99 // the part of the time that the axes must hold
)

// kindInks are the colours of kinds of steps, the one that takes longest first.
var kindInks = []ink{inkDepth, inkWidth, inkResolution, inkCompound, inkB0}

// roofKind is all steps of one kind.
type roofKind struct {
	name    string
	steps   int
	seconds float64
	ink     ink
}

// kinds are those of steps with products, the longest first, and sums the rest
// of the time up.
func (r *Roofline) kinds() (list []roofKind, rest roofKind, total float64) {
	for i := range r.Steps {
		s := &r.Steps[i]
		total += s.Seconds
		k := &rest
		if s.drawable() {
			at := slices.IndexFunc(list, func(k roofKind) bool { return k.name == s.Kind })
			if at < 0 {
				at = len(list)
				list = append(list, roofKind{name: s.Kind})
			}
			k = &list[at]
		}
		k.steps++
		k.seconds += s.Seconds
	}
	slices.SortStableFunc(list, func(a, b roofKind) int {
		switch {
		case a.seconds > b.seconds:
			return -1
		case a.seconds < b.seconds:
			return 1
		}
		return 0
	})
	for i := range list {
		list[i].ink = kindInks[min(i, len(kindInks)-1)]
	}
	return list, rest, total
}

// draw makes the figure: FLOP a byte against FLOP a second, both logarithmic.
func (r *Roofline) draw() (*scene, error) {
	order := make([]*RoofStep, 0, len(r.Steps)) // longest first
	for i := range r.Steps {
		if r.Steps[i].drawable() {
			order = append(order, &r.Steps[i])
		}
	}
	if len(order) == 0 || !(r.Peak > 0) || !(r.Seconds > 0) {
		return nil, fmt.Errorf("report: a roofline of %d steps with products, %g s, on a machine of %g FLOP/s", len(order), r.Seconds, r.Peak)
	}
	slices.SortStableFunc(order, func(a, b *RoofStep) int {
		switch {
		case a.Seconds > b.Seconds:
			return -1
		case a.Seconds < b.Seconds:
			return 1
		}
		return 0
	})
	kinds, rest, total := r.kinds()
	d := &roofDrawing{Roofline: r, total: total, scene: &scene{
		w: 880, title: "Roofline: arithmetic per byte against arithmetic per second, " + r.Title,
	}}
	d.axes(order)
	d.ceilings()
	outside := 0
	for _, s := range order {
		if !d.holds(s) {
			outside++
			rest.steps++
			rest.seconds += s.Seconds
			continue
		}
		at := slices.IndexFunc(kinds, func(k roofKind) bool { return k.name == s.Kind })
		d.mark(s, kinds[at].ink)
	}
	d.whole()
	d.names()
	d.legend(kinds, rest, outside)
	return d.scene, nil
}

// roofDrawing is a roofline under way.
type roofDrawing struct {
	*Roofline
	*scene
	frame
	total   float64 // seconds of all steps
	marks   []roofMark
	network bool  // is the last mark
	taken   []box // by text
}

// roofMark is a step, or the network, at its place.
type roofMark struct {
	step *RoofStep
	at   point
	r    float64
}

func (d *roofDrawing) point(s *RoofStep) point {
	return point{d.x.at(s.intensity()), d.y.at(s.rate())}
}

func (d *roofDrawing) holds(s *RoofStep) bool {
	return s.intensity() >= d.x.lo && s.intensity() <= d.x.hi && s.rate() >= d.y.lo && s.rate() <= d.y.hi
}

// axes are as long as the network needs, and the steps that take most of the time;
// a few quick ones would pull them far out.
func (d *roofDrawing) axes(order []*RoofStep) {
	w := d.Roofline.whole()
	left, right, low, high := w.intensity(), w.intensity(), w.rate(), max(d.Peak, w.rate())
	sum, all := 0.0, 0.0
	for _, s := range order {
		all += s.Seconds
	}
	for _, s := range order {
		if sum < roofCovered*all {
			left, right = min(left, s.intensity()), max(right, s.intensity())
			low, high = min(low, s.rate()), max(high, s.rate())
		}
		sum += s.Seconds
	}
	for _, b := range d.Reads { // long enough a line
		left, right = min(left, d.Peak/b.Rate/2.5), max(right, d.Peak/b.Rate)
	}
	d.x = scale{lo: left / 1.5, hi: right * 1.5, a: 58, b: 736, log: true}
	d.y = scale{lo: min(low, d.Peak/10) / 1.5, hi: high * 1.35, a: 488, b: 62, log: true}

	d.boldLabel(8, 20, clipText(d.Title, 15, true, d.w-16), 15, anchorStart, inkText)
	d.label(8, 39, clipText(d.Machine, 12, false, d.w-16), 12, anchorStart, inkMuted)
	for _, v := range logTicks(d.y.lo/1e9, d.y.hi/1e9) {
		y := d.y.at(v * 1e9)
		d.line(d.x.a, y, d.x.b, y, inkGrid, 1)
		d.label(d.x.a-8, y+4, trim(v), 12, anchorEnd, inkMuted)
	}
	for _, v := range logTicks(d.x.lo, d.x.hi) {
		x := d.x.at(v)
		d.line(x, d.y.a, x, d.y.b, inkGrid, 1)
		d.label(x, d.y.a+18, trim(v), 12, anchorMiddle, inkMuted)
	}
	d.line(d.x.a, d.y.a, d.x.b, d.y.a, inkMuted, 1)
	d.label((d.x.a+d.x.b)/2, d.y.a+38, "FLOP for each byte of weights, input and output", 12, anchorMiddle, inkMuted)
	d.add(item{kind: shapeText, pts: []point{{16, (d.y.a + d.y.b) / 2}}, text: "GFLOP/s", size: 12, anchor: anchorMiddle, turn: 90, fill: inkMuted})
}

// ceilings draws what the machine can do: levels of memory from the left, the
// peak above, and dashed what swish leaves of it.
func (d *roofDrawing) ceilings() {
	const size = 12
	for _, b := range d.Reads {
		from := max(d.x.lo, d.y.lo/b.Rate)
		p, q := point{d.x.at(from), d.y.at(from * b.Rate)}, point{d.x.at(d.Peak / b.Rate), d.y.at(d.Peak)}
		text := fmt.Sprintf("%s, %s GB/s", b.From, trim(b.Rate/1e9))
		d.add(item{kind: shapeLine, pts: []point{p, q}, stroke: inkMuted, width: 1.5, tip: text})
		// Its name stands on it where another line's does not.
		width, long := textWidth(text, size, false), math.Hypot(q.x-p.x, q.y-p.y)
		dx, dy := (q.x-p.x)/long, (q.y-p.y)/long
		for _, f := range []float64{0.5, 0.2, 0.8} {
			if min(f, 1-f)*long < width/2+4 {
				continue
			}
			at := point{p.x + f*(q.x-p.x) + 5*dy, p.y + f*(q.y-p.y) - 5*dx}
			var room []box
			for along := -width / 2; along < width/2; along += size {
				room = append(room, box{at.x + along*dx - 2, at.y + along*dy - size, size + 6, size + 2})
			}
			if slices.ContainsFunc(room, func(b box) bool { return slices.ContainsFunc(d.taken, b.meets) }) {
				continue
			}
			d.taken = append(d.taken, room...)
			d.add(item{kind: shapeText, pts: []point{at}, text: text, size: size, anchor: anchorMiddle, turn: -math.Atan2(dy, dx) * 180 / math.Pi, fill: inkMuted, halo: true})
			break
		}
	}
	first := d.x.lo // where the peak can be reached from the quickest memory
	if len(d.Reads) > 0 {
		first = d.Peak / d.Reads[0].Rate
	}
	d.line(d.x.at(first), d.y.at(d.Peak), d.x.b, d.y.at(d.Peak), inkText, 2)
	ends := []struct {
		text string
		rate float64
	}{{"multiply-adds", d.Peak}}
	if swish := d.ReachableByAll(); swish < d.Peak {
		if y := d.y.at(swish); swish > d.y.lo {
			from := d.x.lo
			if len(d.Reads) > 0 {
				from = max(from, swish/d.Reads[0].Rate)
			}
			d.add(item{kind: shapeLine, pts: []point{{d.x.at(from), y}, {d.x.b, y}}, stroke: inkText, width: 1.25, dash: []float64{6, 4}})
			ends = append(ends, struct {
				text string
				rate float64
			}{"with the swishes", swish})
		}
	}
	var ys []float64
	for _, e := range ends {
		ys = append(ys, d.y.at(e.rate)-8)
	}
	for i, y := range spreadLabels(ys, 34, d.y.b-12, d.y.a) {
		d.label(d.x.b+8, y+6, ends[i].text, size, anchorStart, inkText)
		d.label(d.x.b+8, y+21, trim(ends[i].rate/1e9)+" GFLOP/s", size, anchorStart, inkMuted)
	}
}

// mark draws a step: the area is its share of the time, the bar above it what
// its swish leaves of the peak.
func (d *roofDrawing) mark(s *RoofStep, c ink) {
	p := d.point(s)
	share := s.Seconds / d.total
	radius := max(2, 44*math.Sqrt(share))
	most := d.Reachable(s)
	note := ""
	if s.Swish > 0 {
		note = fmt.Sprintf(", %s with its swish", trim(most/1e9))
		if y := d.y.at(most); share >= 0.005 && y < p.y-radius-1 {
			d.add(item{kind: shapeLine, pts: []point{{p.x, p.y - radius}, {p.x, y}}, stroke: c, width: 1, alpha: 0.7})
			d.add(item{kind: shapeLine, pts: []point{{p.x - 4, y}, {p.x + 4, y}}, stroke: c, width: 1.5, alpha: 0.9})
			d.taken = append(d.taken, box{p.x - 1, y, 2, p.y - radius - y})
		}
	}
	d.add(item{kind: shapeCircle, pts: []point{p}, r: radius, fill: c, stroke: inkPaper, width: 0.75, alpha: 0.82,
		tip: fmt.Sprintf("%s\n%s\n%s of %s GFLOP/s%s\n%s FLOP, %s bytes\n%s us, %s %% of the time", s.Name, s.Kind,
			trim(s.rate()/1e9), trim(d.Peak/1e9), note, count(float64(s.FLOPs)), count(float64(s.Bytes)), trim(1e6*s.Seconds), trim(100*share))})
	d.marks = append(d.marks, roofMark{s, p, radius})
}

// whole draws the network as a diamond.
func (d *roofDrawing) whole() {
	w := d.Roofline.whole()
	if !d.holds(&w) {
		return
	}
	p, r := d.point(&w), 11.0
	d.add(item{kind: shapeArea, pts: []point{{p.x - r, p.y}, {p.x, p.y - r}, {p.x + r, p.y}, {p.x, p.y + r}}, fill: inkText, stroke: inkPaper, width: 2,
		tip: fmt.Sprintf("whole network\n%s FLOP in %s ms, %s bytes\n%s %% of the peak", count(float64(w.FLOPs)), trim(1e3*w.Seconds), count(float64(w.Bytes)), trim(100*w.rate()/d.Peak))})
	d.marks = append(d.marks, roofMark{&w, p, r})
	d.network = true
}

// names writes the name of the network and of the steps that take longest,
// where there is room for it.
func (d *roofDrawing) names() {
	steps := d.marks
	if n := len(d.marks) - 1; d.network {
		steps = d.marks[:n]
		w := d.marks[n].step
		text := fmt.Sprintf("whole network: %s GFLOP/s, %.0f %% of the peak", trim(w.rate()/1e9), 100*w.rate()/d.Peak)
		if d.saves() {
			text += fmt.Sprintf(", in effect %s", trim(float64(d.FLOPs)/w.Seconds/1e9))
		}
		d.name(&d.marks[n], text, 13, math.Inf(1))
	}
	for i := range steps[:min(len(steps), roofLabels)] {
		d.name(&steps[i], steps[i].step.Name, 11, tooMuch)
	}
}

// tooMuch is what a name may not cost: see name.
const tooMuch = 120

// name writes text beside m, with a line to it where it stands further away, in
// the place that costs the least, if that is below limit. It costs to stand far
// away, on marks and on lines. What may stand anywhere is bold.
func (d *roofDrawing) name(m *roofMark, text string, size, limit float64) {
	const turns = 48
	bold := limit > tooMuch
	w, best, least := textWidth(text, size, bold), box{}, limit
	for _, gap := range []float64{3, 8, 14, 22, 32, 44, 58, 74, 100, 130, 170} {
		for k := range turns {
			sin, cos := math.Sincos(2 * math.Pi * float64(k) / turns)
			reach := m.r + gap
			// The nearest point of the text's box lies on the ray.
			b := box{m.at.x + reach*cos - w*(1-cos)/2, m.at.y + reach*sin - size*(1-sin)/2, w, size}
			if b.x < d.x.a+4 || b.x+b.w > d.x.b-4 || b.y < d.y.b+2 || b.y+b.h > d.y.a-4 || slices.ContainsFunc(d.taken, b.grown(4).meets) {
				continue
			}
			end := b.nearest(m.at)
			cost := gap
			for i := range d.marks {
				o := &d.marks[i]
				if p := b.nearest(o.at); math.Hypot(p.x-o.at.x, p.y-o.at.y) < o.r+2 {
					cost += tooMuch
				} else if o != m && distance(o.at, m.at, end) < o.r {
					cost += 40
				}
			}
			for _, t := range d.taken {
				if t.cut(m.at, end) {
					cost += tooMuch
				}
			}
			for _, y := range []float64{d.y.at(d.Peak), d.y.at(d.ReachableByAll())} {
				if y > b.y-2 && y < b.y+b.h+2 {
					cost += 80
				}
			}
			if cost < least {
				best, least = b, cost
			}
		}
	}
	if least == limit {
		return
	}
	end := best.nearest(m.at)
	if long := math.Hypot(end.x-m.at.x, end.y-m.at.y); long > m.r+8 {
		d.line(m.at.x+m.r/long*(end.x-m.at.x), m.at.y+m.r/long*(end.y-m.at.y), end.x, end.y, inkMuted, 0.75)
		for at := m.r; at < long; at += 3 {
			d.taken = append(d.taken, box{m.at.x + at/long*(end.x-m.at.x), m.at.y + at/long*(end.y-m.at.y), 1, 1})
		}
	}
	d.taken = append(d.taken, best)
	d.add(item{kind: shapeText, pts: []point{{best.x, best.y + 0.82*size}}, text: text, size: size, bold: bold, fill: inkText, halo: true})
}

// legend explains the colours below the axes.
func (d *roofDrawing) legend(kinds []roofKind, rest roofKind, outside int) {
	steps := func(n int) string {
		if n == 1 {
			return "1 step"
		}
		return fmt.Sprintf("%d steps", n)
	}
	y := d.y.a + 66
	for i, k := range kinds {
		x := d.x.a + float64(i%2)*330
		d.circle(x+5, y-4, 5, k.ink, "")
		d.label(x+17, y, fmt.Sprintf("%s: %s, %s %% of the time", k.name, steps(k.steps), trim(100*k.seconds/d.total)), 12, anchorStart, inkText)
		if i%2 == 1 || i == len(kinds)-1 {
			y += 19
		}
	}
	note := func(text string) {
		d.label(d.x.a, y, text, 12, anchorStart, inkMuted)
		d.h = y + 15
		y += 19
	}
	text := "Areas are shares of the time."
	if d.ReachableByAll() < d.Peak {
		text += " The dashed line is the peak with the swishes of the network, the small bar above a step that with its own."
	}
	note(text)
	if d.saves() {
		note("Convolutions that are done in fewer products (Winograd) count with those; in effect counts all.")
	}
	if rest.steps > 0 {
		what := "without products"
		if outside > 0 {
			what = "without products or outside the axes"
		}
		note(fmt.Sprintf("Not shown: %s %s, %s %% of the time.", steps(rest.steps), what, trim(100*rest.seconds/d.total)))
	}
}

// clipText shortens text to a width.
func clipText(text string, size float64, bold bool, width float64) string {
	for runes := []rune(text); textWidth(text, size, bold) > width && len(runes) > 0; {
		runes = runes[:len(runes)-1]
		text = string(runes) + "…"
	}
	return text
}

// distance is that of o from the line from p to q.
func distance(o, p, q point) float64 {
	dx, dy := q.x-p.x, q.y-p.y
	f := 0.0
	if n := dx*dx + dy*dy; n > 0 {
		f = min(max(((o.x-p.x)*dx+(o.y-p.y)*dy)/n, 0), 1)
	}
	return math.Hypot(p.x+f*dx-o.x, p.y+f*dy-o.y)
}
