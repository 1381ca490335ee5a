package report

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// roofline is a machine of round figures and a network on it.
func roofline() *Roofline {
	return &Roofline{
		Title: "a network at 224x224", Machine: "a machine", Peak: 200e9, Swish: 5e9, Seconds: 1e-3,
		Reads: []RoofRead{{"L2 cache", 100e9}, {"memory", 20e9}},
		Steps: []RoofStep{
			{Name: "stem", Kind: "conv", FLOPs: 20e6, Bytes: 2e6, Swish: 500e3, Seconds: 250e-6},
			{Name: "block.pw", Kind: "conv+depthwise", FLOPs: 60e6, Bytes: 2e6, Seconds: 400e-6},
			{Name: "block.se", Kind: "pool", Bytes: 4e3, Seconds: 1e-6},
			{Name: "block.pwl", Kind: "conv", FLOPs: 40e6, Bytes: 1e6, Seconds: 225e-6},
			{Name: "tiny", Kind: "conv", FLOPs: 1e3, Bytes: 2e3, Seconds: 1e-6},
			{Name: "classifier", Kind: "conv", FLOPs: 2e6, Bytes: 4e6, Seconds: 123e-6},
		},
	}
}

func TestRoofline(t *testing.T) {
	r := roofline()
	s, err := r.draw()
	if err != nil {
		t.Fatal(err)
	}
	fits(t, "roofline", s)
	var b strings.Builder
	for _, it := range s.items {
		switch it.kind {
		case shapeText:
			fmt.Fprintf(&b, "text %s\n", it.text)
		case shapeCircle:
			fmt.Fprintf(&b, "circle %.1f at %.0f,%.0f %s: %s\n", it.r, it.pts[0].x, it.pts[0].y, it.fill, strings.ReplaceAll(it.tip, "\n", "; "))
		case shapeArea:
			fmt.Fprintf(&b, "mark at %.0f,%.0f: %s\n", it.pts[1].x, it.pts[0].y, strings.ReplaceAll(it.tip, "\n", "; "))
		default:
			if it.stroke != inkGrid {
				fmt.Fprintf(&b, "line %.0f,%.0f %.0f,%.0f %s%v\n", it.pts[0].x, it.pts[0].y, it.pts[1].x, it.pts[1].y, it.stroke, it.dash)
			}
		}
	}
	golden(t, "roofline.txt", b.String())

	// A network that takes twice as many products as are done.
	w := r.whole()
	r.FLOPs = 2 * w.FLOPs
	if s, err = r.draw(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(s.svg(false), []byte(">whole network: 122 GFLOP/s, 61 % of the peak, in effect 244<")) || !bytes.Contains(s.svg(false), []byte("(Winograd)")) {
		t.Error("products that are saved go unsaid")
	}

	// A peak, or a network, that was measured while the machine did other things.
	for _, slow := range []struct{ peak, network float64 }{{0.05, 1}, {1, 50}, {0.02, 30}} {
		r := roofline()
		r.Peak *= slow.peak
		r.Seconds *= slow.network
		if s, err = r.draw(); err != nil {
			t.Fatal(err)
		}
		fits(t, "roofline", s)
		if !bytes.Contains(s.svg(false), []byte(">whole network: ")) {
			t.Errorf("peak times %g, seconds times %g: the network is not shown", slow.peak, slow.network)
		}
	}

	// What stands above follows from the figures of the machine: the stem takes
	// 100 us for its products and as long for its swish.
	if got := r.Reachable(&r.Steps[0]); math.Abs(got-100e9) > 1 {
		t.Errorf("the stem could reach %g, want 100e9", got)
	}
	if got, want := r.ReachableByAll(), 122.001e6/(122.001e6/200e9+100e-6); math.Abs(got-want) > 1e3 {
		t.Errorf("the network could reach %g, want %g", got, want)
	}
}

func TestRooflineFiles(t *testing.T) {
	dir := t.TempDir()
	r := roofline()
	for _, ext := range FigureFormats {
		path := filepath.Join(dir, "roofline"+ext)
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
		text := read(t, path)
		if ext == ".png" {
			if _, err := png.Decode(strings.NewReader(text)); err != nil {
				t.Error(err)
			}
			continue
		}
		wellFormed(t, path, text)
	}
	for _, c := range []struct {
		path   string
		change func(*Roofline)
		err    string
	}{
		{"roofline.pdf", func(*Roofline) {}, `no format for the ending ".pdf", have .svg and .png`},
		{"none/roofline.svg", func(*Roofline) {}, "none"},
		{"r.svg", func(r *Roofline) { r.Steps = r.Steps[2:3] }, "0 steps with products"},
		{"r.svg", func(r *Roofline) { r.Peak = 0 }, "a machine of 0 FLOP/s"},
		{"r.svg", func(r *Roofline) { r.Seconds = math.NaN() }, "NaN s"},
	} {
		r := roofline()
		c.change(r)
		if err := r.Write(filepath.Join(dir, c.path)); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.path, err, c.err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "r.svg")); err == nil {
		t.Error("a figure that cannot be drawn leaves a file")
	}
}

// TestRooflineRoom: whatever the figures, all that is drawn lies within the
// figure, names cover neither each other nor marks, and no number is missing.
func TestRooflineRoom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := func(lo, hi float64, label string) float64 {
			return math.Exp(rapid.Float64Range(math.Log(lo), math.Log(hi)).Draw(rt, label))
		}
		r := &Roofline{Title: strings.Repeat("net ", rapid.IntRange(1, 60).Draw(rt, "title")), Machine: "machine", Peak: log(1e9, 1e13, "peak"), Swish: log(1e7, 1e11, "swish")}
		if rapid.Bool().Draw(rt, "none") {
			r.Swish = 0
		}
		rate := r.Peak * log(0.1, 2, "l2")
		r.FLOPs = rapid.Int64Range(0, 1<<40).Draw(rt, "flops")
		for _, from := range []string{"L2 cache", "L3 cache", "memory"} {
			r.Reads = append(r.Reads, RoofRead{from, rate})
			rate *= log(0.05, 1, from)
		}
		n := rapid.IntRange(1, 60).Draw(rt, "steps")
		for i := range n {
			s := RoofStep{Name: fmt.Sprintf("blocks.%d.conv_pw", i), Kind: fmt.Sprint("kind ", i%7), FLOPs: int64(log(1e3, 1e9, "flops"))}
			s.Bytes = 1 + int64(float64(s.FLOPs)/log(0.2, 100, "intensity"))
			s.Seconds = float64(s.FLOPs) / (r.Peak * log(0.001, 1.1, "efficiency"))
			s.Swish = s.FLOPs / rapid.Int64Range(10, 1000).Draw(rt, "swishes")
			r.Steps = append(r.Steps, s)
			r.Seconds += s.Seconds
		}
		s, err := r.draw()
		if err != nil {
			rt.Fatal(err)
		}
		fits(rt, "roofline", s)
		if text := s.svg(false); bytes.Contains(text, []byte("NaN")) || bytes.Contains(text, []byte("Inf")) {
			rt.Error("shows NaN or Inf")
		}
		var boxes []box
		for _, it := range s.items {
			if it.kind != shapeText || it.turn != 0 || !it.halo {
				continue
			}
			b := box{it.pts[0].x, it.pts[0].y - 0.82*it.size, textWidth(it.text, it.size, it.bold), it.size}
			for _, o := range boxes {
				if b.meets(o) {
					rt.Errorf("%q covers another name", it.text)
				}
			}
			boxes = append(boxes, b)
			for _, c := range s.items {
				if p := b.nearest(c.pts[0]); c.kind == shapeCircle && !it.bold && math.Hypot(p.x-c.pts[0].x, p.y-c.pts[0].y) < c.r {
					rt.Errorf("%q covers a mark", it.text)
				}
			}
		}
	})
}
