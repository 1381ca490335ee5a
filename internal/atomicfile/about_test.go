package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"effnet/internal/atomicfile"
)

// TestErrorsNameTarget: what goes wrong is said of the file that was asked
// for, and is still the system's error.
func TestErrorsNameTarget(t *testing.T) {
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "file"), filepath.Join(dir, "folder")
	for _, c := range []struct {
		name, want string
		is         error
		do         func() error
	}{
		{"no folder", filepath.Join(dir, "no", "such"), fs.ErrNotExist, func() error {
			return atomicfile.WriteBytes(filepath.Join(dir, "no", "such"), nil)
		}},
		{"the file cannot be written", file, os.ErrClosed, func() error {
			return atomicfile.Write(file, func(w io.Writer) error {
				temp, err := filepath.Glob(filepath.Join(dir, ".file.*"))
				if err != nil || len(temp) != 1 {
					t.Fatalf("temporary files %v, %v", temp, err)
				}
				return &fs.PathError{Op: "write", Path: temp[0], Err: os.ErrClosed}
			})
		}},
		{"its name is taken by a folder", file, nil, func() error {
			return atomicfile.Write(file, func(io.Writer) error { return os.MkdirAll(filepath.Join(file, "a"), 0o755) })
		}},
		{"a folder's parent is missing", filepath.Join(dir, "no", "folder"), fs.ErrNotExist, func() error {
			return atomicfile.Dir(filepath.Join(dir, "no", "folder"), func(string) error { return nil })
		}},
		{"a file in the folder", filepath.Join(folder, "x", "y"), fs.ErrNotExist, func() error {
			return atomicfile.Dir(folder, func(d string) error {
				_, err := os.Open(filepath.Join(d, "x", "y"))
				return fmt.Errorf("fill: %w", err)
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.do()
			if err == nil || strings.Contains(err.Error(), ".tmp") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one about %s", err, c.want)
			}
			if err != nil && strings.Count(err.Error(), c.want) != 1 {
				t.Errorf("the error names %s more than once: %v", c.want, err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("the error is %v, want a kind of %v", err, c.is)
			}
		})
	}
	if got := names(t, dir); strings.Contains(got, ".tmp") {
		t.Errorf("the folder holds %s", got)
	}
}
