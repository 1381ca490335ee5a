package weights

import (
	"bufio"
	"fmt"
	"io"
)

// byteReader reads a stretch of a file in order.
type byteReader struct {
	r    *bufio.Reader
	at   int64 // of the next byte in the file
	left int64
}

func newByteReader(r io.ReaderAt, at, n int64) *byteReader {
	return &byteReader{bufio.NewReaderSize(io.NewSectionReader(r, at, n), 1<<16), at, n}
}

// read fills b.
func (s *byteReader) read(b []byte) error {
	if int64(len(b)) > s.left {
		return s.short(int64(len(b)))
	}
	if n, err := io.ReadFull(s.r, b); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", len(b), s.at+int64(n), err)
	}
	s.at += int64(len(b))
	s.left -= int64(len(b))
	return nil
}

// short is the error of a stretch that ends too early.
func (s *byteReader) short(n int64) error {
	return &FormatError{Format: pytorch, Msg: fmt.Sprintf("cut short: want %d bytes at byte %d, found %d", n, s.at, s.left)}
}

// line reads up to a newline, which it drops.
func (s *byteReader) line(limit int) (string, error) {
	var text []byte
	for {
		var c [1]byte
		if err := s.read(c[:]); err != nil {
			return "", err
		}
		if c[0] == '\n' {
			return string(text), nil
		}
		if len(text) == limit {
			return "", &FormatError{Format: pytorch, Msg: fmt.Sprintf("a name of more than %d characters", limit)}
		}
		text = append(text, c[0])
	}
}
