package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"effnet/internal/lockfile"
)

// remoteFile is a file on a data set's site.
type remoteFile struct {
	name   string
	size   int64
	sha256 string // lower-case hexadecimal
}

const (
	attempts    = 5
	idleTimeout = 30 * time.Second // without a byte
)

// pause before attempt n > 0; a variable for tests.
var pause = func(n int) time.Duration { return time.Second << (n - 1) }

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
		if err := f.fetch(ctx, site, path, opt); err != nil {
			return fmt.Errorf("dataset: %s%s: %w", site, f.name, err)
		}
	}
	return nil
}

// permanentError is one that another attempt cannot cure.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// fetch downloads one file to path, through path.part.
func (f remoteFile) fetch(ctx context.Context, site, path string, opt Options) error {
	part := path + ".part"
	var err error
	for n := range attempts {
		if n > 0 {
			select {
			case <-time.After(pause(n)):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err = f.append(ctx, site, part, opt); err == nil {
			return publish(part, path)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.As(err, &permanentError{}) {
			return err
		}
	}
	return fmt.Errorf("%w (%d attempts)", err, attempts)
}

// append downloads what part lacks and checks the whole.
func (f remoteFile) append(ctx context.Context, site, part string, opt Options) error {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return permanentError{err}
	}
	defer out.Close()
	sum := sha256.New()
	have, err := io.Copy(sum, out)
	if err != nil {
		return permanentError{err}
	}
	if have < f.size {
		if have, err = f.get(ctx, site, out, sum, have, opt); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); have != f.size || got != f.sha256 {
		// What is there is of no use: the next attempt starts afresh.
		if err := out.Truncate(0); err != nil {
			return permanentError{err}
		}
		return fmt.Errorf("got %d bytes with sha-256 %s, want %d with %s", have, got, f.size, f.sha256)
	}
	if err := out.Sync(); err != nil {
		return permanentError{err}
	}
	return nil
}

// get asks for the bytes from have on, and writes them to out and to sum,
// which have seen the bytes before. It returns how many bytes there are then.
func (f remoteFile) get(ctx context.Context, site string, out *os.File, sum hash.Hash, have int64, opt Options) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("no data for %v", idleTimeout)) })
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, site+f.name, nil)
	if err != nil {
		return have, permanentError{err}
	}
	// The content is compressed already, and ranges count stored bytes.
	req.Header.Set("Accept-Encoding", "identity")
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	client := opt.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return have, because(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && have > 0:
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from != have {
			return have, fmt.Errorf("server sent range %q, want bytes from %d", resp.Header.Get("Content-Range"), have)
		}
	case resp.StatusCode == http.StatusOK: // the whole file, whatever was asked
		have = 0
		sum.Reset()
		if err := out.Truncate(0); err != nil {
			return 0, permanentError{err}
		}
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			return 0, permanentError{err}
		}
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return have, fmt.Errorf("server answers %s", resp.Status)
	default:
		return have, permanentError{fmt.Errorf("server answers %s", resp.Status)}
	}
	body := io.LimitReader(resp.Body, f.size+1-have)
	for buf := make([]byte, 1<<17); ; {
		n, err := body.Read(buf)
		idle.Reset(idleTimeout)
		if n > 0 {
			if _, err := out.Write(buf[:n]); err != nil {
				return have, permanentError{err}
			}
			sum.Write(buf[:n])
			have += int64(n)
			if opt.Progress != nil {
				opt.Progress(f.name, have, f.size)
			}
		}
		if err == io.EOF && have < f.size {
			err = io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			return have, nil
		}
		if err != nil {
			return have, because(ctx, err)
		}
	}
}

// because prefers the reason a context was cancelled to the error that the
// cancellation caused.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// publish gives a file that is complete on disk its name.
func publish(part, path string) error {
	if err := os.Rename(part, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	// Some file systems cannot sync a folder; the rename holds all the same.
	_ = dir.Sync()
	return nil
}
