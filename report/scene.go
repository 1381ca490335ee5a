package report

import (
	"image"
	"math"

	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// scene is a drawing: shapes in the order they are painted, in CSS pixels
// from the upper left. It is written as SVG, with hover titles, and as PNG.
type scene struct {
	w, h  float64
	title string // what it shows, for those who cannot see it
	items []item
}

// ink is a colour by role, which light and dark pages render differently, or
// a fixed one as #rrggbb.
type ink string

const (
	inkNone       ink = ""
	inkText       ink = "text"
	inkMuted      ink = "muted"
	inkGrid       ink = "grid"
	inkFaint      ink = "faint" // marks in the background
	inkPaper      ink = "paper"
	inkDepth      ink = "depth"
	inkWidth      ink = "width"
	inkResolution ink = "resolution"
	inkCompound   ink = "compound"
	inkB0         ink = "b0"
	inkFast       ink = "fast"
	inkStop       ink = "stop" // what ended before its time
)

// palette gives each role its colour on a light and on a dark page. The four
// dimensions' colours stay apart for all common kinds of colour blindness.
var palette = []struct {
	role        ink
	light, dark string
}{
	{inkText, "#1d2330", "#e6e9ef"},
	{inkMuted, "#5b6472", "#a3adbb"},
	{inkGrid, "#e3e6ea", "#333b47"},
	{inkFaint, "#b4bac4", "#5d6775"},
	{inkPaper, "#ffffff", "#14181f"},
	{inkDepth, "#0072b2", "#56b4e9"},
	{inkWidth, "#c45200", "#f0894a"},
	{inkResolution, "#008765", "#2fc79b"},
	{inkCompound, "#99226e", "#e57fc0"},
	{inkB0, "#000000", "#ffffff"},
	{inkFast, "#8a6a00", "#e0b83a"},
	{inkStop, "#c02626", "#ff7b72"},
}

func (c ink) fixed() bool { return len(c) > 0 && c[0] == '#' }

// item is one shape.
type item struct {
	kind   shape
	pts    []point
	r      float64 // circle
	text   string
	size   float64
	bold   bool
	anchor anchor
	turn   float64 // of text, degrees counter-clockwise
	fill   ink
	stroke ink
	width  float64
	dash   []float64
	alpha  float64 // of the whole shape; 0 means 1
	tip    string
	net    string // of the network that the shape stands for: the page lights up all that stand for the same
	halo   bool   // text: a rim of paper around it
	img    image.Image
}

type shape uint8

const (
	shapeLine shape = iota // open path
	shapeArea              // closed path
	shapeCircle
	shapeText
	shapeImage // between two points: upper left, lower right
)

type anchor uint8

const (
	anchorStart anchor = iota
	anchorMiddle
	anchorEnd
)

type point struct{ x, y float64 }

func (s *scene) add(it item) { s.items = append(s.items, it) }

func (s *scene) line(x0, y0, x1, y1 float64, stroke ink, width float64) {
	s.add(item{kind: shapeLine, pts: []point{{x0, y0}, {x1, y1}}, stroke: stroke, width: width})
}

func (s *scene) circle(x, y, r float64, fill ink, tip string) {
	s.add(item{kind: shapeCircle, pts: []point{{x, y}}, r: r, fill: fill, tip: tip})
}

func (s *scene) ring(x, y, r float64, stroke ink, width float64) {
	s.add(item{kind: shapeCircle, pts: []point{{x, y}}, r: r, stroke: stroke, width: width})
}

// rect is an axis-parallel area.
func (s *scene) rect(x, y, w, h float64, fill ink) {
	s.add(item{kind: shapeArea, pts: []point{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}, fill: fill})
}

// label writes text with its baseline at y.
func (s *scene) label(x, y float64, text string, size float64, a anchor, fill ink) {
	s.add(item{kind: shapeText, pts: []point{{x, y}}, text: text, size: size, anchor: a, fill: fill})
}

func (s *scene) boldLabel(x, y float64, text string, size float64, a anchor, fill ink) {
	s.add(item{kind: shapeText, pts: []point{{x, y}}, text: text, size: size, anchor: a, fill: fill, bold: true})
}

// place draws another scene with its upper left corner at x, y.
func (s *scene) place(t *scene, x, y float64) {
	for _, it := range t.items {
		pts := make([]point, len(it.pts))
		for i, p := range it.pts {
			pts[i] = point{p.x + x, p.y + y}
		}
		it.pts = pts
		s.add(it)
	}
}

// fonts is where text is measured and drawn for PNG; SVG names faces of the
// same widths first.
var fonts = plotfont.NewCache(liberation.Collection())

func face(size float64, bold bool) plotfont.Face {
	f := plotfont.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = 3 // bold
	}
	return fonts.Lookup(f, vg.Length(size))
}

// textWidth is in pixels.
func textWidth(text string, size float64, bold bool) float64 {
	f := face(size, bold)
	return float64(f.Width(text))
}

// spreadLabels moves labels that want to stand at ys apart, so that each has
// height room and none leaves lo to hi where that can be.
func spreadLabels(ys []float64, height, lo, hi float64) []float64 {
	n := len(ys)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := 1; i < n; i++ {
		for j := i; j > 0 && ys[order[j]] < ys[order[j-1]]; j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	// Merge neighbours that are too close into clusters around their mean.
	type cluster struct {
		sum  float64 // of what each member wants for the cluster's first label
		n    int
		from float64
	}
	var cs []cluster
	for _, i := range order {
		cs = append(cs, cluster{ys[i], 1, ys[i]})
		for {
			last := &cs[len(cs)-1]
			top := last.sum / float64(last.n)
			last.from = math.Min(math.Max(top, lo), math.Max(lo, hi-height*float64(last.n-1)))
			if len(cs) < 2 {
				break
			}
			prev := &cs[len(cs)-2]
			if prev.from+height*float64(prev.n) <= last.from {
				break
			}
			prev.sum += last.sum - float64(last.n)*height*float64(prev.n)
			prev.n += last.n
			cs = cs[:len(cs)-1]
		}
	}
	out := make([]float64, n)
	k := 0
	for _, c := range cs {
		for j := range c.n {
			out[order[k]] = c.from + height*float64(j)
			k++
		}
	}
	return out
}
