package imageprep

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestJPEGRow holds the conversion by pairs to its formula, for every chroma.
func TestJPEGRow(t *testing.T) {
	luma, cb, cr := make([]byte, 257), make([]byte, 257), make([]byte, 257)
	rgb := make([]byte, 3*len(luma))
	for b := range 256 {
		for x := range luma {
			luma[x], cb[x], cr[x] = byte(37*x+11*b), byte(b), byte(x)
		}
		jpegRow(rgb, luma, cb, cr)
		for x := range luma {
			y, u, v := int32(luma[x]), int32(cb[x])-128, int32(cr[x])-128
			want := []byte{clamp(y + (91881*v+1<<15)>>16), clamp(y + (-22554*u-46802*v+1<<15)>>16), clamp(y + (116130*u+1<<15)>>16)}
			if got := rgb[3*x : 3*x+3]; !slices.Equal(got, want) {
				t.Fatalf("luma %d, Cb %d, Cr %d: %v, want %v", y, cb[x], cr[x], got, want)
			}
		}
	}
}

// TestTriangle holds doubling by eight samples to that by one.
func TestTriangle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.IntRange(3, 60).Draw(t, "width")
		near := rapid.SliceOfN(rapid.Byte(), w, w).Draw(t, "near")
		far := rapid.SliceOfN(rapid.Byte(), w, w).Draw(t, "far")
		sy := rapid.IntRange(1, 2).Draw(t, "sy")
		got := make([]byte, 2*w)
		(&upsampler{sy: sy}).triangle(got, near, far)
		sum := func(x int) int {
			x = min(max(x, 0), w-1)
			if sy == 1 {
				return 4 * int(near[x]) // 1, 2 of 4 is 4, 8 of 16
			}
			return 3*int(near[x]) + int(far[x])
		}
		round := [2]int{8, 7}
		if sy == 1 {
			round = [2]int{4, 8}
		}
		for i, v := range got {
			x := i / 2
			want := (3*sum(x) + sum(x-1+i%2*2) + round[i%2]) >> 4
			if int(v) != want {
				t.Fatalf("sample %d of %d is %d, want %d", i, len(got), v, want)
			}
		}
	})
}

// TestResizePairs holds rows resized by two to rows resized alone.
func TestResizePairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range []Filter{Bilinear, Bicubic} {
		for _, size := range [][3]int{{1, 9, 4}, {2, 9, 4}, {5, 40, 13}, {6, 13, 40}, {3, 3, 300}, {4, 300, 7}} {
			h, in, out := size[0], size[1], size[2]
			t.Run(fmt.Sprint(f, h, in, out), func(t *testing.T) {
				im := Image{Pix: make([]byte, 3*h*in), H: h, W: in, C: 3}
				for i := range im.Pix {
					im.Pix[i] = byte(r.IntN(2) * 255) // overshoots
				}
				got := make([]byte, 3*h*out)
				a := axisOf(in, out, f)
				resizeRows(got, im, out, a)
				want := make([]byte, 3*out)
				for y := range h {
					a.row3(want, im.Pix[3*in*y:3*in*(y+1)])
					if !slices.Equal(got[3*out*y:3*out*(y+1)], want) {
						t.Fatalf("row %d: %v, want %v", y, got[3*out*y:3*out*(y+1)], want)
					}
				}
			})
		}
	}
}
