package imageprep

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTFBicubic holds TensorFlow's evaluation against testdata/tf_bicubic.json,
// written by scripts/golden/tf_bicubic.py.
func TestTFBicubic(t *testing.T) {
	data, err := os.ReadFile("testdata/tf_bicubic.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Evaluate []struct {
			Seed          uint32
			H, W, C, Size int
			Crop          float64
			SHA256        string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil || len(golden.Evaluate) < 10 {
		t.Fatalf("%d cases, %v", len(golden.Evaluate), err)
	}
	var b FitBuffers
	for _, g := range golden.Evaluate {
		f := Fit{Size: g.Size, Crop: g.Crop, Filter: TFBicubic}
		if got := digest(f.Apply(&b, noise(g.Seed, g.H, g.W, g.C))); got != g.SHA256 {
			t.Errorf("%dx%dx%d to %d pixels, crop %g: SHA-256 is %s, want %s", g.H, g.W, g.C, g.Size, g.Crop, got, g.SHA256)
		}
	}
}

// TestTFBicubicImpulse enlarges and shrinks one bright pixel: the kernel's values
// at half steps, and nothing blurred.
func TestTFBicubicImpulse(t *testing.T) {
	src := Image{Pix: make([]byte, 9), H: 1, W: 9, C: 1}
	for i := range src.Pix {
		src.Pix[i] = 100
	}
	src.Pix[4] = 164
	got := Resize(nil, src, 1, 18, TFBicubic).Pix
	want := []byte{100, 100, 100, 100, 100, 94, 100, 138, 164, 138, 100, 94, 100, 100, 100, 100, 100, 100}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := Resize(nil, Image{Pix: src.Pix[:8], H: 1, W: 8, C: 1}, 1, 4, TFBicubic).Pix; got[2] != 164 || got[1] != 100 {
		t.Errorf("half the size is %v, want the pixel as it is", got)
	}
}
