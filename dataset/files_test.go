package dataset

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFiles: a copy of a data set's files is the same data set.
func TestFiles(t *testing.T) {
	idx, folder := writeFiles(t, idxFolder()), writeFiles(t, merge(pets("train/", 3), pets("val/", 2), pets("test/", 2)))
	tar := shard(t, 10, "1", "0")
	shards := writeFiles(t, map[string][]byte{"x-00.tar": tar, "x-01.tar": tar, "x-02.tar": tar, classesFile: []byte("ant\nbee\n")})
	for _, spec := range []string{idx, folder, shards, filepath.Join(shards, "x-{00..01}.tar"), filepath.Join(shards, "x-02.tar")} {
		want, err := Open(t.Context(), spec, Options{})
		if err != nil {
			t.Fatal(err)
		}
		dir, names, err := Files(spec)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{}
		for _, name := range names {
			if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		copied := writeFiles(t, files)
		got, err := Open(t.Context(), copied, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Checksum != want.Checksum || got.Train.Len() != want.Train.Len() {
			t.Errorf("%s: copied %q and got %s with %d images, want %s with %d", spec, names, got.Checksum, got.Train.Len(), want.Checksum, want.Train.Len())
		}
	}
	if _, _, err := Files(filepath.Join(idx, "nowhere")); err == nil {
		t.Error("nothing was found")
	}
	if dir, names, err := Files("synthetic:size=12"); dir != "" || names != nil || err != nil {
		t.Errorf("synthetic: %q, %q, %v", dir, names, err)
	}
}
