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
)

// natsServer is a NATS server with JetStream for test scripts:
//
//	natsserver FOLDER
//
// It keeps its files in FOLDER, serves on the loopback interface, at the
// address that FOLDER/url has or will have, until it is told to end.
func natsServer() {
	if len(os.Args) != 2 {
		fatal("usage: natsserver FOLDER")
	}
	dir := os.Args[1]
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
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir, DisableJetStreamBanner: true})
	if err != nil {
		fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		fatal("natsserver: not ready after 10 s")
	}
	at := fmt.Sprintf("nats://127.0.0.1:%d", s.Addr().(*net.TCPAddr).Port)
	if err := atomicfile.WriteBytes(file, []byte(at)); err != nil {
		fatal(err)
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	<-ends
	s.Shutdown()
}

func fatal(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
