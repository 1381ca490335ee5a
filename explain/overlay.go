package explain

import (
	"image"
	"image/color"
	"math"

	"effnet/imageprep"
)

// Overlay lays the map over its picture: the colour of the heat with the given
// opacity, from 0 to 1, on the picture in grey, so that hue means heat alone.
// What the network does not see is the picture in grey, darkened.
func (m *Map) Overlay(pic imageprep.Image, opacity float64) *image.RGBA {
	s := m.sampler()
	opacity = min(max(opacity, 0), 1)
	out := image.NewRGBA(image.Rect(0, 0, pic.W, pic.H))
	for y := range pic.H {
		for x := range pic.W {
			grey := float64(greyAt(pic, x, y))
			heat, seen := s.at(float64(x)+0.5, float64(y)+0.5)
			if !seen {
				v := uint8(math.Round(0.5 * grey))
				out.SetRGBA(x, y, color.RGBA{v, v, v, 255})
				continue
			}
			c := Colour(heat)
			mix := func(v uint8) uint8 { return uint8(math.Round(opacity*float64(v) + (1-opacity)*grey)) }
			out.SetRGBA(x, y, color.RGBA{mix(c.R), mix(c.G), mix(c.B), 255})
		}
	}
	return out
}

// Heat is the map alone at the size of its picture, w x h pixels: the colour of
// the heat, and transparent where the network does not see.
func (m *Map) Heat(w, h int) *image.NRGBA {
	s := m.sampler()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			if heat, seen := s.at(float64(x)+0.5, float64(y)+0.5); seen {
				out.SetNRGBA(x, y, color.NRGBA(Colour(heat)))
			}
		}
	}
	return out
}

func greyAt(pic imageprep.Image, x, y int) byte {
	p := pic.Pix[(y*pic.W+x)*pic.C:]
	if pic.C == 1 {
		return p[0]
	}
	return imageprep.Grey(p[0], p[1], p[2])
}

// picture is pic for Go's own packages.
func picture(pic imageprep.Image) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, pic.W, pic.H))
	for i := range pic.W * pic.H {
		p, q := pic.Pix[i*pic.C:], out.Pix[4*i:]
		q[0], q[1], q[2], q[3] = p[0], p[pic.C/2], p[pic.C-1], 255
	}
	return out
}
