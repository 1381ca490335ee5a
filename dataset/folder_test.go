package dataset

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pngImage is a w x h PNG of one colour.
func pngImage(w, h int, c color.Color) []byte {
	var m image.Image
	if g, ok := c.(color.Gray); ok {
		im := image.NewGray(image.Rect(0, 0, w, h))
		for i := range im.Pix {
			im.Pix[i] = g.Y
		}
		m = im
	} else {
		im := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			im.Set(i%w, i/w, c)
		}
		m = im
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// pets is n images of each of two classes.
func pets(prefix string, n int) map[string][]byte {
	files := make(map[string][]byte)
	for i := range n {
		files[fmt.Sprintf("%scat/%d.png", prefix, i)] = pngImage(8+i, 6, color.RGBA{byte(i), 0, 0, 255})
		files[fmt.Sprintf("%sdog/%d.PNG", prefix, i)] = pngImage(6, 8+i, color.RGBA{0, byte(i), 0, 255})
	}
	return files
}

func merge(maps ...map[string][]byte) map[string][]byte {
	out := make(map[string][]byte)
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func TestFolder(t *testing.T) {
	extra := map[string][]byte{".hidden/x.png": nil, "cat/.DS_Store": nil, "cat/notes.txt": nil, "README": nil}
	grey := map[string][]byte{"a/1.png": pngImage(4, 4, color.Gray{9}), "b/1.png": pngImage(4, 4, color.Gray{9}), "b/2.png": pngImage(4, 4, color.Gray{8})}
	for _, c := range []struct {
		name                       string
		files                      map[string][]byte
		train, val, test, channels int
		classes                    []string
		notes                      int
	}{
		{"classes", merge(pets("", 10), extra), 16, 0, 4, 3, []string{"cat", "dog"}, 2},
		{"train and test", merge(pets("train/", 5), pets("test/", 2)), 10, 0, 4, 3, []string{"cat", "dog"}, 0},
		{"train and val", merge(pets("train/", 5), pets("val/", 2)), 10, 0, 4, 3, []string{"cat", "dog"}, 1},
		{"all three", merge(pets("train/", 5), pets("validation/", 1), pets("test/", 2)), 10, 2, 4, 3, []string{"cat", "dog"}, 0},
		{"train alone", pets("train/", 10), 16, 0, 4, 3, []string{"cat", "dog"}, 1},
		{"class called train", merge(pets("", 5), map[string][]byte{"train/1.png": pngImage(3, 3, color.White), "train/2.png": pngImage(3, 3, color.White), "train/3.png": pngImage(3, 3, color.White)}), 10, 0, 3, 3, []string{"cat", "dog", "train"}, 1},
		{"grey", merge(grey, map[string][]byte{"a/2.png": pngImage(4, 4, color.Gray{3}), "a/3.png": pngImage(4, 4, color.Gray{3}), "b/3.png": pngImage(4, 4, color.Gray{3})}), 4, 0, 2, 1, []string{"a", "b"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(context.Background(), writeFiles(t, c.files), Options{})
			if err != nil {
				t.Fatal(err)
			}
			val := 0
			if d.Val != nil {
				val = d.Val.Len()
			}
			if d.Train.Len() != c.train || val != c.val || d.Test.Len() != c.test || d.Channels != c.channels || len(d.Notes) != c.notes {
				t.Errorf("%d train, %d val, %d test, %d channels, notes %q", d.Train.Len(), val, d.Test.Len(), d.Channels, d.Notes)
			}
			if d := cmp.Diff(c.classes, d.Classes); d != "" {
				t.Error(d)
			}
			for i := range d.Test.Len() {
				if _, err := d.Test.Image(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestFolderErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"empty", nil, "is empty; want one folder of images a class"},
		{"loose", map[string][]byte{"1.png": nil}, "holds files but no folders"},
		{"one class", map[string][]byte{"cat/1.png": pngImage(3, 3, color.White)}, "has one class, cat"},
		{"empty class", merge(pets("", 2), map[string][]byte{"eel/.keep": nil}), "eel has no JPEG, PNG, GIF, WebP or BMP images"},
		{"no images", merge(pets("", 2), map[string][]byte{"eel/1.tiff": nil}), "eel has no JPEG, PNG, GIF, WebP or BMP images"},
		{"nested", merge(pets("", 2), map[string][]byte{"cat/more/1.png": nil}), filepath.Join("cat", "more") + " is a folder inside a class"},
		{"beside", merge(pets("train/", 2), pets("test/", 1), map[string][]byte{"extra/1.png": nil}), "unexpected folder extra beside train"},
		{"unknown class", merge(pets("train/", 2), pets("test/", 1), map[string][]byte{"test/eel/1.png": nil}), filepath.Join("test", "eel") + " is not a class of the training part"},
		{"empty test", merge(pets("train/", 2), map[string][]byte{"test/.keep": nil}), "test has no class folders"},
		{"too few", pets("", 2), "too few images (4)"},
		{"all corrupt", map[string][]byte{"a/1.png": nil, "b/1.jpg": nil, "a/2.png": nil, "a/3.png": nil}, "can be read"},
	} {
		_, err := Open(context.Background(), writeFiles(t, c.files), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q in it", c.name, err, c.want)
		}
	}
	for spec, want := range map[string]string{
		"no-such-set":                      `"no-such-set": neither a folder nor one of fashion-mnist, cifar10`,
		"folder_test.go":                   "is a file; want a folder",
		"synthetic:classes=1":              `classes is "1", want a number from 2 to 100`,
		"synthetic:colour=1":               `unknown setting "colour"`,
		"synthetic:size=":                  `size is "", want a number`,
		"synthetic:channels=2":             "2 channels",
		"synthetic:seed=1,,":               `unknown setting ""`,
		"synthetic:seed=1,seed=2":          "seed is given twice",
		"synthetic:train=9999999,size=999": "bytes of pixels",
	} {
		if _, err := Open(context.Background(), spec, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q in it", spec, err, want)
		}
	}
}

func TestFolderCorruptFile(t *testing.T) {
	files := pets("", 10)
	files["cat/3.png"] = files["cat/3.png"][:50]
	dir := writeFiles(t, files)
	d, err := Open(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Pipeline{Set: d.Train, Resolution: 8, Channels: 3}
	q := &Pipeline{Set: d.Test, Resolution: 8, Channels: 3}
	failed := 0
	for _, p := range []*Pipeline{p, q} {
		for i := range p.Set.Len() {
			if err := p.Fill(make([]float32, 8*8*3), make([]int32, 1), []int{i}, 0); err != nil {
				failed++
				if !strings.Contains(err.Error(), filepath.Join(dir, "cat", "3.png")) {
					t.Errorf("error %q does not name the file", err)
				}
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d images failed, want 1", failed)
	}
}

func TestFolderLinks(t *testing.T) {
	dir := writeFiles(t, pets("", 10))
	if err := os.Symlink("1.png", filepath.Join(dir, "cat", "link.png")); err != nil {
		t.Skip(err)
	}
	d, err := Open(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := d.Train.Len() + d.Test.Len(); n != 21 {
		t.Errorf("%d images, want 21 with the link inside the folder", n)
	}
	outside := writeFiles(t, map[string][]byte{"x.png": pngImage(3, 3, color.White)})
	os.Symlink(filepath.Join(outside, "x.png"), filepath.Join(dir, "cat", "out.png"))
	if _, err := Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "cat/out.png") {
		t.Errorf("link out of the folder: error is %v", err)
	}
}

// TestFolderCache holds that the cache keeps to its bound and changes nothing.
func TestFolderCache(t *testing.T) {
	dir := writeFiles(t, pets("", 20))
	var pixels []string
	for _, bytes := range []int64{-1, 1000, 0} {
		d, err := Open(context.Background(), dir, Options{CacheBytes: bytes, ShortSide: 7, TestFraction: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for range 2 {
			for i := range d.Train.Len() {
				im, err := d.Train.Image(i)
				if err != nil {
					t.Fatal(err)
				}
				if min(im.H, im.W) > 7 {
					t.Fatalf("image is %dx%d, want a short side of 7 at most", im.H, im.W)
				}
				fmt.Fprintf(&all, "%d %x\n", im.H, im.Pix)
			}
		}
		pixels = append(pixels, all.String())
		used := int64(0)
		cached := d.Train.(*subset).of.(*encodedSet).cache
		for _, im := range cached {
			used += int64(len(im.Pix))
		}
		switch {
		case bytes < 0 && used > 0, bytes == 1000 && (used > 1000 || used < 500), bytes == 0 && len(cached) != d.Train.Len():
			t.Errorf("cache of %d bytes holds %d images, %d bytes", bytes, len(cached), used)
		}
	}
	if pixels[0] != pixels[1] || pixels[1] != pixels[2] {
		t.Error("the cache changes pixels")
	}
}

func TestFolderChecksum(t *testing.T) {
	files := pets("", 10)
	sum := func() string {
		d, err := Open(context.Background(), writeFiles(t, files), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Checksum
	}
	a := sum()
	if b := sum(); a != b {
		t.Errorf("the same files in another place: %s, then %s", a, b)
	}
	files["dog/3.PNG"] = pngImage(6, 11, color.RGBA{1, 2, 3, 255})
	if b := sum(); a == b {
		t.Error("another picture, the same checksum")
	}
}
