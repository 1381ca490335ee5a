package serve

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"effnet/explain"
)

// webFiles are the pages as they are sent: no build step, nothing from other
// sites.
//
//go:embed web
var webFiles embed.FS

// contentTypes are those of the pages' files.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
}

// pagePolicy lets the pages load their own files and talk to this server, and
// nothing else: no script or style inside the HTML, no other site, no frame, no
// HTML made from strings. Pictures are shown from where the browser has them.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// page is a file of the pages.
type page struct {
	name    string // for its type
	content []byte
	tag     string // changes with the content
}

// Pages answers with the web pages: / classifies pictures, /compare shows several
// models beside each other. Both use /v1 of the server that they come from.
func Pages() http.Handler {
	files := map[string]page{}
	add := func(at, name string, content []byte) {
		sum := sha256.Sum256(content)
		files[at] = page{name, content, `"` + hex.EncodeToString(sum[:16]) + `"`}
	}
	entries, err := fs.Glob(webFiles, "web/*")
	if err != nil {
		panic(err) // the pattern is sound
	}
	for _, name := range entries {
		content, err := webFiles.ReadFile(name)
		if err != nil {
			panic(err) // it was listed
		}
		switch at := strings.TrimSuffix(path.Base(name), ".html"); {
		case at == "index":
			add("/", name, content)
		case path.Ext(name) == ".html":
			add("/"+at, name, content)
		default:
			add("/"+name, name, content)
		}
	}
	add("/web/colours.json", "colours.json", colourTable())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := files[r.URL.Path]
		switch {
		case !ok:
			fail(w, errorf(http.StatusNotFound, "nothing is at %s; /openapi.json says what is where", r.URL.Path))
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, errorf(http.StatusMethodNotAllowed, "%s is not for %s, only GET and HEAD", r.Method, r.URL.Path))
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentTypes[path.Ext(p.name)])
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache") // ask whether the tag is still true
		h.Set("ETag", p.tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.content))
	})
}

// colourTable is the scale of class activation maps, from none to most: a JSON
// list of [red, green, blue].
func colourTable() []byte {
	const n = 256
	var table [n][3]int
	for i := range table {
		c := explain.Colour(float64(i) / (n - 1))
		table[i] = [3]int{int(c.R), int(c.G), int(c.B)}
	}
	text, err := json.Marshal(table)
	if err != nil {
		panic(err) // numbers are JSON
	}
	return text
}
