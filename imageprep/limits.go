package imageprep

import (
	"errors"
	"fmt"
	"io"
)

// Limits bound the work that one untrusted image may cause. They are checked
// from the headers, before pixels are allocated. Zero fields mean the default.
type Limits struct {
	MaxBytes  int64 // of the encoded file; 64 MiB
	MaxPixels int64 // width times height; 64 Mi
	MaxScans  int   // of a JPEG; 64
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes == 0 {
		l.MaxBytes = 64 << 20
	}
	if l.MaxPixels == 0 {
		l.MaxPixels = 64 << 20
	}
	if l.MaxScans == 0 {
		l.MaxScans = 64
	}
	return l
}

// CheckBytes reports an encoded file of n bytes that exceeds MaxBytes, as a
// [*LimitError].
func (l Limits) CheckBytes(n int64) error {
	if limit := l.withDefaults().MaxBytes; n > limit {
		return &LimitError{"bytes", n, limit}
	}
	return nil
}

// LimitError reports an image that exceeds one of its [Limits].
type LimitError struct {
	What     string // "bytes", "pixels" or "scans"
	Got, Max int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("imageprep: image has %d %s, limit is %d", e.Got, e.What, e.Max)
}

// FormatError reports bytes that are not a readable image.
type FormatError struct {
	Format string // "JPEG", ...; empty when no format was recognised
	Err    error
}

func (e *FormatError) Error() string {
	if e.Format == "" {
		return fmt.Sprintf("imageprep: %v", e.Err)
	}
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("imageprep: %s: the file ends early", e.Format)
	}
	return fmt.Sprintf("imageprep: %s: %v", e.Format, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }
