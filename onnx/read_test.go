package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	pw "google.golang.org/protobuf/encoding/protowire"
)

// parsed is a file as another program sees it: read by field numbers, and
// without a line in common with the writer but these numbers.
type parsed struct {
	ir, opset int
	producer  string
	name      string
	nodes     []parsedNode
	tensors   map[string]parsedTensor
	order     []string // of the tensors
	in, out   []string // "input float [N 3 224 224]"
	meta      map[string]string
}

type parsedNode struct {
	op, name string
	in, out  []string
	attrs    map[string]any // int, float32, string, []int
}

type parsedTensor struct {
	dims []int
	data []float32
}

// fields calls f for each field of a message: v is an int, a float32 or the
// bytes of a string or message.
func fields(b []byte, f func(num pw.Number, v any) error) error {
	for len(b) > 0 {
		num, typ, n := pw.ConsumeTag(b)
		if n < 0 {
			return pw.ParseError(n)
		}
		b = b[n:]
		var v any
		switch typ {
		case pw.VarintType:
			var u uint64
			u, n = pw.ConsumeVarint(b)
			v = int(u)
		case pw.Fixed32Type:
			var u uint32
			u, n = pw.ConsumeFixed32(b)
			v = math.Float32frombits(u)
		case pw.BytesType:
			v, n = pw.ConsumeBytes(b)
		default:
			return fmt.Errorf("field %d has wire type %d", num, typ)
		}
		if n < 0 {
			return pw.ParseError(n)
		}
		if err := f(num, v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func text(v any) string { return string(v.([]byte)) }

func unexpected(message string, num pw.Number) error {
	return fmt.Errorf("%s has a field %d", message, num)
}

func parse(b []byte) (*parsed, error) {
	p := &parsed{tensors: map[string]parsedTensor{}, meta: map[string]string{}}
	err := fields(b, func(num pw.Number, v any) error {
		switch num {
		case 1:
			p.ir = v.(int)
		case 2:
			p.producer = text(v)
		case 7:
			return p.graph(v.([]byte))
		case 8:
			return fields(v.([]byte), func(num pw.Number, v any) error {
				if num == 2 {
					p.opset = v.(int)
				} else if num != 1 || text(v) != "" {
					return unexpected("opset", num)
				}
				return nil
			})
		case 14:
			var key, value string
			err := fields(v.([]byte), func(num pw.Number, v any) error {
				if num == 1 {
					key = text(v)
				} else {
					value = text(v)
				}
				return nil
			})
			if _, twice := p.meta[key]; twice {
				return fmt.Errorf("metadata %q comes twice", key)
			}
			p.meta[key] = value
			return err
		default:
			return unexpected("model", num)
		}
		return nil
	})
	return p, err
}

func (p *parsed) graph(b []byte) error {
	return fields(b, func(num pw.Number, v any) (err error) {
		switch num {
		case 1:
			var n parsedNode
			n, err = parseNode(v.([]byte))
			p.nodes = append(p.nodes, n)
		case 2:
			p.name = text(v)
		case 5:
			err = p.tensor(v.([]byte))
		case 11, 12:
			var s string
			s, err = parseValue(v.([]byte))
			if num == 11 {
				p.in = append(p.in, s)
			} else {
				p.out = append(p.out, s)
			}
		default:
			return unexpected("graph", num)
		}
		return err
	})
}

func parseNode(b []byte) (parsedNode, error) {
	n := parsedNode{attrs: map[string]any{}}
	err := fields(b, func(num pw.Number, v any) error {
		switch num {
		case 1:
			n.in = append(n.in, text(v))
		case 2:
			n.out = append(n.out, text(v))
		case 3:
			n.name = text(v)
		case 4:
			n.op = text(v)
		case 5:
			var name string
			var value any
			typ := 0
			err := fields(v.([]byte), func(num pw.Number, v any) error {
				switch num {
				case 1:
					name = text(v)
				case 2, 3:
					value = v
				case 4:
					value = text(v)
				case 8:
					list, _ := value.([]int)
					value = append(list, v.(int))
				case 20:
					typ = v.(int)
				default:
					return unexpected("attribute", num)
				}
				return nil
			})
			if want := map[int]string{1: "float32", 2: "int", 3: "string", 7: "[]int"}[typ]; fmt.Sprintf("%T", value) != want {
				return fmt.Errorf("attribute %s is a %T, its type says %q", name, value, want)
			}
			n.attrs[name] = value
			return err
		default:
			return unexpected("node", num)
		}
		return nil
	})
	return n, err
}

func (p *parsed) tensor(b []byte) error {
	var t parsedTensor
	name, elems := "", 1
	var raw []byte
	err := fields(b, func(num pw.Number, v any) error {
		switch num {
		case 1:
			t.dims = append(t.dims, v.(int))
			elems *= v.(int)
		case 2:
			if v.(int) != 1 {
				return fmt.Errorf("a tensor has type %v", v)
			}
		case 8:
			name = text(v)
		case 9:
			raw = v.([]byte)
		default:
			return unexpected("tensor", num)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(raw) != 4*elems {
		return fmt.Errorf("%s: %d bytes for %v", name, len(raw), t.dims)
	}
	for ; len(raw) > 0; raw = raw[4:] {
		t.data = append(t.data, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	if _, twice := p.tensors[name]; twice {
		return fmt.Errorf("tensor %s comes twice", name)
	}
	p.tensors[name] = t
	p.order = append(p.order, name)
	return nil
}

func parseValue(b []byte) (string, error) {
	var name string
	var dims []string
	elem := 0
	sub := func(v any, f func(num pw.Number, v any) error) error { return fields(v.([]byte), f) }
	err := fields(b, func(num pw.Number, v any) error {
		if num == 1 {
			name = text(v)
			return nil
		}
		return sub(v, func(num pw.Number, v any) error { // TypeProto
			return sub(v, func(num pw.Number, v any) error { // Tensor
				if num == 1 {
					elem = v.(int)
					return nil
				}
				return sub(v, func(num pw.Number, v any) error { // TensorShapeProto
					return sub(v, func(num pw.Number, v any) error { // Dimension
						if num == 2 {
							v = text(v)
						}
						dims = append(dims, fmt.Sprint(v))
						return nil
					})
				})
			})
		})
	})
	if elem != 1 {
		err = errors.Join(err, fmt.Errorf("%s has element type %d", name, elem))
	}
	return name + " float [" + strings.Join(dims, " ") + "]", err
}

// check holds what every graph must: single assignment, definition before use,
// no tensor without a reader, the output made.
func (p *parsed) check() error {
	defined, used := map[string]bool{InputName: true}, map[string]bool{OutputName: true}
	for name := range p.tensors {
		defined[name] = true
	}
	names := map[string]bool{}
	for _, n := range p.nodes {
		if names[n.name] {
			return fmt.Errorf("two nodes are called %s", n.name)
		}
		names[n.name] = true
		for _, in := range n.in {
			if !defined[in] {
				return fmt.Errorf("%s reads %s, which nothing before it makes", n.name, in)
			}
			used[in] = true
		}
		for _, out := range n.out {
			if defined[out] {
				return fmt.Errorf("%s makes %s, which is there already", n.name, out)
			}
			defined[out] = true
		}
	}
	for name := range defined {
		if !used[name] {
			return fmt.Errorf("nothing reads %s", name)
		}
	}
	if !defined[OutputName] {
		return errors.New("nothing makes the logits")
	}
	return nil
}
