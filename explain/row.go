package explain

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"sync"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"effnet/imageprep"
)

// Panel is one network's view of a picture.
type Panel struct {
	Title   string // above: the network's name
	Caption string // below: what it takes the picture for
	Map     Map
}

// Row draws the picture and beside it each network's map over it, as figure 7
// of the EfficientNet paper. name stands above the picture; it may be empty.
func Row(pic imageprep.Image, name string, panels []Panel) *image.RGBA {
	return Rows([]Sample{{pic, name, panels}})
}

// Sample is one row of a drawing.
type Sample struct {
	Picture imageprep.Image
	Name    string
	Panels  []Panel
}

const (
	cellSide = 224 // pixels of the room of a picture
	cellGap  = 12
	textSize = 15
	lineRoom = 22 // of a line of text
	// opacity is that of the heat in rows.
	opacity = 0.55
)

// Rows draws several rows, one below the other. All text is cut to the room it
// has.
func Rows(samples []Sample) *image.RGBA {
	cells, height := 0, cellGap
	for i := range samples {
		_, h := fit(samples[i].Picture)
		cells = max(cells, 1+len(samples[i].Panels))
		height += 2*lineRoom + h + cellGap
	}
	out := image.NewRGBA(image.Rect(0, 0, cellGap+cells*(cellSide+cellGap), height))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	top := cellGap
	for i := range samples {
		s := &samples[i]
		w, h := fit(s.Picture)
		cell := image.Rect(cellGap+(cellSide-w)/2, top+lineRoom, cellGap+(cellSide+w)/2, top+lineRoom+h)
		drawCell(out, cell, s.Name, "", picture(s.Picture))
		for j := range s.Panels {
			p := &s.Panels[j]
			drawCell(out, cell.Add(image.Pt((j+1)*(cellSide+cellGap), 0)), p.Title, p.Caption, p.Map.Overlay(s.Picture, opacity))
		}
		top += 2*lineRoom + h + cellGap
	}
	return out
}

// fit is the size at which a picture is drawn.
func fit(pic imageprep.Image) (w, h int) {
	scale := cellSide / float64(max(pic.H, pic.W))
	return max(1, int(math.Round(scale*float64(pic.W)))), max(1, int(math.Round(scale*float64(pic.H))))
}

// drawCell draws a picture at its place and its texts above and below.
func drawCell(out *image.RGBA, at image.Rectangle, title, caption string, pic image.Image) {
	left := at.Min.X - (cellSide-at.Dx())/2
	text(out, left, at.Min.Y-8, title, true)
	xdraw.CatmullRom.Scale(out, at, pic, pic.Bounds(), draw.Src, nil)
	text(out, left, at.Max.Y+textSize+2, caption, false)
}

var faces = sync.OnceValues(func() (regular, bold font.Face) {
	face := func(ttf []byte) font.Face {
		f, err := opentype.Parse(ttf)
		if err != nil {
			panic("explain: " + err.Error())
		}
		face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: textSize, DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			panic("explain: " + err.Error())
		}
		return face
	}
	return face(goregular.TTF), face(gobold.TTF)
})

// drawing holds the faces, which are not for use by several goroutines at once.
var drawing sync.Mutex

// text writes a line with its base at y, cut to the room of a cell.
func text(out *image.RGBA, x, y int, s string, bold bool) {
	drawing.Lock()
	defer drawing.Unlock()
	regular, heavy := faces()
	d := font.Drawer{Dst: out, Src: image.NewUniform(color.RGBA{29, 35, 48, 255}), Face: regular, Dot: fixed.P(x, y)}
	if bold {
		d.Face = heavy
	}
	d.DrawString(clip(s, func(s string) bool { return d.MeasureString(s).Ceil() <= cellSide }))
}

// clip shortens s until it fits.
func clip(s string, fits func(string) bool) string {
	if fits(s) {
		return s
	}
	runes := []rune(s)
	for n := len(runes) - 1; n > 0; n-- {
		if short := string(runes[:n]) + "…"; fits(short) {
			return short
		}
	}
	return ""
}
