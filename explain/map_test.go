package explain

import (
	"image/color"
	"math"
	"testing"

	"pgregory.net/rapid"

	"effnet/imageprep"
)

// The mean of a class's map is the class's score by the embedding.
func TestClassMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w, c := rapid.IntRange(1, 6).Draw(t, "h"), rapid.IntRange(1, 6).Draw(t, "w"), rapid.IntRange(1, 9).Draw(t, "c")
		number := rapid.Float32Range(-4, 4)
		f := rapid.SliceOfN(number, h*w*c, h*w*c).Draw(t, "features")
		row := rapid.SliceOfN(number, c, c).Draw(t, "row")
		want := 0.0
		for k := range c {
			mean := 0.0
			for i := range h * w {
				mean += float64(f[i*c+k]) / float64(h*w)
			}
			want += mean * float64(row[k])
		}
		m := Class(f, h, w, row)
		if got := m.Mean(); math.Abs(got-want) > 1e-4 {
			t.Fatalf("mean of the map is %v, the score %v", got, want)
		}
	})
}

func TestHeatBetweenPlaces(t *testing.T) {
	// Two places side by side over the right part of a picture of 20 x 8 pixels.
	m := Map{H: 1, W: 2, Values: []float32{-3, 5}, Seen: Region{X: 4, Y: 0, W: 16, H: 8}}
	s := m.sampler()
	for _, c := range []struct {
		x, heat float64
		seen    bool
	}{
		{0.5, 0, false}, {4.5, 0, true}, {8, 0, true}, {10, 0.25, true}, {12, 0.5, true}, {16, 1, true}, {19.5, 1, true}, {20.5, 1, false},
	} {
		if heat, seen := s.at(c.x, 4); math.Abs(heat-c.heat) > 1e-12 || seen != c.seen {
			t.Errorf("at %v: heat %v, seen %v; want %v, %v", c.x, heat, seen, c.heat, c.seen)
		}
	}
	if x, y := m.Peak(); x != 16 || y != 4 {
		t.Errorf("the peak is at %v, %v", x, y)
	}
	pic := imageprep.Image{Pix: make([]byte, 20*8), H: 8, W: 20, C: 1}
	for i := range pic.Pix {
		pic.Pix[i] = 200
	}
	over := m.Overlay(pic, 0.5)
	if got := over.RGBAAt(0, 4); got != (color.RGBA{100, 100, 100, 255}) {
		t.Errorf("what is not seen is %v", got)
	}
	hot := Colour(1)
	if got, want := over.RGBAAt(19, 4), (color.RGBA{half(hot.R, 200), half(hot.G, 200), half(hot.B, 200), 255}); got != want {
		t.Errorf("what is hottest is %v, want %v", got, want)
	}
	heat := m.Heat(20, 8)
	if heat.NRGBAAt(0, 0).A != 0 || heat.NRGBAAt(19, 0) != color.NRGBA(hot) {
		t.Errorf("heat alone: %v and %v", heat.NRGBAAt(0, 0), heat.NRGBAAt(19, 0))
	}
}

func half(a, b uint8) uint8 { return uint8(math.Round((float64(a) + float64(b)) / 2)) }

// A map that says nothing is drawn as such.
func TestFlatMap(t *testing.T) {
	nan := float32(math.NaN())
	for _, values := range [][]float32{{2, 2, 2, 2}, {nan, nan, nan, nan}, {1, nan, 2, 3}} {
		m := Map{H: 2, W: 2, Values: values, Seen: Region{W: 4, H: 4}}
		for _, v := range m.heat() {
			if v < 0 || v > 1 {
				t.Errorf("%v has heat %v", values, v)
			}
		}
		m.Heat(4, 4)
	}
}

// Equal steps of heat look about equally large: lightness, which carries most of
// the difference, grows evenly.
func TestColourIsUniform(t *testing.T) {
	lightness := func(c color.RGBA) float64 {
		linear := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		y := 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
		if y <= 216.0/24389 {
			return y * 24389 / 27
		}
		return 116*math.Cbrt(y) - 16
	}
	lo, hi := lightness(Colour(0)), lightness(Colour(1))
	for i := range 65 {
		x := float64(i) / 64
		if got, want := lightness(Colour(x)), lo+x*(hi-lo); math.Abs(got-want) > 3 {
			t.Errorf("heat %v has lightness %.1f, want about %.1f", x, got, want)
		}
	}
	if Colour(math.NaN()) != Colour(0) || Colour(-1) != Colour(0) || Colour(2) != Colour(1) {
		t.Error("heats beyond the ends")
	}
}

func TestRows(t *testing.T) {
	pic := imageprep.Image{Pix: make([]byte, 30*10*3), H: 10, W: 30, C: 3}
	m := Map{H: 1, W: 1, Values: []float32{1}, Seen: Region{X: 10, Y: 0, W: 10, H: 10}}
	panels := []Panel{{"base", "99.0 %  a name that is far longer than a picture is wide, 日本語", m}, {"", "", m}}
	a := Row(pic, "original", panels)
	if got := a.Bounds(); got.Dx() != 3*(cellSide+cellGap)+cellGap || got.Dy() != cellSide/3+1+2*lineRoom+2*cellGap {
		t.Errorf("a row of two networks is %v", got)
	}
	b := Rows([]Sample{{pic, "one", panels}, {pic, "two", panels[:1]}})
	if got := b.Bounds(); got.Dx() != a.Bounds().Dx() || got.Dy() != a.Bounds().Dy()+cellSide/3+1+2*lineRoom+cellGap {
		t.Errorf("two rows are %v", got)
	}
	// Text stays in its cell: the gaps are white.
	for y := range a.Bounds().Dy() {
		for k := range 3 {
			if x := (k+1)*(cellSide+cellGap) + cellGap/2; a.RGBAAt(x, y) != (color.RGBA{255, 255, 255, 255}) {
				t.Fatalf("ink in the gap at %d, %d", x, y)
			}
		}
	}
}
