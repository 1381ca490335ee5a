package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/hub"
	"effnet/hub/hubtest"
)

const repo = "timm/efficientnet_b0.ra_in1k"

var (
	weightsData = bytes.Repeat([]byte("weights "), 1<<15)
	configData  = []byte(`{"architecture": "efficientnet_b0"}`)
)

func serve(t *testing.T) *hubtest.Server {
	return hubtest.New(t, repo, map[string][]byte{
		"config.json": configData, "model.safetensors": weightsData, "empty": nil,
	}, "model.safetensors")
}

func client(t *testing.T, s *hubtest.Server) *hub.Client {
	return &hub.Client{Endpoint: s.URL, Token: s.Token, Cache: filepath.Join(t.TempDir(), "hub"), Pause: func(int) time.Duration { return time.Millisecond }}
}

func repoOf(t *testing.T, name string) hub.Repo {
	t.Helper()
	r, err := hub.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tree lists the files of a folder, links with where they lead.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.Type()&fs.ModeSymlink != 0 {
			to, _ := os.Readlink(path)
			name += " -> " + to
		}
		list = append(list, filepath.ToSlash(name))
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return list
}

// TestLayout: the cache is laid out as Python's.
func TestLayout(t *testing.T) {
	s := serve(t)
	s.Token = "secret"
	s.Files["sub/dir/x.txt"] = []byte("x")
	c := client(t, s)
	var done, total int64
	c.Progress = func(file string, d, n int64) {
		if file == "model.safetensors" {
			done, total = d, n
		}
	}
	want := map[string][]byte{"config.json": configData, "model.safetensors": weightsData, "empty": nil, "sub/dir/x.txt": []byte("x")}
	for file, data := range want {
		path, err := c.File(t.Context(), repoOf(t, repo), file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: read %d bytes, %v, want %d", file, len(got), err, len(data))
		}
	}
	if n := int64(len(weightsData)); done != n || total != n {
		t.Errorf("progress ended at %d of %d, want %d", done, total, n)
	}
	folder := "models--timm--efficientnet_b0.ra_in1k/"
	var list []string
	for file := range want {
		list = append(list,
			".locks/"+folder+s.Etag(file)+".lock",
			folder+"blobs/"+s.Etag(file),
			folder+"snapshots/"+hubtest.Commit+"/"+file+" -> "+strings.Repeat("../", strings.Count(file, "/"))+"../../blobs/"+s.Etag(file))
	}
	list = append(list, folder+"refs/main")
	slices.Sort(list)
	if got := tree(t, c.Cache); !slices.Equal(got, list) {
		t.Errorf("the cache holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(list, "\n"))
	}
	if ref, err := os.ReadFile(filepath.Join(c.Cache, folder, "refs/main")); err != nil || string(ref) != hubtest.Commit {
		t.Errorf("refs/main is %q, %v", ref, err)
	}

	// The token goes to the hub and nowhere else.
	for _, r := range s.Requests() {
		want := "Bearer secret"
		if r.Store {
			want = ""
		}
		if r.Token != want {
			t.Errorf("%s %s: token %q, want %q", r.Method, r.Path, r.Token, want)
		}
	}

	// A second time, one question a file and no data; by commit, none at all.
	before := len(s.Requests())
	for _, name := range []string{repo, repo + "@" + hubtest.Commit} {
		if _, err := c.File(t.Context(), repoOf(t, name), "model.safetensors"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Requests()) - before; n != 1 {
		t.Errorf("%d requests for what is in the cache, want 1", n)
	}
}

// TestFaults: whatever the server does, the file is right or there is none.
func TestFaults(t *testing.T) {
	n := len(weightsData)
	type fault = func(w http.ResponseWriter, r *http.Request, n int) bool
	get := func(f fault) func(http.ResponseWriter, *http.Request, bool, int) bool {
		return func(w http.ResponseWriter, r *http.Request, store bool, n int) bool { return store && f(w, r, n) }
	}
	head := func(f fault) func(http.ResponseWriter, *http.Request, bool, int) bool {
		return func(w http.ResponseWriter, r *http.Request, store bool, n int) bool {
			return r.Method == http.MethodHead && f(w, r, n)
		}
	}
	first := func(k int, f fault) fault {
		return func(w http.ResponseWriter, r *http.Request, n int) bool { return n <= k && f(w, r, n) }
	}
	status := func(code int) fault {
		return func(w http.ResponseWriter, r *http.Request, n int) bool { http.Error(w, "no", code); return true }
	}
	cut := func(w http.ResponseWriter, r *http.Request, _ int) bool {
		from := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		rest := weightsData[from:]
		w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, n-1, n))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(rest[:len(rest)/2])
		panic(http.ErrAbortHandler)
	}
	send := func(b []byte) fault {
		return func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			w.Write(b)
			return true
		}
	}
	wrong := bytes.Clone(weightsData)
	wrong[n-1] ^= 1
	header := func(kv ...string) fault {
		return func(w http.ResponseWriter, r *http.Request, _ int) bool {
			h := map[string]string{"X-Repo-Commit": hubtest.Commit, "ETag": `"abc"`, "Content-Length": "8"}
			for i := 0; i < len(kv); i += 2 {
				h[kv[i]] = kv[i+1]
			}
			for k, v := range h {
				if v != "" {
					w.Header().Set(k, v)
				}
			}
			if h["Location"] != "" {
				w.WriteHeader(http.StatusFound)
			}
			return true
		}
	}
	for _, c := range []struct {
		name   string
		fault  func(w http.ResponseWriter, r *http.Request, store bool, n int) bool
		before []byte // an earlier process left
		want   string // in the error; "" for none
		ranges []string
	}{
		{"none", nil, nil, "", []string{""}},
		{"resumed", nil, weightsData[:1000], "", []string{"bytes=1000-"}},
		{"all there", nil, weightsData, "", nil},
		{"too much there", nil, append(bytes.Clone(weightsData), 1), "", []string{""}},
		{"wrong there", nil, wrong[1:1000], "", []string{"bytes=999-", ""}},
		{"cut three times", get(first(3, cut)), nil, "", []string{"", fmt.Sprintf("bytes=%d-", n/2), fmt.Sprintf("bytes=%d-", n/2+n/4), fmt.Sprintf("bytes=%d-", n/2+n/4+n/8)}},
		{"always cut", get(cut), nil, "unexpected EOF (5 attempts)", nil},
		{"too short", get(send(weightsData[:n-1])), nil, fmt.Sprintf("got %d bytes, want %d (5 attempts)", n-1, n), nil},
		{"too long", get(send(append(bytes.Clone(weightsData), 1))), nil, fmt.Sprintf("got %d bytes, want %d (5 attempts)", n+1, n), nil},
		{"empty", get(send(nil)), nil, "got 0 bytes", nil},
		{"wrong hash", get(send(wrong)), nil, "got digest", nil},
		{"wrong hash once", get(first(1, send(wrong))), nil, "", []string{"", ""}},
		{"range ignored", get(send(weightsData)), weightsData[:1000], "", []string{"bytes=1000-"}},
		{"another range", get(first(1, func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Content-Range", "bytes 0-1/2")
			w.WriteHeader(http.StatusPartialContent)
			return true
		})), weightsData[:1000], "", []string{"bytes=1000-", "bytes=1000-"}},
		{"range refused", get(first(1, status(416))), weightsData[:1000], "", []string{"bytes=1000-", ""}},
		{"store fails twice", get(first(2, status(503))), nil, "", []string{"", "", ""}},
		{"store always fails", get(status(500)), nil, "500 Internal Server Error (5 attempts)", nil},
		{"store forbids", get(status(403)), nil, "refuses", nil},
		{"busy twice", head(first(2, status(429))), nil, "", []string{""}},
		{"hub always fails", head(status(502)), nil, "502 Bad Gateway (5 attempts)", nil},
		{"hub cuts", head(first(2, func(http.ResponseWriter, *http.Request, int) bool { panic(http.ErrAbortHandler) })), nil, "", []string{""}},
		{"not a hub", head(send([]byte("<html>"))), nil, "the answer is not a hub's: X-Repo-Commit", nil},
		{"no etag", head(header("ETag", "")), nil, "the ETag is", nil},
		{"commit is a path", head(header("X-Repo-Commit", "../../../../evil")), nil, "X-Repo-Commit is", nil},
		{"etag is a path", head(header("ETag", `"../evil"`)), nil, "the ETag is", nil},
		{"etag is hidden", head(header("ETag", `".."`)), nil, "the ETag is", nil},
		{"redirect to nowhere", head(header("Location", "http://%zz")), nil, "invalid", nil},
		{"redirect without end", head(header("Location", "/again")), nil, "more than 10 redirects", nil},
		{"data redirects without end", func(w http.ResponseWriter, r *http.Request, store bool, _ int) bool {
			if r.Method == http.MethodGet {
				http.Redirect(w, r, r.URL.Path, http.StatusFound)
			}
			return r.Method == http.MethodGet
		}, nil, "more than 10 redirects", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.Fault = c.fault
			cl := client(t, s)
			blob := filepath.Join(cl.Cache, "models--timm--efficientnet_b0.ra_in1k", "blobs", s.Etag("model.safetensors"))
			if c.before != nil {
				os.MkdirAll(filepath.Dir(blob), 0o755)
				if err := os.WriteFile(blob+".incomplete", c.before, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			path, err := cl.File(t.Context(), repoOf(t, repo), "model.safetensors")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error is %v, want %q", err, c.want)
				}
				for _, f := range tree(t, cl.Cache) {
					if strings.Contains(f, "snapshots/") || strings.Contains(f, "blobs/") && !strings.HasSuffix(f, ".incomplete") || strings.Contains(f, "refs/") {
						t.Errorf("the cache holds %s", f)
					}
				}
				if _, err := os.Stat(filepath.Join(cl.Cache, "..", "evil")); err == nil {
					t.Error("a file outside of the cache")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, weightsData) {
				t.Errorf("read %d bytes, %v, want %d", len(got), err, n)
			}
			var ranges []string
			for _, r := range s.Requests() {
				if r.Store && r.Method == http.MethodGet {
					ranges = append(ranges, r.Range)
				}
			}
			if !slices.Equal(ranges, c.ranges) {
				t.Errorf("ranges asked for are %q, want %q", ranges, c.ranges)
			}
		})
	}
}

// TestTokenOnRedirect: a redirect from the hub to another host, to a port of
// the same host, or back, never carries the token along.
func TestTokenOnRedirect(t *testing.T) {
	s := serve(t)
	s.Token = "secret"
	c := client(t, s)
	if _, err := c.File(t.Context(), repoOf(t, repo), "model.safetensors"); err != nil {
		t.Fatal(err)
	}
	store := 0
	for _, r := range s.Requests() {
		if r.Store {
			store++
			if r.Token != "" {
				t.Errorf("the store got the token %q", r.Token)
			}
		}
	}
	if store == 0 {
		t.Error("no request to the store")
	}
}

func TestAnswers(t *testing.T) {
	s := serve(t)
	c := client(t, s)
	for _, x := range []struct {
		repo, file string
		want       string
		of         any
	}{
		{repo, "none.bin", "hub: " + repo + " has no file none.bin", new(*hub.NotFoundError)},
		{repo + "@v9", "config.json", "hub: " + repo + "@v9: no such revision", new(*hub.NotFoundError)},
		{"timm/none", "config.json", "hub: timm/none: no such model", new(*hub.NotFoundError)},
		{repo, "../config.json", "not the name of a file", nil},
		{repo, "/etc/passwd", "not the name of a file", nil},
	} {
		_, err := c.File(t.Context(), repoOf(t, x.repo), x.file)
		if err == nil || !strings.HasPrefix(err.Error(), "hub: ") || !strings.Contains(err.Error(), x.want) || x.of != nil && !errors.As(err, x.of) {
			t.Errorf("%s of %s: error is %v (%T), want %q", x.file, x.repo, err, err, x.want)
		}
	}
	s.Token = "secret"
	for token, want := range map[string]string{"": "one that wants a token in HF_TOKEN", "wrong": "the hub refuses the token; check HF_TOKEN"} {
		c.Token = token
		_, err := c.File(t.Context(), repoOf(t, repo), "config.json")
		if !errors.As(err, new(*hub.AccessError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("token %q: error is %v, want an AccessError with %q", token, err, want)
		}
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("the error holds the token: %v", err)
		}
	}
	s.Token = ""
	s.Fault = func(w http.ResponseWriter, r *http.Request, store bool, n int) bool {
		w.Header().Set("X-Error-Code", "GatedRepo")
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	if _, err := c.File(t.Context(), repoOf(t, repo), "config.json"); !errors.As(err, new(*hub.AccessError)) || !strings.Contains(err.Error(), "terms accepted") {
		t.Errorf("gated: error is %v", err)
	}
}

func TestOffline(t *testing.T) {
	s := serve(t)
	c := client(t, s)
	want, err := c.File(t.Context(), repoOf(t, repo), "config.json")
	if err != nil {
		t.Fatal(err)
	}
	n := len(s.Requests())
	c.Offline = true
	if got, err := c.File(t.Context(), repoOf(t, repo), "config.json"); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, x := range []struct{ repo, file string }{{repo, "model.safetensors"}, {"timm/other", "config.json"}, {repo + "@v2", "config.json"}} {
		var off *hub.OfflineError
		if _, err := c.File(t.Context(), repoOf(t, x.repo), x.file); !errors.As(err, &off) {
			t.Errorf("%s of %s: error is %v, want an OfflineError", x.file, x.repo, err)
		}
	}
	if len(s.Requests()) != n {
		t.Error("requests were made")
	}

	// A hub that is down is told from one that says no.
	c.Offline = false
	var notes []string
	c.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	s.Fault = func(w http.ResponseWriter, r *http.Request, store bool, n int) bool { w.WriteHeader(503); return true }
	if got, err := c.File(t.Context(), repoOf(t, repo), "config.json"); err != nil || got != want {
		t.Errorf("hub down: got %q, %v, want %q", got, err, want)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "using the copy in the cache") {
		t.Errorf("hub down: notes are %q", notes)
	}
	s.Fault = nil
	s.Token = "now private"
	if _, err := c.File(t.Context(), repoOf(t, repo), "config.json"); !errors.As(err, new(*hub.AccessError)) {
		t.Errorf("now private: error is %v, want an AccessError", err)
	}
}

// TestBrokenCache: a blob that lost bytes, or a link to nothing, is replaced.
func TestBrokenCache(t *testing.T) {
	s := serve(t)
	c := client(t, s)
	path, err := c.File(t.Context(), repoOf(t, repo), "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"cut":       func() error { return os.Truncate(blob, 100) },
		"gone":      func() error { return os.Remove(blob) },
		"no link":   func() error { return os.Remove(path) },
		"link away": func() error { return errors.Join(os.Remove(path), os.Symlink("/nowhere", path)) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.File(t.Context(), repoOf(t, repo), "model.safetensors"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, weightsData) {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
	}
}

// TestTogether: of several that want the same file one fetches it.
func TestTogether(t *testing.T) {
	s := serve(t)
	s.Fault = func(w http.ResponseWriter, r *http.Request, store bool, n int) bool {
		if store {
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}
	c := client(t, s)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			path, err := c.File(t.Context(), repoOf(t, repo), "model.safetensors")
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, weightsData) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	gets := 0
	for _, r := range s.Requests() {
		if r.Store && r.Method == http.MethodGet {
			gets++
		}
	}
	if gets != 1 {
		t.Errorf("fetched %d times, want once", gets)
	}
}

// TestInterrupted: what a cancelled download has fetched is kept for the next.
func TestInterrupted(t *testing.T) {
	s := serve(t)
	c := client(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	s.Fault = func(w http.ResponseWriter, r *http.Request, store bool, n int) bool {
		if !store || n > 1 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(weightsData)))
		w.Write(weightsData[:1<<17])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	c.Progress = func(_ string, done, _ int64) {
		if done >= 1<<17 {
			cancel()
		}
	}
	if _, err := c.File(ctx, repoOf(t, repo), "model.safetensors"); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want context.Canceled", err)
	}
	c.Progress = nil
	if _, err := c.File(t.Context(), repoOf(t, repo), "model.safetensors"); err != nil {
		t.Fatal(err)
	}
	last := s.Requests()[len(s.Requests())-1]
	if want := fmt.Sprintf("bytes=%d-", 1<<17); last.Range != want {
		t.Errorf("the second download asks for %q, want %q", last.Range, want)
	}
}

func TestParse(t *testing.T) {
	for name, want := range map[string]hub.Repo{
		"timm/efficientnet_b0.ra_in1k":           {ID: "timm/efficientnet_b0.ra_in1k"},
		"hf-hub:timm/x@v1.0":                     {ID: "timm/x", Revision: "v1.0"},
		"hf_hub:a/b@refs/pr/1":                   {ID: "a/b", Revision: "refs/pr/1"},
		"hf://a-b/c_d":                           {ID: "a-b/c_d"},
		"timm/efficientnet_b0@" + hubtest.Commit: {ID: "timm/efficientnet_b0", Revision: hubtest.Commit},
	} {
		got, err := hub.Parse(name)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	for _, name := range []string{
		"", "x", "a/b/c", "/a", "a/", "../b", "a/..", "./a", "a/b@", "a/b@../x", "a/b@x/../y", "a/b@x@y", "a/.b", "a/b-", "a--b/c", "a/b..c", "a/b.git",
		"a b/c", "a/b\n", "a/é", "a/b@x y", strings.Repeat("a", 97) + "/b", "a/b@" + strings.Repeat("r", 300), "https://example.com/a/b",
	} {
		if r, err := hub.Parse(name); err == nil {
			t.Errorf("%q is read as %v", name, r)
		}
	}
}

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	for _, v := range []string{"HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"} {
		t.Setenv(v, "")
	}
	t.Setenv("HOME", home)
	check := func(what string, want hub.Client) {
		t.Helper()
		c, err := hub.FromEnv()
		if err != nil {
			t.Fatal(err)
		}
		if c.Endpoint != want.Endpoint || c.Cache != want.Cache || c.Token != want.Token || c.Offline != want.Offline {
			t.Errorf("%s: %+v, want %+v", what, *c, want)
		}
	}
	check("nothing", hub.Client{Endpoint: hub.DefaultEndpoint, Cache: filepath.Join(home, ".cache/huggingface/hub")})
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "x"))
	check("XDG", hub.Client{Endpoint: hub.DefaultEndpoint, Cache: filepath.Join(home, "x/huggingface/hub")})
	t.Setenv("HF_HOME", "~/hf")
	os.MkdirAll(filepath.Join(home, "hf"), 0o755)
	os.WriteFile(filepath.Join(home, "hf", "token"), []byte("from file\n"), 0o600)
	check("HF_HOME", hub.Client{Endpoint: hub.DefaultEndpoint, Cache: filepath.Join(home, "hf/hub"), Token: "from file"})
	t.Setenv("HF_HUB_CACHE", "$HOME/c")
	t.Setenv("HF_TOKEN", " t ")
	t.Setenv("HF_ENDPOINT", "http://mirror/")
	t.Setenv("HF_HUB_OFFLINE", "yes")
	check("all", hub.Client{Endpoint: "http://mirror", Cache: filepath.Join(home, "c"), Token: "t", Offline: true})
	t.Setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
	t.Setenv("HF_HUB_OFFLINE", "0")
	check("no token", hub.Client{Endpoint: "http://mirror", Cache: filepath.Join(home, "c")})
}
