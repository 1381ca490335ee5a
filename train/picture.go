package train

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"effnet/internal/tfevents"
)

// firstBatch draws the first images of the run, as the network sees them.
func (l *loop) firstBatch(ctx context.Context) (*tfevents.Image, error) {
	b, err := l.Source.Epoch(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	x, y, err := b.Next()
	if err != nil {
		return nil, err
	}
	s := &l.Config.Spec
	return picture(x, len(y.Labels), s.Channels, s.Prep.Mean, s.Prep.Std)
}

// A picture is at most this many pixels wide and high, and images.
const (
	pictureSide = 1024
	pictureCols = 8
	pictureRows = 4
	pictureGap  = 2
)

// picture draws the first of n square images x [n,side,side,c], which were
// normalised by mean and std [c], row by row on white. Of images that are
// neither grey nor colour, it shows the first channel.
func picture(x []float32, n, c int, mean, std []float64) (*tfevents.Image, error) {
	side := int(math.Sqrt(float64(len(x) / n / c)))
	if side < 1 || n*side*side*c != len(x) {
		return nil, fmt.Errorf("train: %d values are no %d square images of %d channels", len(x), n, c)
	}
	cols := min(n, max(1, min(pictureCols, pictureSide/(side+pictureGap))))
	rows := min((n+cols-1)/cols, max(1, min(pictureRows, pictureSide/(side+pictureGap))))
	box := image.Rect(0, 0, cols*(side+pictureGap)-pictureGap, rows*(side+pictureGap)-pictureGap)
	value := func(i, channel int) uint8 {
		v := float64(x[i+channel])
		if channel < len(mean) && channel < len(std) {
			v = v*std[channel] + mean[channel]
		}
		return uint8(math.Round(255 * max(0, min(v, 1))))
	}
	out := &tfevents.Image{Width: box.Dx(), Height: box.Dy(), Channels: 1}
	var img draw.Image = image.NewGray(box)
	if c == 3 {
		out.Channels, img = 3, image.NewNRGBA(box)
	}
	for row := range box.Dy() {
		for col := range box.Dx() {
			r, h := row/(side+pictureGap), row%(side+pictureGap)
			q, w := col/(side+pictureGap), col%(side+pictureGap)
			k := r*cols + q
			if h >= side || w >= side || k >= n {
				img.Set(col, row, color.White)
				continue
			}
			at := ((k*side+h)*side + w) * c
			if c == 3 {
				img.Set(col, row, color.NRGBA{value(at, 0), value(at, 1), value(at, 2), 255})
			} else {
				img.Set(col, row, color.Gray{value(at, 0)})
			}
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	out.PNG = b.Bytes()
	return out, err
}
