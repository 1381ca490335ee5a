package live

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"effnet/search"
)

// Watcher looks at the search in a run folder, whichever process runs it, if
// any does. It is a [Source]. Its functions may be called concurrently.
type Watcher struct {
	dir  string
	page func(*search.Analysis) ([]byte, error) // the report

	mu     sync.Mutex
	size   int64 // of the ledger when result was read
	result *search.Result
	ledger *View // by the ledger alone
}

// NewWatcher looks at the folder dir; page draws the report.
func NewWatcher(dir string, page func(*search.Analysis) ([]byte, error)) *Watcher {
	return &Watcher{dir: dir, page: page}
}

// load reads the ledger if it has grown. mu is held. The result is nil where
// nothing was searched yet.
func (w *Watcher) load() error {
	info, err := os.Stat(filepath.Join(w.dir, search.LedgerName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if w.result != nil && info.Size() == w.size {
		return nil
	}
	r, err := search.Load(w.dir)
	if errors.Is(err, search.ErrEmpty) {
		return nil
	}
	if err != nil {
		return err
	}
	w.size, w.result, w.ledger = info.Size(), r, ofLedger(w.dir, r)
	return nil
}

// Result is the search as its ledger tells it; nil where nothing was searched
// yet. It must not be changed.
func (w *Watcher) Result() (*search.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.load()
	return w.result, err
}

// View is the present state.
func (w *Watcher) View() (*View, error) {
	w.mu.Lock()
	err := w.load()
	v := View{Run: w.dir, State: Planning}
	if w.ledger != nil {
		v = *w.ledger
	}
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s, err := readStatus(filepath.Join(w.dir, StatusName))
	if err == nil && v.State != Done {
		v.join(s, time.Now())
	}
	return &v, nil
}

// join adds what the searching process says of itself. The file may be damaged
// or of another version: then the ledger's word stands.
func (v *View) join(s *status, now time.Time) {
	switch s.State {
	case Planning, Running, Paused:
		v.State = s.State
		if now.Sub(s.Time) > lostAfter {
			v.State = Lost
		}
	default: // Done is the ledger's to say
		v.State = Stopped
	}
	v.Spent, v.Left = s.Spent, s.Left
	if s.Total > 0 {
		v.Ended, v.Total = s.Ended, s.Total
	}
	v.Running, v.Doing = s.Running, s.Doing
}

// Page is the report, with the length of the ledger as its version.
func (w *Watcher) Page() ([]byte, int64, error) {
	w.mu.Lock()
	err := w.load()
	r, size := w.result, w.size
	w.mu.Unlock()
	if err != nil || r == nil || r.Plan == nil {
		return nil, 0, err
	}
	html, err := w.page(r.Analyse())
	return html, size, err
}

// Control hands a command to the process that searches.
func (w *Watcher) Control(c search.Command) error { return search.Control(w.dir, c) }
