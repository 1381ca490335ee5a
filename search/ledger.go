package search

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"effnet/internal/lockfile"
)

// The ledger is the search's only truth: a file of JSON lines, one event a
// line, only ever appended to, each line on the disk before the search acts
// on it. Line n carries its number and ends in a checksum over the rest:
//
//	{"seq":3,"kind":"finish",...,"sum":"1f0c52d9a8b37e64"}
//
// A kill can leave the last line without its newline; such a line never
// counted and is cut off when the search resumes. Any other line that does
// not match its checksum or its number stops every reader, by its number.

// LedgerName is the ledger's file name in a run folder.
const LedgerName = "ledger.jsonl"

// record is one event.
type record struct {
	Seq     int       `json:"seq"`
	Kind    eventKind `json:"kind"`
	Time    time.Time `json:"time"`
	Config  *Config   `json:"config,omitempty"`  // kindSearch
	Session *Session  `json:"session,omitempty"` // kindSession
	Plan    *Plan     `json:"plan,omitempty"`    // kindPlan
	Cut     *Cut      `json:"rung,omitempty"`    // kindRung
	Replan  *Replan   `json:"replan,omitempty"`  // kindReplan
	Control *Command  `json:"control,omitempty"` // kindControl
	Choice  *Choice   `json:"choice,omitempty"`  // kindChoice
	Trial   string    `json:"trial,omitempty"`   // kindStart, kindFinish, kindFail
	Attempt int       `json:"attempt,omitempty"`
	Seconds float64   `json:"seconds,omitempty"` // kindFinish, kindFail: of this attempt
	Outcome *Outcome  `json:"outcome,omitempty"` // kindFinish
	Error   string    `json:"error,omitempty"`   // kindFail
}

type eventKind string

const (
	kindSearch  eventKind = "search"  // the first line: what is searched
	kindSession eventKind = "session" // a process took the search up
	kindPlan    eventKind = "plan"    // networks, seeds and lengths are settled
	kindStart   eventKind = "start"   // a trial's attempt began
	kindFinish  eventKind = "finish"  // it ended with an outcome
	kindFail    eventKind = "fail"    // it ended without one, for good
	kindRung    eventKind = "rung"    // a rung has ended: who goes on
	kindReplan  eventKind = "replan"  // what is left to do was fitted to the budget again
	kindControl eventKind = "control" // somebody stepped in
	kindChoice  eventKind = "choice"  // the ratio to validate is settled
	kindDone    eventKind = "done"    // every trial has ended
)

const (
	sumKey    = `,"sum":"`
	sumDigits = 16
	sumLen    = len(sumKey) + sumDigits + len(`"}`)
)

func lineSum(body []byte) string {
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:])[:sumDigits]
}

// encodeLine makes a ledger line, newline included.
func encodeLine(r *record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	sum := lineSum(body)
	line := append(body[:len(body)-1:len(body)-1], sumKey...)
	line = append(line, sum...)
	return append(line, "\"}\n"...), nil
}

// decodeLine reads a line without its newline.
func decodeLine(line []byte) (*record, error) {
	n := len(line) - sumLen
	if n < 1 || !bytes.HasPrefix(line[n:], []byte(sumKey)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return nil, errors.New("it does not end in a checksum")
	}
	body := append(line[:n:n], '}')
	want := string(line[n+len(sumKey) : n+len(sumKey)+sumDigits])
	if got := lineSum(body); got != want {
		return nil, fmt.Errorf("its checksum says %s, its content gives %s", want, got)
	}
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// readLedger reads the events of a ledger and the length in bytes of its
// whole lines; what is beyond is the torn end of a write that was cut short.
func readLedger(path string) (events []*record, whole int64, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	return parseLedger(path, data)
}

// parseLedger reads the ledger of the given name.
func parseLedger(path string, data []byte) (events []*record, whole int64, err error) {
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			break
		}
		r, err := decodeLine(line)
		n := len(events) + 1
		switch {
		case err != nil:
			return nil, 0, fmt.Errorf("search: %s: line %d is damaged: %v", path, n, err)
		case r.Seq != n:
			return nil, 0, fmt.Errorf("search: %s: line %d carries number %d: lines are missing or repeated", path, n, r.Seq)
		case (n == 1) != (r.Kind == kindSearch):
			return nil, 0, fmt.Errorf("search: %s: line %d is of kind %q: only the first line, and always it, is %q", path, n, r.Kind, kindSearch)
		}
		if err := r.check(); err != nil {
			return nil, 0, fmt.Errorf("search: %s: line %d: %v", path, n, err)
		}
		events = append(events, r)
		whole += int64(len(line)) + 1
		data = rest
	}
	return events, whole, nil
}

// check reports an event that lacks what its kind promises.
func (r *record) check() error {
	ok := true
	switch r.Kind {
	case kindSearch:
		ok = r.Config != nil
	case kindSession:
		ok = r.Session != nil
	case kindPlan:
		ok = r.Plan != nil
	case kindRung:
		ok = r.Cut != nil
	case kindReplan:
		ok = r.Replan != nil
	case kindControl:
		ok = r.Control != nil
	case kindChoice:
		ok = r.Choice != nil
	case kindStart, kindFail:
		ok = r.Trial != "" && r.Attempt > 0
	case kindFinish:
		ok = r.Trial != "" && r.Attempt > 0 && r.Outcome != nil
	case kindDone:
	default:
		return fmt.Errorf("unknown kind %q: the ledger is of a newer version", r.Kind)
	}
	if !ok {
		return fmt.Errorf("the %q event is incomplete", r.Kind)
	}
	return nil
}

// ledger is the write end. It is not safe for concurrent use.
type ledger struct {
	f    *os.File
	lock *lockfile.Lock
	seq  int
	now  func() time.Time
}

// openLedger takes the run folder for this process alone, makes the ledger
// where there is none, cuts off a torn end, and returns the events so far.
func openLedger(dir string) (*ledger, []*record, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, nil, err
	}
	lock, err := lockfile.Acquire(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, nil, fmt.Errorf("search: %w", err)
	}
	path := filepath.Join(dir, LedgerName)
	events, whole, err := readLedger(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		lock.Release()
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, 0)
	}
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		lock.Release()
		return nil, nil, err
	}
	return &ledger{f: f, lock: lock, seq: len(events), now: time.Now}, events, nil
}

// append numbers and dates r and returns when it is on the disk.
func (l *ledger) append(r *record) error {
	r.Seq = l.seq + 1
	r.Time = l.now().UTC().Truncate(time.Millisecond)
	line, err := encodeLine(r)
	if err != nil {
		return err
	}
	if _, err := l.f.Write(line); err != nil {
		return fmt.Errorf("search: ledger: %w", err)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("search: ledger: %w", err)
	}
	l.seq++
	return nil
}

// Close gives the run folder back.
func (l *ledger) Close() error {
	err := l.f.Close()
	if e := l.lock.Release(); err == nil {
		err = e
	}
	return err
}

// syncFolder makes a new name in a folder last. Systems that cannot sync a
// folder keep names in order by themselves.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.Sync()
	return d.Close()
}
