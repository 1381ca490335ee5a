// Package lockfile makes one process at a time the owner of a folder.
//
// The lock is the operating system's, on an open file: it ends with the
// process, however that ends, and a file left behind locks nothing.
package lockfile

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Lock is a lock held.
type Lock struct{ f *os.File }

// HeldError reports a lock that another process, or another part of this one,
// holds.
type HeldError struct {
	Path string
	PID  int // of the holder; 0 when unknown
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is locked by another process", e.Path)
	}
	return fmt.Sprintf("%s is locked by process %d", e.Path, e.PID)
}

// Acquire locks the file at path, which it makes if need be, without waiting:
// the error is a [*HeldError] when someone else holds it.
func Acquire(path string) (*Lock, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	// The number is only for messages, so that it may fail.
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &Lock{f}, nil
}

// Release gives the lock back. The file stays: removing it would let two
// processes hold locks on two files of the same name.
func (l *Lock) Release() error { return l.f.Close() }

// held makes the error for a file that cannot be locked.
func held(path string) error {
	e := &HeldError{Path: path}
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, 32))
		e.PID, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	return e
}
