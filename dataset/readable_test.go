package dataset

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// damaged is pets of which the files that bad names are cut short.
func damaged(t *testing.T, n int, bad ...string) string {
	t.Helper()
	files := pets("", n)
	for _, name := range bad {
		if files[name] == nil {
			t.Fatalf("no file %s", name)
		}
		files[name] = files[name][:40]
	}
	return writeFiles(t, files)
}

func TestReadable(t *testing.T) {
	dir := damaged(t, 20, "cat/3.png", "dog/17.PNG")
	d := openTest(t, dir)
	told := 0
	r, bad, err := d.Readable(context.Background(), func(done int) { told = done })
	if err != nil {
		t.Fatal(err)
	}
	if len(bad) != 2 || r.LeftOut != 2 || !r.SkipBad || d.SkipBad || r.Train.Len()+r.Test.Len() != 38 || d.Train.Len()+d.Test.Len() != 40 || told != 40 || r.Checksum != d.Checksum {
		t.Errorf("bad %v, %d left out, %d + %d images, told of %d", bad, r.LeftOut, r.Train.Len(), r.Test.Len(), told)
	}
	both := fmt.Sprint(bad)
	for _, name := range []string{"3.png", "17.PNG"} {
		if !strings.Contains(both, name+": imageprep: PNG: the file ends early") {
			t.Errorf("%s is not named in %s", name, both)
		}
	}
	for _, s := range []Set{r.Train, r.Test} {
		for i := range s.Len() {
			if _, err := s.Image(i); err != nil {
				t.Error(err)
			}
		}
	}
	// Good images stay the same, and so does what follows.
	again, _, err := r.Readable(context.Background(), nil)
	if err != nil || again.Train.Len() != r.Train.Len() || again.LeftOut != 0 {
		t.Errorf("a second time: %d images, %v", again.Train.Len(), err)
	}
	m := openTest(t, "synthetic:train=20,test=5")
	if r, bad, err := m.Readable(context.Background(), nil); err != nil || bad != nil || r.Train != m.Train {
		t.Errorf("in memory: %v, %v", bad, err)
	}
}

func TestReadableRefuses(t *testing.T) {
	ctx := context.Background()
	var many []string
	for i := range 6 {
		many = append(many, fmt.Sprintf("cat/%d.png", i))
	}
	if _, _, err := openTest(t, damaged(t, 20, many...)).Readable(ctx, nil); err == nil || !strings.Contains(err.Error(), "images cannot be read, want at most 10 %; one is dataset: ") {
		t.Errorf("too many: %v", err)
	}
	files := pets("train/", 20)
	files["train/eel/1.png"] = pngImage(3, 3, color.White)[:30]
	for name, data := range pets("test/", 2) {
		files[name] = data
	}
	if _, _, err := openTest(t, writeFiles(t, files)).Readable(ctx, nil); err == nil || !strings.Contains(err.Error(), `no training image of class "eel" can be read`) {
		t.Errorf("a class gone: %v", err)
	}
	// A file that is gone is no bad image.
	dir := damaged(t, 20)
	d := openTest(t, dir)
	if err := os.Remove(filepath.Join(dir, "cat", "7.png")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Readable(ctx, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file gone: %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := openTest(t, damaged(t, 5)).Readable(stopped, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
