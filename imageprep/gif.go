package imageprep

import (
	"bytes"
	"image"
	"image/gif"
	"io"
)

// decodeGIF decodes the first frame onto its canvas. The decoder of the
// standard library forgets the colour of the transparent palette entry, which
// dropping alpha must show; so transparency is switched off in the stream.
func decodeGIF(data []byte) (image.Image, error) {
	cfg, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	fill := byte(0)
	var r io.Reader = bytes.NewReader(data)
	if at := transparency(data); at >= 0 {
		fill = data[at+3]
		r = io.MultiReader(bytes.NewReader(data[:at]), bytes.NewReader([]byte{data[at] &^ 1}), bytes.NewReader(data[at+1:]))
	}
	m, err := gif.Decode(r)
	if err != nil {
		return nil, err
	}
	frame, ok := m.(*image.Paletted)
	if !ok || frame.Rect == image.Rect(0, 0, cfg.Width, cfg.Height) {
		return m, nil
	}
	canvas := image.NewPaletted(image.Rect(0, 0, cfg.Width, cfg.Height), frame.Palette)
	if fill != 0 {
		for i := range canvas.Pix {
			canvas.Pix[i] = fill
		}
	}
	r0 := frame.Rect
	for y := r0.Min.Y; y < r0.Max.Y; y++ {
		i := frame.PixOffset(r0.Min.X, y)
		copy(canvas.Pix[canvas.PixOffset(r0.Min.X, y):], frame.Pix[i:i+r0.Dx()])
	}
	return canvas, nil
}

// transparency returns the offset of the flags of the graphic control
// extension of the first frame if they declare a transparent colour, whose
// index follows three bytes later; else -1.
func transparency(data []byte) int {
	tableSize := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (1 + flags&7)
	}
	if len(data) < 13 {
		return -1
	}
	found := -1
	for i := 13 + tableSize(data[10]); i+2 < len(data) && data[i] == 0x21; {
		label := data[i+1]
		i += 2
		if label == 0xf9 && data[i] == 4 && i+4 < len(data) {
			found = -1
			if data[i+1]&1 != 0 {
				found = i + 1
			}
		}
		for i < len(data) && data[i] != 0 { // sub-blocks
			i += 1 + int(data[i])
		}
		i++
	}
	return found
}
