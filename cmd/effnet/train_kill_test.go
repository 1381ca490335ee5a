package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// timing matches the fields of metrics.jsonl that differ between equal runs.
var timing = regexp.MustCompile(`,"(images_per_second|data_wait|loader_images_per_second|elapsed_s)":[^,}]*`)

// TestKillTrain kills a run with SIGKILL at random instants and resumes it: the
// result must be an uninterrupted run's to the byte. scripts/kill-train.sh does
// the same on real data.
func TestKillTrain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	kills := 3
	if testing.Short() {
		kills = 1
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	start := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		var stderr bytes.Buffer
		cmd := exec.Command(exe)
		cmd.Args = append([]string{"effnet", "train"}, args...) // see TestMain
		cmd.Stderr = &stderr
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &stderr
	}
	fresh := func(out string) []string {
		return []string{"small_300k", "--data", "synthetic:size=12,train=600,test=20", "--resolution", "16", "--epochs", "4", "--batch", "8",
			"--ema", "0.99", "--drop-path", "0.1", "--auto-augment", "rand-m9-n2-mstd0.5", "--erasing", "0.25", "--mixup", "0.2",
			"--progressive", "3", "--first-resolution", "8", "--first-drop-path", "0", "--checkpoint-steps", "5", "--threads", "1", "--out", out}
	}
	began := time.Now()
	cmd, stderr := start(fresh("whole")...)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	took := time.Since(began)
	cut := filepath.Join(dir, "cut")
	for {
		args := []string{"--resume", "cut", "--checkpoint-steps", "5", "--threads", "2"}
		if _, err := os.Stat(filepath.Join(cut, "config.yaml")); err != nil {
			args = fresh("cut")
		}
		cmd, stderr := start(args...)
		if kills > 0 {
			kills--
			time.Sleep(time.Duration(float64(took) * (0.1 + 0.4*rand.Float64())))
			cmd.Process.Kill()
		}
		err := cmd.Wait()
		if err == nil {
			break
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != -1 { // -1: by a signal
			t.Fatalf("%v\n%s", err, stderr)
		}
	}
	if kills > 0 {
		t.Logf("ended %d kills early", kills)
	}
	for _, name := range []string{"model.safetensors", "best.safetensors", "metrics.jsonl"} {
		a, err := os.ReadFile(filepath.Join(dir, "whole", name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(cut, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(timing.ReplaceAll(a, nil), timing.ReplaceAll(b, nil)) {
			t.Errorf("%s differs from the uninterrupted run's", name)
		}
	}
}
