package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
)

// cifarFolder is a small set: n records in every file; red is the label, green
// counts pixels, blue is 7.
func cifarFolder(v *cifar, n int) map[string][]byte {
	files := make(map[string][]byte)
	for _, name := range append([]string{v.test}, v.train...) {
		var b []byte
		for i := range n {
			label := byte(i % v.classes)
			if v.labels == 2 {
				b = append(b, 99) // the coarse label
			}
			b = append(b, label)
			b = append(b, bytes.Repeat([]byte{label}, cifarPlane)...)
			b = append(b, count(cifarPlane)...)
			b = append(b, bytes.Repeat([]byte{7}, cifarPlane)...)
		}
		files[name] = b
	}
	var names strings.Builder
	for c := range v.classes {
		fmt.Fprintf(&names, "class%d\n", c)
	}
	files[v.names] = []byte(names.String() + "\n")
	return files
}

func tarball(folder string, files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	for name, data := range files {
		w.WriteHeader(&tar.Header{Name: folder + "/" + name, Size: int64(len(data)), Mode: 0o644})
		w.Write(data)
	}
	w.Close()
	return gz(b.Bytes())
}

func TestCIFAR(t *testing.T) {
	for _, v := range []*cifar{cifar10, cifar100} {
		files := cifarFolder(v, 12)
		inFolder := make(map[string][]byte)
		for name, data := range files {
			inFolder[v.folder+"/"+name] = data
		}
		sums := make(map[string]bool)
		for name, layout := range map[string]map[string][]byte{
			"files":   files,
			"folder":  inFolder,
			"archive": {v.archive.name: tarball(v.folder, files)},
		} {
			d, err := Open(context.Background(), writeFiles(t, layout), Options{})
			if err != nil {
				t.Errorf("%s %s: %v", v.name, name, err)
				continue
			}
			sums[d.Checksum] = true
			if d.Name != v.name || d.Train.Len() != 12*len(v.train) || d.Test.Len() != 12 || len(d.Classes) != v.classes {
				t.Errorf("%s %s: %s with %d training and %d test images of %d classes", v.name, name, d.Name, d.Train.Len(), d.Test.Len(), len(d.Classes))
			}
			im, err := d.Test.Image(3)
			if err != nil || im.H != 32 || im.W != 32 || im.C != 3 {
				t.Fatalf("%s %s: image is [%d,%d,%d], %v", v.name, name, im.H, im.W, im.C, err)
			}
			if p := im.Pix[5*3 : 5*3+3]; p[0] != 3 || p[1] != 5 || p[2] != 7 || d.Test.Label(3) != 3 {
				t.Errorf("%s %s: pixel 5 of image 3 is %v, label %d", v.name, name, p, d.Test.Label(3))
			}
		}
		if len(sums) != 1 {
			t.Errorf("%s: checksums differ between layouts: %v", v.name, sums)
		}
	}
	t.Run("by name", func(t *testing.T) {
		t.Setenv("EFFNET_DATA", writeFiles(t, map[string][]byte{"cifar10/" + cifar10.archive.name: tarball("x", cifarFolder(cifar10, 2))}))
		if d, err := Open(context.Background(), "cifar10", Options{Offline: true}); err != nil || d.Train.Len() != 10 {
			t.Error(err)
		}
	})
	t.Run("absent", func(t *testing.T) {
		t.Setenv("EFFNET_DATA", t.TempDir())
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		_, err := Open(context.Background(), "cifar100", Options{Offline: true})
		if err == nil || !strings.Contains(err.Error(), "cifar-100-binary.tar.gz") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestCIFARErrors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(files map[string][]byte)
		want   string
	}{
		"cut":     {func(f map[string][]byte) { f["data_batch_2.bin"] = f["data_batch_2.bin"][:3000] }, "data_batch_2.bin: 3000 bytes, want a multiple of 3073"},
		"empty":   {func(f map[string][]byte) { f["test_batch.bin"] = nil }, "test_batch.bin: 0 bytes"},
		"label":   {func(f map[string][]byte) { f["test_batch.bin"][3073] = 10 }, "test_batch.bin: label of image 1 is 10, there are 10 classes"},
		"names":   {func(f map[string][]byte) { f["batches.meta.txt"] = []byte("a b c") }, "3 names, want 10"},
		"missing": {func(f map[string][]byte) { delete(f, "data_batch_5.bin") }, "data_batch_5.bin"},
	} {
		files := cifarFolder(cifar10, 2)
		c.change(files)
		for layout, dir := range map[string]string{
			"folder":  writeFiles(t, files),
			"archive": writeFiles(t, map[string][]byte{cifar10.archive.name: tarball("x", files)}),
		} {
			if _, err := Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s in %s: error is %v, want %q in it", name, layout, err, c.want)
			}
		}
	}
	dir := writeFiles(t, map[string][]byte{cifar10.archive.name: []byte("not gzip")})
	if _, err := Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), cifar10.archive.name) {
		t.Errorf("broken archive: error is %v", err)
	}
}

func FuzzCIFAR(f *testing.F) {
	f.Add(cifarFolder(cifar10, 1)["test_batch.bin"], false)
	f.Add(cifarFolder(cifar100, 1)["test.bin"], true)
	f.Fuzz(func(t *testing.T, data []byte, hundred bool) {
		v := cifar10
		if hundred {
			v = cifar100
		}
		var s memorySet
		if v.parse(&s, data) == nil && len(s.pix) != len(s.labels)*3*cifarPlane {
			t.Fatalf("%d labels, %d bytes", len(s.labels), len(s.pix))
		}
	})
}
