package report

import (
	"fmt"
	"image"
	"image/color"
	"math"

	"effnet/arch"
)

// viridis, from the least to the most.
var viridis = []ink{"#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"}

// shade interpolates in viridis at t from 0 to 1.
func shade(t float64) ink {
	t = min(max(t, 0), 1) * float64(len(viridis)-1)
	i := min(int(t), len(viridis)-2)
	a, b := rgba(viridis[i], 1), rgba(viridis[i+1], 1)
	mix := func(x, y uint8) int { return int(math.Round(float64(x) + (float64(y)-float64(x))*(t-float64(i)))) }
	return ink(fmt.Sprintf("#%02x%02x%02x", mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B)))
}

// shades are so many steps of shade: the bands between contour lines.
const shades = 24

// draw paints the surface below the triangle's edges, in bands whose borders
// are lines of equal accuracy.
func (h *heat) draw(s *scene, t triangle) {
	high := t.side * math.Sqrt(3) / 2
	const fine = 1.5 // pixels of the picture to one of the scene
	nx, ny := int(fine*t.side), int(fine*high)
	colours := color.Palette{color.NRGBA{}}
	for i := range shades {
		colours = append(colours, rgba(shade((float64(i)+0.5)/shades), 1))
	}
	img := image.NewPaletted(image.Rect(0, 0, nx, ny), colours)
	for j := range ny {
		for i := range nx {
			sh := t.shares(point{t.x0 + (float64(i)+0.5)*t.side/float64(nx), t.y0 - high + (float64(j)+0.5)*high/float64(ny)})
			// The frame hides the half pixel by which the picture may leave it.
			if e := -0.6 / t.side; sh.D < e || sh.W < e || sh.R < e {
				continue
			}
			u := 0.5
			if h.hi > h.lo {
				u = (h.predict(sh) - h.lo) / (h.hi - h.lo)
			}
			img.SetColorIndex(i, j, uint8(1+min(max(int(u*shades), 0), shades-1)))
		}
	}
	s.add(item{kind: shapeImage, pts: []point{{t.x0, t.y0 - high}, {t.x0 + t.side, t.y0}}, img: img})
}

// outline draws where the optimum may lie.
func (h *heat) outline(s *scene, t triangle) {
	for _, polygon := range h.region {
		var pts []point
		for _, sh := range smooth(polygon) {
			pts = append(pts, t.at(sh))
		}
		s.add(item{kind: shapeArea, pts: pts, stroke: "#1d2330", width: 4, alpha: 0.55})
		s.add(item{kind: shapeArea, pts: pts, stroke: "#ffffff", width: 2})
	}
}

// smooth takes the steps of the grid out of a closed outline: points move
// towards the middle of their neighbours, those on the triangle's edges stay.
func smooth(outline []arch.Shares) []arch.Shares {
	const (
		rounds = 8
		edge   = 1e-9
	)
	n := len(outline)
	for range rounds {
		next := make([]arch.Shares, n)
		for i, s := range outline {
			if s.D > edge && s.W > edge && s.R > edge {
				p, q := outline[(i+n-1)%n], outline[(i+1)%n]
				s = arch.Shares{D: (p.D + 2*s.D + q.D) / 4, W: (p.W + 2*s.W + q.W) / 4, R: (p.R + 2*s.R + q.R) / 4}
			}
			next[i] = s
		}
		outline = next
	}
	return outline
}

// colourBar is the key to the colours.
func colourBar(s *scene, x, y, w, h, lo, hi float64) {
	const steps = 60
	s.label(x+w+56, y-14, "accuracy, %", 12, anchorEnd, inkMuted)
	for i := range steps {
		s.rect(x, y+h*float64(i)/steps, w, h/steps+0.5, shade(1-(float64(i)+0.5)/steps))
	}
	ticks, decimals := linearTicks(100*lo, 100*hi, 5)
	for _, v := range ticks {
		ty := y + h*(100*hi-v)/(100*hi-100*lo)
		s.line(x+w, ty, x+w+4, ty, inkMuted, 1)
		s.label(x+w+7, ty+4, fmt.Sprintf("%.*f", decimals, v), 12, anchorStart, inkMuted)
	}
}
