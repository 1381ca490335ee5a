package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"effnet/search/live"
)

// TestSearchUI runs a search with a page, reads the page's stream to its end,
// and finds the verdict there.
func TestSearchUI(t *testing.T) {
	dir := t.TempDir()
	spec := filepath.Join(dir, "tiny.yaml")
	if err := os.WriteFile(spec, []byte(tinySpec), 0o666); err != nil {
		t.Fatal(err)
	}
	run1 := filepath.Join(dir, "run")
	out := &bytes.Buffer{}
	stderr, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run([]string{"search", spec, "--data", "synthetic:size=12,train=240,test=60", "--networks", "4", "--seeds", "2",
			"--epochs", "1", "--batch", "16", "--validate", "3", "--out", run1, "--ui"}, out, w)
		w.Close()
	}()
	lines := bufio.NewScanner(stderr)
	url := ""
	for url == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "page "); ok {
			url = strings.TrimSpace(rest)
		}
	}
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("no page on loopback but %q", url)
	}
	go io.Copy(io.Discard, stderr)
	r, err := http.Get(url + "events")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page := &bytes.Buffer{}
	if first, err := http.Get(url); err != nil {
		t.Error(err)
	} else {
		io.Copy(page, first.Body)
		first.Body.Close()
	}
	if !strings.Contains(page.String(), `id="live-pause"`) {
		t.Errorf("the page has no buttons:\n%.500s", page)
	}
	var last live.View
	reports, ended := 0, false
	scan := bufio.NewScanner(r.Body)
	scan.Buffer(nil, 64<<20)
	for name := ""; scan.Scan(); {
		line := scan.Text()
		if n, ok := strings.CutPrefix(line, "event: "); ok {
			name = n
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		switch name {
		case "state":
			last = live.View{}
			if err := json.Unmarshal([]byte(data), &last); err != nil {
				t.Error(err)
			}
		case "report":
			reports++
			var html string
			if err := json.Unmarshal([]byte(data), &html); err != nil || !strings.Contains(html, "data-verdict=") {
				t.Errorf("report %.200s: %v", data, err)
			}
		case "end":
			ended = true
		}
	}
	if s := <-status; s != 0 {
		t.Fatalf("exit status %d", s)
	}
	if !ended || reports == 0 || last.State != live.Done || last.Ended != last.Total || last.Verdict == "" {
		t.Errorf("ended %v after %d reports, last state %+v", ended, reports, last)
	}
	if !strings.Contains(out.String(), last.Verdict) {
		t.Errorf("the page's verdict %q is not the command's:\n%s", last.Verdict, out)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the page is served after the end")
	}
}

const tinySpec = `name: tiny
resolution: 12
channels: 1
classes: 10
stem: {width: 8, kernel: 3, stride: 2}
blocks:
  - ds_r1_k3_s1_e1_c8
  - ir_r2_k3_s2_e2_c12
  - ir_r1_k3_s1_e2_c16
head: 32
act: swish
padding: symmetric
bn: {eps: 0.001, momentum: 0.1}
dropout: 0
drop_path: 0
scaling:
  depth: round
  width_divisor: 2
  width_limit: 0
`
