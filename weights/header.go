package weights

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A safetensors file is
//
//	8 bytes   N, the length of the header, little-endian
//	N bytes   the header, JSON: {"__metadata__": {"key": "value", ...},
//	          "name": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]}, ...}
//	the rest  the values of all tensors, little-endian, without gaps
//
// with offsets counted from the end of the header.

// Limits of a header. The length is the format's own. Real networks have a
// few thousand tensors of at most a handful of dimensions.
const (
	maxHeader  = 100_000_000
	maxTensors = 100_000
	maxRank    = 16
)

// Names of the formats, as errors print them.
const (
	safetensors = "safetensors"
	pytorch     = "PyTorch"
)

// FormatError is a file that breaks the rules of its format.
type FormatError struct {
	Format string // "safetensors" or "PyTorch"
	Tensor string // empty where the fault is not in one tensor
	Msg    string
}

func (e *FormatError) Error() string {
	return describe("not a valid "+e.Format+" file: ", e.Tensor, e.Msg)
}

// UnsupportedError is a file that may be valid but that this package refuses.
type UnsupportedError struct{ Tensor, Msg string }

func (e *UnsupportedError) Error() string { return describe("", e.Tensor, e.Msg) }

func describe(prefix, tensor, msg string) string {
	if tensor != "" {
		return fmt.Sprintf("%stensor %s: %s", prefix, quote(tensor), msg)
	}
	return prefix + msg
}

// quote makes a name from a file fit to print.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return strconv.Quote(s)
}

// entry is one tensor as a header declares it.
type entry struct {
	name       string
	dtype      *dtype
	shape      []int
	begin, end int64
}

type header struct {
	meta    map[string]string
	entries []entry // in the order of their data
}

// parseHeader reads and checks a header whose data is dataLen bytes long.
// Nothing it allocates is larger than the text.
func parseHeader(text []byte, dataLen int64) (*header, error) {
	switch {
	case len(text) == 0 || text[0] != '{':
		return nil, &FormatError{Format: safetensors, Msg: "the header does not start with {"}
	case !utf8.Valid(text):
		return nil, &FormatError{Format: safetensors, Msg: "the header is not UTF-8"}
	}
	p := parser{text: text}
	h := &header{}
	seen := map[string]bool{}
	p.object(func(name string) {
		if seen[name] {
			p.fail("key %s is given twice", quote(name))
			return
		}
		seen[name] = true
		if name == "__metadata__" {
			h.meta = p.metadata()
			return
		}
		if len(h.entries) == maxTensors {
			p.abort(&UnsupportedError{Msg: fmt.Sprintf("the file has more than %d tensors", maxTensors)})
			return
		}
		h.entries = append(h.entries, p.entry(name))
	})
	p.space()
	if p.err == nil && p.pos < len(text) {
		p.fail("want the end of the header, found %s", p.here())
	}
	if p.err != nil {
		return nil, p.err
	}
	return h, h.checkLayout(dataLen)
}

// checkLayout holds the offsets to the format's rule: sorted, they cover the
// data from its first byte to its last without overlap or hole.
func (h *header) checkLayout(dataLen int64) error {
	slices.SortStableFunc(h.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at int64
	for i := range h.entries {
		e := &h.entries[i]
		switch {
		case e.begin < at:
			return &FormatError{safetensors, e.name, fmt.Sprintf("data_offsets [%d %d] overlap another tensor, want a start of %d", e.begin, e.end, at)}
		case e.begin > at:
			return &FormatError{safetensors, e.name, fmt.Sprintf("data_offsets [%d %d] leave a hole, want a start of %d", e.begin, e.end, at)}
		}
		at = e.end
	}
	if at != dataLen {
		return &FormatError{Format: safetensors, Msg: fmt.Sprintf("the header describes %d bytes of data, the file has %d", at, dataLen)}
	}
	return nil
}

// check compares shape, type and offsets of one tensor.
func (e *entry) check() error {
	n := uint64(1)
	for _, d := range e.shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 {
			return &FormatError{safetensors, e.name, fmt.Sprintf("shape %v overflows", e.shape)}
		}
		n = lo
	}
	hi, size := bits.Mul64(n, uint64(e.dtype.bits))
	if hi != 0 || size/8 > math.MaxInt64 {
		return &FormatError{safetensors, e.name, fmt.Sprintf("shape %v overflows", e.shape)}
	}
	if size%8 != 0 {
		return &FormatError{safetensors, e.name, fmt.Sprintf("shape %v of %s does not end on a byte", e.shape, e.dtype.name)}
	}
	if e.begin > e.end || uint64(e.end-e.begin) != size/8 {
		return &FormatError{safetensors, e.name, fmt.Sprintf("data_offsets [%d %d], want %d bytes for shape %v of %s",
			e.begin, e.end, size/8, e.shape, e.dtype.name)}
	}
	return nil
}

// parser reads the JSON of a header: objects, strings, whole numbers and
// lists of them, nothing else. After the first error, which stays in err,
// every method returns at once.
type parser struct {
	text []byte
	pos  int
	err  error
}

func (p *parser) abort(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parser) fail(format string, args ...any) {
	p.abort(&FormatError{Format: safetensors, Msg: fmt.Sprintf("header byte %d: ", p.pos) + fmt.Sprintf(format, args...)})
}

// here names what the parser is looking at.
func (p *parser) here() string {
	if p.pos >= len(p.text) {
		return "the end"
	}
	return strconv.QuoteRune(rune(p.text[p.pos]))
}

func (p *parser) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t' || p.text[p.pos] == '\n' || p.text[p.pos] == '\r') {
		p.pos++
	}
}

// take consumes c, after white space, if it is next.
func (p *parser) take(c byte) bool {
	p.space()
	if p.err == nil && p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) want(c byte) {
	if !p.take(c) {
		p.fail("want %q, found %s", c, p.here())
	}
}

// list calls item between open and close, for as long as commas follow.
func (p *parser) list(open, close byte, item func()) {
	p.want(open)
	if p.err != nil || p.take(close) {
		return
	}
	for p.err == nil {
		item()
		if !p.take(',') {
			break
		}
	}
	p.want(close)
}

// object calls value once per key, with the parser before the value.
func (p *parser) object(value func(key string)) {
	p.list('{', '}', func() {
		key := p.string()
		p.want(':')
		if p.err == nil {
			value(key)
		}
	})
}

func (p *parser) string() string {
	p.want('"')
	if p.err != nil {
		return ""
	}
	begin, escaped := p.pos, false
	for ; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '\\':
			escaped = true
			p.pos++
		case c < ' ':
			p.fail("control character %s in a string", p.here())
			return ""
		case c == '"':
			p.pos++
			if !escaped {
				return string(p.text[begin : p.pos-1])
			}
			var s string
			if err := json.Unmarshal(p.text[begin-1:p.pos], &s); err != nil {
				p.fail("bad string: %v", err)
			}
			return s
		}
	}
	p.fail("a string does not end")
	return ""
}

// number reads a whole number from 0 to the largest int.
func (p *parser) number() int {
	p.space()
	begin := p.pos
	for p.pos < len(p.text) && bytes.IndexByte([]byte("+-.0123456789eE"), p.text[p.pos]) >= 0 {
		p.pos++
	}
	digits := p.text[begin:p.pos]
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || n > math.MaxInt || len(digits) > 1 && digits[0] == '0' {
		found := p.here()
		if len(digits) > 0 {
			found = quote(string(digits))
		}
		p.pos = begin
		p.fail("want a whole number from 0 to %d, found %s", math.MaxInt, found)
	}
	return int(n)
}

func (p *parser) metadata() map[string]string {
	m := map[string]string{}
	p.object(func(key string) {
		if _, ok := m[key]; ok {
			p.fail("metadata key %s is given twice", quote(key))
		}
		m[key] = p.string()
	})
	return m
}

func (p *parser) entry(name string) entry {
	e := entry{name: name}
	var offsets []int
	seen := map[string]bool{}
	p.object(func(key string) {
		if seen[key] {
			p.fail("tensor %s gives %s twice", quote(name), quote(key))
		}
		seen[key] = true
		switch key {
		case "dtype":
			code := p.string()
			if e.dtype = dtypeByName(code); e.dtype == nil {
				p.abort(&FormatError{safetensors, name, fmt.Sprintf("unknown dtype %s", quote(code))})
			}
		case "shape":
			e.shape = []int{}
			p.list('[', ']', func() {
				if len(e.shape) == maxRank {
					p.abort(&UnsupportedError{name, fmt.Sprintf("has more than %d dimensions", maxRank)})
				}
				e.shape = append(e.shape, p.number())
			})
		case "data_offsets":
			p.list('[', ']', func() {
				if len(offsets) == 2 {
					p.abort(&FormatError{safetensors, name, "data_offsets has more than 2 numbers"})
				}
				offsets = append(offsets, p.number())
			})
		default:
			p.abort(&FormatError{safetensors, name, fmt.Sprintf("unknown field %s", quote(key))})
		}
	})
	if p.err != nil {
		return e
	}
	if e.dtype == nil || e.shape == nil || len(offsets) != 2 {
		p.abort(&FormatError{safetensors, name, "want a dtype, a shape and two data_offsets"})
		return e
	}
	e.begin, e.end = int64(offsets[0]), int64(offsets[1])
	if err := e.check(); err != nil {
		p.abort(err)
	}
	return e
}
