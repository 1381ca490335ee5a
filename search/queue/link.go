package queue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Server says where JetStream is.
type Server struct {
	URL   string // "" for one inside this process, without a port
	Creds string // file of credentials (JWT and seed), "" for none
	CA    string // file of certificates to trust, "" for the system's
	Cert  string // file of this client's certificate, and of its key
	Key   string
}

// check reports files that are not there, or are others, by name.
func (s *Server) check() error {
	if s.URL == "" && (s.Creds != "" || s.CA != "" || s.Cert != "" || s.Key != "") {
		return errors.New("queue: credentials and certificates are for a server elsewhere, but no URL is given")
	}
	if (s.Cert == "") != (s.Key == "") {
		return errors.New("queue: a client certificate and its key go together, but only one is given")
	}
	for _, name := range []string{s.Creds, s.CA, s.Cert, s.Key} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	if s.Creds == "" {
		return nil
	}
	text, err := os.ReadFile(s.Creds)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	for _, part := range []string{"-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----"} {
		if !strings.Contains(string(text), part) {
			return fmt.Errorf("queue: %s holds no credentials: it has no line %q", s.Creds, part)
		}
	}
	return nil
}

// redacted is the URL without passwords, for messages.
func (s *Server) redacted() string {
	all := strings.Split(s.URL, ",")
	for i, text := range all {
		switch u, err := url.Parse(strings.TrimSpace(text)); {
		case err != nil:
			all[i] = "an address that cannot be read"
		case u.User != nil:
			all[i] = u.Redacted()
		}
	}
	return strings.Join(all, ",")
}

// connect reaches a server elsewhere. Once it has, it reconnects for ever.
func (s *Server) connect(name string, note func(string, ...any)) (*nats.Conn, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var said atomic.Bool // that it refuses to know this process
	opts := append(options(name),
		nats.Timeout(5*time.Second),
		nats.IgnoreAuthErrorAbort(), // the file of credentials may be renewed
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if refused(err) && !said.Swap(true) {
				note("NATS at %s: %v; trying again until it does", s.redacted(), s.explain(err))
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				note("the connection to NATS is lost (%v); trying again until it is back", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			said.Store(false)
			note("connected to NATS again, at %s", nc.ConnectedUrlRedacted())
		}))
	if s.Creds != "" {
		opts = append(opts, nats.UserCredentials(s.Creds))
	}
	if s.CA != "" {
		opts = append(opts, nats.RootCAs(s.CA))
	}
	if s.Cert != "" {
		opts = append(opts, nats.ClientCert(s.Cert, s.Key))
	}
	nc, err := nats.Connect(s.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("queue: NATS at %s: %w", s.redacted(), s.explain(err))
	}
	return nc, nil
}

// refused reports whether a server does not take who connects.
func refused(err error) bool {
	return isAny(err, nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired)
}

// explain says what a connection that failed lacks.
func (s *Server) explain(err error) error {
	switch {
	case refused(err) && s.Creds != "":
		return fmt.Errorf("it does not accept the credentials in %s: %w", s.Creds, err)
	case refused(err) && !strings.Contains(s.URL, "@"):
		return fmt.Errorf("it wants credentials, but none are given: %w", err)
	case errors.Is(err, nats.ErrTLS) && s.Cert == "":
		// The server's own word on it may come too late to be read.
		return fmt.Errorf("it does not accept the connection, perhaps as it wants a client's certificate: %w", err)
	}
	return err
}

// options are those of every connection.
func options(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // the default prints
	}
}

// requestTime is how long one request to JetStream may take at most before it
// is made again. The first may take less: the server that would have answered
// may be gone, and another elected.
const requestTime = 5 * time.Second

// retry makes a request until it succeeds, fails for good, or ctx ends.
func retry(ctx context.Context, request func(ctx context.Context) error) error {
	patience := requestTime / 4
	for wait := 20 * time.Millisecond; ; wait, patience = min(2*wait, 2*time.Second), min(2*patience, requestTime) {
		c, cancel := context.WithTimeout(ctx, patience)
		err := request(c)
		cancel()
		if err == nil || final(err) {
			return err
		}
		if e := sleep(ctx, wait); e != nil {
			return fmt.Errorf("%w: %w", err, e)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// final reports whether repeating a request is of no use.
func final(err error) bool {
	if gone(err) || isAny(err,
		errGarbled, nats.ErrMaxPayload, nats.ErrAuthorization, nats.ErrPermissionViolation,
		jetstream.ErrKeyNotFound, jetstream.ErrKeyExists, jetstream.ErrKeyRevisionMismatch, jetstream.ErrMsgNotFound,
		jetstream.ErrObjectNotFound, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount) {
		return true
	}
	const noPeers = 10005 // of a cluster that is still coming up
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 400 && api.Code < 500 && api.Code != 408 && api.ErrorCode != noPeers
}

// gone reports whether a session's streams are no more.
func gone(err error) bool {
	return isAny(err, nats.ErrConnectionClosed,
		jetstream.ErrBucketNotFound, jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDoesNotExist)
}

func isAny(err error, of ...error) bool {
	return slices.ContainsFunc(of, func(e error) bool { return errors.Is(err, e) })
}

// replicasAt is how many servers can keep a copy of what is stored by nc's.
func replicasAt(nc *nats.Conn) int {
	if nc.ConnectedClusterName() != "" {
		return 3
	}
	return 1
}

// nonce is a new name.
func nonce() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// oneLine is an error's text without newlines.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
