package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	pw "google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of onnx.proto.
const (
	modelIRVersion = 1
	modelProducer  = 2
	modelGraph     = 7
	modelOpset     = 8
	modelMeta      = 14

	opsetDomain  = 1
	opsetVersion = 2

	metaKey   = 1
	metaValue = 2

	graphNode        = 1
	graphName        = 2
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12

	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOp        = 4
	nodeAttribute = 5

	attrName   = 1
	attrFloat  = 2
	attrInt    = 3
	attrString = 4
	attrInts   = 8
	attrType   = 20

	tensorDims = 1
	tensorType = 2
	tensorName = 8
	tensorRaw  = 9

	valueName = 1
	valueType = 2

	typeTensor  = 1
	tensorElem  = 1
	tensorShape = 2
	shapeDim    = 1
	dimValue    = 1
	dimParam    = 2
)

const (
	elemFloat = 1 // TensorProto.DataType

	attrIsFloat  = 1 // AttributeProto.AttributeType
	attrIsInt    = 2
	attrIsString = 3
	attrIsInts   = 7
)

// message is an encoded message.
type message []byte

func (m message) varint(field pw.Number, v int) message {
	return pw.AppendVarint(pw.AppendTag(m, field, pw.VarintType), uint64(v))
}

func (m message) float(field pw.Number, v float32) message {
	return pw.AppendFixed32(pw.AppendTag(m, field, pw.Fixed32Type), math.Float32bits(v))
}

func (m message) text(field pw.Number, s string) message {
	return pw.AppendString(pw.AppendTag(m, field, pw.BytesType), s)
}

func (m message) sub(field pw.Number, sub message) message {
	return pw.AppendBytes(pw.AppendTag(m, field, pw.BytesType), sub)
}

// head is the start of a field of n bytes that follow.
func (m message) head(field pw.Number, n int) message {
	return pw.AppendVarint(pw.AppendTag(m, field, pw.BytesType), uint64(n))
}

func (n *node) encode() message {
	var m message
	for _, in := range n.in {
		m = m.text(nodeInput, in)
	}
	for _, out := range n.out {
		m = m.text(nodeOutput, out)
	}
	m = m.text(nodeName, n.name).text(nodeOp, n.op)
	for _, a := range n.attrs {
		m = m.sub(nodeAttribute, a.encode())
	}
	return m
}

func (a *attribute) encode() message {
	m := message(nil).text(attrName, a.name)
	switch v := a.value.(type) {
	case int:
		return m.varint(attrInt, v).varint(attrType, attrIsInt)
	case float32:
		return m.float(attrFloat, v).varint(attrType, attrIsFloat)
	case string:
		return m.text(attrString, v).varint(attrType, attrIsString)
	case []int:
		for _, i := range v {
			m = m.varint(attrInts, i)
		}
		return m.varint(attrType, attrIsInts)
	}
	panic(fmt.Sprintf("onnx: attribute %s is a %T", a.name, a.value))
}

// encodeHead is all of a tensor but its bytes, which come last.
func (t *tensor) encodeHead() message {
	var m message
	for _, d := range t.shape {
		m = m.varint(tensorDims, d)
	}
	return m.varint(tensorType, elemFloat).text(tensorName, t.name).head(tensorRaw, 4*t.elems())
}

// value describes an input or output of floats; a dimension is a number or the
// name of a free one.
func value(name string, dims ...any) message {
	var shape message
	for _, d := range dims {
		var dim message
		switch d := d.(type) {
		case int:
			dim = dim.varint(dimValue, d)
		case string:
			dim = dim.text(dimParam, d)
		}
		shape = shape.sub(shapeDim, dim)
	}
	tensor := message(nil).varint(tensorElem, elemFloat).sub(tensorShape, shape)
	return message(nil).text(valueName, name).sub(valueType, message(nil).sub(typeTensor, tensor))
}

// graphParts is what of the graph comes before and after its tensors.
func (n *network) graphParts() (before, after message) {
	for i := range n.nodes {
		before = before.sub(graphNode, n.nodes[i].encode())
	}
	before = before.text(graphName, n.name)
	h, w := any(n.in[1]), any(n.in[2])
	if n.freeSize {
		h, w = "H", "W"
	}
	after = after.sub(graphInput, value(InputName, "N", n.in[0], h, w))
	after = after.sub(graphOutput, value(OutputName, "N", n.classes))
	return before, after
}

// graphSize is the length of the graph's message.
func (n *network) graphSize() int {
	before, after := n.graphParts()
	size := len(before) + len(after)
	for i := range n.tensors {
		t := &n.tensors[i]
		size += pw.SizeTag(graphInitializer) + pw.SizeBytes(len(t.encodeHead())+4*t.elems())
	}
	return size
}

// modelParts is what of the file comes before and after the graph's message.
func (n *network) modelParts(meta []pair) (before, after message) {
	before = before.varint(modelIRVersion, IRVersion).text(modelProducer, "effnet")
	before = before.head(modelGraph, n.graphSize())
	after = after.sub(modelOpset, message(nil).text(opsetDomain, "").varint(opsetVersion, Opset))
	for _, p := range meta {
		after = after.sub(modelMeta, message(nil).text(metaKey, p.key).text(metaValue, p.value))
	}
	return before, after
}

// modelSize is the length of the file.
func (n *network) modelSize(meta []pair) int {
	before, after := n.modelParts(meta)
	return len(before) + n.graphSize() + len(after)
}

// write writes the file, of the tensors one at a time.
func (n *network) write(w io.Writer, meta []pair) error {
	modelBefore, modelAfter := n.modelParts(meta)
	graphBefore, graphAfter := n.graphParts()
	if _, err := w.Write(slices.Concat(modelBefore, graphBefore)); err != nil {
		return err
	}
	buf := make(message, 0, 1<<16)
	for i := range n.tensors {
		t := &n.tensors[i]
		head := t.encodeHead()
		buf = append(buf[:0].head(graphInitializer, len(head)+4*t.elems()), head...)
		if _, err := w.Write(buf); err != nil {
			return err
		}
		for chunk := range slices.Chunk(t.values(), 1<<14) {
			buf = buf[:0]
			for _, v := range chunk {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	_, err := w.Write(slices.Concat(graphAfter, modelAfter))
	return err
}
