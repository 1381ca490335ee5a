package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"effnet/internal/atomicfile"
	"effnet/search"
)

// StatusName is the file, in a run folder, with what only the searching process
// knows.
const StatusName = "status.json"

// status is what the file holds.
type status struct {
	Time    time.Time `json:"time"`
	State   State     `json:"state"`
	Ended   int       `json:"ended"` // trials
	Total   int       `json:"total"`
	Spent   float64   `json:"spent"`
	Left    float64   `json:"left"`
	Running []Trial   `json:"running,omitempty"`
	Doing   string    `json:"doing,omitempty"` // while there is no plan
}

const (
	recordEvery = 2 * time.Second  // between two writes when nothing happens
	lostAfter   = 20 * time.Second // without a write, the process counts as gone
)

// Recorder writes the status file of a search, every two seconds and when a
// trial begins or ends. Its functions may be called concurrently. It never
// fails a search: what cannot be written is left out.
type Recorder struct {
	path string
	over chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu     sync.Mutex
	curves map[string][]search.Point
	last   status
}

// NewRecorder makes the recorder of the search in the folder dir. The curves
// that an earlier process recorded of unfinished trials go on.
func NewRecorder(dir string) *Recorder {
	r := &Recorder{
		path: filepath.Join(dir, StatusName), over: make(chan struct{}),
		curves: map[string][]search.Point{}, last: status{State: Planning},
	}
	if old, err := readStatus(r.path); err == nil {
		for _, t := range old.Running {
			r.curves[t.ID] = t.Curve
		}
	}
	r.wg.Go(r.beat)
	return r
}

// beat writes again and again: a sign of life.
func (r *Recorder) beat() {
	t := time.NewTicker(recordEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.mu.Lock()
			r.write()
			r.mu.Unlock()
		case <-r.over:
			return
		}
	}
}

// Preparing records what is done before there is a plan.
func (r *Recorder) Preparing(p search.Preparation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = status{State: Planning, Doing: p.String()}
	r.write()
}

// Status records where the search stands.
func (r *Recorder) Status(st *search.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := status{State: Running, Ended: st.Done, Total: st.Total, Spent: st.Spent.Seconds(), Left: st.Left.Seconds()}
	if st.Paused {
		now.State = Paused
	}
	for i := range st.Trials {
		switch t := &st.Trials[i]; t.State {
		case search.Running:
			now.Running = append(now.Running, r.trial(t))
		case search.Waiting:
			if old := r.resting(t.ID); old != nil && st.Paused {
				now.Running = append(now.Running, *old)
			}
		default:
			delete(r.curves, t.ID)
		}
	}
	event := r.last.State != now.State || r.last.Ended != now.Ended || len(r.last.Running) != len(now.Running)
	r.last = now
	if event {
		r.write()
	}
}

// resting is a trial that ran when the search was paused; nil if it did not.
func (r *Recorder) resting(id string) *Trial {
	for _, t := range r.last.Running {
		if t.ID == id {
			t.Rate, t.Left, t.Resting = 0, 0, true
			return &t
		}
	}
	return nil
}

// trial is a running trial with its curve, which grows by a point an epoch.
func (r *Recorder) trial(t *search.TrialStatus) Trial {
	p := &t.Progress
	c := r.curves[t.ID]
	for len(c) > 0 && c[len(c)-1].Epoch > p.Epoch { // it went back to a checkpoint
		c = c[:len(c)-1]
	}
	switch n := len(c); {
	case p.Epoch == 0 || p.Accuracy == 0:
	case n == 0 || c[n-1].Epoch < p.Epoch:
		c = append(c, search.Point{Epoch: p.Epoch, Accuracy: p.Accuracy})
	case c[n-1].Accuracy != p.Accuracy: // what was there was of an earlier attempt
		c = append(slices.Clip(c[:n-1]), search.Point{Epoch: p.Epoch, Accuracy: p.Accuracy})
	}
	r.curves[t.ID] = c
	return Trial{
		ID: t.ID, Network: t.Network.ID, Phase: t.Title(), Seed: t.Seed,
		Depth: t.Network.Depth, Width: t.Network.Width, Resolution: t.Network.Resolution,
		Epochs: t.Epochs, Epoch: p.Epoch, Done: p.Done, Accuracy: p.Accuracy, Rate: p.Rate, Left: t.Left.Seconds(), Curve: c,
	}
}

// Close records that the process leaves the search, which is done or stopped.
func (r *Recorder) Close(done bool) {
	close(r.over)
	r.wg.Wait()
	r.last.State = Stopped
	if done {
		r.last.State, r.last.Running, r.last.Left = Done, nil, 0
	}
	r.write()
}

// write replaces the file.
func (r *Recorder) write() {
	r.last.Time = time.Now().UTC().Truncate(time.Millisecond)
	if text, err := json.Marshal(&r.last); err == nil {
		atomicfile.WriteBytes(r.path, append(text, '\n'))
	}
}

func readStatus(path string) (*status, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &status{}
	return s, json.Unmarshal(text, s)
}
