package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const agreeing = `{
 "net": "small_1m", "resolution": 28, "batch": 128, "threads": 1, "kernel": "go", "optimizer": "sgd", "data": "noise",
 "machine": {"cpu": "a CPU", "cores": 2}, "lr": 0.05, "steps": 2,
 "reference": {"engine": "torch-float64", "version": "2", "losses": [2.5, 2.25]},
 "engines": [
  {"engine": "effnet", "losses": [2.5, 2.25], "apart": [1e-8, 3e-7],
   "states": [{"step": 2, "weights": 1e-7, "gamma_beta": 2e-7, "running_mean": 3e-7, "running_variance": 4e-7, "logits": 5e-7}]},
  {"engine": "torch", "losses": [2.5, 2.25], "apart": [2e-8, 1e-6],
   "states": [{"step": 2, "weights": 1e-6, "gamma_beta": 2e-6, "running_mean": 3e-6, "running_variance": 4e-6, "logits": 5e-6}]}],
 "bound": [2.04e-6, 4e-6], "agree": true}`

func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.json", agreeing)
	apart := write("apart.json", strings.Replace(agreeing, `"agree": true`, `"agree": false`, 1))
	short := write("short.json", strings.Replace(agreeing, `"apart": [2e-8, 1e-6]`, `"apart": [2e-8]`, 1))
	figure := filepath.Join(dir, "curves.svg")
	for _, c := range []struct {
		files []string
		ok    bool
		out   []string
		err   string
	}{
		{[]string{good}, true, []string{
			"a CPU, 2 cores, kernels go; relative differences from PyTorch 2 in float64",
			"small_1m  28      128    sgd        0.05  2      2.500 to 2.250  effnet                  1.0e-08  -      -      -       3.0e-07      4.0e-06  1.0e-07  2.0e-07      3.0e-07        4.0e-07    5.0e-07  within",
			"PyTorch, channels_last  2.0e-08  -      -      -       1.0e-06               1.0e-06  2.0e-06",
		}, ""},
		{[]string{good, apart}, false, []string{"within", "TOO FAR"}, ""},
		{[]string{good, short}, false, nil, "short.json: torch has 2 losses and 1 distances, want 2"},
		{[]string{write("other.json", `{"net": "b0", "p50_ms": 3}`)}, false, nil, "other.json: no report of 'effnet bench --losses'"},
		{[]string{write("broken.json", `{"net"`)}, false, nil, "broken.json: unexpected end of JSON input"},
		{[]string{filepath.Join(dir, "none.json")}, false, nil, "none.json"},
		{nil, false, nil, "no reports given"},
	} {
		os.Remove(figure)
		var out bytes.Buffer
		ok, err := run(&out, figure, c.files)
		if ok != c.ok || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, %v, want %v, %q", c.files, ok, err, c.ok, c.err)
		}
		for _, want := range c.out {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q: no %q in\n%s", c.files, want, &out)
			}
		}
		if _, err := os.Stat(figure); (err == nil) != (c.err == "") {
			t.Errorf("%q: the figure: %v", c.files, err)
		}
	}
}
