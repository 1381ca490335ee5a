package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"effnet/internal/atomicfile"
	"effnet/internal/tfevents"
)

// metrics.jsonl is one JSON object a line: {"type":"step",...} every
// metricsSteps steps and {"type":"epoch",...} after each epoch. A resumed run
// first cuts the file back to its checkpoint and then writes the same lines
// again, so that only times differ from an uninterrupted run's.

const metricsSteps = 50

// StepRecord is the mean over the last steps, and their line in metrics.jsonl.
type StepRecord struct {
	Step            int     `json:"step"`
	Epoch           int     `json:"epoch"`      // from 1
	Resolution      int     `json:"resolution"` // of the last step's images, pixels a side
	LR              float64 `json:"lr"`
	Loss            float64 `json:"loss"`
	Accuracy        float64 `json:"accuracy"`
	ImagesPerSecond float64 `json:"images_per_second"`
	DataWait        float64 `json:"data_wait"` // share of the time spent in waiting for images, 0 to 1
	// What the loader's goroutines prepare while training takes its share of
	// the processors; 0 where that is unknown.
	LoaderImagesPerSecond float64 `json:"loader_images_per_second"`
	ElapsedSeconds        float64 `json:"elapsed_s"`
}

// metricsFile is an open metrics.jsonl, and the event file that shows the same;
// nil writes nothing.
type metricsFile struct {
	*appender
	events *eventFile
}

// openMetrics cuts the file back to step updates and evaluated epochs, opens it
// for appending and returns what it holds, and the epochs in that.
func openMetrics(path string, step, evaluated int) (m *metricsFile, held []byte, epochs []EpochRecord, err error) {
	src, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	kept, epochs := cutMetrics(src, step, evaluated)
	if kept < len(src) {
		if err := atomicfile.WriteBytes(path, src[:kept]); err != nil {
			return nil, nil, nil, err
		}
	}
	a, err := openAppender(path)
	if err != nil {
		return nil, nil, nil, err
	}
	return &metricsFile{appender: a}, src[:kept], epochs, nil
}

// cutMetrics is the length of the leading lines of src that are whole and not
// past the given position, and their epochs.
func cutMetrics(src []byte, step, evaluated int) (length int, epochs []EpochRecord) {
	for {
		end := bytes.IndexByte(src[length:], '\n')
		if end < 0 {
			return length, epochs
		}
		var kind struct{ Type string }
		line := src[length : length+end]
		if json.Unmarshal(line, &kind) != nil {
			return length, epochs
		}
		switch kind.Type {
		case "step":
			var r StepRecord
			if json.Unmarshal(line, &r) != nil || r.Step > step {
				return length, epochs
			}
		case "epoch":
			var r EpochRecord
			if json.Unmarshal(line, &r) != nil || r.Epoch > evaluated {
				return length, epochs
			}
			epochs = append(epochs, r)
		default:
			return length, epochs
		}
		length += end + 1
	}
}

func (m *metricsFile) step(r StepRecord) error {
	return m.line(struct {
		Type string `json:"type"`
		StepRecord
	}{"step", r})
}

func (m *metricsFile) epoch(r EpochRecord) error {
	return m.line(struct {
		Type string `json:"type"`
		EpochRecord
	}{"epoch", r})
}

func (m *metricsFile) line(record any) error {
	if m == nil {
		return nil
	}
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if _, err := m.Write(append(b, '\n')); err != nil {
		return err
	}
	return m.events.write(b)
}

// ended says in the event file how the run ended.
func (m *metricsFile) ended(step int, status tfevents.Status) error {
	if m == nil {
		return nil
	}
	return m.events.end(step, status)
}

// sync makes the lines written so far last: a checkpoint must not outlive them.
func (m *metricsFile) sync() error {
	if m == nil {
		return nil
	}
	return m.f.Sync()
}

func (m *metricsFile) close() error {
	if m == nil {
		return nil
	}
	if m.events != nil {
		m.events.f.Close() // made anew from this file, if need be
	}
	return m.f.Close()
}
