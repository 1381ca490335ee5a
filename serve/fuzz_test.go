package serve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"go/build"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fuzzRequest sends a request to s itself and fails unless the answer is one that
// the client has deserved.
func fuzzRequest(t *testing.T, s *Server, path, kind string, body []byte, header ...string) (status int) {
	t.Helper()
	r := httptest.NewRequest("POST", "http://localhost/", bytes.NewReader(body))
	if u, err := url.ParseRequestURI(path); err == nil {
		r.URL = u
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code >= 500 {
		t.Errorf("%s: %d %s for %q", path, w.Code, w.Body, body[:min(len(body), 200)])
	}
	if w.Code >= 400 {
		var e struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" {
			t.Errorf("%s: %d without an error: %q", path, w.Code, w.Body)
		}
	}
	return w.Code
}

// rounds calls one n times, or in full for -time, from as many goroutines as there
// are processors, and logs how often it did and what came of it.
func rounds(t *testing.T, n int, one func(r *rand.Rand) (status int)) {
	t.Helper()
	end := time.Now().Add(*soak)
	var did atomic.Int64
	var mu sync.Mutex
	all := map[int]int64{}
	var wait sync.WaitGroup
	for g := range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(g)))
			statuses := map[int]int64{}
			for !t.Failed() {
				if i := did.Add(1); *full && time.Now().After(end) || !*full && i > int64(n) {
					break
				}
				statuses[one(r)]++
			}
			mu.Lock()
			defer mu.Unlock()
			for status, n := range statuses {
				all[status] += n
			}
		})
	}
	wait.Wait()
	sum := int64(0)
	for _, n := range all {
		sum += n
	}
	t.Logf("%d inputs, by status: %v", sum, all)
}

// seeds are Go's own pictures, good and broken.
func seeds(t testing.TB) [][]byte {
	var list [][]byte
	for _, pattern := range []string{"image/testdata/*", "image/png/testdata/*.png", "image/png/testdata/pngsuite/basn*.png"} {
		paths, _ := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", pattern))
		for _, path := range paths {
			if data, err := os.ReadFile(path); err == nil && len(data) < 100_000 {
				list = append(list, data)
			}
		}
	}
	for i := range 3 {
		list = append(list, picture(t, 17+i, 30, uint64(i)))
	}
	return list
}

// TestImageFuzz changes good pictures at random: whatever comes of them, the
// server answers with what the client has deserved.
func TestImageFuzz(t *testing.T) {
	s, err := New(Config{Models: []Source{fileSource(t, "small", "1", testWeights(t, testSpec, 1))}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list := seeds(t)
	var small [][]byte // quick ones, of which more can be tried
	for _, data := range list {
		if len(data) < 3000 {
			small = append(small, data)
		}
	}
	rounds(t, 200, func(r *rand.Rand) int {
		from := small
		if r.IntN(20) == 0 {
			from = list
		}
		data := bytes.Clone(from[r.IntN(len(from))])
		for range r.IntN(8) {
			data[r.IntN(len(data))] = byte(r.Uint32())
		}
		if r.IntN(4) == 0 {
			data = data[:r.IntN(len(data))]
		}
		if r.IntN(2) == 0 {
			mendPNG(data)
		}
		return fuzzRequest(t, s, "/v1/classify", "image/jpeg", data)
	})
}

// mendPNG makes the checksums of a changed PNG right again, so that its decoder
// sees more than these.
func mendPNG(data []byte) {
	if !bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) {
		return
	}
	for at := 8; at+12 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		if n > int64(len(data)-at-12) {
			return
		}
		end := at + 8 + int(n)
		binary.BigEndian.PutUint32(data[end:], crc32.ChecksumIEEE(data[at+4:end]))
		at = end + 4
	}
}

// TestRouteFuzz sends nonsense to every route.
func TestRouteFuzz(t *testing.T) {
	s, err := New(Config{Models: []Source{fileSource(t, "small", "1", testWeights(t, testSpec, 1))}, Pprof: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good := string(picture(t, 20, 20, 1))
	rounds(t, 1000, func(r *rand.Rand) int {
		pick := func(list ...string) string { return list[r.IntN(len(list))] }
		route := s.table()[r.IntN(len(s.table()))]
		path := route.path
		path = strings.ReplaceAll(path, "{model}", pick("small", "small", "x", "%2e%2e", "%00", "{", "\u00e9"))
		path = strings.ReplaceAll(path, "{version}", pick("1", "1", "2", "-", "%2f"))
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return 0 // no client can send it
		}
		u.RawQuery = pick("", "", "top=1", "top=-1", "top=9999999999999999999", "model=small", "model=%ff", "class=%00", "opacity=1e999", "format=json", "a=b;c", "%zz", "version=1&version=2")
		body := pick("", "{}", "[]", "null", `{"images":[""]}`, `{"images":[{"data":null}]}`, `{"images":`+strings.Repeat("[", 2000), "--b\r\n\r\n", good, "\xff\xd8\xff", `{"inputs":[null]}`)
		q := httptest.NewRequest(pick(route.method, route.method, route.method, "GET", "POST", "HEAD", "PUT", "OPTIONS", "PATCH"), "http://localhost/", strings.NewReader(body))
		q.URL = u
		q.Header.Set("Content-Type", pick("", "application/json", "image/png", "multipart/form-data; boundary=b", "multipart/form-data", "a/b; c", "\xff"))
		q.Header.Set(pick("X-Nothing", headerLength, "Content-Encoding", requestID, "Accept"), pick("", "0", "5", "-1", "1e3", "gzip", "deflate", "application/json", "\x01"))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		if w.Code >= 500 || w.Code == http.StatusOK && w.Header().Get(requestID) == "" {
			t.Errorf("%s %s %q: %d %s", q.Method, u, body[:min(len(body), 100)], w.Code, w.Body)
		}
		return w.Code
	})
}

// FuzzClassify: as FuzzInfer.
func FuzzClassify(f *testing.F) {
	s, err := New(Config{Models: []Source{fileSource(f, "small", "1", testWeights(f, testSpec, 1))}})
	if err != nil {
		f.Fatal(err)
	}
	for _, data := range seeds(f) {
		if len(data) < 5000 {
			f.Add(data, "image/png", "")
		}
	}
	f.Add([]byte(`{"images": ["aGVsbG8="], "top": 2}`), "application/json", "model=small")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n"), "multipart/form-data; boundary=b", "top=3")
	f.Fuzz(func(t *testing.T, body []byte, kind, query string) {
		fuzzRequest(t, s, "/v1/classify?"+query, kind, body)
	})
}
