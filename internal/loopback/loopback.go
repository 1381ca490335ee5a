// Package loopback guards an HTTP server that is meant for the people at this
// machine against the web pages that their browsers have open.
//
// A page of another site can send requests to a server on this machine, and by
// DNS rebinding (its own name suddenly means 127.0.0.1) even read the answers.
// The browser gives both away: in the Host header, which then holds that name,
// and in the Origin header.
package loopback

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// TokenHeader carries the token of requests that change something.
const TokenHeader = "X-Effnet-Token"

// Guard is what a server lets through.
type Guard struct {
	names []string // hosts beside localhost and addresses
	token string
}

// NewGuard makes a guard with a fresh token for a server that was asked to
// listen at addr, a host and a port: a name there is one that it answers to, as
// are more.
func NewGuard(addr string, more ...string) *Guard {
	g := &Guard{names: slices.Clone(more), token: rand.Text()}
	if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
		g.names = append(g.names, host)
	}
	return g
}

// Token is what requests other than GET and HEAD must carry in [TokenHeader].
// It goes into pages that the server itself hands out.
func (g *Guard) Token() string { return g.token }

// Handler passes on to next what comes from this machine's user: requests
// whose Host is an address, localhost or the name that the server listens at,
// whose Origin, if there is one, is the server itself, and that carry the token
// where they change something. The rest is answered with 403.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := g.refuses(r); why != "" {
			http.Error(w, why, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Refuses says why a request is not let through whatever it asks for, or
// nothing: its Host is not this server's, or it comes from a page of another
// site.
func (g *Guard) Refuses(r *http.Request) string {
	if !g.answers(r.Host) {
		return fmt.Sprintf("this server does not answer to the name %q; use its address or localhost", r.Host)
	}
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host && o != "https://"+r.Host {
		return fmt.Sprintf("a page of %q may not use this server", o)
	}
	return ""
}

// refuses is Refuses and the check of the token.
func (g *Guard) refuses(r *http.Request) string {
	if why := g.Refuses(r); why != "" {
		return why
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ""
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(g.token)) != 1 {
		return "the request lacks the token of this page; reload it"
	}
	return ""
}

// answers reports whether host, with or without a port, is one of the
// server's. The port may be any: a tunnel has its own.
func (g *Guard) answers(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, n := range g.names {
		if strings.EqualFold(host, n) {
			return true
		}
	}
	return false
}

// Local reports whether a listener takes connections from this machine alone.
func Local(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}
