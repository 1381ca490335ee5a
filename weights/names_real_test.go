package weights_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"effnet/arch"
	"effnet/imageprep"
	"effnet/infer"
	"effnet/internal/npy"
	"effnet/weights"
)

// photos are the rows of the goldens behind the synthetic image.
var photos = []string{
	"astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "motorcycle_left.png",
	"china.jpg", "flower.jpg", "hubble_deep_field.jpg", "rocket.jpg",
}

// TestRealWeights runs the real EfficientNet-Lite weights on photographs and
// compares the logits with timm's; see scripts/golden/weights_real.py.
func TestRealWeights(t *testing.T) {
	for _, name := range []string{"lite0", "lite1", "lite2"} {
		t.Run(name, func(t *testing.T) {
			paths, err := filepath.Glob("../.cache/weights/efficientnet-" + name + "-*.pth")
			if err != nil {
				t.Fatal(err)
			}
			if len(paths) == 0 {
				t.Skip("no real weights; scripts/fetch-weights.sh fetches them")
			}
			m, err := weights.OpenModel(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			if want := "tf_efficientnet_" + name; m.Spec.Name != want {
				t.Fatalf("the file is for %s, want %s", m.Spec.Name, want)
			}
			want := readNPY(t, filepath.Join("testdata", "real", name+".npy"))
			g, err := m.Spec.Graph()
			if err != nil {
				t.Fatal(err)
			}
			plan, err := infer.Compile(g, m.Set, infer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer plan.Close()
			const classes = 1000
			check := func(image string, x []float32, want []float32, tol float64) {
				got, err := plan.Run(context.Background(), x, 1)
				if err != nil {
					t.Fatal(err)
				}
				worst, largest := 0.0, 0.0
				for i, v := range want {
					worst = max(worst, math.Abs(float64(got[i])-float64(v)))
					largest = max(largest, math.Abs(float64(v)))
				}
				t.Logf("%s: %.1e", image, worst/largest)
				if !(worst <= tol*largest) {
					t.Errorf("%s: logits differ by %.1e of the largest, want %.0e", image, worst/largest, tol)
				}
				if a, b := argmax(got), argmax(want); a != b {
					t.Errorf("%s: class %d, want %d", image, a, b)
				}
			}
			check("synthetic", synthetic(m.Spec.Resolution), want[:classes], 1e-5)
			for i, photo := range photos {
				x, err := prepare(filepath.Join("../.cache/photos", photo), &m.Spec)
				if errors.Is(err, fs.ErrNotExist) {
					t.Skip("no photographs; scripts/fetch-weights.sh fetches them")
				}
				if err != nil {
					t.Fatal(err)
				}
				check(photo, x, want[(i+1)*classes:][:classes], 1e-5)
			}
		})
	}
}

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// synthetic is the image of the same name in the script.
func synthetic(size int) []float32 {
	x := make([]float32, size*size*3)
	for i := range x {
		x[i] = float32(i*7919%4093)/2048 - 1
	}
	return x
}

// prepare reads an image as the network expects it.
func prepare(path string, s *arch.Spec) ([]float32, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	im, err := imageprep.ReadFile(path, imageprep.Limits{})
	if err != nil {
		return nil, err
	}
	im = imageprep.Convert(nil, im, 3)
	n := s.Resolution
	h, w := imageprep.ShortSide(im.H, im.W, int(float64(n)/s.Prep.Crop))
	im = imageprep.Resize(nil, im, h, w, imageprep.Bicubic)
	y, x := imageprep.CenterBox(im.H, im.W, n, n)
	im = imageprep.Crop(nil, im, y, x, n, n)
	mean, std := make([]float32, 3), make([]float32, 3)
	for i := range mean {
		mean[i], std[i] = float32(s.Prep.Mean[i]), float32(s.Prep.Std[i])
	}
	out := make([]float32, n*n*3)
	imageprep.NewNormalizer(mean, std).Apply(out, im)
	return out, nil
}

func readNPY(t *testing.T, path string) []float32 {
	t.Helper()
	r, err := npy.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := make([]float32, r.Len())
	if err := r.Read(x, 0); err != nil {
		t.Fatal(err)
	}
	return x
}
