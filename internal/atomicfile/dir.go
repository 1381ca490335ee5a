package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Dir makes the folder at path with what fill puts into the folder that it is
// given, which takes the name path when fill has ended. path must not exist or
// be an empty folder. On any error, fill's own included, nothing stays. The
// files in it reach the disk by fill's care, such as Write.
func Dir(path string, fill func(dir string) error) error {
	entries, err := os.ReadDir(path)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("write %s: the folder is not empty (it holds %s)", path, entries[0].Name())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	path = filepath.Clean(path)
	parent, base := filepath.Split(path)
	if parent == "" {
		parent = "."
	}
	temp := filepath.Join(parent, fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
	if err := os.Mkdir(temp, 0o755); err != nil {
		return about(err, temp, path)
	}
	named := false
	defer func() {
		if !named {
			os.RemoveAll(temp)
		}
	}()
	if err := fill(temp); err != nil {
		return about(err, temp, path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return about(err, temp, path)
	}
	named = true
	return syncDir(parent)
}
