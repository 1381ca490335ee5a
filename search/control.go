package search

import "time"

// Command steps into a search that runs.
type Command struct {
	Op      Op        `json:"op"`
	Trial   string    `json:"trial,omitempty"`   // OpStop
	Seconds float64   `json:"seconds,omitempty"` // OpExtend: added to the budget
	ID      string    `json:"id"`                // tells commands apart
	Time    time.Time `json:"time"`              // when it took effect
}

// Op is what a command does.
type Op string

const (
	OpPause  Op = "pause"  // running trials save their state and rest
	OpResume Op = "resume" // they go on
	OpStop   Op = "stop"   // a trial ends as if it had diverged
	OpExtend Op = "extend" // the budget grows
)
