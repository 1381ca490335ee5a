package queue

import (
	"time"

	"effnet/search"
)

// ActivityKind is what happened to a trial on a worker.
type ActivityKind uint8

const (
	Took     ActivityKind = iota // a trial, to train it
	Trains                       // Progress
	Finished                     // and the result counts; without Outcome the training diverged
	Refused                      // the result came under a claim that is another's
	Stopped                      // before the end, as nobody wants the result
	GaveBack                     // before the end, for another worker to go on
	Failed                       // by an error of this worker
)

// Activity is one thing that a worker did.
type Activity struct {
	Kind     ActivityKind
	Search   string // its ID
	Trial    string
	Progress search.Progress
	Outcome  *search.Outcome
	Took     time.Duration
	Err      error
}
