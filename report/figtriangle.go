package report

import (
	"fmt"
	"math"

	"effnet/arch"
	"effnet/search"
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

// triangleFigure places every explored network by how its growth divides over
// the dimensions, coloured by accuracy.
func triangleFigure(a *search.Analysis) *scene {
	s := &scene{w: 490, h: 470, title: "Explored networks on the triangle of depth, width and resolution shares, coloured by validation accuracy"}
	const side, x0, y0 = 400.0, 42.0, 404.0
	at := func(sh arch.Shares) point {
		x, y := search.XY(sh)
		return point{x0 + side*x, y0 - side*y}
	}
	d, w, r := at(search.DepthCorner), at(search.WidthCorner), at(search.ResolutionCorner)
	for k := 1; k < 4; k++ {
		t := float64(k) / 4
		for _, l := range [][2]arch.Shares{
			{{D: t, W: 1 - t}, {D: t, R: 1 - t}},
			{{W: t, D: 1 - t}, {W: t, R: 1 - t}},
			{{R: t, W: 1 - t}, {R: t, D: 1 - t}},
		} {
			p, q := at(l[0]), at(l[1])
			s.line(p.x, p.y, q.x, q.y, inkGrid, 1)
		}
		share := fmt.Sprintf("%d %%", 25*k)
		// Each side carries the shares of the corner it leads up to.
		p := at(arch.Shares{D: t, R: 1 - t})
		s.label(p.x+13, p.y+4, share, 11, anchorStart, inkDepth)
		p = at(arch.Shares{W: t, D: 1 - t})
		s.label(p.x-13, p.y+4, share, 11, anchorEnd, inkWidth)
		p = at(arch.Shares{R: t, W: 1 - t})
		s.label(p.x, p.y+22, share, 11, anchorMiddle, inkResolution)
	}
	s.add(item{kind: shapeArea, pts: []point{d, w, r}, stroke: inkMuted, width: 1.25})
	s.boldLabel(d.x, d.y-14, "all into depth", 13, anchorMiddle, inkDepth)
	s.boldLabel(w.x-30, w.y+42, "all into width", 13, anchorStart, inkWidth)
	s.boldLabel(r.x+30, r.y+42, "all into resolution", 13, anchorEnd, inkResolution)

	nets := ranked(a)
	if len(nets) == 0 {
		return empty(s)
	}
	lo, hi := nets[len(nets)-1].Validation.Mean, nets[0].Validation.Mean
	norm := func(v float64) float64 {
		if hi == lo {
			return 0.5
		}
		return (v - lo) / (hi - lo)
	}
	// B0's ratio as a cross, below the dots.
	b0 := at(search.B0Shares)
	s.line(b0.x-7, b0.y, b0.x+7, b0.y, inkText, 1.5)
	s.line(b0.x, b0.y-7, b0.x, b0.y+7, inkText, 1.5)
	s.add(item{kind: shapeText, pts: []point{{b0.x + 10, b0.y + 15}}, text: "B0's ratio", size: 12, fill: inkText, halo: true})
	for i := len(nets) - 1; i >= 0; i-- {
		n := nets[i]
		p := at(n.Realised)
		s.add(item{kind: shapeCircle, pts: []point{p}, r: 8, fill: shade(norm(n.Validation.Mean)), stroke: inkMuted, width: 1,
			tip: tip(a, n) + fmt.Sprintf("\nshares %.0f %% depth, %.0f %% width, %.0f %% resolution", 100*n.Realised.D, 100*n.Realised.W, 100*n.Realised.R)})
	}
	if a.Choice != nil {
		if n := a.Net(a.Choice.Winner); n != nil {
			p := at(n.Realised)
			s.ring(p.x, p.y, 12, inkCompound, 2.5)
			q := point{p.x + 17, p.y - 8}
			an := anchorStart
			if p.x > x0+side*0.68 {
				q.x, an = p.x-17, anchorEnd
			}
			s.add(item{kind: shapeText, pts: []point{q}, text: fmt.Sprintf("chosen: %.2f %%", 100*n.Validation.Mean), size: 13, bold: true, anchor: an, fill: inkCompound, halo: true})
		}
	}
	colourBar(s, 428, 40, 13, 170, lo, hi)
	return s
}

// colourBar is the key to the dots.
func colourBar(s *scene, x, y, w, h, lo, hi float64) {
	const steps = 60
	s.label(x+w+44, y-14, "validation accuracy, %", 12, anchorEnd, inkMuted)
	if hi == lo {
		hi, lo = hi+0.001, lo-0.001
	}
	for i := range steps {
		s.rect(x, y+h*float64(i)/steps, w, h/steps+0.5, shade(1-(float64(i)+0.5)/steps))
	}
	ticks, decimals := linearTicks(100*lo, 100*hi, 5)
	for _, v := range ticks {
		ty := y + h*(100*hi-v)/(100*hi-100*lo)
		s.line(x+w, ty, x+w+4, ty, inkMuted, 1)
		s.label(x+w+7, ty+4, fmt.Sprintf("%.*f", decimals, v), 11, anchorStart, inkMuted)
	}
}
