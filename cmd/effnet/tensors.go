package main

import (
	"fmt"
	"strings"

	lib "effnet"
	"effnet/internal/npy"
)

// layout is the order of dimensions of arrays in files.
type layout string

const (
	nchw layout = "nchw"
	nhwc layout = "nhwc"
)

func (l *layout) String() string { return string(*l) }
func (l *layout) Type() string   { return "nchw|nhwc" }
func (l *layout) Set(s string) error {
	switch v := layout(strings.ToLower(s)); v {
	case nchw, nhwc:
		*l = v
		return nil
	}
	return fmt.Errorf("want nchw or nhwc")
}

// shape is the shape of n images in this layout.
func (l layout) shape(n, h, w, c int) []int {
	if l == nhwc {
		return []int{n, h, w, c}
	}
	return []int{n, c, h, w}
}

// imageArray is an array of images in a file.
type imageArray struct {
	*npy.Reader
	n, h, w, c int
	layout     layout
	buf        []float32
}

// openImages opens the array at path as images of so many channels. One of
// three dimensions is one image, or, of grey ones, [N,H,W].
func openImages(path string, l layout, channels int) (*imageArray, error) {
	r, err := npy.Open(path)
	if err != nil {
		return nil, err
	}
	a := &imageArray{Reader: r, layout: l}
	if err := a.interpret(channels); err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

func (a *imageArray) interpret(channels int) error {
	s := a.Shape
	switch {
	case len(s) == 3 && channels == 1 && a.layout == nchw:
		s = []int{s[0], 1, s[1], s[2]}
	case len(s) == 3:
		s = append([]int{1}, s...)
	}
	if len(s) != 4 {
		return fmt.Errorf("the array has shape %v, want 4 dimensions, in the order %s", a.Shape, strings.ToUpper(string(a.layout)))
	}
	a.n, a.h, a.w, a.c = s[0], s[2], s[3], s[1]
	other := nhwc
	if a.layout == nhwc {
		a.h, a.w, a.c = s[1], s[2], s[3]
		other = nchw
	}
	if a.c != channels {
		hint := ""
		if c := map[layout]int{nchw: s[1], nhwc: s[3]}[other]; c == channels {
			hint = fmt.Sprintf("; is it --layout %s?", other)
		}
		return fmt.Errorf("the array has shape %v, %d channels as %s, the network wants %d%s", a.Shape, a.c, strings.ToUpper(string(a.layout)), channels, hint)
	}
	if a.h < 1 || a.w < 1 {
		return fmt.Errorf("the array has shape %v, its images have no pixels", a.Shape)
	}
	return nil
}

// read fills x [n, H, W, C] with images from number first on.
func (a *imageArray) read(x []float32, first int) error {
	elems := a.h * a.w * a.c
	if a.layout == nhwc || a.c == 1 {
		return a.Read(x, first*elems)
	}
	if a.buf == nil {
		a.buf = make([]float32, elems)
	}
	for ; len(x) > 0; x, first = x[elems:], first+1 {
		if err := a.Read(a.buf, first*elems); err != nil {
			return err
		}
		lib.FromNCHW(x[:elems], a.buf, a.h*a.w, a.c)
	}
	return nil
}

// toNCHW reorders one image src [pixels, C] to dst [C, pixels].
func toNCHW(dst, src []float32, pixels, c int) {
	for i := range pixels {
		for k, v := range src[i*c:][:c] {
			dst[k*pixels+i] = v
		}
	}
}
