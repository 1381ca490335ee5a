package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"slices"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"effnet/dataset"
)

// sheetOptions say how to draw a sheet of images.
type sheetOptions struct {
	path       string
	augment    dataset.Augment
	resolution pixels // 0: of the first image
	seed       uint64
	mean, std  []float32 // of the data's pixels by channel: what a network would be normalised by
}

const (
	sheetRows    = 20 // classes shown
	sheetImages  = 3  // of each class
	sheetChanged = 4  // versions of each image after the original
	sheetCell    = 64 // least side of an image on the sheet, pixels
	sheetGap     = 4
	sheetText    = 13 // height of a line
)

// draw makes the sheet: a row a class, sheetImages times an image as the
// network sees it in evaluation and in sheetChanged epochs of training.
func (o *sheetOptions) draw(data *dataset.Data) (image.Image, error) {
	set := data.Train
	side, err := o.side(set)
	if err != nil {
		return nil, err
	}
	plain := &dataset.Pipeline{Set: set, Resolution: side, Channels: data.Channels, Mean: o.mean, Std: o.std}
	changed := &dataset.Pipeline{Set: set, Resolution: side, Channels: data.Channels, Mean: o.mean, Std: o.std, Augment: o.augment, Seed: o.seed}

	rows := examples(set, min(len(data.Classes), sheetRows))
	zoom := (sheetCell + side - 1) / side
	cell := side * zoom
	face := basicfont.Face7x13
	margin := sheetGap
	for c := range rows {
		margin = max(margin, 2*sheetGap+font.MeasureString(face, label(data.Classes[c])).Ceil())
	}
	columns := sheetImages * (1 + sheetChanged)
	left := func(column int) int { // groups of an image stand apart
		return margin + column*(cell+sheetGap) + column/(1+sheetChanged)*3*sheetGap
	}
	top := func(row int) int { return sheetGap + row*(cell+sheetGap) }
	out := image.NewRGBA(image.Rect(0, 0, left(columns-1)+cell+sheetGap, top(len(rows))))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)

	text := font.Drawer{Dst: out, Src: image.Black, Face: face}
	for c := range rows {
		text.Dot = fixed.P(sheetGap, top(c)+cell/2+sheetText/2-2)
		text.DrawString(label(data.Classes[c]))
	}
	b := dataset.Batch{IDs: slices.Concat(rows...)} // what is mixed are the images of the sheet
	for v := range 1 + sheetChanged {
		p, epoch := changed, v-1
		if v == 0 {
			p, epoch = plain, 0
		}
		if err := p.FillBatch(&b, epoch); err != nil {
			return nil, err
		}
		x := o.pixels(b.X)
		for c, ids := range rows {
			for k := range ids {
				paint(out, left(k*(1+sheetChanged)+v), top(c), x[:side*side*data.Channels], side, data.Channels, zoom)
				x = x[side*side*data.Channels:]
			}
		}
	}
	return out, nil
}

// side is the resolution: that asked for, else the first image's.
func (o *sheetOptions) side(set dataset.Set) (int, error) {
	if o.resolution > 0 {
		return int(o.resolution), nil
	}
	im, err := set.Image(0)
	if err != nil {
		return 0, err
	}
	return min(im.H, im.W, 256), nil
}

// pixels undoes the normalisation of x [...,channels], in place: values are
// then in [0,1], noise cut off.
func (o *sheetOptions) pixels(x []float32) []float32 {
	for i, v := range x {
		c := i % len(o.mean)
		x[i] = min(max(v*o.std[c]+o.mean[c], 0), 1)
	}
	return x
}

// examples returns the first images of each of the first classes.
func examples(set dataset.Set, classes int) [][]int {
	rows := make([][]int, classes)
	for i, missing := 0, classes*sheetImages; i < set.Len() && missing > 0; i++ {
		if c := int(set.Label(i)); c < classes && len(rows[c]) < sheetImages {
			rows[c] = append(rows[c], i)
			missing--
		}
	}
	return rows
}

// label is a class name that fits beside its row.
func label(name string) string {
	const most = 24
	if r := []rune(name); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return name
}

// paint draws pixels in [0,1], x [side,side,channels], enlarged zoom times.
func paint(dst *image.RGBA, left, top int, x []float32, side, channels, zoom int) {
	for i := range side * zoom {
		for j := range side * zoom {
			at := (i/zoom*side + j/zoom) * channels
			var p [3]byte
			for c := range p {
				p[c] = byte(math.Round(float64(x[at+c%channels]) * 255))
			}
			dst.SetRGBA(left+j, top+i, color.RGBA{p[0], p[1], p[2], 255})
		}
	}
}

func encodePNG(w io.Writer, m image.Image) error {
	if err := png.Encode(w, m); err != nil {
		return fmt.Errorf("png: %w", err)
	}
	return nil
}
