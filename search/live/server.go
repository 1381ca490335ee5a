package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"effnet/internal/loopback"
	"effnet/search"
)

// Source is what a server shows and controls.
type Source interface {
	// View is the present state. It is called about once a second for every
	// page that is open.
	View() (*View, error)
	// Page is the report on the ledger so far, and a number that grows with
	// the ledger; nil as long as there is nothing to report.
	Page() (html []byte, version int64, err error)
	// Control does what a button asks for. Its errors are shown to the user.
	Control(search.Command) error
}

// Server shows one search to a browser: the report, and above it what runs now.
type Server struct {
	source Source
	guard  *loopback.Guard
	http   http.Server
	ln     net.Listener
	cancel context.CancelFunc

	readOnly bool
	every    time.Duration // between two looks at the source
	streams  atomic.Int32

	mu    sync.Mutex // of the report
	page  []byte
	seen  int64         // its version
	took  time.Duration // to make
	made  time.Time
	ended atomic.Bool // the source has ended: streams finish
}

// maxStreams bounds the pages that are open at a time.
const maxStreams = 64

// maxCommand bounds a command, in bytes.
const maxCommand = 4096

// Serve shows a search at addr, a host and a port, until Close. A listener that
// others than this machine can reach shows, and controls nothing.
func Serve(source Source, addr string) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	s := newServer(source, addr)
	s.ln, s.readOnly = ln, !loopback.Local(ln.Addr())
	go s.http.Serve(ln)
	return s, nil
}

func newServer(source Source, addr string) *Server {
	s := &Server{source: source, guard: loopback.NewGuard(addr), every: time.Second, seen: -1}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.http = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	return s
}

// URL is where the page is.
func (s *Server) URL() string { return "http://" + s.ln.Addr().String() + "/" }

// ReadOnly reports whether the page has no buttons.
func (s *Server) ReadOnly() bool { return s.readOnly }

// Close ends the server. Open pages are told the last state and the last report
// first, within patience.
func (s *Server) Close(patience time.Duration) error {
	s.ended.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := s.http.Shutdown(ctx)
	s.cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /state", s.state)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("POST /control", s.control)
	return s.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}))
}

// index is the page.
func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	v, err := s.source.View()
	if err != nil {
		fail(w, err)
		return
	}
	html, seen, err := s.current()
	if err != nil {
		fail(w, err)
		return
	}
	p := panel{View: v, Seen: seen}
	if !s.readOnly {
		p.Token, p.TokenHeader = s.guard.Token(), loopback.TokenHeader
	}
	html, err = p.above(html)
	if err != nil {
		fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy(html))
	w.Write(html)
}

func (s *Server) state(w http.ResponseWriter, r *http.Request) {
	v, err := s.source.View()
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// idleShare bounds the part of its time that a server spends on making reports
// over and over: the machine is there to train.
const idleShare = 10

// current is the report, made anew where the ledger has grown, unless the last
// one took so long that it must do for a while yet.
func (s *Server) current() ([]byte, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen >= 0 && !s.ended.Load() && time.Since(s.made) < idleShare*s.took {
		return s.page, s.seen, nil
	}
	began := time.Now()
	html, n, err := s.source.Page()
	if err != nil {
		return nil, 0, err
	}
	s.page, s.seen, s.made = html, n, time.Now()
	s.took = s.made.Sub(began)
	return html, n, nil
}

// events is a stream of server-sent events, all with JSON: "state", a View when
// it has changed; "report", the page as a string, with its version as the
// event's id, when that is not the one the browser has already;
// "problem", an error in words, and "end", after which there is nothing more.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer s.streams.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	if !send("retry: 2000\n\n") {
		return
	}
	t := time.NewTicker(s.every)
	defer t.Stop()
	var last []byte
	had := r.Header.Get("Last-Event-ID") // of a browser that connects again
	if had == "" {
		had = r.FormValue("seen")
	}
	quiet := time.Now()
	for {
		ended := s.ended.Load()
		v, err := s.source.View()
		if err != nil {
			send("event: problem\ndata: %s\n\n", jsonText(err.Error()))
			return
		}
		if text, err := json.Marshal(v); err == nil && !bytes.Equal(text, last) {
			last, quiet = text, time.Now()
			if !send("event: state\ndata: %s\n\n", text) {
				return
			}
		}
		if html, n, err := s.current(); err == nil && html != nil && fmt.Sprint(n) != had {
			had, quiet = fmt.Sprint(n), time.Now()
			if !send("event: report\nid: %s\ndata: %s\n\n", had, jsonText(string(html))) {
				return
			}
		}
		if ended {
			send("event: end\ndata: null\n\n")
			return
		}
		if time.Since(quiet) > 15*time.Second {
			quiet = time.Now()
			if !send(": still here\n\n") {
				return
			}
		}
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
}

func jsonText(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return text
}

// control takes a search.Command as JSON, without what the search adds to it.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	if s.readOnly {
		http.Error(w, "this page only shows the search: the server can be reached from other machines", http.StatusForbidden)
		return
	}
	var c struct {
		Op      search.Op `json:"op"`
		Trial   string    `json:"trial"`
		Seconds float64   `json:"seconds"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		http.Error(w, "the command cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	cmd := search.Command{Op: c.Op, Trial: c.Trial, Seconds: c.Seconds}
	if err := s.source.Control(cmd); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
