package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	lib "effnet"
	"effnet/serve"
)

// serveCmd is the serve command under way.
type serveCmd struct {
	*cobra.Command
	model   modelFlags
	prep    prepFlags
	threads int

	cfg       serve.Config
	tokenFile string
	cert, key string
	bodyMax   amount
	pixels    amount
	memory    amount
	drain     time.Duration
	logLevel  string
}

func newServeCmd() *cobra.Command {
	k := &serveCmd{bodyMax: amount{base: 1024}, pixels: amount{base: 1024}, memory: amount{base: 1024}}
	k.Command = &cobra.Command{
		Use:   "serve MODEL...",
		Short: "Answer HTTP requests: web pages, classes, embeddings, maps; Open Inference Protocol",
		Long: `Serve answers HTTP requests with models, each a weights file, a run folder or a
name on the hub. / is a page that classifies pictures, /compare one that shows
models beside each other. /v1 takes pictures, /v2 is the Open Inference
Protocol's REST interface, /metrics is for Prometheus, and /openapi.json
describes all.

A MODEL may be given a name and a version, NAME=MODEL or NAME@VERSION=MODEL;
without a version it is 1. A model whose file changes is loaded again while
requests go on, and the old one stays if the new one is broken.

By default only this machine can reach the server. For others, listen at an
address of the machine's and set a token; see docs/serve.md.

SIGTERM and Ctrl-C end it when all that it has accepted is answered.`,
		Example: `  effnet serve run
  curl -s --data-binary @cat.jpg -H 'Content-Type: image/jpeg' localhost:8080/v1/classify
  effnet serve base=runs/b0 compound=runs/c cats@2=cats.safetensors --addr 127.0.0.1:9000
  effnet serve run --addr 0.0.0.0:8443 --token-file token --tls-cert cert.pem --tls-key key.pem`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("serve wants at least one MODEL; see 'effnet serve --help'")
			}
			return k.run(args)
		},
	}
	fs := k.Flags()
	fs.SortFlags = false
	fs.StringVar(&k.cfg.Addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen at")
	fs.StringSliceVar(&k.cfg.Hosts, "host", nil, "`names` by which requests may call this server, beside --addr's, addresses and localhost")
	fs.StringVar(&k.tokenFile, "token-file", "", "`file` with the token that requests must carry: Authorization: Bearer TOKEN")
	fs.StringVar(&k.cert, "tls-cert", "", "`file` with the certificate chain, PEM; serves https")
	fs.StringVar(&k.key, "tls-key", "", "`file` with its key, PEM")
	fs.IntVar(&k.cfg.MaxBatch, "max-batch", 8, "images that are run together, at most")
	fs.DurationVar(&k.cfg.MaxDelay, "max-delay", 0, "that an image waits for others which are being decoded, to run with them")
	fs.IntVar(&k.cfg.Queue, "queue", 64, "images of a model that are admitted and not answered, at most; more get 503")
	fs.DurationVar(&k.cfg.QueueTimeout, "queue-timeout", 5*time.Second, "that an admitted image waits to be run, at most")
	fs.DurationVar(&k.cfg.Timeout, "timeout", 30*time.Second, "of a whole request")
	fs.IntVar(&k.cfg.MaxImages, "max-images", 32, "of one request")
	fs.Var(&k.bodyMax, "max-body", "`bytes` of one request (default 32M)")
	fs.Var(&k.pixels, "max-pixels", "`pixels` of one image (default 24M)")
	fs.Var(&k.memory, "decode-memory", "`bytes` that images being decoded may take together (default 512M)")
	fs.DurationVar(&k.cfg.DecodeTime, "decode-time", 5*time.Second, "that decoding one image may take")
	fs.DurationVar(&k.cfg.Watch, "watch", 2*time.Second, "how often to look whether a model's file has changed; 0 never")
	fs.DurationVar(&k.drain, "drain", 30*time.Second, "that requests have to be answered when the server is told to end")
	fs.BoolVar(&k.cfg.Pprof, "pprof", false, "serve /debug/pprof, too")
	fs.StringVar(&k.logLevel, "log", "info", "`level` of what is logged, JSON on standard error: debug, info, warn or error")
	k.model.running = true
	k.model.register(fs)
	k.prep.register(fs)
	fs.IntVar(&k.threads, "threads", 0, "threads of one run (default: all cores)")
	return k.Command
}

func (k *serveCmd) check() error {
	host, _, err := net.SplitHostPort(k.cfg.Addr)
	switch {
	case err != nil:
		return usagef("serve: --addr is %q, want HOST:PORT", k.cfg.Addr)
	case (k.cert == "") != (k.key == ""):
		return usagef("serve: --tls-cert and --tls-key belong together")
	case k.threads < 0:
		return usagef("serve: --threads cannot be negative")
	case k.cfg.MaxBatch < 1 || k.cfg.Queue < 1 || k.cfg.MaxImages < 1:
		return usagef("serve: --max-batch, --queue and --max-images are %d, %d and %d, want at least 1", k.cfg.MaxBatch, k.cfg.Queue, k.cfg.MaxImages)
	case k.cfg.MaxDelay < 0 || k.cfg.QueueTimeout <= 0 || k.cfg.Timeout <= 0 || k.cfg.DecodeTime <= 0 || k.drain <= 0 || k.cfg.Watch < 0:
		return usagef("serve: times have to be above 0, --max-delay and --watch at least 0")
	}
	k.cfg.MaxBody, k.cfg.Image.MaxPixels, k.cfg.DecodeMemory = k.bodyMax.n, k.pixels.n, k.memory.n
	if k.tokenFile != "" {
		data, err := os.ReadFile(k.tokenFile)
		if err != nil {
			return err
		}
		if k.cfg.Token = strings.TrimSpace(string(data)); k.cfg.Token == "" || strings.ContainsAny(k.cfg.Token, " \t\r\n") {
			return fmt.Errorf("%s: want a token of one word", k.tokenFile)
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(k.logLevel)); err != nil {
		return usagef("serve: --log is %q, want debug, info, warn or error", k.logLevel)
	}
	k.cfg.Log = slog.New(slog.NewJSONHandler(k.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	if ip := net.ParseIP(host); k.cfg.Token == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		fmt.Fprintf(k.ErrOrStderr(), "note: whoever reaches %s can use this server; --token-file keeps others out\n", k.cfg.Addr)
	}
	return nil
}

func (k *serveCmd) run(args []string) error {
	if err := k.check(); err != nil {
		return err
	}
	cores := runtime.GOMAXPROCS(0)
	if k.threads == 0 {
		k.threads = cores
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(serve.Procs(cores)))
	for _, arg := range args {
		src, err := k.source(arg)
		if err != nil {
			return err
		}
		k.cfg.Models = append(k.cfg.Models, src)
	}
	var cert []tls.Certificate
	if k.cert != "" {
		c, err := tls.LoadX509KeyPair(k.cert, k.key)
		if err != nil {
			return fmt.Errorf("serve: %s and %s: %w", k.cert, k.key, err)
		}
		cert = append(cert, c)
	}
	l, err := (&net.ListenConfig{}).Listen(k.Context(), "tcp", k.cfg.Addr)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer l.Close()
	k.cfg.Cores = cores
	s, err := serve.New(k.cfg)
	if err != nil {
		return err
	}
	scheme := "http"
	if cert != nil {
		scheme = "https"
		l = tls.NewListener(l, &tls.Config{Certificates: cert, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	fmt.Fprintf(k.OutOrStdout(), "%s://%s\n", scheme, l.Addr())
	return k.serve(s, l)
}

// serve answers until a signal comes and all that was accepted is answered.
func (k *serveCmd) serve(s *serve.Server, l net.Listener) error {
	server := s.HTTPServer()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-k.Context().Done():
	}
	k.cfg.Log.Info("ending: answering what was accepted")
	s.Drain()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.Context()), k.drain)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("serve: requests were still unanswered after %v", k.drain)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	s.Close()
	return nil
}

// source is what a MODEL argument means, NAME=MODEL or NAME@VERSION=MODEL.
func (k *serveCmd) source(arg string) (serve.Source, error) {
	name, path := splitName(arg)
	var version string
	if path != arg { // it has a name
		name, version, _ = strings.Cut(name, "@")
	}
	open := func() (*loadedModel, error) {
		w, err := k.model.load(k.Command, path)
		if err == nil {
			err = k.prep.apply("serve", &w.Spec)
		}
		return w, err
	}
	w, err := open()
	if err != nil {
		return serve.Source{}, err
	}
	if w.file != nil {
		w.file.Close()
	}
	return serve.Source{Name: serveName(name), Version: version, Path: w.Path, Open: func() (*lib.Model, error) {
		w, err := open()
		if err != nil {
			return nil, err
		}
		if w.file != nil {
			defer w.file.Close()
		}
		addAccuracy(w)
		return lib.New(w.Model, w.source(), lib.Options{Threads: k.threads, Explain: true})
	}}, nil
}

// serveName is name with what cannot stand in a path as _.
func serveName(name string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z') {
			return r
		}
		return '_'
	}, name), "._-")
}
