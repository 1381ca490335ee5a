package npy

import (
	"strconv"
	"strings"
)

// header is what the dict in a file says.
type header struct {
	descr   string
	fortran bool
	shape   []int
}

// parseHeader reads the Python dict literal of a header.
func parseHeader(text string) (header, error) {
	p := &parser{text: text}
	var h header
	seen := map[string]bool{}
	p.expect("{")
	for p.err == nil && !p.accept("}") {
		key := p.str()
		p.expect(":")
		if p.err == nil && seen[key] {
			p.fail("the key %q comes twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			if p.peek() == '[' {
				return h, &UnsupportedError{"the elements are records, want plain numbers"}
			}
			h.descr = p.str()
		case "fortran_order":
			h.fortran = p.boolean()
		case "shape":
			h.shape = p.tuple()
		default:
			p.fail("unexpected key %.40q", key)
		}
		if !p.accept(",") {
			p.expect("}")
			break
		}
	}
	p.space()
	if p.err == nil && p.text != "" {
		p.fail("something comes after the dict")
	}
	if p.err == nil && len(seen) != 3 {
		p.fail("it lacks one of the keys descr, fortran_order and shape")
	}
	return h, p.err
}

// parser takes a text apart from its start; after the first error it does
// nothing more.
type parser struct {
	text string
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid("header: "+format, args...)
	}
}

func (p *parser) space() { p.text = strings.TrimLeft(p.text, " \t\r\n") }

// peek is the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.text == "" {
		return 0
	}
	return p.text[0]
}

// accept takes token if it comes next.
func (p *parser) accept(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok && p.err == nil {
		p.text = rest
	}
	return ok && p.err == nil
}

func (p *parser) expect(token string) {
	if !p.accept(token) {
		p.fail("want %q at %.20q", token, p.text)
	}
}

// str is a string in single or double quotes. No valid header has an escape.
func (p *parser) str() string {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		p.fail("want a string at %.20q", p.text)
		return ""
	}
	s, rest, ok := strings.Cut(p.text[1:], string(rune(quote)))
	if !ok || strings.ContainsRune(s, '\\') {
		p.fail("want a plain string at %.20q", p.text)
		return ""
	}
	if p.err == nil {
		p.text = rest
	}
	return s
}

func (p *parser) boolean() bool {
	if p.accept("True") {
		return true
	}
	p.expect("False")
	return false
}

// tuple is a tuple of sizes: (), (3,), (2, 3). Python 2 wrote 3L.
func (p *parser) tuple() []int {
	dims := []int{}
	p.expect("(")
	for p.err == nil && !p.accept(")") {
		digits := p.text[:len(p.text)-len(strings.TrimLeft(p.text, "0123456789"))]
		n, err := strconv.ParseInt(digits, 10, 64)
		switch {
		case err != nil || n > maxElems:
			p.fail("want a size at %.20q", p.text)
		case len(dims) == maxDims:
			p.fail("the array has more than %d dimensions", maxDims)
		}
		dims = append(dims, int(n))
		p.text = p.text[len(digits):]
		p.accept("L")
		if !p.accept(",") {
			p.expect(")")
			if len(dims) == 1 {
				p.fail("want a tuple, got one number in brackets")
			}
			break
		}
	}
	return dims
}
