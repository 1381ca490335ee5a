//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"

	"effnet/imageprep"
)

// longSides are the sizes in which every photograph is sent.
var longSides = []int{256, 330, 400, 500}

// makePictures makes JPEGs of the photographs of a folder, as they are on the
// web: of 256 to 500 pixels, colours at half the resolution.
func makePictures(folder string) ([][]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return nil, err
	}
	var pictures [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		im, err := imageprep.Decode(data, imageprep.Limits{})
		var format *imageprep.FormatError
		if errors.As(err, &format) {
			continue // something else lies there
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		im = imageprep.Convert(nil, im, 3)
		for _, side := range longSides {
			p, err := encode(im, side)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			pictures = append(pictures, p)
		}
	}
	if len(pictures) == 0 {
		return nil, fmt.Errorf("%s has no pictures; scripts/fetch-weights.sh fetches some", folder)
	}
	return pictures, nil
}

// encode makes a JPEG of an image whose longer side is brought to so many pixels.
func encode(im imageprep.Image, side int) ([]byte, error) {
	long := max(im.H, im.W)
	im = imageprep.Resize(nil, im, max(1, im.H*side/long), max(1, im.W*side/long), imageprep.Bicubic)
	m := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.H * im.W {
		copy(m.Pix[4*i:], im.Pix[3*i:][:3])
		m.Pix[4*i+3] = 255
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90})
	return b.Bytes(), err
}
