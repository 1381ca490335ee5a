package imageprep

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// golden is testdata/pillow.json, written by scripts/golden/pillow.py.
type golden struct {
	Resize []struct {
		Seed            uint32
		H, W, C, OH, OW int
		Filter, SHA256  string
	}
	Evaluate []struct {
		Seed              uint32
		H, W, Short, Crop int
		Filter, SHA256    string
	}
	Grey []struct {
		Seed   uint32
		H, W   int
		SHA256 string
	}
	Decode []struct {
		File   string
		H, W   int
		SHA256 string // of RGB pixels
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/pillow.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

var filters = map[string]Filter{"bilinear": Bilinear, "bicubic": Bicubic}

// noise is the script's test image.
func noise(seed uint32, h, w, c int) Image {
	im := Image{Pix: make([]byte, h*w*c), H: h, W: w, C: c}
	for i := range im.Pix {
		seed = seed*1664525 + 1013904223
		im.Pix[i] = byte(seed >> 24)
	}
	return im
}

func digest(im Image) string {
	sum := sha256.Sum256(im.Pix)
	return hex.EncodeToString(sum[:])
}

func TestResizeEqualsPillow(t *testing.T) {
	for _, g := range readGolden(t).Resize {
		got := Resize(nil, noise(g.Seed, g.H, g.W, g.C), g.OH, g.OW, filters[g.Filter])
		if digest(got) != g.SHA256 {
			t.Errorf("%dx%dx%d to %dx%d %s: pixels differ from Pillow's", g.H, g.W, g.C, g.OH, g.OW, g.Filter)
		}
	}
}

func TestResizeAndCropEqualTorchvision(t *testing.T) {
	for _, g := range readGolden(t).Evaluate {
		src := noise(g.Seed, g.H, g.W, 3)
		h, w := ShortSide(g.H, g.W, g.Short)
		im := Resize(nil, src, h, w, filters[g.Filter])
		y, x := CenterBox(h, w, g.Crop, g.Crop)
		if digest(Crop(nil, im, y, x, g.Crop, g.Crop)) != g.SHA256 {
			t.Errorf("%dx%d short side %d crop %d %s: pixels differ from torchvision's", g.H, g.W, g.Short, g.Crop, g.Filter)
		}
	}
}

func TestGreyEqualsPillow(t *testing.T) {
	for _, g := range readGolden(t).Grey {
		if digest(Convert(nil, noise(g.Seed, g.H, g.W, 3), 1)) != g.SHA256 {
			t.Errorf("seed %d: grey differs from Pillow's", g.Seed)
		}
	}
}

// corpus finds a test image of the Go tree or of golang.org/x/image.
func corpus(t *testing.T) func(name string) (path string, ok bool) {
	folders := []string{}
	for _, f := range []string{"image/testdata", "image/png/testdata", "image/png/testdata/pngsuite"} {
		folders = append(folders, filepath.Join(build.Default.GOROOT, "src", f))
	}
	if out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/image").Output(); err == nil {
		folders = append(folders, filepath.Join(strings.TrimSpace(string(out)), "testdata"))
	}
	return func(name string) (string, bool) {
		for _, f := range folders {
			if p := filepath.Join(f, name); exists(p) {
				return p, true
			}
		}
		return "", false
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestDecodeEqualsPillow(t *testing.T) {
	find := corpus(t)
	found := 0
	for _, g := range readGolden(t).Decode {
		path, ok := find(g.File)
		if !ok {
			continue
		}
		found++
		im, err := ReadFile(path, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		if im.H != g.H || im.W != g.W {
			t.Errorf("%s: size %dx%d, want %dx%d", g.File, im.H, im.W, g.H, g.W)
			continue
		}
		if g.File == "video-001.progressive.truncated.jpeg" {
			continue // scans are missing: libjpeg smooths over blocks
		}
		if digest(Convert(nil, im, 3)) != g.SHA256 {
			t.Errorf("%s: pixels differ from Pillow's", g.File)
		}
	}
	if found == 0 {
		t.Skip("no test images found")
	}
	t.Logf("%d images compared", found)
}
