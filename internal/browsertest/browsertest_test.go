package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBrowser(t *testing.T) {
	b := Open(t)
	t.Run("notes", func(t *testing.T) { notes(t, b) })
	t.Run("people", func(t *testing.T) { people(t, b) })
}

// notes: what a page does wrong is noted.
func notes(t *testing.T, b *Browser) {
	page := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
			fmt.Fprint(w, `<!DOCTYPE html><html lang="en"><title>t</title><link rel="icon" href="/icon">`+page)
		case "/icon":
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	for _, c := range []struct{ page, want string }{
		{"<p>all is well", ""},
		{"<script>console.error('no good', 7)</script>", "console.error"},
		{"<script>throw new Error('oh')</script>", "exception"},
		{"<img alt='a' src='/missing'>", "404"},
		{"<img alt='a' src='http://example.org/a.png'>", "Content Security Policy"},
		{"<script>location = 'http://example.org/'</script>", "it asks for http://example.org/"},
	} {
		page = c.page
		tab := b.Tab(t, 5*time.Minute)
		tab.Look(Look{})
		tab.Go(s.URL)
		var problems []string
		for range 500 {
			if problems = append(problems, tab.Problems()...); c.want == "" || slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if c.want == "" && len(problems) > 0 || c.want != "" && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
			t.Errorf("%s: noted %q, want %q", c.page, problems, c.want)
		}
		time.Sleep(20 * time.Millisecond) // what comes with it
		tab.Problems()
	}
}

// people: what is hard to read or has no name is found, and nothing else.
func people(t *testing.T, b *Browser) {
	tab := b.Tab(t, 5*time.Minute)
	tab.Look(Look{})
	file := filepath.Join(t.TempDir(), "page.html")
	const page = `<!DOCTYPE html><html lang="en"><title>t</title>
<p style="color:#777">pale</p><p style="color:#767676">just dark enough</p>
<p style="color:#949494;font-size:24px">large and pale</p>
<div style="background:#222"><p style="color:#333">dark on dark</p><p style="color:rgb(255 255 255 / .9)">light on dark</p></div>
<button></button><button aria-label="close"></button><img src="data:," alt="a thing"><input type="text"><label>x<input type="text"></label>`
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	tab.Go("file://" + filepath.ToSlash(file))
	if got := tab.Unreadable(); len(got) != 2 || !strings.HasPrefix(got[0], "pale: contrast 4.48") || !strings.HasPrefix(got[1], "dark on dark") {
		t.Errorf("unreadable: %q", got)
	}
	if got := tab.Nameless(); len(got) != 2 || !strings.Contains(got[0], "button") || !strings.Contains(got[1], "textbox") {
		t.Errorf("nameless: %q", got)
	}
}
