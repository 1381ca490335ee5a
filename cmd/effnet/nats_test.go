package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"effnet/internal/atomicfile"
	"effnet/search/queue/queuetest"
)

// natsServer is a NATS server with JetStream for test scripts:
//
//	natsserver [--secure] FOLDER
//
// It keeps its files in FOLDER, serves on the loopback interface, at the
// address that FOLDER/url has or will have, until it is told to end. With --secure
// it asks for TLS, by FOLDER/ca.pem, and for credentials, such as FOLDER/ours.creds;
// FOLDER/theirs.creds are another server's.
func natsServer() {
	args := os.Args[1:]
	isSecure := len(args) == 2 && args[0] == "--secure"
	if isSecure {
		args = args[1:]
	}
	if len(args) != 1 {
		fatal("usage: natsserver [--secure] FOLDER")
	}
	dir := args[0]
	file, port := filepath.Join(dir, "url"), server.RANDOM_PORT
	if text, err := os.ReadFile(file); err == nil {
		u, err := url.Parse(string(text))
		if err != nil {
			fatal(err)
		}
		if port, err = strconv.Atoi(u.Port()); err != nil {
			fatal(err)
		}
	}
	scheme := "nats"
	o := &server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir, DisableJetStreamBanner: true}
	if isSecure {
		scheme = "tls"
		if err := secure(dir, o); err != nil {
			fatal(err)
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		fatal("natsserver: not ready after a minute")
	}
	at := fmt.Sprintf("%s://127.0.0.1:%d", scheme, s.Addr().(*net.TCPAddr).Port)
	if err := atomicfile.WriteBytes(file, []byte(at)); err != nil {
		fatal(err)
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	<-ends
	s.Shutdown()
}

// secure makes the certificates and credentials in dir and has a server ask for them.
func secure(dir string, o *server.Options) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	ca, _, _, err := queuetest.Certificate(dir, "ca", nil)
	if err != nil {
		return err
	}
	cert, _, _, err := queuetest.Certificate(dir, "server", &ca)
	if err != nil {
		return err
	}
	for _, name := range []string{"theirs", "ours"} {
		a, err := queuetest.NewAuthority()
		if err != nil {
			return err
		}
		if err := a.User(filepath.Join(dir, name+".creds"), time.Now().Add(time.Hour)); err != nil {
			return err
		}
		a.Trust(o, cert) // the last one's
	}
	return nil
}

func fatal(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
