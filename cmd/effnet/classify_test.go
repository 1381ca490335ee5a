package main

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	lib "effnet"
	"effnet/arch"
	"effnet/internal/imagenet"
)

// writePNG writes a picture of its own for every seed.
func writePNG(t testing.TB, path string, w, h int, seed uint32) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			seed = seed*1664525 + 1013904223
			m.SetNRGBA(x, y, color.NRGBA{byte(4*x + int(seed>>27)), byte(5 * y), byte(seed >> 24), 255})
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func classifyJSON(t testing.TB, args ...string) []classified {
	t.Helper()
	var list []classified
	if err := json.Unmarshal([]byte(mustEffnet(t, append([]string{"classify", "--json"}, args...)...)), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func imageNames(list []classified) []string {
	var names []string
	for _, c := range list {
		names = append(names, filepath.ToSlash(c.Image))
	}
	return names
}

func TestClassify(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	files := []string{"pics/a.png", "pics/b.PNG", "pics/sub/c.png", "d.png"}
	for i, path := range files {
		writePNG(t, path, 40+7*i, 30+11*i, uint32(i))
	}
	writePNG(t, "pics/.hidden/e.png", 9, 9, 9)
	writePNG(t, "pics/.f.png", 9, 9, 9)
	if err := os.WriteFile("pics/notes.txt", []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	list := classifyJSON(t, "m.safetensors", "pics", "d.png", "--top", "9")
	if got := imageNames(list); !slices.Equal(got, files) {
		t.Errorf("images are %q, want %q", got, files)
	}
	for _, c := range list {
		sum := 0.0
		seen := map[int]bool{}
		for i, p := range c.Predictions {
			sum += p.Probability
			seen[p.Class] = true
			if p.Label != m.Labels[p.Class] {
				t.Errorf("%s: class %d is called %q", c.Image, p.Class, p.Label)
			}
			if i > 0 && p.Logit > c.Predictions[i-1].Logit {
				t.Errorf("%s: predictions are not sorted", c.Image)
			}
			ratio := math.Exp(float64(p.Logit - c.Predictions[0].Logit))
			if math.Abs(p.Probability-ratio*c.Predictions[0].Probability) > 1e-6 {
				t.Errorf("%s: probabilities are no softmax", c.Image)
			}
		}
		if len(seen) != 6 || math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: %d classes of %v in all", c.Image, len(seen), sum)
		}
	}
	// The same through the engine alone, on what the preprocessing makes.
	p, err := lib.NewPreparer(&m.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range files {
		im, err := photo{name: path}.read(nil)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, p.Elems())
		p.Apply(x, im)
		logits, _ := direct(t, m, x, 1, 24, 24)
		for _, q := range list[i].Predictions {
			if logits[q.Class] != q.Logit {
				t.Errorf("%s: logit %d is %v, want %v", path, q.Class, q.Logit, logits[q.Class])
			}
		}
	}
	// Other ways to name them, in another number at a time.
	for _, args := range [][]string{
		{"pics/*.png", "pics/*.PNG", "pics/sub", "d.png"},
		{"pics/[ab].*", "pics/s*", "d.png"},
	} {
		again := classifyJSON(t, append([]string{"m.safetensors", "--top", "9", "--threads", "1"}, args...)...)
		if a, _ := json.Marshal(again); string(a) != string(mustJSON(t, list)) {
			t.Errorf("%q: %q", args, imageNames(again))
		}
	}
	if got := classifyJSON(t, "m.safetensors", "d.png", "--top", "2"); len(got[0].Predictions) != 2 {
		t.Errorf("--top 2 gives %d predictions", len(got[0].Predictions))
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestClassifyStandardInput(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	writePNG(t, "a.png", 50, 40, 1)
	f, err := os.Open("a.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old := os.Stdin
	os.Stdin = f
	defer func() { os.Stdin = old }()
	list := classifyJSON(t, "m.safetensors", "a.png", "-")
	if len(list) != 2 || list[1].Image != "-" || string(mustJSON(t, list[0].Predictions)) != string(mustJSON(t, list[1].Predictions)) {
		t.Errorf("%+v", list)
	}
	if status, _, stderr := effnet("classify", "m.safetensors", "-"); status != 1 || !strings.Contains(stderr, "standard input: imageprep: empty file\n") {
		t.Errorf("empty standard input: status %d, %q", status, stderr)
	}
	if status, _, stderr := effnet("classify", "m.safetensors", "-", "-"); status != 2 || !strings.Contains(stderr, "holds one image") {
		t.Errorf("standard input twice: status %d, %q", status, stderr)
	}
}

// What cannot be read is named, and all else done.
func TestClassifyBadImages(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	writePNG(t, "a.png", 50, 40, 1)
	writePNG(t, "b.png", 50, 40, 2)
	data, err := os.ReadFile("a.png")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"cut.png": data[:len(data)/2], "text.jpg": []byte("hello")} {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := effnet("classify", "m.safetensors", "--json", "a.png", "cut.png", "none.png", "text.jpg", "*.gif", "empty", "b.png")
	var list []classified
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	if status != 1 || !slices.Equal(imageNames(list), []string{"a.png", "b.png"}) {
		t.Errorf("status %d, images %q", status, imageNames(list))
	}
	want := []string{
		"effnet: cut.png: imageprep: PNG: png: invalid format: not enough pixel data",
		"effnet: none.png: no such file or directory",
		"effnet: text.jpg: imageprep: not a JPEG, PNG, GIF, WebP or BMP image",
		"effnet: *.gif: no file matches",
		"effnet: empty: no images in this folder",
		"effnet: classify: 5 of 7 images could not be read",
		"",
	}
	if got := strings.Split(stderr, "\n"); !slices.Equal(got, want) {
		t.Errorf("standard error is %q, want %q", got, want)
	}
	if status, stdout, _ := effnet("classify", "m.safetensors", "--json", "none.png"); status != 1 || stdout != "[]\n" {
		t.Errorf("nothing to read: status %d, %q", status, stdout)
	}
}

func TestClassifyPrint(t *testing.T) {
	var b strings.Builder
	l := newPhotoList(&b, false)
	for _, r := range []classified{
		{"photos/cat.jpg", []lib.Prediction{{Class: 285, Label: "Egyptian cat", Probability: 0.8315, Logit: 9}, {Class: 281, Label: "tabby", Probability: 0.123, Logit: 7}, {Class: 3, Label: "\x1b[31mred", Probability: 0.0004, Logit: 1}}},
		{"a\nb.png", []lib.Prediction{{Class: 7, Label: "", Probability: 1, Logit: 3}, {Class: 11, Label: "", Probability: 0, Logit: -90}}},
	} {
		if err := l.add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	const want = `photos/cat.jpg
  83.2 %  Egyptian cat  ████████████████████
  12.3 %  tabby         ███
   0.0 %  �[31mred

a�b.png
  100.0 %  class 7   ████████████████████████
    0.0 %  class 11
`
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
}

func TestLabels(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	writePNG(t, "a.png", 50, 40, 1)
	for name, text := range map[string]string{
		"lines.txt":  "one\r\ntwo words\nthree\nfour\nfive\nsix\n\n",
		"list.json":  "\ufeff [\"one\", \"two words\", \"three\", \"four\", \"five\", \"six\"]\n",
		"short.txt":  "one\ntwo\n",
		"broken.txt": "[\"one\", 2]",
		"latin1.txt": "\xe9\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"one", "two words", "three", "four", "five", "six"}
	for _, file := range []string{"lines.txt", "list.json"} {
		for _, p := range classifyJSON(t, "m.safetensors", "a.png", "--labels", file)[0].Predictions {
			if p.Label != names[p.Class] {
				t.Errorf("%s: class %d is called %q", file, p.Class, p.Label)
			}
		}
	}
	for file, want := range map[string]string{
		"short.txt":  "short.txt has 2 labels, the network 6 classes",
		"broken.txt": "broken.txt: want a JSON list of strings",
		"latin1.txt": "latin1.txt: the file is not UTF-8 text",
		"none.txt":   "none.txt: no such file",
	} {
		if status, _, stderr := effnet("classify", "m.safetensors", "a.png", "--labels", file); status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %q, want %q", file, status, stderr, want)
		}
	}
	// 1000 classes without names are ImageNet's.
	mustEffnet(t, "export", "tinynet_e", "-o", "tiny.safetensors")
	for _, p := range classifyJSON(t, "tiny.safetensors", "a.png")[0].Predictions {
		if p.Label != imagenet.Names()[p.Class] {
			t.Errorf("class %d is called %q", p.Class, p.Label)
		}
	}
}

// TestClassifyPrep holds --resolution, --crop and --filter against a model that says the
// same itself.
func TestClassifyPrep(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	m.Spec.Resolution, m.Spec.Prep.Crop, m.Spec.Prep.Filter = 40, 0.6, arch.TFBicubic
	if err := m.Write("other.safetensors"); err != nil {
		t.Fatal(err)
	}
	writePNG(t, "a.png", 70, 50, 1)
	want := classifyJSON(t, "other.safetensors", "a.png")
	got := classifyJSON(t, "m.safetensors", "a.png", "--resolution", "40", "--crop", "0.6", "--filter", "tf_bicubic")
	if string(mustJSON(t, got)) != string(mustJSON(t, want)) {
		t.Errorf("got %s, want %s", mustJSON(t, got), mustJSON(t, want))
	}
	plain := classifyJSON(t, "m.safetensors", "a.png")
	if string(mustJSON(t, got)) == string(mustJSON(t, plain)) {
		t.Error("the flags change nothing")
	}
	mustEffnet(t, "features", "m.safetensors", "a.png", "--resolution", "40", "-o", "maps")
	if shape, _ := readArray(t, "maps/reduction_1.npy"); shape[2] != 20 {
		t.Errorf("reduction_1 of 40 pixels is %v", shape)
	}
}

func TestClassifyErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"classify", 2, "classify wants MODEL and at least one IMAGE, got 0"},
		{"classify m.safetensors", 2, "got 1 argument(s)"},
		{"classify m.safetensors x.png --top 0", 2, "--top is 0, want at least 1"},
		{"classify m.safetensors x.png --threads -1", 2, "--threads cannot be negative"},
		{"classify m.safetensors x.png --crop 1.5", 2, "--crop is 1.5, want above 0, at most 1"},
		{"classify m.safetensors x.png --filter cubic", 2, "want bilinear, bicubic or tf_bicubic"},
		{"classify m.safetensors x.png --resolution 1", 2, "--resolution 1: arch: "},
		{"classify none.safetensors x.png", 1, "none.safetensors: no such file"},
		{"classify b0 x.png", 1, "b0 is a network without weights"},
		{"classify . x.png", 1, "no model.safetensors in this folder"},
	} {
		status, stdout, stderr := effnet(strings.Fields(c.args)...)
		if status != c.status || !strings.HasPrefix(stderr, "effnet: ") || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("effnet %s: status %d and %q, want %d and one line with %q", c.args, status, stderr, c.status, c.want)
		}
	}
}

// TestClassifyPhotos holds the command against timm's logits of real weights;
// see scripts/golden/weights_real.py.
func TestClassifyPhotos(t *testing.T) {
	photos := []string{
		"astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "motorcycle_left.png",
		"china.jpg", "flower.jpg", "hubble_deep_field.jpg", "rocket.jpg",
	}
	cache := filepath.Join("..", "..", ".cache")
	paths, err := filepath.Glob(filepath.Join(cache, "weights", "efficientnet-lite0-*.pth"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != 1 {
		t.Skip("no real weights; scripts/fetch-weights.sh fetches them")
	}
	args := []string{paths[0]}
	for _, p := range photos {
		args = append(args, filepath.Join(cache, "photos", p))
		if _, err := os.Stat(args[len(args)-1]); err != nil {
			t.Skip("no photographs; scripts/fetch-weights.sh fetches them")
		}
	}
	shape, want := readArray(t, "../../weights/testdata/real/lite0.npy")
	if shape[0] != len(photos)+1 { // the first is a synthetic image
		t.Fatalf("goldens are %v", shape)
	}
	for i, c := range classifyJSON(t, args...) {
		row := want[(i+1)*1000:][:1000]
		largest, best := 0.0, 0
		for k, v := range row {
			largest = max(largest, math.Abs(float64(v)))
			if v > row[best] {
				best = k
			}
		}
		if c.Predictions[0].Class != best {
			t.Errorf("%s is %q, want %q", photos[i], c.Predictions[0].Label, imagenet.Names()[best])
		}
		for _, p := range c.Predictions {
			if d := math.Abs(float64(p.Logit) - float64(row[p.Class])); d > 1e-5*largest {
				t.Errorf("%s: logit %d is %v, timm has %v", photos[i], p.Class, p.Logit, row[p.Class])
			}
		}
	}
}
