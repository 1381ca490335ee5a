package loopback

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	g := NewGuard("box.lan:8080")
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "in") }))
	for _, c := range []struct {
		name, method, host, origin, token string
		want                              int
		says                              string
	}{
		{"address", "GET", "127.0.0.1:8080", "", "", 200, "in"},
		{"IPv6", "GET", "[::1]:8080", "", "", 200, "in"},
		{"IPv6 without a port", "GET", "[::1]", "", "", 200, "in"},
		{"localhost through a tunnel", "GET", "LocalHost:9999", "", "", 200, "in"},
		{"its own name", "GET", "Box.lan:8080", "", "", 200, "in"},
		{"its own page", "GET", "localhost:8080", "http://localhost:8080", "", 200, "in"},
		{"rebound name", "GET", "evil.example:8080", "", "", 403, `does not answer to the name "evil.example:8080"`},
		{"rebound name with its page", "GET", "evil.example:8080", "http://evil.example:8080", "", 403, "does not answer"},
		{"name like an address", "GET", "127.0.0.1.evil.example", "", "", 403, "does not answer"},
		{"no name", "GET", "", "", "", 403, "does not answer"},
		{"foreign page", "GET", "127.0.0.1:8080", "http://evil.example", "", 403, `a page of "http://evil.example"`},
		{"page of no site", "GET", "127.0.0.1:8080", "null", "", 403, "a page of"},
		{"another port's page", "POST", "127.0.0.1:8080", "http://127.0.0.1:80", g.Token(), 403, "a page of"},
		{"post with the token", "POST", "127.0.0.1:8080", "http://127.0.0.1:8080", g.Token(), 200, "in"},
		{"post without a page", "POST", "127.0.0.1:8080", "", g.Token(), 200, "in"},
		{"post without the token", "POST", "127.0.0.1:8080", "http://127.0.0.1:8080", "", 403, "lacks the token"},
		{"post with another token", "POST", "127.0.0.1:8080", "", strings.ToLower(g.Token()), 403, "lacks the token"},
		{"delete", "DELETE", "127.0.0.1:8080", "", "", 403, "lacks the token"},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.token != "" {
			r.Header.Set(TokenHeader, c.token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %q, want %d with %q", c.name, w.Code, w.Body, c.want, c.says)
		}
	}
}

func TestTokens(t *testing.T) {
	a, b := NewGuard(":0"), NewGuard(":0")
	if len(a.Token()) < 20 || a.Token() == b.Token() {
		t.Errorf("tokens %q and %q", a.Token(), b.Token())
	}
	if a.answers("") {
		t.Error("a server on all addresses answers to the empty name")
	}
}

func TestLocal(t *testing.T) {
	for _, c := range []struct {
		ip   string
		want bool
	}{{"127.0.0.1", true}, {"127.1.2.3", true}, {"::1", true}, {"0.0.0.0", false}, {"::", false}, {"192.0.2.1", false}} {
		if got := Local(&net.TCPAddr{IP: net.ParseIP(c.ip)}); got != c.want {
			t.Errorf("%s: %v, want %v", c.ip, got, c.want)
		}
	}
}
