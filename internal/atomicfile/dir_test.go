package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"effnet/internal/atomicfile"
)

func TestDir(t *testing.T) {
	parent := t.TempDir()
	fill := func(text string) func(string) error {
		return func(dir string) error { return atomicfile.WriteBytes(filepath.Join(dir, "a"), []byte(text)) }
	}
	path := filepath.Join(parent, "new")
	if err := atomicfile.Dir(path+string(filepath.Separator), fill("1")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(path, "a")); got != "1" {
		t.Errorf("content is %q", got)
	}
	if err := atomicfile.Dir(path, fill("2")); err == nil || !strings.Contains(err.Error(), "is not empty (it holds a)") {
		t.Errorf("into a folder with a file: %v", err)
	}
	if err := os.Mkdir(filepath.Join(parent, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Dir(filepath.Join(parent, "empty"), fill("3")); err != nil {
		t.Error(err)
	}
	failed := errors.New("failed")
	if err := atomicfile.Dir(filepath.Join(parent, "other"), func(dir string) error {
		return errors.Join(fill("4")(dir), failed)
	}); !errors.Is(err, failed) {
		t.Errorf("error is %v", err)
	}
	if err := atomicfile.Dir(filepath.Join(path, "a"), fill("5")); err == nil {
		t.Error("in place of a file: no error")
	}
	if got := names(t, parent); got != "empty new" {
		t.Errorf("folder holds %s", got)
	}
	t.Chdir(parent)
	if err := atomicfile.Dir("here", fill("6")); err != nil || content(t, "here/a") != "6" {
		t.Errorf("in the current folder: %v", err)
	}
}
