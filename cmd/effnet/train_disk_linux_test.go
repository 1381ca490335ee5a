package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"effnet/internal/tfevents"
)

// TestFullDisk trains onto a disk that fills up, at whichever file that is: the
// run ends with one line and nothing half-written, and goes on to the
// bytes of an undisturbed run when there is room.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no small disk: mount: %v", err)
	}
	defer syscall.Unmount(disk, 0)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// run gives the exit status and stderr.
	run := func(args ...string) (int, string) {
		var stderr bytes.Buffer
		cmd := exec.Command(exe)
		cmd.Args = append([]string{"effnet", "train"}, args...) // see TestMain
		cmd.Stderr, cmd.Dir = &stderr, disk
		err := cmd.Run()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), stderr.String()
	}
	fresh := func(out string) []string {
		return []string{"small_300k", "--data", "synthetic:size=12,train=200,test=20", "--resolution", "12", "--epochs", "3", "--batch", "8",
			"--ema", "0.99", "--checkpoint-steps", "10", "--threads", "1", "--out", out}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if status, stderr := run(fresh(whole)...); status != 0 {
		t.Fatal(stderr)
	}
	files := func(dir string) map[string]string {
		m := map[string]string{}
		for _, name := range []string{"model.safetensors", "best.safetensors", "metrics.jsonl"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			m[name] = timing.ReplaceAllString(string(b), "")
		}
		return m
	}
	want := files(whole)
	fill := filepath.Join(disk, "fill")
	failed := map[string]bool{}                                                          // files at which runs ended
	for _, free := range []int{0, 4, 8, 12, 24, 60, 150, 200, 300, 420, 560, 640, 700} { // KiB
		if testing.Short() && free%3 != 0 {
			continue
		}
		if err := fillDisk(disk, fill, free<<10); err != nil {
			t.Fatal(err)
		}
		status, stderr := run(fresh("run")...)
		dir := filepath.Join(disk, "run")
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".tmp") {
				t.Errorf("%d KiB: %s was left behind", free, e.Name())
			}
		}
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		last := lines[len(lines)-1]
		if status == 0 {
			t.Logf("%d KiB are enough", free)
		} else {
			if status != 1 || !strings.HasPrefix(last, "effnet: ") || !strings.Contains(last, "no space left on device") || !strings.Contains(last, "make room, then go on with: ") {
				t.Errorf("%d KiB: status %d: %s", free, status, last)
			}
			t.Logf("%d KiB: %s", free, last)
			if m := regexp.MustCompile(`write run/([a-z]+)`).FindStringSubmatch(last); m != nil {
				failed[m[1]] = true
			}
			wholeLines(t, dir)
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		args := []string{"--resume", "run", "--threads", "1"}
		if strings.HasSuffix(last, "the same command") {
			args = fresh("run")
		}
		if status, stderr := run(args...); status != 0 {
			t.Fatalf("%d KiB: with room: %s", free, stderr)
		}
		for name, got := range files(dir) {
			if got != want[name] {
				t.Errorf("%d KiB: %s differs from the undisturbed run's", free, name)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"config", "events", "ckpt"} {
		if !failed[kind] && !testing.Short() {
			t.Errorf("no run ended at %s: only at %v", kind, failed)
		}
	}
}

// fillDisk leaves free bytes of a disk.
func fillDisk(disk, fill string, free int) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(disk, &s); err != nil {
		return err
	}
	n := int(s.Bavail)*int(s.Bsize) - free
	if n < 0 {
		return fmt.Errorf("%d bytes are too few to leave %d", n+free, free)
	}
	return os.WriteFile(fill, make([]byte, n), 0o644)
}

// wholeLines wants metrics.jsonl and the event file of a run to be whole as far
// as they go.
func wholeLines(t *testing.T, dir string) {
	t.Helper()
	if b, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl")); err == nil && len(b) > 0 && b[len(b)-1] != '\n' {
		t.Errorf("metrics.jsonl ends with %q", b[max(0, len(b)-40):])
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := tfevents.Read(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
