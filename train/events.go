package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"effnet/internal/atomicfile"
	"effnet/internal/tfevents"
)

// The event file shows TensorBoard what metrics.jsonl holds, and adds the
// hyperparameters and the first batch. It is derived: a run that is taken up
// makes it anew from the lines of metrics.jsonl that stand, under another name,
// so that a TensorBoard that is watching takes notice.

const (
	eventsPrefix = "events.out.tfevents."
	eventsSuffix = ".effnet"
	firstBatch   = "train/first_batch" // tag of the image
)

// eventFile is an open event file; nil writes nothing.
type eventFile struct {
	*appender
	zero float64 // the wall time, seconds since 1970, at which elapsed_s would have been 0
}

// openEvents makes the event file of a run that metrics tells of so far.
func (l *loop) openEvents(ctx context.Context, metrics []byte) (*eventFile, error) {
	now := time.Now()
	e := &eventFile{zero: tfevents.Wall(now.Add(-l.Elapsed))}
	hparams, err := l.Config.hparams()
	if err != nil {
		return nil, err
	}
	start := &tfevents.SessionStart{HParams: hparams, Seconds: e.zero}
	events := []tfevents.Event{
		{Wall: e.zero, Version: tfevents.Version},
		{Wall: e.zero, Values: []tfevents.Value{tfevents.StartValue(start)}},
	}
	if img, err := l.firstBatch(ctx); err == nil {
		events = append(events, tfevents.Event{Wall: e.zero, Values: []tfevents.Value{tfevents.ImageValue(firstBatch, img)}})
	} else if ctx.Err() == nil {
		return nil, err
	}
	for line := range bytes.Lines(metrics) {
		event, err := e.event(line)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	if err := l.folder.removeEvents(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := tfevents.Write(&b, events...); err != nil {
		return nil, err
	}
	path := l.folder.path(fmt.Sprintf("%s%010d.%d%s", eventsPrefix, now.Unix(), os.Getpid(), eventsSuffix))
	if err := atomicfile.WriteBytes(path, b.Bytes()); err != nil {
		return nil, err
	}
	e.appender, err = openAppender(path)
	return e, err
}

// removeEvents removes the event files of a run.
func (f *folder) removeEvents() error {
	names, err := filepath.Glob(filepath.Join(f.dir, eventsPrefix+"*"+eventsSuffix))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// event is a line of metrics.jsonl: its numbers as scalars TYPE/FIELD.
func (e *eventFile) event(line []byte) (tfevents.Event, error) {
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		return tfevents.Event{}, err
	}
	kind, _ := m["type"].(string)
	step, _ := m["step"].(float64)
	elapsed, _ := m["elapsed_s"].(float64)
	event := tfevents.Event{Wall: e.zero + elapsed, Step: int64(step)}
	flat := map[string]any{}
	flatten(flat, kind, "/", m)
	for _, tag := range slices.Sorted(maps.Keys(flat)) {
		switch tag[len(kind)+1:] {
		case "step", "epoch", "elapsed_s": // the axes
			continue
		}
		if x, ok := flat[tag].(float64); ok {
			event.Values = append(event.Values, tfevents.ScalarValue(tag, x))
		}
	}
	return event, nil
}

// flatten adds the leaves of a tree of maps under their paths.
func flatten(into map[string]any, path, separator string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		into[path] = v
		return
	}
	for k, v := range m {
		if path != "" {
			k = path + separator + k
		}
		flatten(into, k, separator, v)
	}
}

// write appends a line of metrics.jsonl.
func (e *eventFile) write(line []byte) error {
	if e == nil {
		return nil
	}
	event, err := e.event(line)
	if err != nil {
		return err
	}
	return tfevents.Write(e, event)
}

// end says how the run ended.
func (e *eventFile) end(step int, status tfevents.Status) error {
	if e == nil {
		return nil
	}
	now := tfevents.Wall(time.Now())
	return tfevents.Write(e, tfevents.Event{Wall: now, Step: int64(step), Values: []tfevents.Value{tfevents.EndValue(status, now)}})
}

// hparams are the recipe, and of the network and the data what sums them up.
func (c *RunConfig) hparams() ([]tfevents.HParam, error) {
	t, err := tree(c)
	if err != nil {
		return nil, err
	}
	flat := map[string]any{}
	flatten(flat, "", ".", t.(map[string]any)["recipe"])
	flat["recipe"] = flat["name"]
	delete(flat, "name")
	flat["network"], flat["resolution"], flat["train_images"] = c.Spec.Name, c.Spec.Resolution, c.Data.Train
	flat["start"] = "random weights"
	if c.Start != nil {
		flat["start"] = filepath.Base(c.Start.Source)
	}
	var list []tfevents.HParam
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		v := flat[name]
		switch x := v.(type) {
		case bool, float64, string:
		case int:
			v = float64(x)
		case int64:
			v = float64(x)
		case uint64:
			v = float64(x)
		default:
			v = strings.Trim(fmt.Sprint(x), "[]")
		}
		list = append(list, tfevents.HParam{Name: name, Value: v})
	}
	return list, nil
}
