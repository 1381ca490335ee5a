// Package hubtest is a server that behaves like the Hugging Face hub, for
// tests: a hub that answers for small files itself and redirects to another
// host for large ones, with the headers, error codes and tokens of the real one.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Commit is the commit of every repository's main branch.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// Server is a hub with one repository.
type Server struct {
	URL   string
	Repo  string
	Files map[string][]byte
	Large map[string]bool // files kept on the other host
	Token string          // wanted of everybody; "" for none

	// Fault, if not nil, may answer a request in the server's place; it says
	// whether it did. store tells a request to the other host; n counts from 1
	// the requests like it, by method and host.
	Fault func(w http.ResponseWriter, r *http.Request, store bool, n int) bool

	mu       sync.Mutex
	counts   map[string]int
	requests []Request
	store    *httptest.Server
}

// Request is one that the server got.
type Request struct {
	Method, Path, Range, Token string
	Store                      bool
}

// New starts a hub.
func New(t testing.TB, repo string, files map[string][]byte, large ...string) *Server {
	s := &Server{Repo: repo, Files: files, Large: map[string]bool{}, counts: map[string]int{}}
	for _, f := range large {
		s.Large[f] = true
	}
	hub := httptest.NewServer(s.handler(false))
	t.Cleanup(hub.Close)
	s.store = httptest.NewServer(s.handler(true))
	t.Cleanup(s.store.Close)
	s.URL = hub.URL
	return s
}

// Requests lists what the server got so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request{}, s.requests...)
}

// Etag is the name of a file's content.
func (s *Server) Etag(file string) string {
	b := s.Files[file]
	if s.Large[file] {
		return fmt.Sprintf("%x", sha256.Sum256(b))
	}
	return fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(b)), b...)))
}

func (s *Server) handler(store bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		key := fmt.Sprint(r.Method, store)
		s.counts[key]++
		n := s.counts[key]
		s.requests = append(s.requests, Request{r.Method, r.URL.Path, r.Header.Get("Range"), r.Header.Get("Authorization"), store})
		s.mu.Unlock()
		if s.Fault != nil && s.Fault(w, r, store, n) {
			return
		}
		if store {
			s.serveStore(w, r)
		} else {
			s.serveHub(w, r)
		}
	})
}

// refuse answers with one of the hub's error codes.
func refuse(w http.ResponseWriter, status int, code, msg string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", msg)
	http.Error(w, msg, status)
}

const cachePrefix = "/api/resolve-cache/models/"

func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	if s.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.Token {
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		return
	}
	if file, ok := strings.CutPrefix(r.URL.Path, cachePrefix+s.Repo+"/"+Commit+"/"); ok {
		w.Header().Set("X-Repo-Commit", Commit)
		w.Header().Set("ETag", `"`+s.Etag(file)+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.Files[file]))
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/"+s.Repo+"/resolve/")
	if !ok {
		refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		return
	}
	revision, file, _ := strings.Cut(rest, "/")
	if revision != "main" && revision != Commit {
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	if _, ok := s.Files[file]; !ok {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("X-Repo-Commit", Commit)
	if !s.Large[file] {
		w.Header().Set("Location", cachePrefix+s.Repo+"/"+Commit+"/"+file)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+s.Etag(file)+`"`)
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(s.Files[file])))
	w.Header().Set("Location", s.store.URL+"/blob/"+s.Etag(file)+"?signature=x")
	w.WriteHeader(http.StatusFound)
}

func (s *Server) serveStore(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		http.Error(w, "a token besides the signature", http.StatusBadRequest)
		return
	}
	for file, b := range s.Files {
		if r.URL.Path == "/blob/"+s.Etag(file) && r.URL.Query().Get("signature") == "x" {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
			return
		}
	}
	http.NotFound(w, r)
}
