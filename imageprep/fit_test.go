package imageprep

import (
	"encoding/json"
	"os"
	"testing"
)

// testdata/timm.json is written by scripts/golden/timm_prep.py.
func TestFitEqualsTimm(t *testing.T) {
	data, err := os.ReadFile("testdata/timm.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Seed                 uint32
			H, W, Size           int
			Crop                 float64
			Mode, Filter, SHA256 string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 100 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	var b FitBuffers
	for _, g := range golden.Cases {
		src := noise(g.Seed, g.H, g.W, 3)
		before := digest(src)
		f := Fit{Size: g.Size, Crop: g.Crop, Squash: g.Mode == "squash", Filter: filters[g.Filter]}
		if got := f.Apply(&b, src); digest(got) != g.SHA256 || got.H != g.Size || got.W != g.Size {
			t.Errorf("%dx%d to %d, crop %g %s %s: pixels differ from timm's", g.H, g.W, g.Size, g.Crop, g.Mode, g.Filter)
		}
		if digest(src) != before {
			t.Fatal("the source was changed")
		}
	}
}
