package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"effnet/internal/atomicfile"
)

// counter is PyTorch's count of training batches beside every batch norm. No
// network here reads it: it is dropped on reading, and written as 0 because
// a strict load in Python wants it there.
const counter = ".num_batches_tracked"

// Open reads a safetensors file, as [Read] does, or one of torch.save, as
// [ReadTorch] does; which it is shows from how it starts.
func Open(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("weights: %s is not a regular file", path)
	}
	s, err := readAny(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w", path, err)
	}
	return s, nil
}

// Read reads a safetensors file of size bytes. Names are as in the file, less
// what wrappers put before them; values of other types become float32. The whole header is checked before any tensor is allocated; a
// broken one gives a [*FormatError], one over the limits of this package an
// [*UnsupportedError].
func Read(r io.ReaderAt, size int64) (*Set, error) {
	h, dataAt, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	entries := slices.DeleteFunc(h.entries, func(e entry) bool { return isCounter(e.name) })
	prefix := unwrap(len(entries), func(i int) string { return entries[i].name })
	entries = slices.DeleteFunc(entries, func(e entry) bool { return !strings.HasPrefix(e.name, prefix) })
	for i := range entries {
		e := &entries[i]
		e.name = e.name[len(prefix):]
		if e.dtype.convert == nil {
			return nil, &UnsupportedError{e.name, fmt.Sprintf("has dtype %s, want one of F32 F16 BF16 F64 I64 I32 I16", e.dtype.name)}
		}
	}
	s := &Set{Tensors: make(map[string]Tensor, len(entries)), Meta: h.meta}
	if s.Meta == nil {
		s.Meta = map[string]string{}
	}
	buf := make([]byte, 1<<16)
	for _, e := range entries {
		t := Tensor{Shape: e.shape, Data: make([]float32, (e.end-e.begin)/int64(e.dtype.bits/8))}
		if err := readValues(r, dataAt, e, t.Data, buf); err != nil {
			return nil, err
		}
		s.Tensors[e.name] = t
	}
	return s, nil
}

// readValues reads the tensor e into dst, by way of buf.
func readValues(r io.ReaderAt, dataAt int64, e entry, dst []float32, buf []byte) error {
	width := e.dtype.bits / 8
	for at := dataAt + e.begin; len(dst) > 0; {
		n := min(len(dst), len(buf)/width)
		chunk := buf[:n*width]
		if err := readAt(r, chunk, at); err != nil {
			return err
		}
		e.dtype.convert(dst[:n], chunk)
		dst, at = dst[n:], at+int64(len(chunk))
	}
	return nil
}

func isCounter(name string) bool { return strings.HasSuffix(name, counter) }

func readHeader(r io.ReaderAt, size int64) (h *header, dataAt int64, err error) {
	if size < 8 {
		return nil, 0, &FormatError{Format: safetensors, Msg: fmt.Sprintf("the file has %d bytes, want at least 8", size)}
	}
	var prefix [8]byte
	if err := readAt(r, prefix[:], 0); err != nil {
		return nil, 0, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	switch {
	case n > maxHeader:
		return nil, 0, &FormatError{Format: safetensors, Msg: fmt.Sprintf("the header would have %d bytes, the format allows %d", n, maxHeader)}
	case int64(n) > size-8:
		return nil, 0, &FormatError{Format: safetensors, Msg: fmt.Sprintf("the header would have %d bytes, the file has %d after its length", n, size-8)}
	}
	text := make([]byte, n)
	if err := readAt(r, text, 8); err != nil {
		return nil, 0, err
	}
	h, err = parseHeader(text, size-8-int64(n))
	return h, 8 + int64(n), err
}

// readAt fills buf; an end of file inside it is an error.
func readAt(r io.ReaderAt, buf []byte, at int64) error {
	n, err := r.ReadAt(buf, at)
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(buf), at, err)
}

// WriteFile writes s as a safetensors file, whole or not at all.
func (s *Set) WriteFile(path string) error {
	if err := atomicfile.Write(path, s.Write); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

// Write writes s in the safetensors format. The same set gives the same
// bytes: first a zero counter of batches for each batch norm, 8 bytes each,
// then the tensors as F32 in order of the alphabet.
func (s *Set) Write(w io.Writer) error {
	if err := s.writable(); err != nil {
		return err
	}
	names := s.Names()
	head, err := s.header(names)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	if _, err := w.Write(make([]byte, 8*len(counters(names)))); err != nil {
		return err
	}
	buf := make([]byte, 0, 1<<16)
	for _, name := range names {
		for chunk := range slices.Chunk(s.Tensors[name].Data, cap(buf)/4) {
			buf = buf[:0]
			for _, v := range chunk {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// counters names the batch counters that belong to a list of tensors.
func counters(names []string) []string {
	var cs []string
	for _, name := range names {
		if bn, ok := strings.CutSuffix(name, ".running_mean"); ok {
			cs = append(cs, bn+counter)
		}
	}
	return cs
}

// header is the length and the JSON of the file, padded with spaces so that
// the data starts at a multiple of 8.
func (s *Set) header(names []string) ([]byte, error) {
	var members []string
	add := func(key string, value any) {
		k, _ := json.Marshal(key)
		v, _ := json.Marshal(value) // strings, numbers and maps of strings: cannot fail
		members = append(members, string(k)+":"+string(v))
	}
	type info struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if len(s.Meta) > 0 {
		add("__metadata__", s.Meta)
	}
	at := 0
	for _, name := range counters(names) {
		add(name, info{"I64", []int{}, [2]int{at, at + 8}})
		at += 8
	}
	for _, name := range names {
		t := s.Tensors[name]
		add(name, info{"F32", append([]int{}, t.Shape...), [2]int{at, at + 4*len(t.Data)}})
		at += 4 * len(t.Data)
	}
	text := "{" + strings.Join(members, ",") + "}"
	text += strings.Repeat(" ", -len(text)&7)
	if len(text) > maxHeader {
		return nil, fmt.Errorf("the header would have %d bytes, the format allows %d", len(text), maxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}

// writable reports what could not be read back.
func (s *Set) writable() error {
	for key, value := range s.Meta {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return fmt.Errorf("metadata %q is not UTF-8", key)
		}
	}
	for name, t := range s.Tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		switch {
		case !utf8.ValidString(name) || name == "__metadata__" || strings.HasSuffix(name, counter):
			return fmt.Errorf("%q cannot be the name of a tensor", name)
		case n != len(t.Data):
			return fmt.Errorf("%s: shape %v has %d values, want %d", name, t.Shape, len(t.Data), n)
		}
	}
	return nil
}
