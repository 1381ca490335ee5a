package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"effnet/arch"
	"effnet/search"
)

// triangleFigure is the response surface over the shares with the candidates.
func triangleFigure(a *search.Analysis) *figure {
	nets := a.Of(search.StageExplore)
	h := surfaceHeat(a.Surface)
	seen := newExtent()
	reached, fates := map[string]int{}, map[string]search.Fate{} // in the longest rung that a network entered
	for _, r := range a.Flow {
		for _, e := range r.Entered {
			if e.Fate == search.FateRunning && e.Seeds == 0 && r.Rung > 0 {
				continue
			}
			reached[e.Network], fates[e.Network] = r.Rung, e.Fate
		}
	}
	for _, n := range nets {
		if n.Validation.N > 0 {
			seen.add(n.Validation.Mean)
		}
	}
	if h.predict == nil {
		h.lo, h.hi = seen.lo, seen.hi
	}
	last := len(a.Plan.Rungs) - 1
	var places []place
	for _, n := range nets {
		fate, entered := fates[n.ID]
		if !entered || fate == search.FateRunning && n.Validation.N == 0 {
			continue
		}
		p := place{shares: n.Realised, net: n.ID, r: 3, fill: "#ffffff", cross: fate == search.FateStopped || fate == search.FateFailed, tip: tip(a, n) + "\n" + sharesText(n.Realised)}
		if last > 0 {
			p.r += 4 * float64(reached[n.ID]) / float64(last)
			p.tip += fmt.Sprintf("\nlongest training %s", several(a.Plan.Rungs[reached[n.ID]].Epochs, "epoch"))
		} else {
			p.r = 6
		}
		// The colours are accuracies in full length, which others have none of.
		if n.Validation.N > 0 && h.hi > h.lo {
			p.fill = shade((n.Validation.Mean - h.lo) / (h.hi - h.lo))
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		return nil
	}
	slices.SortStableFunc(places, func(p, q place) int { return cmp.Compare(p.r, q.r) })
	marks := []landmark{
		{"B0's ratio", search.B0Shares, inkText, "B0's ratio: " + sharesText(search.B0Shares)},
		{"fast ratio", search.FastShares, inkText, "the fast ratio: " + sharesText(search.FastShares)},
	}
	var chosen *landmark
	if a.Choice != nil {
		n := a.Net(a.Choice.Winner)
		chosen = &landmark{name: "chosen", shares: n.Realised, tip: tip(a, n)}
		if n.Validation.N > 0 {
			chosen.name += ": " + pct(n.Validation.Mean)
		}
	}
	f := &figure{
		name: "triangle", nav: "Triangle", title: "Where the growth should go", half: true,
		see:     "Every candidate's place says how the growth of its cost divides over the dimensions after rounding: the nearer to a corner, the larger that dimension's share.",
		caption: "The larger the dot, the longer the network was trained; its colour is its accuracy on the validation images in full length, white where it has none. A cross is a network that was stopped early.",
	}
	switch {
	case h.predict == nil && a.Surface != nil && a.Done:
		f.caption += " There is no response surface: " + a.Surface.Why + "."
	case h.predict != nil:
		f.see = "Accuracy that the response surface predicts for every way to divide the growth. The star is the best way; it may also lie anywhere inside the white line, its 95 % region."
		if a.Surface.Area > 0.5 {
			f.see += " Here that is most of the triangle: these trainings say little about where the best lies."
		}
		f.caption = "A network's place is how the growth of its cost really divides, after rounding. " + f.caption + surfaceText(a.Surface)
	}
	f.panels = []*scene{triangleChart(h, places, marks, chosen)}
	return f
}

// heat is a response surface over the triangle of shares.
type heat struct {
	lo, hi float64 // the accuracies that the colours span
	// predict is the accuracy that the surface gives; nil: there is none.
	predict func(arch.Shares) float64
	region  [][]arch.Shares // outlines of where the optimum may lie
	optimum *arch.Shares
}

// place is a candidate on the triangle.
type place struct {
	shares arch.Shares
	net    string
	r      float64 // the larger, the longer it trained
	fill   ink
	cross  bool // its training ended before its time
	tip    string
}

// landmark is a ratio that the reader knows.
type landmark struct {
	name   string
	shares arch.Shares
	ink    ink
	tip    string
}

// triangle is where the figure puts shares.
type triangle struct{ x0, y0, side float64 }

func (t triangle) at(s arch.Shares) point {
	x, y := search.XY(s)
	return point{t.x0 + t.side*x, t.y0 - t.side*y}
}

// shares is what at gives p for; some are negative outside.
func (t triangle) shares(p point) arch.Shares {
	d := (t.y0 - p.y) / t.side * 2 / math.Sqrt(3)
	r := (p.x-t.x0)/t.side - d/2
	return arch.Shares{D: d, W: 1 - d - r, R: r}
}

// triangleChart draws the surface, the region where its optimum lies, the
// candidates and the landmarks.
func triangleChart(h heat, places []place, marks []landmark, chosen *landmark) *scene {
	s := &scene{w: 488, h: 462, title: "The triangle of depth, width and resolution shares: fitted accuracy, the region of its optimum, and the candidates"}
	t := triangle{x0: 44, y0: 388, side: 372}
	if h.predict != nil {
		h.draw(s, t)
	}
	t.grid(s, h.predict != nil)
	h.outline(s, t)
	rim := inkText
	if h.predict != nil {
		rim = "#1d2330" // the surface is bright by night, too
	}
	for _, p := range places {
		at := t.at(p.shares)
		if p.cross {
			s.cross(at, 3.5, rim, p.tip, p.net)
			continue
		}
		s.add(item{kind: shapeCircle, pts: []point{at}, r: p.r, fill: p.fill, stroke: rim, width: 1.25, tip: p.tip, net: p.net})
	}
	if h.hi > h.lo {
		colourBar(s, 414, 40, 13, 150, h.lo, h.hi)
	}
	const arm, ring = 7, 12 // half a cross; around the chosen network
	// Labels go where they cover nothing else.
	var taken []box
	for _, p := range places {
		taken = append(taken, boxAround(t.at(p.shares), p.r+1))
	}
	for _, m := range marks {
		taken = append(taken, boxAround(t.at(m.shares), arm+2))
	}
	for _, it := range s.items {
		if it.kind == shapeText {
			taken = append(taken, textBox(it.pts[0], it.text, it.size, it.bold, it.anchor))
		}
	}
	if h.optimum != nil {
		taken = append(taken, boxAround(t.at(*h.optimum), 10))
	}
	if chosen != nil {
		taken = append(taken, boxAround(t.at(chosen.shares), ring+3))
	}
	name := func(p point, gap float64, text item) {
		text.kind, text.halo = shapeText, true
		at, a := s.beside(p, gap, text.text, text.size, text.bold, taken)
		text.pts, text.anchor = []point{at}, a
		taken = append(taken, textBox(at, text.text, text.size, text.bold, a))
		s.add(text)
	}
	for _, m := range marks {
		p := t.at(m.shares)
		for _, w := range []struct {
			c ink
			w float64
		}{{inkPaper, 4.5}, {m.ink, 2}} {
			s.line(p.x-arm, p.y, p.x+arm, p.y, w.c, w.w)
			s.line(p.x, p.y-arm, p.x, p.y+arm, w.c, w.w)
		}
	}
	if h.optimum != nil {
		p := t.at(*h.optimum)
		s.add(item{kind: shapeArea, pts: star(p, 10), fill: inkPaper, stroke: inkText, width: 1.5, tip: fmt.Sprintf("the surface's optimum: %s", sharesText(*h.optimum))})
	}
	if chosen != nil {
		p := t.at(chosen.shares)
		s.ring(p.x, p.y, ring, inkPaper, 5)
		s.ring(p.x, p.y, ring, inkCompound, 2.5)
		name(p, ring+5, item{text: chosen.name, size: 13, bold: true, fill: inkCompound, tip: chosen.tip})
	}
	for _, m := range marks {
		name(t.at(m.shares), arm+4, item{text: m.name, size: 12, fill: m.ink, tip: m.tip})
	}
	return s
}

// grid draws the frame, lines of equal shares and what the corners mean.
func (t triangle) grid(s *scene, over bool) {
	line := item{kind: shapeLine, stroke: inkGrid, width: 1}
	if over {
		line.stroke, line.alpha = "#ffffff", 0.28
	}
	for k := 1; k < 4; k++ {
		u := float64(k) / 4
		for _, l := range [][2]arch.Shares{
			{{D: u, W: 1 - u}, {D: u, R: 1 - u}},
			{{W: u, D: 1 - u}, {W: u, R: 1 - u}},
			{{R: u, W: 1 - u}, {R: u, D: 1 - u}},
		} {
			line.pts = []point{t.at(l[0]), t.at(l[1])}
			s.add(line)
		}
		share := fmt.Sprintf("%d %%", 25*k)
		// Each side carries the shares of the corner it leads up to.
		p := t.at(arch.Shares{D: u, R: 1 - u})
		s.label(p.x+13, p.y+4, share, 12, anchorStart, inkDepth)
		p = t.at(arch.Shares{W: u, D: 1 - u})
		s.label(p.x-13, p.y+4, share, 12, anchorEnd, inkWidth)
		p = t.at(arch.Shares{R: u, W: 1 - u})
		s.label(p.x, p.y+22, share, 12, anchorMiddle, inkResolution)
	}
	d, w, r := t.at(search.DepthCorner), t.at(search.WidthCorner), t.at(search.ResolutionCorner)
	s.add(item{kind: shapeArea, pts: []point{d, w, r}, stroke: inkMuted, width: 1.25})
	s.boldLabel(d.x, d.y-16, "all into depth", 13, anchorMiddle, inkDepth)
	s.boldLabel(w.x-36, w.y+46, "all into width", 13, anchorStart, inkWidth)
	s.boldLabel(r.x+36, r.y+46, "all into resolution", 13, anchorEnd, inkResolution)
}

// star is a five-pointed one around p.
func star(p point, r float64) []point {
	pts := make([]point, 10)
	for i := range pts {
		u := r
		if i%2 == 1 {
			u = 0.45 * r
		}
		dy, dx := math.Sincos(float64(i)*math.Pi/5 - math.Pi/2)
		pts[i] = point{p.x + u*dx, p.y + u*dy}
	}
	return pts
}

func sharesText(s arch.Shares) string {
	return fmt.Sprintf("%.0f %% depth, %.0f %% width, %.0f %% resolution", 100*s.D, 100*s.W, 100*s.R)
}

// surfaceHeat is a response surface to draw; without one it has no predict.
func surfaceHeat(s *search.Surface) heat {
	if s == nil || s.Why != "" {
		return heat{}
	}
	e := newExtent()
	e.add(s.Grid...)
	return heat{
		lo: e.lo, hi: e.hi,
		predict: s.Mean,
		region:  s.Region, optimum: &s.Optimum,
	}
}

// surfaceText says how far the surface can be trusted.
func surfaceText(s *search.Surface) string {
	t := fmt.Sprintf(" The surface is a quadratic in the shares, fitted to %s of %s; it explains %.0f %% of the variance inside rungs and seeds, and the region takes up %.0f %% of the triangle.",
		several(s.Trials, "training"), several(s.Networks, "network"), 100*s.R2, 100*s.Area)
	if s.LackOfFit < 0.05 {
		t += fmt.Sprintf(" The networks lie off the quadratic by more than noise (p %s), so its details are not to be trusted.", pValue(s.LackOfFit))
	}
	return t
}
