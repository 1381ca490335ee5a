package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The journal of Optuna's JournalStorage (optuna.storages.journal) is a file of
// JSON lines, one operation a line, which a reader replays from the start.
// Studies and trials have no numbers in it: the n-th that is created is number
// n. Only what this program needs of the format is here.

// operation is the kind of a line: JournalOperation.
type operation int

const (
	createStudy       operation = 0
	setStudyUser      operation = 2
	setStudySystem    operation = 3
	createTrial       operation = 4
	setTrialState     operation = 6
	setIntermediate   operation = 7
	setTrialUser      operation = 8
	metricNames                 = "study:metric_names" // key of a system attribute
	journalTimeLayout           = "2006-01-02T15:04:05.000000-07:00"
)

// trialState is Optuna's TrialState.
type trialState int

const (
	trialRunning  trialState = 0
	trialComplete trialState = 1
	trialPruned   trialState = 2
	trialFail     trialState = 3
)

// maximize is Optuna's StudyDirection.MAXIMIZE.
const maximize = 2

// journal is a journal under construction.
type journal struct {
	buf             bytes.Buffer
	studies, trials int
	err             error
}

// line appends an operation. Keys are in the order of the alphabet.
func (j *journal) line(op operation, fields map[string]any) {
	fields["op_code"] = op
	fields["worker_id"] = "effnet" // who wrote it: no reader's own
	enc := json.NewEncoder(&j.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil && j.err == nil {
		j.err = fmt.Errorf("export: the Optuna journal: %w", err)
	}
}

// study creates a study that maximises one value of the given name, and
// returns its number.
func (j *journal) study(name, value string) int {
	id := j.studies
	j.studies++
	j.line(createStudy, map[string]any{"study_name": name, "directions": []int{maximize}})
	j.line(setStudySystem, map[string]any{"study_id": id, "system_attr": map[string]any{metricNames: []string{value}}})
	return id
}

// attribute sets an attribute of a study that Optuna shows and leaves alone.
func (j *journal) attribute(study int, key string, value any) {
	j.line(setStudyUser, map[string]any{"study_id": study, "user_attr": map[string]any{key: value}})
}

// param is a parameter of a trial and the range it is drawn from.
type param struct {
	name      string
	value     float64
	low, high float64
	whole     bool // a whole number
}

// distribution is the parameter's range as Optuna's distribution_to_json
// writes it.
func (p *param) distribution() (string, error) {
	name, attributes := "FloatDistribution", map[string]any{"low": p.low, "high": p.high, "log": false, "step": nil}
	if p.whole {
		name, attributes["step"] = "IntDistribution", 1
	}
	text, err := json.Marshal(map[string]any{"name": name, "attributes": attributes})
	return string(text), err
}

// trial creates a running trial and returns its number.
func (j *journal) trial(study int, start time.Time, params []param, attributes map[string]any) int {
	id := j.trials
	j.trials++
	values, ranges := map[string]float64{}, map[string]string{}
	for i := range params {
		text, err := params[i].distribution()
		if err != nil && j.err == nil {
			j.err = err
		}
		values[params[i].name], ranges[params[i].name] = params[i].value, text
	}
	j.line(createTrial, map[string]any{
		"study_id": study, "datetime_start": start.UTC().Format(journalTimeLayout), "state": trialRunning,
		"params": values, "distributions": ranges, "user_attrs": attributes, "system_attrs": map[string]any{},
		"intermediate_values": map[string]any{}, "value": nil, "values": nil,
	})
	return id
}

// report adds a point of a trial's curve.
func (j *journal) report(trial, step int, value float64) {
	j.line(setIntermediate, map[string]any{"trial_id": trial, "step": step, "intermediate_value": value})
}

// note sets an attribute of a trial.
func (j *journal) note(trial int, key string, value any) {
	j.line(setTrialUser, map[string]any{"trial_id": trial, "user_attr": map[string]any{key: value}})
}

// end gives a trial its final state; a failed one has no value.
func (j *journal) end(trial int, state trialState, at time.Time, values ...float64) {
	j.line(setTrialState, map[string]any{
		"trial_id": trial, "state": state, "values": values, "datetime_complete": at.UTC().Format(journalTimeLayout),
	})
}
