package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"effnet/internal/atomicfile"
	"effnet/internal/download"
	"effnet/internal/lockfile"
)

// metadata is what the hub says about a file before it is fetched.
type metadata struct {
	commit string
	etag   string // SHA-256 of a large file, git's SHA-1 of a small one
	size   int64
}

const (
	maxRedirects = 10
	headTimeout  = 30 * time.Second
)

var etagName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,199}$`)

// url is where a file of a repository is at a revision.
func (c *Client) url(r Repo, revision, file string) string {
	return c.Endpoint + "/" + r.ID + "/resolve/" + url.PathEscape(revision) + "/" + (&url.URL{Path: file}).EscapedPath()
}

// client is an HTTP client that gives the token to nobody but the endpoint.
func (c *Client) client() *http.Client {
	return &http.Client{
		Transport: c.Transport,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) >= maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			if !sameOrigin(req.URL, via[0].URL) {
				req.Header.Del("Authorization")
			}
			return nil
		},
	}
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

func (c *Client) header() http.Header {
	h := http.Header{"User-Agent": {"effnet"}}
	if c.Token != "" {
		h.Set("Authorization", "Bearer "+c.Token)
	}
	return h
}

// head asks about a file. The hub answers for a large file with a redirect to
// where it is stored, which carries all that matters; redirects within the hub
// are followed. once asks a single time.
func (c *Client) head(ctx context.Context, r Repo, file string, once bool) (*metadata, error) {
	var meta *metadata
	err := download.Retry(ctx, c.Pause, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, headTimeout)
		defer cancel()
		meta, err = c.headOnce(ctx, r, file)
		if err != nil && once {
			err = download.Permanent(err)
		}
		return err
	})
	return meta, wrap(err, r, file)
}

// wrap says what an error is about, unless it says so itself.
func wrap(err error, r Repo, file string) error {
	if err == nil || final(err) {
		return err
	}
	return fmt.Errorf("hub: %s: %s: %w", r, file, err)
}

// final reports whether an error is the hub's answer, as opposed to none.
func final(err error) bool {
	var nf *NotFoundError
	var ae *AccessError
	return errors.As(err, &nf) || errors.As(err, &ae)
}

func (c *Client) headOnce(ctx context.Context, r Repo, file string) (*metadata, error) {
	at, err := url.Parse(c.url(r, r.revision(), file))
	if err != nil {
		return nil, download.Permanent(err)
	}
	client := c.client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	meta := &metadata{size: -1}
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, at.String(), nil)
		if err != nil {
			return nil, download.Permanent(err)
		}
		req.Header = c.header()
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		if resp.StatusCode >= 400 {
			return nil, download.Answer(resp, c.explain(r, file))
		}
		redirect := resp.StatusCode >= 300
		meta.read(resp.Header, redirect)
		if !redirect {
			return meta, meta.check()
		}
		to, err := resp.Location()
		if err != nil {
			return nil, download.Permanent(err)
		}
		if !sameOrigin(to, at) {
			return meta, meta.check()
		}
		at = to
	}
	return nil, download.Permanent(fmt.Errorf("more than %d redirects", maxRedirects))
}

// read takes what an answer says; the last one to say it is right.
func (m *metadata) read(h http.Header, redirect bool) {
	if v := h.Get("X-Repo-Commit"); v != "" {
		m.commit = v
	}
	etag, size := h.Get("X-Linked-Etag"), h.Get("X-Linked-Size")
	if etag == "" && !redirect {
		etag = h.Get("ETag")
	}
	if size == "" && !redirect {
		size = h.Get("Content-Length")
	}
	if etag != "" {
		m.etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	}
	if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
		m.size = n
	}
}

// check refuses answers that are not the hub's. Commit and etag become names
// of files.
func (m *metadata) check() error {
	switch {
	case !commitID.MatchString(m.commit):
		return download.Permanent(fmt.Errorf("the answer is not a hub's: X-Repo-Commit is %q", m.commit))
	case !etagName.MatchString(m.etag):
		return download.Permanent(fmt.Errorf("the answer is not a hub's: the ETag is %q", m.etag))
	case m.size < 0:
		return download.Permanent(errors.New("the answer is not a hub's: it gives no size"))
	}
	return nil
}

// digest is what the etag says about the content: how it is hashed, nil where
// it says nothing.
func (m *metadata) digest() (newHash func() hash.Hash, sum string) {
	switch len(m.etag) {
	case 2 * sha256.Size:
		return sha256.New, m.etag
	case 2 * sha1.Size:
		return func() hash.Hash {
			h := &gitHash{sha1.New(), m.size}
			h.Reset()
			return h
		}, m.etag
	}
	return nil, ""
}

// gitHash is git's name of a content: the SHA-1 of its size and itself.
type gitHash struct {
	hash.Hash
	size int64
}

func (g *gitHash) Reset() {
	g.Hash.Reset()
	fmt.Fprintf(g.Hash, "blob %d\x00", g.size)
}

// explain turns statuses into errors that say what to do.
func (c *Client) explain(r Repo, file string) func(*http.Response) error {
	return func(resp *http.Response) error {
		code := resp.Header.Get("X-Error-Code")
		switch {
		case code == "EntryNotFound":
			return &NotFoundError{r, file, ""}
		case code == "RevisionNotFound":
			return &NotFoundError{r, "", "no such revision"}
		case code == "GatedRepo":
			return &AccessError{r, "the model wants its terms accepted, on its page of the hub, and the token of who did in HF_TOKEN"}
		case resp.StatusCode == http.StatusUnauthorized && c.Token == "":
			return &AccessError{r, "no such model, or one that wants a token in HF_TOKEN"}
		case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
			return &AccessError{r, "the hub refuses the token; check HF_TOKEN"}
		case resp.StatusCode == http.StatusNotFound:
			return &NotFoundError{r, "", "no such model on " + c.Endpoint}
		}
		return nil
	}
}

// fetch makes sure that the cache has a file, and returns its path there.
func (c *Client) fetch(ctx context.Context, r Repo, file string, m *metadata) (string, error) {
	pointer := c.snapshot(r, m.commit, file)
	if has(pointer, m.size) {
		// The cache may be read-only.
		_ = c.writeRef(r, m.commit)
		return pointer, nil
	}
	blob := filepath.Join(c.repoFolder(r), "blobs", m.etag)
	lock := filepath.Join(c.Cache, ".locks", r.folder(), m.etag+".lock")
	for _, path := range []string{blob, pointer, lock} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", fmt.Errorf("hub: %w", err)
		}
	}
	held, err := c.lock(ctx, lock)
	if err != nil {
		return "", fmt.Errorf("hub: %s: %s: %w", r, file, err)
	}
	defer held.Release()
	if !has(blob, m.size) {
		if err := c.download(ctx, r, file, m, blob); err != nil {
			return "", err
		}
	}
	if err := link(blob, pointer, m.size); err != nil {
		return "", fmt.Errorf("hub: %w", err)
	}
	if err := c.writeRef(r, m.commit); err != nil {
		return "", fmt.Errorf("hub: %w", err)
	}
	return pointer, nil
}

// has reports whether a file is there with all its bytes.
func has(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

func (c *Client) download(ctx context.Context, r Repo, file string, m *metadata, blob string) error {
	f := download.File{
		URL: c.url(r, m.commit, file), Header: c.header(), Size: m.size,
		Client: c.client(), Explain: c.explain(r, file), Pause: c.Pause,
	}
	f.NewHash, f.Digest = m.digest()
	if c.Progress != nil {
		f.Progress = func(done, total int64) { c.Progress(file, done, total) }
	}
	return wrap(f.Fetch(ctx, blob, blob+".incomplete"), r, file)
}

// lock waits for the lock of a file, which Python's huggingface_hub honours.
func (c *Client) lock(ctx context.Context, path string) (*lockfile.Lock, error) {
	for waited := false; ; waited = true {
		l, err := lockfile.Acquire(path)
		var held *lockfile.HeldError
		if !errors.As(err, &held) {
			return l, err
		}
		if !waited {
			c.note("another process is fetching the same file; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// link makes the entry of a snapshot: a relative link to the blob, or a copy
// where there are no links.
func link(blob, pointer string, size int64) error {
	target, err := filepath.Rel(filepath.Dir(pointer), blob)
	if err != nil {
		return err
	}
	if has(pointer, size) { // made meanwhile by another process
		return nil
	}
	// What does not lead to the blob is in the way.
	if err := os.Remove(pointer); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Symlink(target, pointer) == nil {
		return nil
	}
	in, err := os.Open(blob)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.Write(pointer, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// writeRef notes which commit a branch or tag was at.
func (c *Client) writeRef(r Repo, commit string) error {
	if r.revision() == commit {
		return nil
	}
	path := filepath.Join(c.repoFolder(r), "refs", filepath.FromSlash(r.revision()))
	if b, err := os.ReadFile(path); err == nil && string(b) == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, []byte(commit))
}
