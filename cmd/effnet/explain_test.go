package main

import (
	"encoding/json"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pngSize is the width and height of a file.
func pngSize(t *testing.T, path string) (w, h int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m.Bounds().Dx(), m.Bounds().Dy()
}

func TestExplain(t *testing.T) {
	t.Chdir(t.TempDir())
	m := colourModel(t)
	if err := os.Mkdir("wide", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Write("wide/model.safetensors"); err != nil {
		t.Fatal(err)
	}
	writePNG(t, "a.png", 60, 40, 1)
	writePNG(t, "b.png", 30, 50, 2)

	var one []explained
	if err := json.Unmarshal([]byte(mustEffnet(t, "explain", "m.safetensors", "a.png", "-o", "cam.png", "--json")), &one); err != nil {
		t.Fatal(err)
	}
	if w, h := pngSize(t, "cam.png"); w != 60 || h != 40 {
		t.Errorf("the map over an image of 60x40 is %dx%d", w, h)
	}
	best := classifyJSON(t, "m.safetensors", "a.png")[0].Predictions[0]
	if e := one[0]; len(one) != 1 || e.Best != e.Prediction || e.Best.Class != best.Class || math.Abs(e.Best.Probability-best.Probability) > 1e-6 ||
		len(e.Map) != e.Height*e.Width || e.Model != "m" || e.Image != "a.png" {
		t.Errorf("%+v, classify says %+v", e, best)
	}
	// A class by its name and by its number; models and images side by side.
	args := []string{"explain", "x=m.safetensors", "a.png", "b.png", "--compare", "wide,m.safetensors", "-o", "rows.png"}
	byName := mustEffnet(t, append(args, "--class", "eel")...)
	if byName != mustEffnet(t, append(args, "--class", "4")...) {
		t.Error("eel is not class 4")
	}
	lines := strings.Split(strings.TrimSpace(byName), "\n")
	for i, want := range []string{"", "a.png x", "a.png wide", "a.png m", "b.png x", "b.png wide", "b.png m"} {
		if len(lines) != 7 || !strings.HasPrefix(strings.Join(strings.Fields(lines[i]), " "), want) || i > 0 && !strings.Contains(lines[i], " eel ") {
			t.Errorf("line %d of\n%s\nwant %s and eel", i, byName, want)
		}
	}
	if w, h := pngSize(t, "rows.png"); w < 4*200 || h < 2*150 {
		t.Errorf("two images and three models are %dx%d", w, h)
	}
}

func TestExplainErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	writePNG(t, "a.png", 60, 40, 1)
	if err := os.WriteFile("notes.txt", []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status int
		want   string
		args   string
	}{
		{2, "wants MODEL and at least one IMAGE", "m.safetensors"},
		{2, "say where to draw with -o FILE.png", "m.safetensors a.png"},
		{2, "want a name that ends in .png", "m.safetensors a.png -o none.jpg"},
		{2, "--opacity is 2, want 0 to 1", "m.safetensors a.png -o none.png --opacity 2"},
		{2, "--threads cannot be negative", "m.safetensors a.png -o none.png --threads -1"},
		{2, "--class 6: m has classes 0 to 5", "m.safetensors a.png -o none.png --class 6"},
		{2, `--class "cow": m has no class of that name, only ant, bee`, "m.safetensors a.png -o none.png --class cow"},
		{1, "notes.txt: imageprep: not a JPEG", "m.safetensors a.png notes.txt -o none.png"},
		{1, "wide: no such file", "m.safetensors a.png -o none.png --compare wide"},
		{1, "open none/", "m.safetensors a.png -o none/none.png"},
	} {
		status, stdout, stderr := effnet(append([]string{"explain"}, strings.Fields(c.args)...)...)
		if status != c.status || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("explain %s: status %d, %q, %q; want %d, %q", c.args, status, stdout, stderr, c.status, c.want)
		}
	}
	if files, _ := filepath.Glob("none*"); files != nil {
		t.Errorf("failed commands left %q", files)
	}
}

func TestSplitName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a=b.pth", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string][2]string{
		"base=runs/b0":               {"base", "runs/b0"},
		"runs/b0":                    {"b0", "runs/b0"},
		"runs/b0/":                   {"b0", "runs/b0/"},
		"runs/b0/model.safetensors":  {"b0", "runs/b0/model.safetensors"},
		"runs/b0/best.safetensors":   {"best", "runs/b0/best.safetensors"},
		"a=b.pth":                    {"a=b", "a=b.pth"},
		"runs/a=b/model.safetensors": {"a=b", "runs/a=b/model.safetensors"},
		"=x":                         {"=x", "=x"},
		"deep=":                      {"deep=", "deep="},
	} {
		if name, path := splitName(arg); [2]string{name, path} != want {
			t.Errorf("splitName(%q) = %q, %q, want %q", arg, name, path, want)
		}
	}
}
