package serve

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"net/http"
	"strconv"
	"strings"
	"time"

	"effnet"
	"effnet/explain"
	"effnet/imageprep"
)

// maxDrawing is the longest side of a drawn map, in pixels; larger pictures are
// drawn smaller.
const maxDrawing = 1024

// explained is the answer of /v1/explain as JSON.
type explained struct {
	Model      string            `json:"model"`
	Version    string            `json:"version"`
	Prediction effnet.Prediction `json:"prediction"` // of the class explained
	Best       effnet.Prediction `json:"best"`
	Map        struct {
		Height int            `json:"height"`
		Width  int            `json:"width"`
		Values []float32      `json:"values"` // [height, width]
		Seen   explain.Region `json:"seen"`   // of the picture, pixels
	} `json:"map"`
	Picture struct { // turned upright
		Height int `json:"height"`
		Width  int `json:"width"`
	} `json:"picture"`
	Overlay string `json:"overlay,omitempty"` // PNG, base64
	Heat    string `json:"heat,omitempty"`    // PNG with transparency, base64
}

// explain answers with a class activation map: a PNG of it over the picture or
// alone, or JSON with its numbers, with both drawings or without.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) (err error) {
	mem := &lease{b: &s.body}
	defer mem.free()
	q, err := s.receive(w, r, mem)
	if err != nil {
		return err
	}
	opacity := 0.5
	if q.Opacity != nil {
		opacity = *q.Opacity
	}
	format := q.Format
	if format == "" {
		format = "overlay"
		if strings.Contains(r.Header.Get("Accept"), "application/json") {
			format = "json"
		}
	}
	switch {
	case len(q.uploads) != 1:
		return errorf(http.StatusBadRequest, "the request has %d images, want one", len(q.uploads))
	case !(opacity >= 0 && opacity <= 1):
		return errorf(http.StatusBadRequest, "opacity is %g, want 0 to 1", opacity)
	case format != "overlay" && format != "heat" && format != "map" && format != "json":
		return errorf(http.StatusBadRequest, "format is %q, want overlay, heat, map or json", format)
	}
	c, err := s.begin(r.Context(), q.Model, string(q.Version), noteOf(r))
	if err != nil {
		return err
	}
	defer func() { c.end(err) }()
	class, err := classOf(c.l, string(q.Class))
	if err != nil {
		return err
	}
	if err := c.admit(1, 0); err != nil {
		return err
	}
	e, pic, size, err := c.explain(q.uploads[0].data, class)
	if err != nil {
		return err
	}
	draw := func(m image.Image) []byte {
		var b bytes.Buffer
		_ = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, m) // into memory
		return b.Bytes()
	}
	shrunk := e.Map.Scaled(float64(pic.W)/float64(size.X), float64(pic.H)/float64(size.Y))
	c.finish(func() {
		switch format {
		case "overlay":
			sendPNG(w, draw(shrunk.Overlay(pic, opacity)))
		case "heat":
			sendPNG(w, draw(shrunk.Heat(pic.W, pic.H)))
		default:
			a := explained{Model: c.l.slot.Name, Version: c.l.slot.Version, Prediction: e.Prediction, Best: e.Best}
			a.Map.Height, a.Map.Width, a.Map.Values, a.Map.Seen = e.Map.H, e.Map.W, e.Map.Values, e.Map.Seen
			a.Picture.Height, a.Picture.Width = size.Y, size.X
			if format == "json" {
				a.Overlay = base64.StdEncoding.EncodeToString(draw(shrunk.Overlay(pic, opacity)))
				a.Heat = base64.StdEncoding.EncodeToString(draw(shrunk.Heat(pic.W, pic.H)))
			}
			answer(w, http.StatusOK, a)
		}
	})
	return nil
}

func sendPNG(w http.ResponseWriter, data []byte) {
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

// explain decodes a picture and explains it: with it come the picture as it is to
// be drawn and its own size.
func (c *call) explain(data []byte, class int) (*effnet.Explanation, imageprep.Image, image.Point, error) {
	type prepared struct {
		x    []float32
		pic  imageprep.Image
		size image.Point
	}
	ready := make(chan prepared, 1)
	turn, cancel := c.turn(c.ctx, c.s.cfg.QueueTimeout)
	defer cancel()
	start := time.Now()
	err := c.s.decode.do(c.ctx, turn, c.start, data, func(im imageprep.Image) error {
		p := prepared{make([]float32, c.l.InputElems()), im, image.Pt(im.W, im.H)}
		if err := c.l.Prepare(p.x, im); err != nil {
			return err
		}
		if long := max(im.H, im.W); long > maxDrawing {
			side := func(n int) int { return max(1, n*maxDrawing/long) }
			p.pic = imageprep.Resize(nil, im, side(im.H), side(im.W), imageprep.Bilinear)
		}
		ready <- p
		return nil
	}, nil)
	c.l.slot.metrics.input.Add(micros(time.Since(start)))
	if err != nil {
		return nil, imageprep.Image{}, image.Point{}, c.late(err)
	}
	p := <-ready
	c.l.explaining.Lock() // one after the other: each has all threads
	defer c.l.explaining.Unlock()
	threads := min(c.l.Threads(), c.s.cores.total)
	if err := c.s.cores.take(turn, threads, c.start); err != nil {
		return nil, imageprep.Image{}, image.Point{}, c.late(err)
	}
	defer c.s.cores.give(threads)
	start = time.Now()
	e, err := c.l.ExplainPrepared(c.ctx, p.x, p.size.Y, p.size.X, class)
	c.l.slot.metrics.executed(1, time.Since(start))
	return e, p.pic, p.size, err
}
