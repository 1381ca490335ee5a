package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTrainMemory measures the memory of whole runs: a limit is held, checkpoints
// and validation included, by a run that would take more.
func TestTrainMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The peak that wait reports would include this process's, which the other
	// starts as.
	peak := func(extra ...string) (mb float64, stderr string) {
		var log strings.Builder
		cmd := exec.Command(exe)
		cmd.Args = append([]string{"effnet", "train", "small_5m", "--data", "synthetic:classes=3,size=16,train=150,test=10", "--resolution", "48",
			"--batch", "64", "--epochs", "1", "--checkpoint-steps", "1", "--ema", "0.9", "--threads", "2", "--out", filepath.Join(t.TempDir(), "run")}, extra...)
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for pid := strconv.Itoa(cmd.Process.Pid); ; {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("%v\n%s", err, &log)
				}
				return mb, log.String()
			case <-time.After(20 * time.Millisecond):
				mb = max(mb, peakRSSOf(pid))
			}
		}
	}
	const limit = 100.0 * (1 << 20) / 1e6
	if got, _ := peak(); got <= limit {
		t.Fatalf("without a limit the run takes %.1f MB, no more than the %.1f of the test", got, limit)
	}
	got, stderr := peak("--memory", "100M")
	if got == 0 || got > limit {
		t.Errorf("the run takes %.1f MB of %.1f", got, limit)
	}
	if !strings.Contains(stderr, "; the batch of 64 goes through in parts of at most") {
		t.Errorf("it does not say what the limit made of it:\n%s", stderr)
	}
}
