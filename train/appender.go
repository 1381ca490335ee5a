package train

import (
	"io"
	"os"
)

// appender is a file that grows by whole pieces: a write that fails, as on a
// full disk, leaves nothing of its piece.
type appender struct {
	f    *os.File
	size int64
}

// openAppender opens the file at path, and makes it if need be.
func openAppender(path string) (*appender, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &appender{f, size}, nil
}

func (a *appender) Write(b []byte) (int, error) {
	n, err := a.f.Write(b)
	if err != nil {
		if n > 0 {
			a.f.Truncate(a.size)
		}
		return 0, err
	}
	a.size += int64(n)
	return n, nil
}
