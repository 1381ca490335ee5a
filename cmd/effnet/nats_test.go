package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// natsServer is a NATS server with JetStream for test scripts:
//
//	natsserver PORT FOLDER
//
// It serves on the loopback interface until it is told to end.
func natsServer() {
	var port int
	if len(os.Args) != 3 {
		fatal("natsserver PORT FOLDER")
	}
	if _, err := fmt.Sscan(os.Args[1], &port); err != nil {
		fatal(err)
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: os.Args[2], DisableJetStreamBanner: true})
	if err != nil {
		fatal(err)
	}
	s.Start()
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	<-ends
	s.Shutdown()
}

func fatal(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
