// Package live shows a search while it runs, to a browser and to other
// processes, and takes their commands.
//
// The searching process writes RUN/status.json every two seconds and when a
// trial begins or ends ([Recorder]): what only it knows, such as how far the
// running trials are. A watcher joins that with the ledger to a [View]. It needs
// nothing but the run folder, so that it makes no difference whether it is the
// searching process itself, another, or one that comes after the search has ended.
package live

import "effnet/search"

// State is what a search is doing.
type State string

const (
	Planning State = "planning" // no trial has begun
	Running  State = "running"
	Paused   State = "paused"
	Stopped  State = "stopped" // its process saved its state and ended before the search did
	Lost     State = "lost"    // its process has given no sign of life for a while
	Done     State = "done"
)

// View is a search at one moment. Times are in seconds.
type View struct {
	Run     string  `json:"run"` // the folder
	Base    string  `json:"base"`
	Data    string  `json:"data"`
	State   State   `json:"state"`
	Doing   string  `json:"doing,omitempty"` // while it is planned
	Ended   int     `json:"ended"`           // trials
	Total   int     `json:"total"`
	Parts   []Part  `json:"parts,omitempty"`
	Running []Trial `json:"running,omitempty"`
	Best    *Best   `json:"best,omitempty"`
	Spent   float64 `json:"spent"`            // wall-clock so far, pauses left out
	Left    float64 `json:"left"`             // forecast
	Budget  float64 `json:"budget,omitempty"` // wall-clock that the search was given; 0: none
	Verdict string  `json:"verdict,omitempty"`
	Detail  string  `json:"detail,omitempty"`
}

// Part is a phase of the search, or a rung.
type Part struct {
	Name  string `json:"name"`
	Ended int    `json:"ended"` // trials
	Total int    `json:"total"`
}

// Trial is a trial that runs, or rests while the search is paused.
type Trial struct {
	ID         string         `json:"id"`
	Network    string         `json:"network"`
	Phase      string         `json:"phase,omitempty"`
	Seed       uint64         `json:"seed"`
	Depth      float64        `json:"depth"`
	Width      float64        `json:"width"`
	Resolution int            `json:"resolution"`
	Epochs     int            `json:"epochs"`
	Epoch      int            `json:"epoch"`              // finished
	Done       float64        `json:"done"`               // share of the whole trial
	Accuracy   float64        `json:"accuracy,omitempty"` // on the validation images, after the last finished epoch
	Rate       float64        `json:"rate,omitempty"`     // training images a second
	Left       float64        `json:"left,omitempty"`
	Resting    bool           `json:"resting,omitempty"`
	Curve      []search.Point `json:"curve,omitempty"` // so far
}

// Best is the best network so far: in the furthest part of the search that has
// results, by mean accuracy on the validation images.
type Best struct {
	Network  string  `json:"network"`
	Accuracy float64 `json:"accuracy"`
	Trials   int     `json:"trials"`
}
