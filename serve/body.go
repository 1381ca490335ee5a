package serve

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// budget is memory that requests share. They take it as their bytes come, so
// that a client that only announces much, or sends little slowly, holds little.
type budget struct {
	limit int64
	used  atomic.Int64
}

// lease is a request's part of a budget.
type lease struct {
	b *budget
	n int64
}

// take adds n bytes, if they are there.
func (l *lease) take(n int64) error {
	if l.b.used.Add(n) > l.b.limit {
		l.b.used.Add(-n)
		return busy(time.Second, "the server has no memory left for this request")
	}
	l.n += n
	return nil
}

// free gives all back.
func (l *lease) free() {
	l.b.used.Add(-l.n)
	l.n = 0
}

// readBody reads the body of a request, decompressed, within limits. lease holds
// its memory.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, l *lease) ([]byte, error) {
	most := s.cfg.MaxBody
	tooLarge := errorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes, which is the limit", most)
	if r.ContentLength > most {
		return nil, tooLarge
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, most)
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, bodyError(err, "the body is not gzip", tooLarge)
		}
		body = z
	case "deflate":
		z, err := zlib.NewReader(body)
		if err != nil {
			return nil, bodyError(err, "the body is not deflate", tooLarge)
		}
		body = z
	default:
		return nil, errorf(http.StatusUnsupportedMediaType, "Content-Encoding is %q, want gzip, deflate or none", enc)
	}
	size := int64(64 << 10) // what a client may hold that has only announced
	if r.ContentLength > 0 && r.Header.Get("Content-Encoding") == "" {
		size = min(r.ContentLength+1, size)
	}
	var data []byte
	for {
		if int64(len(data)) == int64(cap(data)) {
			grown := min(max(size, 2*int64(cap(data))), most+1)
			if err := l.take(grown - int64(cap(data))); err != nil {
				return nil, err
			}
			data = append(make([]byte, 0, grown), data...)
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > most:
			return nil, tooLarge
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, bodyError(err, "the body cannot be read", tooLarge)
		}
	}
}

// bodyError is the error of reading a body.
func bodyError(err error, what string, tooLarge error) error {
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errorf(http.StatusBadRequest, "%s: it ends early", what)
	}
	return errorf(http.StatusBadRequest, "%s: %w", what, err)
}
