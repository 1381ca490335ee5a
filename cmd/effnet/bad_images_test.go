package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// badFolder is a folder of images of two classes, one of which is cut short.
func badFolder(t *testing.T) (dir, bad string) {
	t.Helper()
	dir = t.TempDir()
	for i := range 30 {
		for k, class := range []string{"cat", "dog"} {
			m := image.NewGray(image.Rect(0, 0, 12, 12))
			for p := range m.Pix {
				m.Pix[p] = byte(100*k + 3*i + p%7)
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, class, fmt.Sprintf("%02d.png", i))
			if class == "dog" && i == 7 {
				b.Truncate(40)
				bad = path
			}
			os.MkdirAll(filepath.Dir(path), 0o755)
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, bad
}

func TestBadImages(t *testing.T) {
	data, bad := badFolder(t)
	out := t.TempDir()
	effnet := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		var o, e bytes.Buffer
		if code := run(args, &o, &e); code != want {
			t.Fatalf("%v: exit status %d, want %d: %s", args, code, want, e.String())
		}
		return o.String(), e.String()
	}
	train := func(want int, name string, more ...string) (stdout, stderr string) {
		t.Helper()
		return effnet(want, append([]string{"train", "small_300k", "--data", data, "--resolution", "12", "--epochs", "2", "--batch", "8", "--json", "--out", filepath.Join(out, name)}, more...)...)
	}
	reason := "dataset: " + bad + ": imageprep: PNG: the file ends early\n"

	if _, stderr := train(exitFailure, "a"); !strings.HasSuffix(stderr, "\neffnet: "+reason) {
		t.Errorf("fail: stderr is %q", stderr)
	}
	var models [2][]byte
	for i, threads := range []string{"1", "3"} {
		name := "skip" + threads
		stdout, stderr := train(0, name, "--on-bad-image", "skip", "--threads", threads)
		if !strings.Contains(stdout, `"bad_images": 1`) || strings.Count(stderr, "left out: "+reason) != 1 {
			t.Errorf("skip: stdout %s stderr %s", stdout, stderr)
		}
		var err error
		if models[i], err = os.ReadFile(filepath.Join(out, name, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(models[0], models[1]) {
		t.Error("the number of threads changes the result")
	}
	runDir := filepath.Join(out, "skip1")
	config, err := os.ReadFile(filepath.Join(runDir, "config.yaml"))
	if err != nil || !strings.Contains(string(config), "\n  bad_images: skip\n  left_out: 1\n") {
		t.Errorf("%v, config.yaml:\n%s", err, config)
	}
	if _, stderr := effnet(exitUsage, "train", "--resume", runDir, "--on-bad-image", "fail"); !strings.Contains(stderr, "data.bad_images: the run has skip, now it would be nothing") {
		t.Errorf("resumed with another choice: %s", stderr)
	}
	effnet(0, "eval", runDir, "--split", "train") // as it was trained
	effnet(exitUsage, "data", data, "--on-bad-image", "ignore")
	if stdout, _ := effnet(0, "data", data, "--on-bad-image", "skip", "--check", "--shards", filepath.Join(out, "shards")); !strings.Contains(stdout, "\nnote      left out 1 image that cannot be read\n") {
		t.Errorf("data: %s", stdout)
	}
	effnet(0, "data", filepath.Join(out, "shards"), "--check")
	// The folder gets worse while a run rests.
	if err := os.WriteFile(filepath.Join(data, "cat", "03.png"), []byte("no picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := effnet(exitUsage, "train", "--resume", runDir); !strings.Contains(stderr, "data.checksum: the run has ") {
		t.Errorf("resumed on other data: %s", stderr)
	}
}
