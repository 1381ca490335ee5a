package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// quickly makes the pauses between attempts short.
func quickly(t *testing.T) {
	old := pause
	pause = func(int) time.Duration { return time.Millisecond }
	t.Cleanup(func() { pause = old })
}

func TestFetch(t *testing.T) {
	quickly(t)
	content := bytes.Repeat([]byte("fashion "), 1<<15)
	sum := sha256.Sum256(content)
	file := remoteFile{"set.gz", int64(len(content)), hex.EncodeToString(sum[:])}

	whole := func(w http.ResponseWriter, r *http.Request, n int32) {
		http.ServeContent(w, r, "set.gz", time.Time{}, bytes.NewReader(content))
	}
	// cut answers with a length and hangs up half way through.
	cut := func(w http.ResponseWriter, r *http.Request, n int32) {
		var from int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		rest := content[from:]
		w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(rest[:len(rest)/2])
		panic(http.ErrAbortHandler)
	}
	wrong := func(w http.ResponseWriter, r *http.Request, n int32) {
		b := bytes.Clone(content)
		b[100] ^= 1
		w.Write(b)
	}
	status := func(code int) func(http.ResponseWriter, *http.Request, int32) {
		return func(w http.ResponseWriter, r *http.Request, n int32) { http.Error(w, "no", code) }
	}
	first := func(k int32, bad, good func(http.ResponseWriter, *http.Request, int32)) func(http.ResponseWriter, *http.Request, int32) {
		return func(w http.ResponseWriter, r *http.Request, n int32) {
			if n <= k {
				bad(w, r, n)
				return
			}
			good(w, r, n)
		}
	}
	for _, c := range []struct {
		name     string
		serve    func(w http.ResponseWriter, r *http.Request, n int32)
		part     []byte // what an earlier process left
		want     string // part of the error; "": none
		requests int32
	}{
		{"whole", whole, nil, "", 1},
		{"resumed", whole, content[:1000], "", 1},
		{"whole part", whole, content, "", 0},
		{"wrong part", whole, bytes.Repeat([]byte("x"), 1000), "", 2},
		{"part too long", whole, append(bytes.Clone(content), 'x'), "", 1},
		{"cut three times", first(3, cut, whole), nil, "", 4},
		{"cut for ever", cut, nil, "unexpected EOF (5 attempts)", 5},
		{"server ignores ranges", func(w http.ResponseWriter, r *http.Request, n int32) { w.Write(content) }, content[:1000], "", 1},
		{"wrong once", first(1, wrong, whole), nil, "", 2},
		{"always wrong", wrong, nil, ", want " + file.sha256, 5},
		{"too long", func(w http.ResponseWriter, r *http.Request, n int32) {
			w.Write(append(bytes.Clone(content), "more"...))
		}, nil, "got 262145 bytes", 5},
		{"too short", func(w http.ResponseWriter, r *http.Request, n int32) { w.Write(content[:50]) }, nil, "got 50 bytes, want 262144", 5},
		{"busy", first(2, status(503), whole), nil, "", 3},
		{"absent", status(404), nil, "server answers 404 Not Found", 1},
		{"forbidden", status(403), nil, "server answers 403", 1},
		{"wrong range", func(w http.ResponseWriter, r *http.Request, n int32) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(http.StatusPartialContent)
		}, content[:1000], `server sent range "bytes 0-9/10"`, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, n.Add(1)) }))
			defer srv.Close()
			dir := filepath.Join(t.TempDir(), "sets")
			if c.part != nil {
				os.MkdirAll(dir, 0o755)
				os.WriteFile(filepath.Join(dir, "set.gz.part"), c.part, 0o644)
			}
			last := int64(-1)
			err := fetch(context.Background(), srv.URL+"/", []remoteFile{file}, dir, Options{
				Client: srv.Client(),
				Progress: func(name string, done, total int64) {
					if last = done; name != file.name || total != file.size {
						t.Errorf("progress of %s: total %d", name, total)
					}
				},
			})
			if n.Load() != c.requests {
				t.Errorf("%d requests, want %d", n.Load(), c.requests)
			}
			got, readErr := os.ReadFile(filepath.Join(dir, file.name))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), srv.URL+"/set.gz") {
					t.Errorf("error is %v, want %q in it", err, c.want)
				}
				if readErr == nil {
					t.Error("the file is there all the same")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, content) {
				t.Error("content differs")
			}
			if c.requests > 0 && last != file.size {
				t.Errorf("last progress is %d of %d", last, file.size)
			}
			if _, err := os.Stat(filepath.Join(dir, "set.gz.part")); err == nil {
				t.Error("the partial file is still there")
			}
			// A second call has nothing to do.
			if err := fetch(context.Background(), "http://unreachable.invalid/", []remoteFile{file}, dir, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFetchCancelled(t *testing.T) {
	started := make(chan bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		close(started)
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-started; cancel() }()
	err := fetch(ctx, srv.URL+"/", []remoteFile{{"f", 100, strings.Repeat("0", 64)}}, t.TempDir(), Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestFetchIntoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	os.WriteFile(path, nil, 0o644)
	if err := fetch(context.Background(), "http://unreachable.invalid/", fashionFiles, path, Options{}); err == nil {
		t.Error("no error for a folder that is a file")
	}
}
