package serve

import (
	"encoding/json"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"

	"effnet/explain"
)

func TestPages(t *testing.T) {
	_, url := newServer(t, Config{})
	for _, at := range []string{"/", "/compare"} {
		resp, body := send(t, "GET", url+at, "", nil)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("%s: status %d, type %q", at, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		for key, want := range map[string]string{
			"Content-Security-Policy": pagePolicy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := resp.Header.Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", at, key, got, want)
			}
		}
		// The policy forbids what is written into the page itself.
		if m := regexp.MustCompile(`(?i)\s(style|on[a-z]+)=|<style|<script[^>]*>[^<]|https?:`).Find(body); m != nil {
			t.Errorf("%s holds %q", at, m)
		}
		tag := resp.Header.Get("ETag")
		if resp, _ := send(t, "GET", url+at, "", nil, "If-None-Match", tag); tag == "" || resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s with its tag %s: status %d, want 304", at, tag, resp.StatusCode)
		}
		if resp, body := send(t, "POST", url+at, "text/plain", []byte("x")); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" || !json.Valid(body) {
			t.Errorf("POST %s: status %d, Allow %q, %s", at, resp.StatusCode, resp.Header.Get("Allow"), body)
		}
	}
	if resp, body := send(t, "GET", url+"/nothing", "", nil); resp.StatusCode != http.StatusNotFound || !json.Valid(body) {
		t.Errorf("/nothing: status %d, %s", resp.StatusCode, body)
	}
}

// TestPageFiles: what pages and scripts refer to is there, and nothing else is.
func TestPageFiles(t *testing.T) {
	_, url := newServer(t, Config{})
	used := map[string]bool{}
	refer := regexp.MustCompile(`(?:src|href|from|fetch\()\s*=?\s*"((?:\./|web/)[a-z.]+\.(?:js|css|svg|json))"`)
	var follow func(at string)
	follow = func(at string) {
		resp, body := send(t, "GET", url+at, "", nil)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") == "" {
			t.Errorf("%s: status %d, type %q", at, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		for _, m := range refer.FindAllStringSubmatch(string(body), -1) {
			next := "/web/" + path.Base(m[1])
			if !used[next] {
				used[next] = true
				follow(next)
			}
		}
	}
	follow("/")
	follow("/compare")
	entries, err := webFiles.ReadDir("web")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if path.Ext(e.Name()) != ".html" && !used["/web/"+e.Name()] {
			t.Errorf("nothing uses web/%s", e.Name())
		}
	}
	if !used["/web/colours.json"] {
		t.Error("no script fetches web/colours.json")
	}
}

func TestColourTable(t *testing.T) {
	var table [][3]uint8
	if err := json.Unmarshal(colourTable(), &table); err != nil {
		t.Fatal(err)
	}
	if len(table) != 256 {
		t.Fatalf("%d colours, want 256", len(table))
	}
	for i, c := range table {
		want := explain.Colour(float64(i) / 255)
		if c != [3]uint8{want.R, want.G, want.B} {
			t.Fatalf("colour %d is %v, want %v", i, c, want)
		}
	}
}

// TestPagesWithoutToken: a browser loads pages without the token, which they
// then ask for.
func TestPagesWithoutToken(t *testing.T) {
	_, url := newServer(t, Config{Token: "secret"})
	if resp, _ := send(t, "GET", url+"/", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("/: status %d, want 200", resp.StatusCode)
	}
	if resp, body := send(t, "GET", url+"/v1/models", "", nil); resp.StatusCode != http.StatusUnauthorized || strings.Contains(string(body), "small") {
		t.Errorf("/v1/models: status %d, %s", resp.StatusCode, body)
	}
}
