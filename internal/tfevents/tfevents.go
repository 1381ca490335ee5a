// Package tfevents writes the event files that TensorBoard reads, and reads
// them back.
//
// A file is a sequence of records, see [WriteRecord], each of which holds one
// Event, a protocol buffer of TensorFlow (event.proto, summary.proto, and
// plugin_data.proto of TensorBoard's HParams plugin). The first event names the
// version of the format and nothing else.
package tfevents

import (
	"io"
	"time"
)

// Version is what the first event of a file says.
const Version = "brain.Event:2"

// Event is what is known of one moment.
type Event struct {
	Wall    float64 // seconds since 1970
	Step    int64
	Version string // of the first event alone
	Values  []Value
}

// Value is one of a scalar, an image, and the start and the end of a session;
// a scalar where the others are nil.
type Value struct {
	Tag    string
	Scalar float32
	Image  *Image
	Start  *SessionStart
	End    *SessionEnd
}

// Image is an encoded image.
type Image struct {
	Width, Height int
	Channels      int    // 1 grey, 3 colour
	PNG           []byte // the file
}

// SessionStart gives the hyperparameters of a run. TensorBoard takes the
// scalars of the same folder as the run's metrics.
type SessionStart struct {
	HParams []HParam // by name, in order
	Group   string   // runs of one group are averaged; "": a group of its own
	Seconds float64  // since 1970
}

// HParam is a hyperparameter: a bool, a float64 or a string.
type HParam struct {
	Name  string
	Value any
}

// SessionEnd says how a run ended.
type SessionEnd struct {
	Status  Status
	Seconds float64 // since 1970
}

// Status is how a run ended.
type Status int

// The statuses of the HParams plugin.
const (
	Success Status = 1
	Failure Status = 2
	Running Status = 3
)

// Tags of sessions, which the HParams plugin looks for.
const (
	startTag = "_hparams_/session_start_info"
	endTag   = "_hparams_/session_end_info"
)

// Wall is a moment as events have it.
func Wall(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// ScalarValue, ImageValue, StartValue and EndValue make values.
func ScalarValue(tag string, x float64) Value { return Value{Tag: tag, Scalar: float32(x)} }
func ImageValue(tag string, img *Image) Value { return Value{Tag: tag, Image: img} }
func StartValue(s *SessionStart) Value        { return Value{Tag: startTag, Start: s} }
func EndValue(status Status, wall float64) Value {
	return Value{Tag: endTag, End: &SessionEnd{status, wall}}
}

// Write appends events as records.
func Write(w io.Writer, events ...Event) error {
	for i := range events {
		if err := WriteRecord(w, events[i].encode()); err != nil {
			return err
		}
	}
	return nil
}

// Read reads a whole file. It returns the events before the first record that
// is not whole together with an error that wraps [ErrTruncated] or [ErrDamaged].
func Read(r io.Reader) ([]Event, error) {
	var events []Event
	for {
		b, err := ReadRecord(r)
		if err == io.EOF {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		e, err := decode(b)
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}
