package report

import "math"

// box is the room of a text or a mark: its upper left corner and size.
type box struct{ x, y, w, h float64 }

func (b box) grown(by float64) box { return box{b.x - by, b.y - by, b.w + 2*by, b.h + 2*by} }

func (b box) meets(o box) bool {
	return b.x < o.x+o.w && o.x < b.x+b.w && b.y < o.y+o.h && o.y < b.y+b.h
}

// nearest is the point of b nearest to p.
func (b box) nearest(p point) point {
	return point{min(max(p.x, b.x), b.x+b.w), min(max(p.y, b.y), b.y+b.h)}
}

// cut reports that the line from p to q goes through b.
func (b box) cut(p, q point) bool {
	const parts = 32
	for i := range parts + 1 {
		f := float64(i) / parts
		if b.meets(box{p.x + f*(q.x-p.x), p.y + f*(q.y-p.y), 0.01, 0.01}) {
			return true
		}
	}
	return false
}

// shared is the area that both have.
func (b box) shared(o box) float64 {
	return max(0, min(b.x+b.w, o.x+o.w)-max(b.x, o.x)) * max(0, min(b.y+b.h, o.y+o.h)-max(b.y, o.y))
}

func boxAround(p point, r float64) box { return box{p.x, p.y, 0, 0}.grown(r) }

// textBox is the room of a text at p, the end of its base line that a says.
func textBox(p point, text string, size float64, bold bool, a anchor) box {
	w := textWidth(text, size, bold)
	x := p.x
	switch a {
	case anchorMiddle:
		x -= w / 2
	case anchorEnd:
		x -= w
	}
	return box{x, p.y - 0.8*size, w, 1.05 * size}
}

// beside finds the place next to a mark at p, gap pixels off, where a text
// covers the least of what is taken and stays in the scene: to the right if
// nothing speaks against it.
func (s *scene) beside(p point, gap float64, text string, size float64, bold bool, taken []box) (at point, a anchor) {
	least := math.Inf(1)
	up, level, down := p.y-0.7*gap, p.y+0.35*size, p.y+0.7*gap+0.7*size
	for _, q := range []struct {
		at point
		a  anchor
	}{
		{point{p.x + gap, level}, anchorStart}, {point{p.x + gap, down}, anchorStart}, {point{p.x + gap, up}, anchorStart},
		{point{p.x - gap, level}, anchorEnd}, {point{p.x - gap, down}, anchorEnd}, {point{p.x - gap, up}, anchorEnd},
		{point{p.x, p.y + gap + 0.8*size}, anchorMiddle}, {point{p.x, p.y - gap - 0.25*size}, anchorMiddle},
	} {
		b := textBox(q.at, text, size, bold, q.a)
		covered := b.w*b.h - b.shared(box{0, 0, s.w, s.h})
		for _, t := range taken {
			covered += b.shared(t)
		}
		if covered < least {
			least, at, a = covered, q.at, q.a
		}
	}
	return at, a
}
