package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"effnet/imageprep"
)

// statusError is an error with its HTTP status.
type statusError struct {
	status int
	err    error
	retry  time.Duration // of a 503: when to try again
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func errorf(status int, format string, args ...any) error {
	return &statusError{status: status, err: fmt.Errorf(format, args...)}
}

// busy is the refusal of a server that has no room, for about so long.
func busy(wait time.Duration, format string, args ...any) error {
	return &statusError{status: http.StatusServiceUnavailable, err: fmt.Errorf(format, args...), retry: wait}
}

// statusClosed is for requests whose client has gone: nobody sees it but the log.
const statusClosed = 499

// statusOf is the status of an error.
func statusOf(err error) int {
	var se *statusError
	var limit *imageprep.LimitError
	var format *imageprep.FormatError
	switch {
	case errors.As(err, &se):
		return se.status
	case errors.As(err, &limit):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &format):
		return http.StatusBadRequest
	case errors.Is(err, errExpired), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.Canceled):
		return statusClosed
	}
	return http.StatusInternalServerError
}

// fail answers with an error, in the shape of the Open Inference Protocol.
func fail(w http.ResponseWriter, err error) {
	status := statusOf(err)
	h := w.Header()
	if status == http.StatusServiceUnavailable {
		retry := time.Second
		var se *statusError
		if errors.As(err, &se) {
			retry = se.retry
		}
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(retry.Seconds())))))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="effnet"`)
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		text = "the request took longer than it may"
	case status == http.StatusInternalServerError:
		text = "the model failed: " + text
	}
	if r, ok := w.(*recorder); ok {
		r.err = err
	}
	answer(w, status, map[string]string{"error": text})
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

func millis(d time.Duration) float64 { return math.Round(1e3*d.Seconds()*1e3) / 1e3 }
