package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// idxBytes is an IDX file of unsigned bytes.
func idxBytes(data []byte, dims ...uint32) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// count is the bytes 0, 1, 2, ... n-1.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestReadIDX(t *testing.T) {
	good := idxBytes(count(24), 2, 3, 4)
	for _, c := range []struct {
		name    string
		data    []byte
		gzipped bool
		want    string // part of the error; "": none
	}{
		{"plain", good, false, ""},
		{"gzipped", gz(good), true, ""},
		{"empty", nil, false, "header: unexpected EOF"},
		{"empty gzipped", nil, true, "not gzip: unexpected EOF"},
		{"not gzip", good, true, "not gzip"},
		{"cut header", good[:9], false, "header: unexpected EOF"},
		{"cut", good[:30], false, "file has 30 bytes, [2 3 4] elements need 40"},
		{"cut inside gzip", gz(good[:30]), true, "elements: unexpected EOF"},
		{"cut gzip", gz(good)[:30], true, "unexpected EOF"},
		{"trailing", append(good[:40:40], 1), false, "file has 41 bytes"},
		{"trailing inside gzip", gz(append(good[:40:40], 1)), true, "data after [2 3 4] elements"},
		{"magic", []byte("GIF89a.........."), false, "not an IDX file: starts with 47 49 46 38"},
		{"floats", append([]byte{0, 0, 13, 3}, good[4:]...), false, "type 0x0d"},
		{"dimensions", idxBytes(count(8), 8), false, "1 dimensions, want 3 to 4"},
		{"zero", idxBytes(nil, 2, 0, 4), false, "dimension 1 is 0"},
		{"huge", idxBytes(nil, math.MaxUint32, math.MaxUint32, math.MaxUint32), false, "more than 8589934592 bytes"},
		{"claims too much", gz(idxBytes(nil, 60000, 1000, 100)), true, "cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := readIDX(bytes.NewReader(c.data), int64(len(c.data)), c.gzipped, 3, 4)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error is %v, want %q in it", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]int{2, 3, 4}, x.dims); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(count(24), x.data); d != "" {
				t.Error(d)
			}
		})
	}
	damaged := gz(good)
	damaged[len(damaged)-6] ^= 1 // in the checksum
	if _, err := readIDX(bytes.NewReader(damaged), int64(len(damaged)), true, 3, 4); err == nil {
		t.Error("damaged gzip checksum goes unnoticed")
	}
}

// writeFiles writes files into a new folder.
func writeFiles(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// idxFolder is a small valid set: 4 training and 2 test images of 2x3.
func idxFolder() map[string][]byte {
	return map[string][]byte{
		trainImages:              idxBytes(count(24), 4, 2, 3),
		trainLabels + ".gz":      gz(idxBytes([]byte{2, 0, 1, 1}, 4)),
		"t10k-images.idx3-ubyte": idxBytes(count(12), 2, 2, 3),
		testLabels:               idxBytes([]byte{0, 2}, 2),
	}
}

func TestOpenIDX(t *testing.T) {
	d, err := Open(context.Background(), writeFiles(t, idxFolder()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 4 || d.Test.Len() != 2 || d.Channels != 1 || d.Val != nil {
		t.Errorf("%d training and %d test images of %d channels", d.Train.Len(), d.Test.Len(), d.Channels)
	}
	if d := cmp.Diff([]string{"0", "1", "2"}, d.Classes); d != "" {
		t.Error(d)
	}
	im, err := d.Train.Image(1)
	if err != nil {
		t.Fatal(err)
	}
	if im.H != 2 || im.W != 3 || im.C != 1 || im.Pix[0] != 6 || d.Train.Label(0) != 2 {
		t.Errorf("image 1 is %v, label 0 is %d", im, d.Train.Label(0))
	}

	for name, change := range map[string]struct {
		file, want string
		data       []byte
	}{
		"no labels":      {testLabels, "no t10k-labels-idx1-ubyte", nil},
		"counts":         {testLabels, "2 images in t10k-images-idx3-ubyte, 3 labels", idxBytes([]byte{0, 1, 2}, 3)},
		"label":          {testLabels, "label of image 1 is 3, there are 3 classes", idxBytes([]byte{0, 3}, 2)},
		"sizes":          {"t10k-images.idx3-ubyte", "test images are [3 2 1], training images [2 3 1]", idxBytes(count(12), 2, 3, 2)},
		"channels":       {trainImages, "2 channels, want 1 or 3", idxBytes(count(16), 4, 2, 1, 2)},
		"names the file": {testLabels, testLabels, []byte("junk")},
	} {
		files := idxFolder()
		if files[change.file] = change.data; change.data == nil {
			delete(files, change.file)
		}
		_, err := Open(context.Background(), writeFiles(t, files), Options{})
		if err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, change.want)
		}
	}
}

// TestFashionMNIST holds what is known of the real one.
func TestFashionMNIST(t *testing.T) {
	t.Setenv("EFFNET_DATA", os.Getenv("EFFNET_DATA"))
	ctx := context.Background()
	d, err := Open(ctx, "fashion-mnist", Options{Offline: true})
	if err != nil {
		t.Skip(err)
	}
	if d.Name != "fashion-mnist" || d.Train.Len() != 60000 || d.Test.Len() != 10000 || d.Channels != 1 {
		t.Errorf("%s has %d training and %d test images of %d channels", d.Name, d.Train.Len(), d.Test.Len(), d.Channels)
	}
	for _, s := range []Set{d.Train, d.Test} {
		n := make([]int, 10)
		for i := range s.Len() {
			n[s.Label(i)]++
		}
		for c, k := range n {
			if k != s.Len()/10 {
				t.Errorf("class %s has %d images, want %d", d.Classes[c], k, s.Len()/10)
			}
		}
	}
	if c := d.Classes[d.Train.Label(0)]; c != "Ankle boot" {
		t.Errorf("first training image is of class %s, want Ankle boot", c)
	}
	mean, std, err := Stats(ctx, d.Train, 1, 0)
	if err != nil || math.Abs(mean[0]-0.2860) > 5e-5 || math.Abs(std[0]-0.3530) > 5e-5 {
		t.Errorf("mean %v, standard deviation %v, %v; want 0.2860, 0.3530", mean, std, err)
	}
}

func TestFashionMNISTMustBeTheRealOne(t *testing.T) {
	t.Setenv("EFFNET_DATA", writeFiles(t, idxFolder()))
	_, err := Open(context.Background(), "fashion-mnist", Options{Offline: true})
	if err == nil || !strings.Contains(err.Error(), "does not hold Fashion-MNIST") {
		t.Errorf("another set in its place: error is %v", err)
	}
}

func FuzzIDX(f *testing.F) {
	good := idxBytes(count(24), 2, 3, 4)
	f.Add(good, false)
	f.Add(gz(good), true)
	f.Add(gz(idxBytes(nil, 1<<20, 28, 28)), true)
	f.Fuzz(func(t *testing.T, data []byte, gzipped bool) {
		x, err := readIDX(bytes.NewReader(data), int64(len(data)), gzipped, 1, 4)
		if err != nil {
			return
		}
		n := 1
		for _, d := range x.dims {
			n *= d
		}
		if n != len(x.data) {
			t.Fatalf("dimensions %v for %d bytes", x.dims, len(x.data))
		}
	})
}
