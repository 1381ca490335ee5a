// Package serve answers HTTP requests with trained networks.
//
// There are two interfaces. /v1 takes pictures as people have them (a JPEG as
// the body, a form with files, base64 in JSON) and prepares them itself. /v2 is
// the Open Inference Protocol's REST interface as KServe states it, with the
// extension for binary tensors, and takes prepared arrays. For people there are
// web pages, see [Pages].
//
// Every picture goes the same way:
//
//	admission   a model has room for so many pictures; without it 503 at once
//	decoding    on one core, as many at a time as there are cores and memory; each within limits
//	running     on one core, or on all if nobody else needs any, with those of other
//	            requests that are ready at that time
//	answer
//
// A [Server] is an http.Handler. It keeps no state but its models, which can be
// replaced while it serves.
package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"effnet"
	"effnet/imageprep"
	"effnet/internal/loopback"
)

// Config is what a server does. Zero fields mean the default.
type Config struct {
	Models []Source

	Addr  string   // host:port it listens at: its host is a name the server answers to
	Hosts []string // more such names; addresses and localhost always are
	Token string   // bearer token that requests must carry; "" for none

	// Cores is how many goroutines decode pictures and run networks at a time; 0:
	// GOMAXPROCS. With a GOMAXPROCS of Procs(Cores), requests are read, refused and
	// answered without waiting for these.
	Cores int

	MaxBatch     int           // pictures that are run together, at most; 8
	MaxDelay     time.Duration // that a picture waits for others which are on their way, to run with them; 0: none
	Queue        int           // pictures of a model that are admitted and not answered, at most; 64
	QueueTimeout time.Duration // that an admitted picture waits before it is run, at most; 5 s
	Timeout      time.Duration // of a whole request; 30 s

	MaxBody      int64            // bytes of a request, also after decompression; 32 MiB
	MaxImages    int              // of one request; 32, at most Queue
	BodyMemory   int64            // bytes of all requests being read and answered; 256 MiB
	Image        imageprep.Limits // of each picture; MaxPixels is 24 Mi here
	DecodeMemory int64            // bytes that decoders may have together; 512 MiB
	DecodeTime   time.Duration    // of one picture; 5 s

	Pprof bool          // serve /debug/pprof
	Watch time.Duration // how often the models' files are looked at; 0: never
	Log   *slog.Logger  // nil: nothing is logged
	Page  http.Handler  // of / and all that is not an interface; nil: [Pages]
}

func (c Config) withDefaults() Config {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set64 := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	wait := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.Cores, runtime.GOMAXPROCS(0))
	set(&c.MaxBatch, 8)
	set(&c.Queue, 64)
	wait(&c.QueueTimeout, 5*time.Second)
	wait(&c.Timeout, 30*time.Second)
	set64(&c.MaxBody, 32<<20)
	set(&c.MaxImages, 32)
	c.MaxImages = min(c.MaxImages, c.Queue)
	set64(&c.BodyMemory, 256<<20)
	set64(&c.Image.MaxPixels, 24<<20)
	set64(&c.Image.MaxBytes, c.MaxBody)
	set64(&c.DecodeMemory, 512<<20)
	wait(&c.DecodeTime, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Page == nil {
		c.Page = Pages()
	}
	return c
}

// Source is a model that is served.
type Source struct {
	Name    string // in paths: letters, digits and ._-
	Version string // "" is "1"
	Path    string // of the file whose change reloads the model; "" for none
	// Open loads the model, at the start and whenever it is reloaded.
	Open func() (*effnet.Model, error)
}

// Server is an http.Handler that answers with its models.
type Server struct {
	cfg     Config
	slots   []*slot // in the order of Config.Models
	guard   *loopback.Guard
	cores   *cores
	decode  *decoder
	body    budget
	metrics *metrics
	handler http.Handler

	draining atomic.Bool
	stop     chan struct{} // closed by Close
	watching sync.WaitGroup
}

// New loads the models and makes a server of them.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if len(cfg.Models) == 0 {
		return nil, errors.New("serve: no models")
	}
	s := &Server{
		cfg:     cfg,
		guard:   loopback.NewGuard(cfg.Addr, cfg.Hosts...),
		cores:   newCores(cfg.Cores),
		body:    budget{limit: cfg.BodyMemory},
		metrics: newMetrics(),
		stop:    make(chan struct{}),
	}
	s.decode = newDecoder(cfg, s.cores)
	for _, src := range cfg.Models {
		if src.Version == "" {
			src.Version = "1"
		}
		if !validName(src.Name) || !validName(src.Version) {
			s.Close()
			return nil, fmt.Errorf("serve: model %q, version %q: want letters, digits and . _ -, a letter or digit first", src.Name, src.Version)
		}
		if slices.ContainsFunc(s.slots, func(o *slot) bool { return o.Name == src.Name && o.Version == src.Version }) {
			s.Close()
			return nil, fmt.Errorf("serve: model %s, version %s is given twice", src.Name, src.Version)
		}
		sl := &slot{Source: src, server: s, metrics: s.metrics.of(src.Name, src.Version)}
		if err := sl.load(); err != nil {
			s.Close()
			return nil, fmt.Errorf("%s: %w", src.Name, err)
		}
		s.slots = append(s.slots, sl)
	}
	s.handler = s.wrap(s.routes())
	if cfg.Watch > 0 {
		s.watching.Go(s.watch)
	}
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain makes the server say that it is not ready, so that nobody sends more.
// What it is sent all the same it answers.
func (s *Server) Drain() { s.draining.Store(true) }

// Close frees the models and ends the goroutines. No request may be under way.
func (s *Server) Close() {
	s.Drain()
	select {
	case <-s.stop:
		return
	default:
	}
	close(s.stop)
	s.watching.Wait()
	s.cores.close()
	for _, sl := range s.slots {
		sl.retire(nil)
	}
}

// HTTPServer is an http.Server around s with the timeouts that keep slow and
// idle clients from holding it.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Addr:              s.cfg.Addr,
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       s.cfg.Timeout + 10*time.Second,
		WriteTimeout:      2*s.cfg.Timeout + 20*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// validName reports whether a name can stand in a path.
func validName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
