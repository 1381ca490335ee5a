package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func quickly(int) time.Duration { return time.Millisecond }

var content = bytes.Repeat([]byte("content "), 1<<14)

// server answers with f, which gets the number of the request.
func server(t *testing.T, f func(w http.ResponseWriter, r *http.Request, n int)) string {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		f(w, r, n)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func whole(w http.ResponseWriter, r *http.Request, _ int) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func fileAt(url string) *File {
	return &File{URL: url, Size: int64(len(content)), NewHash: sha256.New, Digest: fmt.Sprintf("%x", sha256.Sum256(content)), Pause: quickly}
}

func TestFetch(t *testing.T) {
	var last int64
	f := fileAt(server(t, whole))
	f.Progress = func(done, total int64) {
		if total != f.Size || done < last {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := f.Fetch(t.Context(), path, path+".part"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) || last != f.Size {
		t.Errorf("read %d bytes, %v, progress %d", len(got), err, last)
	}
	if _, err := os.Stat(path + ".part"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the part is left: %v", err)
	}
}

// TestWithoutHash checks the size all the same.
func TestWithoutHash(t *testing.T) {
	for size, want := range map[int64]string{int64(len(content)): "", int64(len(content)) - 1: "want", int64(len(content)) + 1: "want"} {
		f := &File{URL: server(t, whole), Size: size, Pause: quickly}
		path := filepath.Join(t.TempDir(), "x")
		err := f.Fetch(t.Context(), path, path+".part")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("size %d: error is %v", size, err)
		}
	}
}

func TestStatuses(t *testing.T) {
	for status, attempts := range map[int]int{400: 1, 401: 1, 404: 1, 204: 1, 408: 5, 429: 5, 500: 5, 503: 5} {
		n := 0
		f := fileAt(server(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			n++
			w.WriteHeader(status)
		}))
		path := filepath.Join(t.TempDir(), "x")
		if err := f.Fetch(t.Context(), path, path+".part"); err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) || n != attempts {
			t.Errorf("status %d: error is %v after %d attempts, want %d", status, err, n, attempts)
		}
		mine := errors.New("mine")
		f.Explain = func(*http.Response) error { return mine }
		if err := f.Fetch(t.Context(), path, path+".part"); status >= 400 && !errors.Is(err, mine) {
			t.Errorf("status %d: error is %v, want the explanation", status, err)
		}
	}
}

// TestLocalErrors: what is wrong here is said at once.
func TestLocalErrors(t *testing.T) {
	requests := 0
	f := fileAt(server(t, func(w http.ResponseWriter, r *http.Request, n int) {
		requests++
		whole(w, r, n)
	}))
	path := filepath.Join(t.TempDir(), "none", "x")
	if err := f.Fetch(t.Context(), path, path+".part"); !errors.Is(err, fs.ErrNotExist) || requests > 0 {
		t.Errorf("no folder: error is %v after %d requests", err, requests)
	}
	dir := t.TempDir()
	path = filepath.Join(dir, "x")
	os.MkdirAll(path, 0o755)
	os.WriteFile(filepath.Join(path, "y"), nil, 0o644)
	if err := f.Fetch(t.Context(), path, filepath.Join(dir, "part")); err == nil {
		t.Error("a folder is in the place of the file: no error")
	}
	f.URL = "://"
	if err := f.Fetch(t.Context(), filepath.Join(dir, "z"), filepath.Join(dir, "z.part")); err == nil || strings.Contains(err.Error(), "attempts") {
		t.Errorf("bad address: error is %v", err)
	}
}

// TestCancelled ends in the pause between attempts and in the middle of data.
func TestCancelled(t *testing.T) {
	stop := errors.New("stop")
	for _, middle := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := fileAt(server(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if middle {
				w.Write(content[:100])
				w.(http.Flusher).Flush()
			} else {
				w.WriteHeader(500)
			}
			cancel(stop)
			<-r.Context().Done()
		}))
		f.Pause = func(int) time.Duration { return time.Hour }
		path := filepath.Join(t.TempDir(), "x")
		if err := f.Fetch(ctx, path, path+".part"); !errors.Is(err, stop) {
			t.Errorf("error is %v, want the cause of the cancellation", err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the file is there")
		}
	}
}

// TestHashOfPart: an attempt that goes on hashes what was there before.
func TestHashOfPart(t *testing.T) {
	hashed := 0
	f := fileAt(server(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if got := r.Header.Get("Range"); got != "bytes=1000-" {
			t.Errorf("range is %q", got)
		}
		whole(w, r, n)
	}))
	f.NewHash = func() hash.Hash { hashed++; return sha256.New() }
	path := filepath.Join(t.TempDir(), "x")
	os.WriteFile(path+".part", content[:1000], 0o644)
	if err := f.Fetch(t.Context(), path, path+".part"); err != nil || hashed != 1 {
		t.Errorf("error is %v, %d hashes", err, hashed)
	}
}
