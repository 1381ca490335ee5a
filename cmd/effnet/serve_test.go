package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"effnet/train"
)

// startServe runs 'effnet serve' in a process of its own and waits for its
// address.
func startServe(t *testing.T, args ...string) (p *exec.Cmd, url string, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A test binary that is called as the command is the command.
	link := filepath.Join(t.TempDir(), "effnet")
	if err := os.Symlink(self, link); err != nil {
		t.Skip(err)
	}
	p = exec.Command(link, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	stderr = &bytes.Buffer{}
	p.Stderr = stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = p.Wait()
		t.Fatalf("serve: %v: %s", err, stderr)
	}
	return p, strings.TrimSpace(line), stderr
}

// serveEnds is how often TestServeEnds does: EFFNET_SERVE_ENDS, or 3 times.
var serveEnds = func() int {
	n, err := strconv.Atoi(os.Getenv("EFFNET_SERVE_ENDS"))
	if err != nil {
		return 3
	}
	return n
}()

// refused reports that a connection was ended before the server had it: the system
// accepts some that a server which ends does not come to, and resets them. A client
// that still sends then sees its own end closed.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// TestServeEnds ends servers by SIGTERM while requests come: all that were
// accepted are answered, by the server's log and by what its clients got, and the
// server ends well.
func TestServeEnds(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	writePNG(t, "a.png", 300, 200, 1)
	pic, err := os.ReadFile("a.png")
	if err != nil {
		t.Fatal(err)
	}
	var all int64
	slowest := time.Duration(0)
	for range serveEnds {
		p, url, stderr := startServe(t, "m.safetensors", "--log", "info")
		var answered atomic.Int64
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				// A connection for each request: what is refused was never accepted.
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				for {
					resp, err := client.Post(url+"/v1/classify", "image/png", bytes.NewReader(pic))
					if err != nil {
						if !refused(err) {
							t.Errorf("a request was lost: %v", err)
						}
						return
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != 200 {
						t.Errorf("%s: %s, %v", resp.Status, body, err)
						return
					}
					answered.Add(1)
				}
			})
		}
		for answered.Load() < 10 {
			time.Sleep(time.Millisecond)
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := p.Wait(); err != nil || time.Since(start) > 30*time.Second {
			t.Errorf("the server ended after %v with %v: %s", time.Since(start), err, stderr)
		}
		slowest = max(slowest, time.Since(start))
		wait.Wait()
		begun := int64(strings.Count(stderr.String(), `"msg":"request"`))
		if begun != answered.Load() {
			t.Errorf("%d requests were accepted, %d answered: %s", begun, answered.Load(), stderr)
		}
		all += answered.Load()
	}
	t.Logf("%d servers ended, after %v at most; %d requests were answered", serveEnds, slowest.Round(time.Millisecond), all)
}

func TestServeErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	colourModel(t)
	for name, text := range map[string]string{"token": "two words\n", "good": "secret\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		status int
		want   string
		args   string
	}{
		{2, "wants at least one MODEL", ""},
		{1, "none: no such file", "none"},
		{2, `--addr is "8080", want HOST:PORT`, "m.safetensors --addr 8080"},
		{2, "belong together", "m.safetensors --tls-cert c.pem"},
		{1, "c.pem", "m.safetensors --tls-cert c.pem --tls-key k.pem"},
		{2, "want at least 1", "m.safetensors --queue 0"},
		{2, "times have to be above 0", "m.safetensors --timeout -1s"},
		{2, `--log is "loud"`, "m.safetensors --log loud"},
		{1, "token: want a token of one word", "m.safetensors --token-file token"},
		{1, "model m, version 1 is given twice", "m.safetensors m.safetensors --addr 127.0.0.1:0"},
		{1, "listen tcp", "m.safetensors --addr 203.0.113.1:1 --token-file good"},
	} {
		status, stdout, stderr := effnet(append([]string{"serve"}, strings.Fields(c.args)...)...)
		if status != c.status || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("serve %s: status %d, %q, %q; want %d, %q", c.args, status, stdout, stderr, c.status, c.want)
		}
	}
}

// TestServeAccuracy: the card of a run's model says how well it did.
func TestServeAccuracy(t *testing.T) {
	t.Chdir(t.TempDir())
	var run struct{ Validation, Test train.Eval }
	text := mustEffnet(t, "train", "small_300k", "--data", "synthetic:classes=3,size=8,train=60,test=20", "--resolution", "8", "--epochs", "1", "--batch", "20", "--out", "run", "--json")
	if err := json.Unmarshal([]byte(text), &run); err != nil {
		t.Fatal(err)
	}
	card := func(args ...string) map[string]string {
		t.Helper()
		_, url, _ := startServe(t, append(args, "--log", "error")...)
		resp, err := http.Get(url + "/v1/models/m")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var c struct{ Meta map[string]string }
		if err := json.NewDecoder(resp.Body).Decode(&c); err != nil {
			t.Fatal(err)
		}
		return c.Meta
	}
	got := card("m=run")
	if got["effnet.test_accuracy"] != fmt.Sprint(run.Test.Accuracy) || got["effnet.validation_accuracy"] != fmt.Sprint(run.Validation.Accuracy) || got["effnet.data"] != "synthetic" {
		t.Errorf("the card says %v, the run %+v", got, run)
	}
	if err := os.Remove("run/result.json"); err != nil {
		t.Fatal(err)
	}
	if again := card("m=run"); again["effnet.validation_accuracy"] != got["effnet.validation_accuracy"] || again["effnet.test_accuracy"] != "" {
		t.Errorf("without the result the card says %v", again)
	}
}
