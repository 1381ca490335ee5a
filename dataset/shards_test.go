package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shard is a tar file of n small pictures, of classes in turns.
func shard(t testing.TB, n int, classes ...string) []byte {
	t.Helper()
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("%04d.png", i), string(pngImage(4+i, 5, color.RGBA{byte(i), byte(n), 0, 255})),
			fmt.Sprintf("%04d.cls", i), classes[i%len(classes)])
	}
	return tarBytes(t, tar.FormatUSTAR, parts...)
}

func TestShards(t *testing.T) {
	numbers := shard(t, 10, "0", "1")
	names := []byte("ant\nbee\n")
	for _, c := range []struct {
		name, spec       string // spec within the folder
		files            map[string][]byte
		train, val, test int
		classes          []string
		notes            int
	}{
		{"one file", "a.tar", map[string][]byte{"a.tar": numbers}, 8, 0, 2, []string{"0", "1"}, 1},
		{"folder", ".", map[string][]byte{"a.tar": numbers, "b.tar": numbers, "README": nil}, 16, 0, 4, []string{"0", "1"}, 1},
		{"named classes", ".", map[string][]byte{"a.tar": numbers, classesFile: names}, 8, 0, 2, []string{"ant", "bee"}, 1},
		{"classes by name", ".", map[string][]byte{"a.tar": shard(t, 10, "eel", "bee")}, 8, 0, 2, []string{"bee", "eel"}, 1},
		{"classes by name and file", ".", map[string][]byte{"a.tar": shard(t, 10, "bee", "ant"), classesFile: []byte("ant\ncat\nbee\n")}, 8, 0, 2, []string{"ant", "cat", "bee"}, 2},
		{"parts by prefix", ".", map[string][]byte{"train-0.tar": numbers, "train-1.tar": numbers, "val-0.tar": shard(t, 2, "0", "1"), "test-0.tar": shard(t, 4, "0", "1")}, 20, 2, 4, []string{"0", "1"}, 0},
		{"parts by word", ".", map[string][]byte{"pets-train-0.tar": numbers, "pets-validation-0.tar": shard(t, 2, "0", "1")}, 10, 0, 2, []string{"0", "1"}, 1},
		{"parts by folder", ".", map[string][]byte{"train/0.tar": numbers, "testing/0.tar": numbers}, 10, 0, 10, []string{"0", "1"}, 0},
		{"others train", ".", map[string][]byte{"a.tar": numbers, "test.tar": numbers}, 10, 0, 10, []string{"0", "1"}, 0},
		{"one part alone", ".", map[string][]byte{"val-0.tar": numbers}, 8, 0, 2, []string{"0", "1"}, 1},
		{"pattern", "x-{00..01}.tar", map[string][]byte{"x-00.tar": numbers, "x-01.tar": numbers, "x-02.tar": numbers, classesFile: names}, 16, 0, 4, []string{"ant", "bee"}, 1},
		{"pattern of parts", "{train,test}-0.tar", map[string][]byte{"train-0.tar": numbers, "test-0.tar": numbers}, 10, 0, 10, []string{"0", "1"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(context.Background(), filepath.Join(writeFiles(t, c.files), c.spec), Options{})
			if err != nil {
				t.Fatal(err)
			}
			val := 0
			if d.Val != nil {
				val = d.Val.Len()
			}
			if d.Train.Len() != c.train || val != c.val || d.Test.Len() != c.test || d.Channels != 3 || len(d.Notes) != c.notes {
				t.Errorf("%d train, %d val, %d test, %d channels, notes %q", d.Train.Len(), val, d.Test.Len(), d.Channels, d.Notes)
			}
			if d := cmp.Diff(c.classes, d.Classes); d != "" {
				t.Error(d)
			}
			for i := range d.Test.Len() {
				if im, err := d.Test.Image(i); err != nil || im.H != 5 || int(im.Pix[0]) != im.W-4 {
					t.Errorf("image %d: %d x %d of %v, %v", i, im.H, im.W, im.Pix, err)
				}
			}
		})
	}
}

func TestShardsErrors(t *testing.T) {
	good := shard(t, 10, "0", "1")
	for _, c := range []struct {
		name, spec string
		files      map[string][]byte
		want       string
	}{
		{"compressed file", "a.tar.gz", map[string][]byte{"a.tar.gz": gz(good)}, "a.tar.gz: it is compressed by gzip"},
		{"compressed beside", ".", map[string][]byte{"a.tar": good, "b.tgz": gz(good)}, "b.tgz is compressed; unpack it"},
		{"compressed in spite of its name", "a.tar", map[string][]byte{"a.tar": gz(good)}, "a.tar: it is compressed by gzip"},
		{"cut short", "a.tar", map[string][]byte{"a.tar": good[:3000]}, "a.tar: the file ends early"},
		{"class beyond the names", ".", map[string][]byte{"a.tar": shard(t, 10, "0", "2"), classesFile: []byte("a\nb\n")}, "a.tar: 0001.png: the class is 2, classes.txt has 2"},
		{"unknown name", ".", map[string][]byte{"a.tar": shard(t, 10, "cat", "dog"), classesFile: []byte("cat\neel\n")}, `0001.png: the class "dog" is neither in classes.txt`},
		{"class of the test alone", ".", map[string][]byte{"train.tar": shard(t, 10, "cat", "dog"), "test.tar": shard(t, 2, "eel")}, `the class "eel" is neither in classes.txt nor in the training part`},
		{"one class", "a.tar", map[string][]byte{"a.tar": shard(t, 10, "cat")}, "has one class, cat"},
		{"many classes", "a.tar", map[string][]byte{"a.tar": shard(t, 10, "0", "99999999")}, "more than 100000 classes"},
		{"classes twice", ".", map[string][]byte{"a.tar": good, classesFile: []byte("a\na\n")}, `line 2: class "a" is there twice`},
		{"empty line", ".", map[string][]byte{"a.tar": good, classesFile: []byte("a\n\nb\n")}, "line 2: an empty class"},
		{"half the names have parts", ".", map[string][]byte{"train-0.tar": good, "more.tar": good}, "more.tar says no part"},
		{"a shard is missing", "a-{0..2}.tar", map[string][]byte{"a-0.tar": good, "a-1.tar": good}, "a-2.tar: no such file"},
		{"not tar", "a-{0..2}.png", nil, "want names that end in .tar"},
		{"broken pattern", "a-{0..2.tar", nil, "a { without its }"},
		{"no training", ".", map[string][]byte{"train/0.tar": tarBytes(t, tar.FormatUSTAR), "test/0.tar": good}, "has no training images"},
		{"empty part", ".", map[string][]byte{"train/0.tar": good, "test/.keep": nil}, "test has no .tar files"},
	} {
		_, err := Open(context.Background(), filepath.Join(writeFiles(t, c.files), c.spec), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
		}
	}
	d, err := Open(context.Background(), filepath.Join(writeFiles(t, map[string][]byte{"a.tar": good}), "a.tar"), Options{CacheBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	path := d.Train.(*subset).of.(*encodedSet).store.(*shardStore).paths[0]
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Test.Image(1); err == nil || !strings.Contains(err.Error(), "a.tar: 00") {
		t.Errorf("a shard cut under way: %v", err)
	}
}

// A folder that has tar files beside class folders stays a folder of images.
func TestStrayTar(t *testing.T) {
	d, err := Open(context.Background(), writeFiles(t, merge(pets("train/", 5), pets("test/", 2), map[string][]byte{"backup.tar": nil, "train/more.tar": nil})), Options{})
	if err != nil || d.Train.Len() != 10 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestShardsChecksum(t *testing.T) {
	sum := func(files map[string][]byte) string {
		d, err := Open(context.Background(), writeFiles(t, files), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Checksum
	}
	good := shard(t, 10, "0", "1")
	a := sum(map[string][]byte{"a.tar": good})
	if b := sum(map[string][]byte{"b.tar": good}); a != b {
		t.Error("another name of the shard, another checksum")
	}
	changed := bytes.Clone(good)
	samples, _, _ := index(good)
	changed[samples[3].image.offset+samples[3].image.size-20]++
	for name, files := range map[string]map[string][]byte{
		"pixels":  {"a.tar": changed},
		"labels":  {"a.tar": shard(t, 10, "1", "0")},
		"classes": {"a.tar": good, classesFile: []byte("a\nb\n")},
	} {
		if sum(files) == a {
			t.Errorf("other %s, the same checksum", name)
		}
	}
}

// TestWriteShards holds that what is written is what is read.
func TestWriteShards(t *testing.T) {
	folder := writeFiles(t, merge(pets("train/", 5), pets("val/", 3), pets("test/", 2)))
	for _, spec := range []string{"synthetic:train=23,test=7", "synthetic:train=12,test=3,channels=3", folder} {
		d := openTest(t, spec)
		dir := filepath.Join(t.TempDir(), "out")
		last := 0
		if err := WriteShards(context.Background(), d, dir, 4, func(done int) { last = done }); err != nil {
			t.Fatal(err)
		}
		got := openTest(t, dir)
		if diff := cmp.Diff(d.Classes, got.Classes); diff != "" || got.Channels != d.Channels {
			t.Errorf("%s: %d channels, classes: %s", spec, got.Channels, diff)
		}
		all := 0
		for _, pair := range [][2]Set{{d.Train, got.Train}, {d.Val, got.Val}, {d.Test, got.Test}} {
			want, have := pair[0], pair[1]
			if want == nil || have == nil {
				if want != have {
					t.Errorf("%s: a part is missing", spec)
				}
				continue
			}
			all += want.Len()
			for i := range want.Len() {
				a, err1 := want.Image(i)
				b, err2 := have.Image(i)
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(a, b); d != "" || want.Label(i) != have.Label(i) {
					t.Fatalf("%s: image %d: label %d, want %d: %s", spec, i, have.Label(i), want.Label(i), d)
				}
			}
		}
		if last != all {
			t.Errorf("%s: told of %d images of %d", spec, last, all)
		}
		if err := WriteShards(context.Background(), d, dir, 4, nil); err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("into a folder with files: %v", err)
		}
	}
	// Images of files keep their bytes.
	d := openTest(t, folder)
	dir := filepath.Join(t.TempDir(), "out")
	if err := WriteShards(context.Background(), d, dir, 100, nil); err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(filepath.Join(folder, "train", "dog", "0.PNG"))
	s := openTest(t, dir).Train.(*encodedSet)
	if got, err := s.read(5); err != nil || !bytes.Equal(got, want) || s.images[5].name != "000005.png" {
		t.Errorf("%s has other bytes than the first dog, %v", s.images[5].name, err)
	}
	// Nothing stays of what was stopped.
	ctx, cancel := context.WithCancel(context.Background())
	parent := t.TempDir()
	err := WriteShards(ctx, d, filepath.Join(parent, "out"), 3, func(done int) {
		if done == 7 {
			cancel()
		}
	})
	if left, _ := os.ReadDir(parent); !errors.Is(err, context.Canceled) || len(left) > 0 {
		t.Errorf("stopped: %v, left %v", err, left)
	}
}
