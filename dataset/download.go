package dataset

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"effnet/internal/download"
	"effnet/internal/lockfile"
)

// remoteFile is a file on a data set's site.
type remoteFile struct {
	name   string
	size   int64
	sha256 string // lower-case hexadecimal
}

// pause is that between attempts; a variable for tests.
var pause func(n int) time.Duration

// fetch makes sure that dir holds the files, downloading what is missing. A
// file appears under its name only when it is whole and its digest is right; a
// download that was cut goes on where it stopped.
func fetch(ctx context.Context, site string, files []remoteFile, dir string, opt Options) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	lock, err := lockfile.Acquire(filepath.Join(dir, ".lock"))
	if err != nil {
		return fmt.Errorf("dataset: cannot download into %s: %w", dir, err)
	}
	defer lock.Release()
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if isFile(path) {
			continue
		}
		d := download.File{
			URL: site + f.name, Size: f.size, NewHash: sha256.New, Digest: f.sha256,
			Client: opt.Client, Pause: pause,
		}
		if opt.Progress != nil {
			d.Progress = func(done, total int64) { opt.Progress(f.name, done, total) }
		}
		if err := d.Fetch(ctx, path, path+".part"); err != nil {
			return fmt.Errorf("dataset: %s%s: %w", site, f.name, err)
		}
	}
	return nil
}
