// Package explain makes and draws class activation maps: where in a picture a
// network sees what speaks for a class.
//
// A network that ends in a map f [H,W,C], its mean over the pixels and a linear
// layer gives class c the score
//
//	bias[c] + sum over k of w[c,k] * mean over (y,x) of f[y,x,k]
//	  = bias[c] + mean over (y,x) of M_c[y,x],   M_c[y,x] = sum over k of w[c,k] * f[y,x,k]
//
// so that M_c says exactly how much each place of the map adds to the score
// (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR
// 2016, equation 2). [Class] computes it; [Map.Overlay] and [Rows] draw it.
//
// The package knows no networks: package effnet brings maps and weights.
package explain

import (
	"fmt"
	"math"
)

// Map is the class activation map of one image.
type Map struct {
	H, W   int
	Values []float32 // [H,W]: what each place adds to the class's score, times H*W
	// Seen is the part of the picture that the map spans, which is what the
	// network was shown of it.
	Seen Region
}

// Region is a rectangle in a picture, in pixels from its upper left corner.
type Region struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
	W float64 `json:"width"`
	H float64 `json:"height"`
}

// Class is the map of the class whose row of the classifier's weight is w [C],
// of features f [H,W,C].
func Class(f []float32, h, w int, row []float32) Map {
	c := len(row)
	if h < 1 || w < 1 || c == 0 || len(f) != h*w*c {
		panic(fmt.Sprintf("explain: %d features, a map of %dx%dx%d has %d", len(f), h, w, c, h*w*c))
	}
	m := Map{H: h, W: w, Values: make([]float32, h*w)}
	for i := range m.Values {
		sum := 0.0
		for k, v := range f[i*c:][:c] {
			sum += float64(v) * float64(row[k])
		}
		m.Values[i] = float32(sum)
	}
	return m
}

// Mean is the mean over the map: the class's score but for its bias.
func (m *Map) Mean() float64 {
	sum := 0.0
	for _, v := range m.Values {
		sum += float64(v)
	}
	return sum / float64(len(m.Values))
}

// Peak is the middle of the place of the map with the largest value, of several
// the first, in pixels of the picture.
func (m *Map) Peak() (x, y float64) {
	best := 0
	for i, v := range m.Values {
		if v > m.Values[best] {
			best = i
		}
	}
	return m.Seen.X + m.Seen.W*(float64(best%m.W)+0.5)/float64(m.W),
		m.Seen.Y + m.Seen.H*(float64(best/m.W)+0.5)/float64(m.H)
}

// Scaled is the map for a picture whose width and height are such factors of
// this one's.
func (m Map) Scaled(x, y float64) Map {
	m.Seen = Region{m.Seen.X * x, m.Seen.Y * y, m.Seen.W * x, m.Seen.H * y}
	return m
}

// heat is the map between 0, its smallest value, and 1, its largest; all 0 if
// they are the same or not finite.
func (m *Map) heat() []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range m.Values {
		lo, hi = min(lo, float64(v)), max(hi, float64(v))
	}
	out := make([]float64, len(m.Values))
	if span := hi - lo; span > 0 && !math.IsInf(span, 0) {
		for i, v := range m.Values {
			out[i] = (float64(v) - lo) / span
		}
	}
	return out
}

// sampler gives the heat at any place of a picture.
type sampler struct {
	m    *Map
	heat []float64
}

// along is where coordinate p, of which the map's n places span from at on
// size pixels, lies between the middles of two places.
func along(p, at, size float64, n int) (i, j int, t float64, seen bool) {
	u := (p - at) / size
	v := min(max(u*float64(n)-0.5, 0), float64(n-1))
	i = int(v)
	return i, min(i+1, n-1), v - float64(i), u >= 0 && u <= 1
}

// at is the heat at a point of the picture, linear between the middles of the
// map's places, and whether the network sees that point.
func (s *sampler) at(x, y float64) (heat float64, seen bool) {
	r := &s.m.Seen
	x0, x1, tx, inX := along(x, r.X, r.W, s.m.W)
	y0, y1, ty, inY := along(y, r.Y, r.H, s.m.H)
	row := func(y int) float64 { return s.heat[y*s.m.W+x0]*(1-tx) + s.heat[y*s.m.W+x1]*tx }
	return row(y0)*(1-ty) + row(y1)*ty, inX && inY
}

// sampler prepares m to be asked.
func (m *Map) sampler() *sampler {
	if !(m.Seen.W > 0 && m.Seen.H > 0) {
		panic("explain: the map has no place in the picture")
	}
	return &sampler{m, m.heat()}
}
