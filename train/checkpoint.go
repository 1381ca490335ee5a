package train

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"effnet/internal/atomicfile"
	"effnet/weights"
)

// A checkpoint file is
//
//	magic     8 bytes
//	n         uint32, little-endian, length of the header
//	header    n bytes of JSON: a checkpointHeader
//	data      float32, little-endian, of every tensor of the header in order
//	sum       SHA-256 of everything before it
//
// and nothing after it. It holds all that a run needs to go on bit for bit.

const (
	checkpointMagic = "effnckp1"
	maxHeader       = 64 << 20
)

// checkpoint is the state of a run between two steps.
type checkpoint struct {
	Position
	State State
}

// Position is where a run stands, apart from its tensors. The next batch
// follows from the step alone.
type Position struct {
	ConfigSum string        `json:"config"`    // of the RunConfig, to tell runs apart
	Evaluated int           `json:"evaluated"` // epochs whose record is written
	Best      Best          `json:"best"`
	Hopeless  int           `json:"hopeless,omitempty"` // see watch
	Current   tally         `json:"current"`            // of the current epoch so far
	Window    tally         `json:"window"`             // since the last line of metrics
	Elapsed   time.Duration `json:"elapsed_ns"`
}

// tally sums what steps report.
type tally struct {
	Images  int           `json:"images"`
	Loss    float64       `json:"loss"` // sum over images
	Correct int           `json:"correct"`
	Busy    time.Duration `json:"busy_ns"` // spent in steps and in waiting for batches
	Wait    time.Duration `json:"wait_ns"` // of that in waiting
	Load    time.Duration `json:"load_ns"` // what preparing the batches took; see Timed
}

func (t *tally) add(images int, s StepStats, busy, wait, load time.Duration) {
	t.Images += images
	t.Loss += float64(s.Loss * float64(images))
	t.Correct += s.Correct
	t.Busy += busy
	t.Wait += wait
	t.Load += load
}

func (t *tally) loss() float64     { return ratio(t.Loss, float64(t.Images)) }
func (t *tally) accuracy() float64 { return ratio(float64(t.Correct), float64(t.Images)) }
func (t *tally) rate() float64     { return ratio(float64(t.Images), t.Busy.Seconds()) }
func (t *tally) waited() float64   { return ratio(t.Wait.Seconds(), t.Busy.Seconds()) }
func (t *tally) loading() float64  { return ratio(float64(t.Images), t.Load.Seconds()) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

type checkpointHeader struct {
	Step int64 `json:"step"`
	Position
	Tensors []checkpointTensor `json:"tensors"`
}

type checkpointTensor struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// write makes or replaces the file at path.
func (c *checkpoint) write(path string) error {
	h := checkpointHeader{Step: c.State.Step, Position: c.Position}
	for _, name := range slices.Sorted(maps.Keys(c.State.Tensors)) {
		h.Tensors = append(h.Tensors, checkpointTensor{name, c.State.Tensors[name].Shape})
	}
	header, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(file io.Writer) error {
		sum := sha256.New()
		w := io.MultiWriter(file, sum)
		start := binary.LittleEndian.AppendUint32([]byte(checkpointMagic), uint32(len(header)))
		if _, err := w.Write(append(start, header...)); err != nil {
			return err
		}
		buf := make([]byte, 0, 1<<16)
		for _, t := range h.Tensors {
			for chunk := range slices.Chunk(c.State.Tensors[t.Name].Data, cap(buf)/4) {
				buf = buf[:0]
				for _, x := range chunk {
					buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
				}
				if _, err := w.Write(buf); err != nil {
					return err
				}
			}
		}
		_, err := file.Write(sum.Sum(nil))
		return err
	})
}

// readCheckpoint reads a file that write made. Anything else, one bit changed
// or one byte missing included, is an error.
func readCheckpoint(path string) (*checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c, err := decodeCheckpoint(f, info.Size())
	if err != nil {
		return nil, &damagedError{path, err}
	}
	return c, nil
}

// damagedError is a file that is there and is no whole checkpoint.
type damagedError struct {
	path string
	err  error
}

func (e *damagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.path, e.err) }
func (e *damagedError) Unwrap() error { return e.err }

func decodeCheckpoint(file io.Reader, size int64) (*checkpoint, error) {
	const fixed = int64(len(checkpointMagic)) + 4 + sha256.Size
	if size < fixed {
		return nil, fmt.Errorf("it has %d bytes, a checkpoint has at least %d", size, fixed)
	}
	sum := sha256.New()
	br := bufio.NewReaderSize(file, 1<<16)
	r := io.TeeReader(br, sum)
	start := make([]byte, len(checkpointMagic)+4)
	if _, err := io.ReadFull(r, start); err != nil {
		return nil, err
	}
	if string(start[:len(checkpointMagic)]) != checkpointMagic {
		return nil, fmt.Errorf("it is not a checkpoint of this version: starts with %q, want %q", start[:len(checkpointMagic)], checkpointMagic)
	}
	n := int64(binary.LittleEndian.Uint32(start[len(checkpointMagic):]))
	if n > maxHeader || n > size-fixed {
		return nil, fmt.Errorf("its header would have %d bytes, the whole file has %d", n, size)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	var h checkpointHeader
	dec := json.NewDecoder(bytes.NewReader(header))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return nil, fmt.Errorf("its header is damaged: %w", err)
	}
	left := (size - fixed - n) / 4 // floats in the file
	c := &checkpoint{Position: h.Position, State: State{Step: h.Step, Tensors: map[string]weights.Tensor{}}}
	for _, t := range h.Tensors {
		elems := int64(1)
		for _, d := range t.Shape {
			if d < 0 || d > 0 && elems > left/int64(d) {
				return nil, fmt.Errorf("%s: shape %v needs more than the %d values left in the file", t.Name, t.Shape, left)
			}
			elems *= int64(d)
		}
		left -= elems
		if _, ok := c.State.Tensors[t.Name]; ok {
			return nil, fmt.Errorf("%s occurs twice", t.Name)
		}
		data := make([]float32, elems)
		if err := readFloats(r, data); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		c.State.Tensors[t.Name] = weights.Tensor{Shape: t.Shape, Data: data}
	}
	return c, checkSum(br, sum)
}

// readFloats fills dst.
func readFloats(r io.Reader, dst []float32) error {
	buf := make([]byte, 1<<16)
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/4)
		if _, err := io.ReadFull(r, buf[:4*n]); err != nil {
			return err
		}
		for i := range n {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
		}
		dst = dst[n:]
	}
	return nil
}

// checkSum compares the rest of the file with the sum of what came before.
func checkSum(r io.Reader, sum hash.Hash) error {
	rest, err := io.ReadAll(io.LimitReader(r, sha256.Size+1))
	if err != nil {
		return err
	}
	if !bytes.Equal(rest, sum.Sum(nil)) {
		return fmt.Errorf("its checksum does not match its content")
	}
	return nil
}

// finite reports the first value, tensors in order of the alphabet, that is
// not a number or infinite.
func (c *checkpoint) finite() (tensor string, ok bool) {
	const exponent = 0x7f800000 // all set: infinite or not a number
	for _, name := range slices.Sorted(maps.Keys(c.State.Tensors)) {
		for _, x := range c.State.Tensors[name].Data {
			if math.Float32bits(x)&exponent == exponent {
				return name, false
			}
		}
	}
	return "", true
}
