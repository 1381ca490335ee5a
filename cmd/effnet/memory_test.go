//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestTrainMemory measures the memory of whole runs: a limit is held, checkpoints
// and validation included, by a run that would take more.
func TestTrainMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the unit of the peak differs between systems")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	peak := func(extra ...string) (bytes int64, stderr string) {
		var log strings.Builder
		cmd := exec.Command(exe)
		cmd.Args = append([]string{"effnet", "train", "small_5m", "--data", "synthetic:classes=3,size=16,train=150,test=10", "--resolution", "48",
			"--batch", "64", "--epochs", "1", "--checkpoint-steps", "1", "--ema", "0.9", "--threads", "2", "--out", filepath.Join(t.TempDir(), "run")}, extra...)
		cmd.Stderr = &log
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10, log.String()
	}
	const limit = 115 << 20
	if got, _ := peak(); got <= limit {
		t.Fatalf("without a limit the run takes %s, no more than the %s of the test", size(got), size(limit))
	}
	got, stderr := peak("--memory", "115M")
	if got > limit {
		t.Errorf("the run takes %s of %s", size(got), size(limit))
	}
	if !strings.Contains(stderr, "; the batch of 64 goes through in parts of at most") {
		t.Errorf("it does not say what the limit made of it:\n%s", stderr)
	}
}
