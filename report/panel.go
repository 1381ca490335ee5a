package report

// frame is the area of a plot with axes.
type frame struct {
	x, y scale
}

// panel is a frame with a heading, whose lines end at its edge.
type panel struct {
	*scene
	frame
}

// axes draws the heading, the grid and the names of the ticks. y labels are
// written by text.
func (p *panel) axes(heading, below string, xs, ys []float64, xText, yText func(float64) string) {
	p.boldLabel(p.x.a-48, p.y.b-14, heading, 13, anchorStart, inkText)
	for _, v := range ys {
		y := p.y.at(v)
		p.line(p.x.a, y, p.x.b, y, inkGrid, 1)
		p.label(p.x.a-8, y+4, yText(v), 12, anchorEnd, inkMuted)
	}
	p.line(p.x.a, p.y.a, p.x.b, p.y.a, inkMuted, 1)
	for _, v := range xs {
		x := p.x.at(v)
		p.line(x, p.y.a, x, p.y.a+5, inkMuted, 1)
		p.label(x, p.y.a+19, xText(v), 12, anchorMiddle, inkMuted)
	}
	p.label((p.x.a+p.x.b)/2, p.y.a+38, below, 12, anchorMiddle, inkMuted)
}

// curve draws points as a line, without what lies above or below the panel, and
// returns where it ends.
func (p *panel) curve(points []point, style item) (end point, ok bool) {
	for _, part := range clip(points, p.y.lo, p.y.hi) {
		pts := make([]point, len(part))
		for i, q := range part {
			pts[i] = point{p.x.at(q.x), p.y.at(q.y)}
		}
		end, ok = pts[len(pts)-1], true
		if len(pts) == 1 {
			p.circle(end.x, end.y, 2.5, style.stroke, style.tip)
			continue
		}
		style.kind, style.pts = shapeLine, pts
		p.add(style)
	}
	return end, ok
}

// clip cuts the line through points into the parts whose y is from lo to hi.
func clip(points []point, lo, hi float64) [][]point {
	var parts [][]point
	joined := false // the last part ends at the point before
	for i, q := range points {
		if i == 0 {
			if joined = q.y >= lo && q.y <= hi; joined {
				parts = append(parts, []point{q})
			}
			continue
		}
		a, b, ok := clipSegment(points[i-1], q, lo, hi)
		switch {
		case !ok:
		case joined:
			parts[len(parts)-1] = append(parts[len(parts)-1], b)
		default:
			parts = append(parts, []point{a, b})
		}
		joined = ok && b == q
	}
	return parts
}

// clipSegment is the part of the line from p to q whose y is from lo to hi.
func clipSegment(p, q point, lo, hi float64) (a, b point, ok bool) {
	from, to := 0.0, 1.0 // of the way
	dy := q.y - p.y
	if dy == 0 {
		return p, q, p.y >= lo && p.y <= hi
	}
	t, u := (lo-p.y)/dy, (hi-p.y)/dy
	from, to = max(from, min(t, u)), min(to, max(t, u))
	at := func(t float64) point {
		switch t {
		case 0:
			return p
		case 1:
			return q
		}
		return point{p.x + t*(q.x-p.x), p.y + t*dy}
	}
	return at(from), at(to), from < to
}

// swatchWidth is the room that a sample of a line takes in a legend, the gap
// behind it included.
const swatchWidth = 33

// swatch draws a sample of a line for a text whose base is y.
func (s *scene) swatch(x, y float64, style item) {
	style.kind, style.pts = shapeLine, []point{{x, y - 4}, {x + 26, y - 4}}
	s.add(style)
}

// key is an entry of a legend in one line; it returns where the next one begins.
func (s *scene) key(x, y float64, text string, style item, c ink) float64 {
	s.swatch(x, y, style)
	s.label(x+swatchWidth, y, text, 12, anchorStart, c)
	return x + swatchWidth + textWidth(text, 12, false) + 28
}
