package queue

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"effnet/arch"
	"effnet/search"
)

// protocol is the version of everything in this file. Workers refuse searches
// of another.
const protocol = 1

// Description is a search as workers see it: what they need to build an engine
// that trains as the search's own would.
type Description struct {
	Protocol int           `json:"protocol"`
	ID       string        `json:"id"`      // of the search, the same after every resume
	Session  string        `json:"session"` // of the coordinator's process: names of streams and buckets derive from it
	Config   search.Config `json:"config"`
	Kernel   string        `json:"kernel"`            // class of the coordinator's arithmetic; see [Worker]
	Mixed    bool          `json:"mixed"`             // workers of other kernel classes may train
	AckWait  time.Duration `json:"ack_wait"`          // a worker that is silent so long has lost its trial
	Tries    int           `json:"tries"`             // workers that a trial may take down
	Share    bool          `json:"share"`             // the data set can be had from the object store
	Folder   string        `json:"folder"`            // the search's, for workers that see the same files
	Program  string        `json:"program,omitempty"` // revision of the coordinator's program, for messages
}

// task is a trial on its way to a worker. The network travels as YAML.
type task struct {
	search.Trial
	Spec    string // shadows the trial's
	Attempt int    // shadows the trial's, and may be above it: part of the fence
}

func encodeTask(t *search.Trial, attempt int) ([]byte, error) {
	return json.Marshal(task{Trial: *t, Spec: string(t.Spec.YAML()), Attempt: attempt})
}

func decodeTask(data []byte) (*task, error) {
	var t task
	err := json.Unmarshal(data, &t)
	if err == nil {
		t.Trial.Spec, err = arch.ParseSpec(t.ID, []byte(t.Spec))
	}
	if err == nil && t.ID == "" {
		err = fmt.Errorf("it has no name")
	}
	if err != nil {
		return nil, fmt.Errorf("queue: a trial cannot be read: %w", err)
	}
	return &t, nil
}

// claimState is where a trial stands in the claims bucket.
type claimState string

const (
	stateOpen      claimState = "open"      // nobody trains it: published, or given back
	stateClaimed   claimState = "claimed"   // a worker trains it
	stateDone      claimState = "done"      // Result is there
	stateWithdrawn claimState = "withdrawn" // the search wants no result any more
)

// claim is the value of a trial's key in the claims bucket. Every change is a
// compare-and-set on the key's revision; the revision a worker got when it
// claimed is the token that its result must still match.
type claim struct {
	Attempt int        `json:"attempt"`
	State   claimState `json:"state"`
	Worker  string     `json:"worker,omitempty"`
	Nonce   string     `json:"nonce"`          // of this change: tells one's own from another's after an uncertain write
	Lost    int        `json:"lost,omitempty"` // claims of this attempt that ended in silence or in an error
	Why     string     `json:"why,omitempty"`  // the last of them
	Saved   *parcel    `json:"saved,omitempty"`
	Result  *result    `json:"result,omitempty"`
}

// result is how a trial ended.
type result struct {
	Kind    resultKind      `json:"kind"`
	Outcome *search.Outcome `json:"outcome,omitempty"`
	Error   string          `json:"error,omitempty"`
	Files   *parcel         `json:"files,omitempty"` // of the trial's folder; nil where the worker wrote there
}

type resultKind string

const (
	resultOutcome   resultKind = "outcome"
	resultDiverged  resultKind = "diverged"  // the training itself went wrong
	resultError     resultKind = "error"     // of a worker in the search's own process
	resultAbandoned resultKind = "abandoned" // it took down as many workers as allowed
)

// event is what workers tell in passing. Nothing depends on its arrival.
type event struct {
	Kind   eventKind `json:"kind"`
	Worker string    `json:"worker"`
	Kernel string    `json:"kernel,omitempty"`
	Slots  int       `json:"slots,omitempty"`
	Trial  string    `json:"trial,omitempty"`
	Text   string    `json:"text,omitempty"`
}

type eventKind string

const (
	eventJoined   eventKind = "joined"
	eventLeft     eventKind = "left"
	eventUnfit    eventKind = "unfit"   // cannot work for this search
	eventRefused  eventKind = "refused" // its result came under a claim that others hold now
	eventLost     eventKind = "lost"    // it stopped, as its claim is another's
	eventReturned eventKind = "returned"
	eventStopped  eventKind = "stopped" // after a withdrawal
	eventTrouble  eventKind = "trouble"
)

// report is a worker's word on a running trial.
type report struct {
	search.Progress
	Attempt int
	Rev     uint64 // of the claim: later ones count
}

// token is a trial's name as a part of a subject and as a key: characters that
// either does not take become =XX.
func token(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// names are what a session's streams, buckets and subjects are called.
type names string

func (n names) stream() string             { return "EFFNET_" + string(n) }
func (n names) claims() string             { return "effnet_" + string(n) }
func (n names) objects() string            { return "effnet_" + string(n) }
func (n names) trials() string             { return "effnet." + string(n) + ".trial.*" }
func (n names) trial(key string) string    { return "effnet." + string(n) + ".trial." + key }
func (n names) progress(key string) string { return "effnet." + string(n) + ".progress." + key }
func (n names) stop(key string) string     { return "effnet." + string(n) + ".stop." + key }
func (n names) taken(key string) string    { return "effnet." + string(n) + ".taken." + key }
func (n names) event() string              { return "effnet." + string(n) + ".event" }
func (n names) data() string               { return "effnet." + string(n) + ".data" }

// Names that all searches of a cluster share.
const (
	registry     = "effnet_searches" // bucket: a search's ID to its Description
	news         = "effnet.news"     // the registry has changed
	rollCall     = "effnet.roll"     // workers answer with an event
	consumerName = "workers"
)
