package explain

import (
	_ "embed"
	"encoding/hex"
	"image/color"
	"math"
	"strings"
	"sync"
)

// viridis is matplotlib's colour map of that name, by Stéfan van der Walt and
// Nathaniel Smith, which is in the public domain (CC0): 256 colours as RRGGBB.
// Equal steps along it look equally large, its lightness only grows, and it
// keeps its order for all common kinds of colour blindness.
//
//go:embed viridis.txt
var viridis string

var colours = sync.OnceValue(func() (table [256]color.RGBA) {
	rgb, err := hex.DecodeString(strings.ReplaceAll(viridis, "\n", ""))
	if err != nil || len(rgb) != 3*len(table) {
		panic("explain: viridis.txt is not 256 colours")
	}
	for i := range table {
		table[i] = color.RGBA{rgb[3*i], rgb[3*i+1], rgb[3*i+2], 255}
	}
	return table
})

// Colour is the colour of a heat between 0 (dark blue) and 1 (yellow); what
// lies outside is taken to its end, NaN to 0.
func Colour(heat float64) color.RGBA {
	if !(heat > 0) {
		heat = 0
	}
	table := colours()
	return table[int(math.Round(255*min(heat, 1)))]
}
