package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"effnet/internal/atomicfile"
)

// appendHeader appends all that comes before the elements of an array of
// float32 in C order. The elements start at a multiple of 64 bytes.
func appendHeader(b []byte, shape []int) []byte {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	text := "{'descr': '<f4', 'fortran_order': False, 'shape': (" + tuple + "), }"
	const prefix = len(magic) + 4
	text += strings.Repeat(" ", 63-(prefix+len(text))%64) + "\n"
	b = append(b, magic+"\x01\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

// Writer is an array of float32 on its way into a file.
type Writer struct {
	pipe *io.PipeWriter
	done chan error
	left int // elements still to come
	buf  []byte
	over bool
}

var errAborted = errors.New("npy: aborted")

// Create starts the file at path. It takes its name when Close has succeeded;
// until then, what was there before stays.
func Create(path string, shape ...int) *Writer {
	if len(shape) > maxDims {
		panic(fmt.Sprintf("npy: Create: %d dimensions", len(shape)))
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	r, pipe := io.Pipe()
	w := &Writer{pipe: pipe, done: make(chan error, 1), left: n}
	head := appendHeader(nil, slices.Clone(shape))
	go func() {
		err := atomicfile.Write(path, func(to io.Writer) error {
			if _, err := to.Write(head); err != nil {
				return err
			}
			_, err := io.Copy(to, r)
			return err
		})
		r.CloseWithError(err) // unblocks a Write that is under way
		w.done <- err
	}()
	return w
}

// Write appends elements, in C order.
func (w *Writer) Write(x []float32) error {
	if len(x) > w.left {
		panic(fmt.Sprintf("npy: Write: %d elements more, the shape has room for %d", len(x), w.left))
	}
	w.left -= len(x)
	for chunk := range slices.Chunk(x, 1<<14) {
		w.buf = w.buf[:0]
		for _, v := range chunk {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
		}
		if _, err := w.pipe.Write(w.buf); err != nil {
			return err
		}
	}
	return nil
}

// Close completes the file.
func (w *Writer) Close() error {
	if w.left != 0 {
		w.Abort()
		return fmt.Errorf("npy: %d elements are missing", w.left)
	}
	return w.finish(nil)
}

// Abort drops the file; after Close it does nothing.
func (w *Writer) Abort() {
	if !w.over {
		w.finish(errAborted)
	}
}

func (w *Writer) finish(err error) error {
	w.over = true
	w.pipe.CloseWithError(err)
	return <-w.done
}

// WriteFile writes x as an array of the given shape.
func WriteFile(path string, x []float32, shape ...int) error {
	w := Create(path, shape...)
	defer w.Abort()
	if err := w.Write(x); err != nil {
		return err
	}
	return w.Close()
}
