// Package atomicfile writes files that are either whole or not there.
//
// A write goes to a temporary file in the target's folder, reaches the disk,
// and takes the target's name by rename. Whoever opens the name sees the old
// content or the new, also after a crash or a loss of power.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Write makes or replaces the file at path with what fill writes. On any
// error, fill's own included, path keeps its old content and no temporary
// file stays. New files have mode 0644 less the umask. A symbolic link is
// followed; something that is not a regular file, such as /dev/stdout, is
// written to directly.
func Write(path string, fill func(w io.Writer) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("write %s: it is a folder", path)
	case !info.Mode().IsRegular():
		return writeDirect(path, fill)
	}
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := createTemp(dir, base)
	if err != nil {
		return err
	}
	named := false
	defer func() {
		if !named {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	err = fillBuffered(f, fill)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return about(err, f.Name(), path)
	}
	named = true
	return syncDir(dir)
}

// WriteBytes is Write of data.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func writeDirect(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(fillBuffered(f, fill), f.Close())
}

func fillBuffered(f *os.File, fill func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, 1<<16)
	if err := fill(w); err != nil {
		return err
	}
	return w.Flush()
}

// createTemp is os.CreateTemp with the mode of an ordinary new file.
func createTemp(dir, base string) (*os.File, error) {
	for range 100 {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return f, about(err, name, filepath.Join(dir, base))
	}
	return nil, fmt.Errorf("write %s: no free name for a temporary file", filepath.Join(dir, base))
}
