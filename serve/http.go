package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is a path of the server. Paths are those of http.ServeMux.
type route struct {
	method, path string
	do           func(w http.ResponseWriter, r *http.Request) error
	open         bool // needs no bearer token
}

// table lists the interfaces. The OpenAPI document describes all of them.
func (s *Server) table() []route {
	return []route{
		{"GET", "/v1/models", s.listModels, false},
		{"GET", "/v1/models/{model}", s.showModel, false},
		{"POST", "/v1/models/{model}/reload", s.reloadModel, false},
		{"POST", "/v1/classify", s.classify, false},
		{"POST", "/v1/embed", s.embed, false},
		{"POST", "/v1/explain", s.explain, false},
		{"GET", "/v2", s.oipServer, false},
		{"GET", "/v2/health/live", s.oipLive, true},
		{"GET", "/v2/health/ready", s.oipReady, true},
		{"GET", "/v2/models/{model}", s.oipModel, false},
		{"GET", "/v2/models/{model}/ready", s.oipModelReady, false},
		{"POST", "/v2/models/{model}/infer", s.oipInfer, false},
		{"GET", "/v2/models/{model}/versions/{version}", s.oipModel, false},
		{"GET", "/v2/models/{model}/versions/{version}/ready", s.oipModelReady, false},
		{"POST", "/v2/models/{model}/versions/{version}/infer", s.oipInfer, false},
		{"GET", "/metrics", func(w http.ResponseWriter, r *http.Request) error {
			s.metrics.handler().ServeHTTP(w, r)
			return nil
		}, false},
		{"GET", "/openapi.json", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(openAPI)
			return nil
		}, true},
	}
}

// routes makes the handler of all paths.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]route{}
	var paths []string
	for _, r := range s.table() {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
		}
		methods[r.path] = append(methods[r.path], r)
	}
	for _, path := range paths {
		mux.HandleFunc(path, s.dispatch(path, methods[path]))
	}
	if s.cfg.Pprof {
		for name, h := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
			mux.HandleFunc("/debug/pprof/"+name, func(w http.ResponseWriter, r *http.Request) {
				if err := s.authorised(r); err != nil {
					fail(w, err)
					return
				}
				noteOf(r).route = "/debug/pprof/"
				h(w, r)
			})
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if isInterface(r.URL.Path) {
			fail(w, errorf(http.StatusNotFound, "nothing is at %s; /openapi.json says what is where", r.URL.Path))
			return
		}
		noteOf(r).route = "page"
		s.cfg.Page.ServeHTTP(w, r)
	})
	return mux
}

func isInterface(path string) bool {
	return strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/v2") || strings.HasPrefix(path, "/debug/")
}

// dispatch chooses among the routes of a path by method.
func (s *Server) dispatch(path string, routes []route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := noteOf(r)
		n.route = path
		var allow []string
		for _, rt := range routes {
			if r.Method == rt.method || r.Method == http.MethodHead && rt.method == http.MethodGet {
				err := error(nil)
				if !rt.open {
					err = s.authorised(r)
				}
				if err == nil {
					err = rt.do(w, r)
				}
				if err != nil {
					fail(w, err)
				}
				return
			}
			if allow = append(allow, rt.method); rt.method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
		w.Header().Set("Allow", strings.Join(allow, ", "))
		fail(w, errorf(http.StatusMethodNotAllowed, "%s is not for %s, only %s", r.Method, path, strings.Join(allow, ", ")))
	}
}

// authorised checks the bearer token.
func (s *Server) authorised(r *http.Request) error {
	if s.cfg.Token == "" {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// Of equal length, whatever was sent.
	a, b := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(s.cfg.Token))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return errorf(http.StatusUnauthorized, "this server wants the header Authorization: Bearer TOKEN with its token")
	}
	return nil
}

// note is what the log says of a request.
type note struct {
	id, route      string
	model, version string
	images         int
	timing         timing
}

type noteKey struct{}

func noteOf(r *http.Request) *note { return r.Context().Value(noteKey{}).(*note) }

// requestID is the header of a request's identity, the client's or a new one.
const requestID = "X-Request-Id"

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	err    error
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	if status == statusClosed {
		status = http.StatusBadRequest // nobody is there to read it
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// wrap gives every request an identity, a deadline and a line in the log, keeps
// pages of other sites out, and answers with 500 where a handler panics.
func (s *Server) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := time.Now()
		n := &note{id: r.Header.Get(requestID), route: "none"}
		if !printableID(n.id) {
			n.id = rand.Text()
		}
		w := &recorder{ResponseWriter: rw}
		h := w.Header()
		h.Set(requestID, n.id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), noteKey{}, n), s.cfg.Timeout)
		defer cancel()
		r = r.WithContext(ctx)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.cfg.Log.Error("panic", "id", n.id, "panic", fmt.Sprint(p))
				if w.status == 0 {
					fail(w, errorf(http.StatusInternalServerError, "an error inside the server"))
				}
			}
			s.metrics.requests.WithLabelValues(n.route, strconv.Itoa(w.status)).Inc()
			s.log(r, w, n, time.Since(start))
		}()
		if why := s.guard.Refuses(r); why != "" {
			fail(w, errorf(http.StatusForbidden, "%s", why))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func printableID(id string) bool {
	return id != "" && len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// log writes a request's line.
func (s *Server) log(r *http.Request, w *recorder, n *note, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case w.status >= 500 && w.status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case w.status >= 400:
		level = slog.LevelWarn
	case n.route == "/metrics" || strings.HasPrefix(n.route, "/v2/health"):
		level = slog.LevelDebug
	}
	if !s.cfg.Log.Enabled(r.Context(), level) {
		return
	}
	args := []any{"id", n.id, "method", r.Method, "path", r.URL.Path, "status", w.status, "bytes", w.bytes, "ms", millis(took), "remote", r.RemoteAddr}
	if n.model != "" {
		args = append(args, "model", n.model, "version", n.version)
	}
	if n.images > 0 {
		args = append(args, "images", n.images, "queue_ms", n.timing.Queue, "infer_ms", n.timing.Infer, "batch", n.timing.Batch)
	}
	if w.err != nil {
		args = append(args, "err", w.err.Error())
	}
	s.cfg.Log.Log(r.Context(), level, "request", args...)
}
