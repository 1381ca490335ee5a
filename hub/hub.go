// Package hub fetches models from the Hugging Face hub, or a server that
// speaks like it, into the cache that Python's huggingface_hub keeps:
//
//	models--ORG--NAME/blobs/ETAG               contents
//	models--ORG--NAME/snapshots/COMMIT/FILE    links to them
//	models--ORG--NAME/refs/REVISION            the commit of a branch or tag
//	.locks/models--ORG--NAME/ETAG.lock         one download of a file at a time
//
// What one program has fetched the other finds. A file is checked against the
// digest that the hub gives for it before it is linked.
package hub

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// DefaultEndpoint is the public hub.
const DefaultEndpoint = "https://huggingface.co"

// Repo is a repository of models at a revision.
type Repo struct {
	ID       string // ORG/NAME
	Revision string // a branch, tag or commit; "" means main
}

func (r Repo) String() string {
	if r.Revision == "" {
		return r.ID
	}
	return r.ID + "@" + r.Revision
}

func (r Repo) revision() string {
	if r.Revision == "" {
		return "main"
	}
	return r.Revision
}

// folder is the repository's in the cache.
func (r Repo) folder() string { return "models--" + strings.ReplaceAll(r.ID, "/", "--") }

var (
	repoID   = regexp.MustCompile(`^[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,94}[0-9A-Za-z_])?/[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,94}[0-9A-Za-z_])?$`)
	revision = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]*(?:/[0-9A-Za-z_][0-9A-Za-z_.-]*)*$`)
	commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// prefixes may stand before a name, as timm writes them.
var prefixes = []string{"hf-hub:", "hf_hub:", "hf://"}

// Parse reads a name such as timm/efficientnet_b0.ra_in1k or
// hf-hub:timm/efficientnet_b0.ra_in1k@v1.
func Parse(name string) (Repo, error) {
	rest := name
	for _, p := range prefixes {
		rest = strings.TrimPrefix(rest, p)
	}
	var r Repo
	var at bool
	r.ID, r.Revision, at = strings.Cut(rest, "@")
	if !repoID.MatchString(r.ID) || strings.Contains(r.ID, "--") || strings.Contains(r.ID, "..") || strings.HasSuffix(r.ID, ".git") {
		return Repo{}, fmt.Errorf("hub: %q is not the name of a model, want ORG/NAME", name)
	}
	if at && (!revision.MatchString(r.Revision) || strings.Contains(r.Revision, "..") || len(r.Revision) > 200) {
		return Repo{}, fmt.Errorf("hub: %q is not a branch, tag or commit", r.Revision)
	}
	return r, nil
}

// Client fetches files.
type Client struct {
	Endpoint string // without a slash at its end
	Token    string // "" for none
	Cache    string // folder
	Offline  bool   // only the cache

	Transport http.RoundTripper                    // nil: http.DefaultTransport
	Progress  func(file string, done, total int64) // may be nil
	Note      func(format string, args ...any)     // of what the user may want to know; may be nil
	Pause     func(n int) time.Duration            // see package download
}

// FromEnv makes the client that the environment describes, with the variables
// of Python's huggingface_hub.
func FromEnv() (*Client, error) {
	c := &Client{Endpoint: strings.TrimRight(os.Getenv("HF_ENDPOINT"), "/")}
	if c.Endpoint == "" {
		c.Endpoint = DefaultEndpoint
	}
	home := expand(os.Getenv("HF_HOME"))
	if home == "" {
		cache := expand(os.Getenv("XDG_CACHE_HOME"))
		if cache == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return nil, fmt.Errorf("hub: no folder for the cache: %w; set HF_HOME", err)
			}
			cache = filepath.Join(user, ".cache")
		}
		home = filepath.Join(cache, "huggingface")
	}
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if c.Cache == "" {
			c.Cache = expand(os.Getenv(name))
		}
	}
	if c.Cache == "" {
		c.Cache = filepath.Join(home, "hub")
	}
	c.Offline = isTrue("HF_HUB_OFFLINE") || isTrue("TRANSFORMERS_OFFLINE")
	if isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		return c, nil
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if c.Token == "" {
			c.Token = strings.TrimSpace(os.Getenv(name))
		}
	}
	if c.Token == "" {
		path := expand(os.Getenv("HF_TOKEN_PATH"))
		if path == "" {
			path = filepath.Join(home, "token")
		}
		if b, err := os.ReadFile(path); err == nil {
			c.Token = strings.TrimSpace(string(b))
		}
	}
	return c, nil
}

func isTrue(name string) bool {
	switch strings.ToUpper(os.Getenv(name)) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// expand resolves ~ and $VARIABLES as Python does.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			path = home + rest
		}
	}
	return os.ExpandEnv(path)
}

// NotFoundError is a model, revision or file that the hub does not have.
type NotFoundError struct {
	Repo Repo
	File string // "" where it is not the file alone
	Msg  string
}

func (e *NotFoundError) Error() string {
	if e.File != "" {
		return fmt.Sprintf("hub: %s has no file %s", e.Repo, e.File)
	}
	return fmt.Sprintf("hub: %s: %s", e.Repo, e.Msg)
}

// AccessError is an answer that wants another token, or one at all.
type AccessError struct {
	Repo Repo
	Msg  string
}

func (e *AccessError) Error() string { return fmt.Sprintf("hub: %s: %s", e.Repo, e.Msg) }

// OfflineError is a file that only the network has.
type OfflineError struct {
	Repo Repo
	File string
}

func (e *OfflineError) Error() string {
	return fmt.Sprintf("hub: %s of %s is not in the cache, and HF_HUB_OFFLINE forbids to fetch it", e.File, e.Repo)
}

// File returns the path of a file of a repository in the cache, which fetches
// it if need be. A file that a later commit of the revision has replaced is
// fetched anew; where the hub cannot be reached, what the cache has will do.
func (c *Client) File(ctx context.Context, r Repo, file string) (string, error) {
	if !filepath.IsLocal(file) {
		return "", fmt.Errorf("hub: %q is not the name of a file in a repository", file)
	}
	path, cacheErr := c.cached(r, file)
	switch {
	case cacheErr == nil && (c.Offline || commitID.MatchString(r.revision())):
		return path, nil
	case c.Offline:
		return "", &OfflineError{r, file}
	}
	meta, err := c.head(ctx, r, file, cacheErr == nil)
	if err != nil {
		if cacheErr == nil && ctx.Err() == nil && !final(err) {
			c.note("%v; using the copy in the cache", err)
			return path, nil
		}
		return "", err
	}
	return c.fetch(ctx, r, file, meta)
}

func (c *Client) note(format string, args ...any) {
	if c.Note != nil {
		c.Note(format, args...)
	}
}

// repoFolder is where the cache keeps a repository.
func (c *Client) repoFolder(r Repo) string { return filepath.Join(c.Cache, r.folder()) }

func (c *Client) snapshot(r Repo, commit, file string) string {
	return filepath.Join(c.repoFolder(r), "snapshots", commit, filepath.FromSlash(file))
}

// cached finds a file without the network.
func (c *Client) cached(r Repo, file string) (string, error) {
	commit := r.revision()
	if !commitID.MatchString(commit) {
		b, err := os.ReadFile(filepath.Join(c.repoFolder(r), "refs", filepath.FromSlash(commit)))
		if err != nil {
			return "", err
		}
		if commit = strings.TrimSpace(string(b)); !commitID.MatchString(commit) {
			return "", fmt.Errorf("hub: refs/%s in %s is not a commit", r.revision(), c.repoFolder(r))
		}
	}
	path := c.snapshot(r, commit, file)
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	return path, err
}
