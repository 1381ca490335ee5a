// Package npy reads and writes NumPy's .npy files: one array of numbers.
//
// A file is the magic string, a version, the length of a header, the header,
// and the elements. The header is the text of a Python dict with the keys
// descr (the element type), fortran_order and shape.
//
// An array is read in pieces, so that what a program needs of memory does not
// depend on the length of a file. All of the header is checked against the
// file's size before anything of the array's size is allocated.
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"effnet/internal/half"
)

const (
	magic = "\x93NUMPY"

	maxHeader = 1 << 16 // bytes; NumPy itself refuses headers over 10,000
	maxDims   = 32
	maxElems  = 1 << 40
)

// FormatError is a file that is not a valid .npy file.
type FormatError struct{ Msg string }

func (e *FormatError) Error() string { return "npy: not a valid .npy file: " + e.Msg }

// UnsupportedError is a valid file of something other than plain numbers.
type UnsupportedError struct{ Msg string }

func (e *UnsupportedError) Error() string { return "npy: " + e.Msg }

func invalid(format string, args ...any) error { return &FormatError{fmt.Sprintf(format, args...)} }

// Reader is an array in a file.
type Reader struct {
	Shape []int // outermost dimension first; empty for a single number

	r       io.ReaderAt
	dataAt  int64
	dtype   dtype
	fortran bool
	elems   int
	all     []byte // of an array in Fortran order, once it is needed
	close   func() error
}

// Open opens the array in the file at path.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	var r *Reader
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("not a regular file")
	default:
		r, err = NewReader(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.close = f.Close
	return r, nil
}

// Close closes the file of Open.
func (r *Reader) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// NewReader reads the header of a file of size bytes. A broken one gives a
// [*FormatError], one of something other than plain real numbers an
// [*UnsupportedError].
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	var prefix [12]byte
	n, err := r.ReadAt(prefix[:min(12, size)], 0)
	if err != nil && !(errors.Is(err, io.EOF) && int64(n) == min(12, size)) {
		return nil, fmt.Errorf("npy: %w", err)
	}
	if n < 12 || string(prefix[:6]) != magic {
		return nil, invalid("it does not start with the magic string")
	}
	var length, at int64
	switch major := prefix[6]; major {
	case 1:
		length, at = int64(binary.LittleEndian.Uint16(prefix[8:])), 10
	case 2, 3:
		length, at = int64(binary.LittleEndian.Uint32(prefix[8:])), 12
	default:
		return nil, invalid("version %d.%d, want 1 to 3", major, prefix[7])
	}
	if length > maxHeader || at+length > size {
		return nil, invalid("the header would have %d bytes, the file has %d", length, size)
	}
	text := make([]byte, length)
	if err := readFull(r, text, at); err != nil {
		return nil, err
	}
	h, err := parseHeader(string(text))
	if err != nil {
		return nil, err
	}
	a := &Reader{Shape: h.shape, r: r, dataAt: at + length, fortran: h.fortran, elems: 1}
	var ok bool
	if a.dtype, ok = dtypeOf(h.descr); !ok {
		return nil, &UnsupportedError{fmt.Sprintf("the elements are of type %.40q, want floats of 2, 4 or 8 bytes, integers or booleans", h.descr)}
	}
	for _, d := range h.shape {
		if d != 0 && a.elems > maxElems/d {
			return nil, invalid("shape %v is too large", h.shape)
		}
		a.elems *= d
	}
	if want, have := int64(a.elems)*int64(a.dtype.size), size-a.dataAt; want != have {
		return nil, invalid("shape %v of type %s wants %d bytes after the header, the file has %d", h.shape, h.descr, want, have)
	}
	return a, nil
}

func readFull(r io.ReaderAt, buf []byte, at int64) error {
	n, err := r.ReadAt(buf, at)
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("npy: read %d bytes at %d: %w", len(buf), at, err)
}

// Len is the number of elements.
func (r *Reader) Len() int { return r.elems }

// Read fills dst with the elements from number first on, in C order (the last
// dimension innermost) however they lie in the file, rounded to float32.
func (r *Reader) Read(dst []float32, first int) error {
	if first < 0 || first+len(dst) > r.elems {
		panic(fmt.Sprintf("npy: Read: elements %d to %d of %d", first, first+len(dst), r.elems))
	}
	if r.fortran && len(r.Shape) > 1 {
		return r.gather(dst, first)
	}
	size := r.dtype.size
	buf := make([]byte, min(len(dst)*size, 1<<16))
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/size)
		if err := readFull(r.r, buf[:n*size], r.dataAt+int64(first)*int64(size)); err != nil {
			return err
		}
		for i := range n {
			dst[i] = r.dtype.value(buf[i*size:])
		}
		dst, first = dst[n:], first+n
	}
	return nil
}

// gather is Read of an array in Fortran order, in which neighbours of C order
// lie far apart: the bytes of the whole array are kept.
func (r *Reader) gather(dst []float32, first int) error {
	size := r.dtype.size
	if r.all == nil && r.elems > 0 {
		all := make([]byte, r.elems*size)
		if err := readFull(r.r, all, r.dataAt); err != nil {
			return err
		}
		r.all = all
	}
	index := make([]int, len(r.Shape)) // of element first
	for k, rest := len(index)-1, first; k >= 0 && len(dst) > 0; k-- {
		index[k] = rest % r.Shape[k]
		rest /= r.Shape[k]
	}
	for i := range dst {
		at := 0
		for k := len(index) - 1; k >= 0; k-- {
			at = at*r.Shape[k] + index[k]
		}
		dst[i] = r.dtype.value(r.all[at*size:])
		for k := len(index) - 1; k >= 0; k-- {
			if index[k]++; index[k] < r.Shape[k] {
				break
			}
			index[k] = 0
		}
	}
	return nil
}

// dtype is an element type.
type dtype struct {
	size  int
	value func(b []byte) float32
}

// dtypeOf knows the type strings of NumPy's plain numbers: byte order, kind,
// size.
func dtypeOf(descr string) (dtype, bool) {
	if len(descr) != 3 || !strings.ContainsRune("<>|=", rune(descr[0])) {
		return dtype{}, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if descr[0] == '>' {
		order = binary.BigEndian
	}
	switch descr[1:] {
	case "f2":
		return dtype{2, func(b []byte) float32 { return half.Widen(order.Uint16(b)) }}, true
	case "f4":
		return dtype{4, func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) }}, true
	case "f8":
		return dtype{8, func(b []byte) float32 { return float32(math.Float64frombits(order.Uint64(b))) }}, true
	case "u1":
		return dtype{1, func(b []byte) float32 { return float32(b[0]) }}, true
	case "i1":
		return dtype{1, func(b []byte) float32 { return float32(int8(b[0])) }}, true
	case "b1":
		return dtype{1, func(b []byte) float32 {
			if b[0] != 0 {
				return 1
			}
			return 0
		}}, true
	case "u2":
		return dtype{2, func(b []byte) float32 { return float32(order.Uint16(b)) }}, true
	case "i2":
		return dtype{2, func(b []byte) float32 { return float32(int16(order.Uint16(b))) }}, true
	case "u4":
		return dtype{4, func(b []byte) float32 { return float32(order.Uint32(b)) }}, true
	case "i4":
		return dtype{4, func(b []byte) float32 { return float32(int32(order.Uint32(b))) }}, true
	case "u8":
		return dtype{8, func(b []byte) float32 { return float32(order.Uint64(b)) }}, true
	case "i8":
		return dtype{8, func(b []byte) float32 { return float32(int64(order.Uint64(b))) }}, true
	}
	return dtype{}, false
}
