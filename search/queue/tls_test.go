package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"effnet/search/queue/queuetest"
)

// certificate is queuetest's.
func certificate(t *testing.T, dir, name string, parent *tls.Certificate) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	cert, certFile, keyFile, err := queuetest.Certificate(dir, name, parent)
	if err != nil {
		t.Fatal(err)
	}
	return cert, certFile, keyFile
}

// startServer starts one on any port of the loopback interface.
func startServer(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	return s
}

// TestTLS: a server that asks for a client certificate, and one that is asked
// for by those who do not trust it or have none.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caFile, _ := certificate(t, dir, "ca", nil)
	cert, _, _ := certificate(t, dir, "server", &ca)
	_, certFile, keyFile := certificate(t, dir, "client", &ca)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	s := startServer(t, &server.Options{
		JetStream: true, StoreDir: filepath.Join(dir, "js"),
		TLS: true, TLSVerify: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
	})
	url := "tls://" + s.Addr().String()
	for name, at := range map[string]struct {
		server Server
		want   string // in the error
	}{
		"good":           {Server{URL: url, CA: caFile, Cert: certFile, Key: keyFile}, ""},
		"no trust":       {Server{URL: url, Cert: certFile, Key: keyFile}, "certificate signed by unknown authority"},
		"no certificate": {Server{URL: url, CA: caFile}, "certificate"},
		"no key":         {Server{URL: url, CA: caFile, Cert: certFile}, "go together"},
		"no file":        {Server{URL: url, CA: filepath.Join(dir, "nowhere")}, "nowhere: no such file"},
		"no URL":         {Server{CA: caFile}, "no URL"},
	} {
		_, err := at.server.connect("test", func(string, ...any) {})
		switch {
		case at.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case at.want != "" && (err == nil || !strings.Contains(err.Error(), at.want)):
			t.Errorf("%s: error %v, want %q in it", name, err, at.want)
		}
	}
	f := &fake{steps: 1}
	q, _ := open(t, dir, f, func(o *Options) {
		o.Server = Server{URL: url, CA: caFile, Cert: certFile, Key: keyFile}
	})
	if err := trainAll(t.Context(), q, trials(t, dir, 2), 1); err != nil {
		t.Error(err)
	}
}

// TestCredentials: a search and a worker with credentials of an account, as a user
// that may do no more than the documents ask for, and what those hear who have
// none, or others.
func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caFile, _ := certificate(t, dir, "ca", nil)
	cert, _, _ := certificate(t, dir, "server", &ca)
	ours, err := queuetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := queuetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, by := range map[string]*queuetest.Authority{"search": ours, "worker": ours, "late": ours, "stranger": theirs} {
		until := time.Now().Add(time.Hour)
		if name == "late" {
			until = time.Now().Add(-time.Minute)
		}
		if err := by.User(file(name), until); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"text": "no credentials\n", "empty": ""} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := &server.Options{JetStream: true, StoreDir: file("js")}
	ours.Trust(o, cert)
	s := startServer(t, o)
	at := func(creds string) Server { return Server{URL: "tls://" + s.Addr().String(), CA: caFile, Creds: creds} }
	f := &fake{steps: 2}
	for name, want := range map[string]string{
		"stranger": "it does not accept the credentials in " + file("stranger"),
		"late":     "it does not accept the credentials in " + file("late"),
		"text":     file("text") + " holds no credentials",
		"empty":    file("empty") + " holds no credentials",
		"nowhere":  file("nowhere") + ": no such file",
		"":         "it wants credentials, but none are given",
	} {
		creds := ""
		if name != "" {
			creds = file(name)
		}
		w, _ := worker(t, "", name, f)
		w.Server = at(creds)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := w.Run(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("a worker with %q: error %v, want %q in one line", name, err, want)
		}
		q, err := Open(t.Context(), Options{Server: at(creds), Folder: t.TempDir(), Engine: f.engine()})
		if err == nil {
			q.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("a search with %q: error %v, want %q in one line", name, err, want)
		}
	}
	run := t.TempDir()
	q, _ := open(t, run, f, func(o *Options) { o.Server, o.Slots, o.AckWait = at(file("search")), 0, time.Minute })
	apart(run)
	w, _ := worker(t, "", "w", f)
	w.Server = at(file("worker"))
	start(t, w)
	if err := trainAll(t.Context(), q, trials(t, run, 4), 2); err != nil {
		t.Error(err)
	}
	if s := q.Stats(); s != (Stats{}) {
		t.Errorf("%+v, want nothing out of the way", s)
	}
}

// TestCredentialsRenewed: credentials that run out while a search runs can be
// replaced in their file.
func TestCredentialsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caFile, _ := certificate(t, dir, "ca", nil)
	cert, _, _ := certificate(t, dir, "server", &ca)
	a, err := queuetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	o := &server.Options{}
	a.Trust(o, cert)
	s := startServer(t, o)
	at := Server{URL: "tls://" + s.Addr().String(), CA: caFile, Creds: filepath.Join(dir, "creds")}
	grant := func(valid time.Duration) {
		t.Helper()
		if err := a.User(at.Creds, time.Now().Add(valid)); err != nil {
			t.Fatal(err)
		}
	}
	n := &notes{t: t}
	var nc *nats.Conn
	for valid := 2 * time.Second; nc == nil; valid *= 2 { // a slow machine may take longer than that to connect
		grant(valid)
		if nc, err = at.connect("test", n.note); err != nil && valid > time.Minute {
			t.Fatal(err)
		}
	}
	defer nc.Close()
	until := func(ok func() bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never; it said %q", n.text)
			}
		}
	}
	until(func() bool { return n.has("it does not accept the credentials in " + at.Creds) })
	time.Sleep(time.Second) // it tries four times
	grant(time.Hour)
	until(func() bool { return n.has("connected to NATS again, at tls://") && nc.IsConnected() })
}
