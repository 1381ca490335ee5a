package live

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"regexp"
	"strings"
)

//go:embed panel.html
var panelSource string

var panelTemplate = template.Must(template.New("panel").Parse(panelSource))

// waiting is the page as long as there is no report.
const waiting = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A search begins</title>
<style>:root { color-scheme: light dark; --muted: light-dark(#5b6472, #a3adbb); --rule: light-dark(#dfe3e8, #2b323d); --depth: light-dark(#0072b2, #56b4e9); } body { margin: 0; }</style>
</head>
<body>
<main></main>
</body>
</html>
`

// panel is what stands above the report: the state of the search, what runs,
// and buttons.
type panel struct {
	View        *View
	Seen        int64  // version of the report below
	Token       string // empty: no buttons
	TokenHeader string
}

// above puts the panel on top of a report; nil stands for none yet.
func (p *panel) above(report []byte) ([]byte, error) {
	if report == nil {
		report = []byte(waiting)
	}
	at := bytes.Index(report, []byte("<main"))
	if at < 0 {
		return nil, errors.New("live: the report has no <main>")
	}
	var b bytes.Buffer
	b.Write(report[:at])
	if err := panelTemplate.Execute(&b, p); err != nil {
		return nil, err
	}
	b.Write(report[at:])
	return b.Bytes(), nil
}

var scripts = regexp.MustCompile(`(?s)<script(?:\s[^>]*)?>(.*?)</script>`)

// policy is a Content-Security-Policy under which a page runs its own scripts,
// as they are now, talks to its own server and to nobody else.
func policy(html []byte) string {
	var hashes []string
	for _, m := range scripts.FindAllSubmatch(html, -1) {
		h := sha256.Sum256(m[1])
		hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(h[:])+"'")
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + strings.Join(hashes, " "),
		"style-src 'unsafe-inline'",
		"img-src data:",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
