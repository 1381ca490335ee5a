package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataFolder describes a folder of which one picture is broken.
func TestDataFolder(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		for k, class := range []string{"cat", "dog"} {
			m := image.NewGray(image.Rect(0, 0, 20+i, 30))
			for p := range m.Pix {
				m.Pix[p] = byte(100 * k)
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			if class == "dog" && i == 7 {
				b.Truncate(40)
			}
			path := filepath.Join(dir, class, string(rune('a'+i))+".png")
			os.MkdirAll(filepath.Dir(path), 0o755)
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	bad := filepath.Join(dir, "dog", "h.png")
	var stdout, stderr bytes.Buffer
	if code := run([]string{"data", dir, "--check"}, &stdout, &stderr); code != exitFailure {
		t.Errorf("exit status %d, want %d", code, exitFailure)
	}
	for _, want := range []string{
		"2 classes of grey images\n",
		"sizes     20 to 29 wide, 30 to 30 high, most often ",
		"note      no test part: 0.2 of every class held out by seed 0\n",
		"bad       dataset: " + bad + ": imageprep: PNG: the file ends early\n",
		"all       16     4\n",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, stdout.String())
		}
	}
	if want := "effnet: data: 1 of 20 images looked at cannot be read\n"; stderr.String() != want {
		t.Errorf("stderr is %q, want %q", stderr.String(), want)
	}

	os.Remove(bad)
	stdout.Reset()
	sheet := filepath.Join(dir, "..", filepath.Base(dir)+".png")
	if code := run([]string{"data", dir, "--json", "-o", sheet, "--flip"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d: %s", code, stderr.String())
	}
	defer os.Remove(sheet)
	var r dataReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Train != 15 || r.Test != 4 || r.Channels != 1 || len(r.Sizes) != 10 || r.Mean[0] > 0.2 || r.Mean[0] < 0.17 {
		t.Errorf("report is %+v", r)
	}
	f, err := os.Open(sheet)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	// The middle of the first dog.
	y := m.Bounds().Dy() * 3 / 4
	if r, g, b, _ := m.At(60, y).RGBA(); (color.RGBA{byte(r >> 8), byte(g >> 8), byte(b >> 8), 255}) != (color.RGBA{100, 100, 100, 255}) {
		t.Errorf("sheet at (60,%d) is %d %d %d, want 100 100 100", y, r>>8, g>>8, b>>8)
	}
}
