// Package download fetches files over HTTP that are whole and right or not
// there: an attempt that is cut goes on where it stopped, a digest decides
// whether the file takes its name.
package download

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// File is a file to fetch.
type File struct {
	URL    string
	Header http.Header // of the request; may be nil
	Size   int64       // bytes

	// NewHash makes the hash whose sum is Digest, in lower-case hexadecimal.
	// Without it only the size is checked.
	NewHash func() hash.Hash
	Digest  string

	Client   *http.Client            // nil: http.DefaultClient
	Progress func(done, total int64) // may be nil
	// Explain turns an answer of status 400 or above into an error, to replace
	// the one that only says the status. It may be nil, or return nil.
	Explain func(*http.Response) error

	Pause func(n int) time.Duration // before attempt n > 0; nil: 1, 2, 4, ... seconds
}

const (
	attempts    = 5
	idleTimeout = 30 * time.Second // without a byte
)

// permanentError is one that another attempt cannot cure.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks an error that another attempt cannot cure.
func Permanent(err error) error { return permanentError{err} }

// transient reports whether a status may change by itself.
func transient(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// Retry calls attempt until it succeeds, fails for good, or has failed often
// enough. An error by [Permanent], such as [Answer] makes of lasting statuses,
// is for good.
func Retry(ctx context.Context, pause func(n int) time.Duration, attempt func() error) error {
	if pause == nil {
		pause = func(n int) time.Duration { return time.Second << (n - 1) }
	}
	var err error
	for n := range attempts {
		if n > 0 {
			select {
			case <-time.After(pause(n)):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err = attempt(); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var p permanentError
		if errors.As(err, &p) {
			return p.error
		}
	}
	return fmt.Errorf("%w (%d attempts)", err, attempts)
}

// Answer makes an error of an answer of status 400 or above.
func Answer(resp *http.Response, explain func(*http.Response) error) error {
	err := fmt.Errorf("server answers %s", resp.Status)
	if explain != nil {
		if better := explain(resp); better != nil {
			err = better
		}
	}
	if transient(resp.StatusCode) {
		return err
	}
	return permanentError{err}
}

// Fetch makes the file at path. What has come so far is at part, in the same
// folder, also from an earlier process; no two may use it at the same time.
func (f *File) Fetch(ctx context.Context, path, part string) error {
	err := Retry(ctx, f.Pause, func() error { return f.attempt(ctx, part) })
	if err != nil {
		return err
	}
	return publish(part, path)
}

// attempt downloads what part lacks and checks the whole.
func (f *File) attempt(ctx context.Context, part string) error {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return permanentError{err}
	}
	defer out.Close()
	w := &writer{file: out}
	if f.NewHash != nil {
		w.sum = f.NewHash()
	}
	if err := w.catchUp(f.Size); err != nil {
		return permanentError{err}
	}
	if w.have < f.Size {
		if err := f.get(ctx, w); err != nil {
			return err
		}
	}
	digest := f.Digest
	if w.sum != nil {
		digest = hex.EncodeToString(w.sum.Sum(nil))
	}
	if w.have != f.Size || digest != f.Digest {
		// What is there is of no use: the next attempt starts afresh.
		err := fmt.Errorf("got %d bytes, want %d", w.have, f.Size)
		if w.have == f.Size {
			err = fmt.Errorf("got digest %s, want %s", digest, f.Digest)
		}
		if err := w.restart(); err != nil {
			return permanentError{err}
		}
		return err
	}
	if err := out.Sync(); err != nil {
		return permanentError{err}
	}
	return nil
}

// writer appends to a file that has have bytes, and to their hash.
type writer struct {
	file *os.File
	sum  hash.Hash // nil for none
	have int64
}

// catchUp reads what the file has; more than size bytes are of no use.
func (w *writer) catchUp(size int64) error {
	dst := io.Discard
	if w.sum != nil {
		dst = w.sum
	}
	var err error
	if w.have, err = io.Copy(dst, io.LimitReader(w.file, size+1)); err != nil {
		return err
	}
	if w.have > size {
		return w.restart()
	}
	return nil
}

func (w *writer) restart() error {
	w.have = 0
	if w.sum != nil {
		w.sum.Reset()
	}
	if err := w.file.Truncate(0); err != nil {
		return err
	}
	_, err := w.file.Seek(0, io.SeekStart)
	return err
}

func (w *writer) write(b []byte) error {
	if _, err := w.file.Write(b); err != nil {
		return err
	}
	if w.sum != nil {
		w.sum.Write(b)
	}
	w.have += int64(len(b))
	return nil
}

// get asks for the bytes that w lacks and writes them.
func (f *File) get(ctx context.Context, w *writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("no data for %v", idleTimeout)) })
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return permanentError{err}
	}
	if f.Header != nil {
		req.Header = f.Header.Clone()
	}
	// Ranges count stored bytes.
	req.Header.Set("Accept-Encoding", "identity")
	if w.have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", w.have))
	}
	client := f.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return because(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && w.have > 0:
		var from int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from != w.have {
			return fmt.Errorf("server sent range %q, want bytes from %d", resp.Header.Get("Content-Range"), w.have)
		}
	case resp.StatusCode == http.StatusOK: // the whole file, whatever was asked
		if err := w.restart(); err != nil {
			return permanentError{err}
		}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		// The server's file is shorter than what is there.
		if err := w.restart(); err != nil {
			return permanentError{err}
		}
		return fmt.Errorf("server answers %s", resp.Status)
	case resp.StatusCode >= 400:
		return Answer(resp, f.Explain)
	default:
		return permanentError{fmt.Errorf("server answers %s", resp.Status)}
	}
	body := io.LimitReader(resp.Body, f.Size+1-w.have)
	for buf := make([]byte, 1<<17); ; {
		n, err := body.Read(buf)
		idle.Reset(idleTimeout)
		if n > 0 {
			if err := w.write(buf[:n]); err != nil {
				return permanentError{err}
			}
			if f.Progress != nil {
				f.Progress(min(w.have, f.Size), f.Size)
			}
		}
		// A whole answer that is too short is a wrong file; one of unknown
		// length, or a part, was cut.
		if err == io.EOF && w.have < f.Size && (resp.ContentLength < 0 || resp.StatusCode == http.StatusPartialContent) {
			err = io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return because(ctx, err)
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
