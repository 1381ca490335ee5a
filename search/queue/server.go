package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// storePrefix begins the names of stores in the queue's folder. Each session
// makes a new one: what is to be done follows from the ledger, so that nothing
// is ever read from a store that an earlier process left.
const storePrefix = "store-"

// embedded is a JetStream server inside this process that opens no port.
type embedded struct {
	srv *server.Server
	dir string
	log *serverLog
}

func startEmbedded(dir string) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "effnet", DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, DisableJetStreamBanner: true,
		// By default JetStream syncs every two minutes, and a crash of the
		// machine loses what it has acknowledged since.
		SyncAlways: true,
		// No WebSocket, leaf nodes or MQTT: their zero values are off.
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	e := &embedded{srv: srv, dir: dir, log: &serverLog{}}
	srv.SetLogger(e.log, false, false)
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) || !srv.JetStreamEnabled() {
		why := e.log.last()
		e.stop()
		return nil, fmt.Errorf("queue: JetStream in %s did not start: %s", dir, why)
	}
	return e, nil
}

func (e *embedded) connect(name string) (*nats.Conn, error) {
	return nats.Connect("", append(options(name), nats.InProcessServer(e.srv), nats.MaxReconnects(0), nats.Timeout(30*time.Second))...)
}

// stop ends the server; its store stays.
func (e *embedded) stop() {
	over := make(chan struct{})
	go func() {
		defer close(over)
		e.srv.Shutdown()
		e.srv.WaitForShutdown()
	}()
	select {
	case <-over:
	case <-time.After(10 * time.Second): // a store that is broken may never close
	}
}

// clearStores removes what earlier processes left.
func clearStores(folder string) error {
	old, err := filepath.Glob(filepath.Join(folder, storePrefix+"*"))
	for _, dir := range old {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

const noReason = "no reason given"

// serverLog keeps the last complaint of a server.
type serverLog struct {
	mu   sync.Mutex
	text string
}

func (l *serverLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == "" {
		return noReason
	}
	return l.text
}

func (l *serverLog) keep(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = fmt.Sprintf(format, args...)
}

func (l *serverLog) Noticef(string, ...any)            {}
func (l *serverLog) Debugf(string, ...any)             {}
func (l *serverLog) Tracef(string, ...any)             {}
func (l *serverLog) Warnf(format string, args ...any)  { l.keep(format, args...) }
func (l *serverLog) Errorf(format string, args ...any) { l.keep(format, args...) }
func (l *serverLog) Fatalf(format string, args ...any) { l.keep(format, args...) }
