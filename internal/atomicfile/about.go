package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// about is err with the target's path where its text has the temporary one's.
func about(err error, temp, path string) error {
	var moved *os.LinkError
	if errors.As(err, &moved) && moved.Old == temp {
		return &fs.PathError{Op: "write", Path: path, Err: moved.Err}
	}
	if err == nil || !strings.Contains(err.Error(), temp) {
		return err
	}
	return &targetError{strings.ReplaceAll(err.Error(), temp, path), err}
}

// targetError is err in other words.
type targetError struct {
	text string
	err  error
}

func (e *targetError) Error() string { return e.text }
func (e *targetError) Unwrap() error { return e.err }
