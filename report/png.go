package report

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// pngScale is the number of image pixels to a pixel of the scene.
const pngScale = 2

// png draws the scene on light paper.
func (s *scene) png() ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(s.w), vg.Length(s.h)), vgimg.UseDPI(72*pngScale), vgimg.UseBackgroundColor(rgba(inkPaper, 1)))
	for i := range s.items {
		s.items[i].draw(c, s.h)
	}
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(&b)
	return b.Bytes(), err
}

// pngOf encodes an image.
func pngOf(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // writing to memory cannot fail, and neither can the sizes that figures have
	}
	return b.Bytes()
}

// rgba is a role's colour on a light page.
func rgba(c ink, alpha float64) color.NRGBA {
	hex := string(c)
	if !c.fixed() {
		for _, p := range palette {
			if p.role == c {
				hex = p.light
			}
		}
	}
	v, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil || len(hex) != 7 {
		panic(fmt.Sprintf("report: %q is no colour", c))
	}
	return color.NRGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), uint8(math.Round(255 * alpha))}
}

func (it *item) draw(c *vgimg.Canvas, h float64) {
	alpha := it.alpha
	if alpha == 0 {
		alpha = 1
	}
	at := func(p point) vg.Point { return vg.Point{X: vg.Length(p.x), Y: vg.Length(h - p.y)} }
	if it.kind == shapeText {
		f := face(it.size, it.bold)
		c.Push()
		defer c.Pop()
		p := at(it.pts[0])
		c.Translate(p)
		c.Rotate(it.turn * math.Pi / 180)
		x := -float64(f.Width(it.text)) * float64(it.anchor) / 2
		if it.halo {
			c.SetColor(rgba(inkPaper, 1))
			for k := range 8 {
				dy, dx := math.Sincos(float64(k) * math.Pi / 4)
				c.FillString(f, vg.Point{X: vg.Length(x + 1.4*dx), Y: vg.Length(1.4 * dy)}, it.text)
			}
		}
		c.SetColor(rgba(it.fill, alpha))
		c.FillString(f, vg.Point{X: vg.Length(x)}, it.text)
		return
	}
	if it.kind == shapeImage {
		c.DrawImage(vg.Rectangle{Min: at(point{it.pts[0].x, it.pts[1].y}), Max: at(point{it.pts[1].x, it.pts[0].y})}, it.img)
		return
	}
	var p vg.Path
	if it.kind == shapeCircle {
		o := at(it.pts[0])
		p.Move(vg.Point{X: o.X + vg.Length(it.r), Y: o.Y})
		p.Arc(o, vg.Length(it.r), 0, 2*math.Pi)
		p.Close()
	} else {
		for i, q := range it.pts {
			if i == 0 {
				p.Move(at(q))
			} else {
				p.Line(at(q))
			}
		}
		if it.kind == shapeArea {
			p.Close()
		}
	}
	if it.fill != inkNone {
		c.SetColor(rgba(it.fill, alpha))
		c.Fill(p)
	}
	if it.stroke != inkNone {
		c.SetColor(rgba(it.stroke, alpha))
		c.SetLineWidth(vg.Length(it.width))
		var dash []vg.Length
		for _, d := range it.dash {
			dash = append(dash, vg.Length(d))
		}
		c.SetLineDash(dash, 0)
		c.Stroke(p)
	}
}
