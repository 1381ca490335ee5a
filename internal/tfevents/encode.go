package tfevents

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields of the messages that are written.
const (
	eventWall    = 1
	eventStep    = 2
	eventVersion = 3
	eventSummary = 5

	summaryValue = 1

	valueTag      = 1
	valueSimple   = 2
	valueImage    = 4
	valueTensor   = 8
	valueMetadata = 9

	imageHeight = 1
	imageWidth  = 2
	imageColour = 3
	imagePNG    = 4

	metadataPlugin = 1
	metadataClass  = 4
	pluginName     = 1
	pluginContent  = 2

	tensorType  = 1
	tensorShape = 2
	shapeDim    = 2

	hparamsStart = 3
	hparamsEnd   = 4

	startHParams = 1
	startGroup   = 4
	startSeconds = 5
	endStatus    = 1
	endSeconds   = 2

	mapKey   = 1
	mapValue = 2

	protoNumber = 2 // of google.protobuf.Value
	protoString = 3
	protoBool   = 4
)

const (
	hparamsPlugin = "hparams"
	tensorClass   = 2 // DATA_CLASS_TENSOR
	typeFloat     = 1 // DT_FLOAT
)

// message is a protocol buffer under construction. Values that are 0 or empty
// are left out, as proto3 does.
type message []byte

func (m *message) varint(field protowire.Number, v uint64) {
	if v != 0 {
		*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), v)
	}
}

func (m *message) double(field protowire.Number, v float64) {
	if v != 0 {
		*m = protowire.AppendFixed64(protowire.AppendTag(*m, field, protowire.Fixed64Type), math.Float64bits(v))
	}
}

func (m *message) text(field protowire.Number, s string) {
	if s != "" {
		m.nested(field, []byte(s))
	}
}

// nested appends a message or bytes, also where they are empty.
func (m *message) nested(field protowire.Number, b []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), b)
}

func (e *Event) encode() []byte {
	var m message
	m.double(eventWall, e.Wall)
	m.varint(eventStep, uint64(e.Step))
	m.text(eventVersion, e.Version)
	if len(e.Values) > 0 {
		var s message
		for i := range e.Values {
			s.nested(summaryValue, e.Values[i].encode())
		}
		m.nested(eventSummary, s)
	}
	return m
}

func (v *Value) encode() []byte {
	var m message
	m.text(valueTag, v.Tag)
	switch {
	case v.Image != nil:
		var img message
		img.varint(imageHeight, uint64(v.Image.Height))
		img.varint(imageWidth, uint64(v.Image.Width))
		img.varint(imageColour, uint64(v.Image.Channels))
		img.nested(imagePNG, v.Image.PNG)
		m.nested(valueImage, img)
	case v.Start != nil:
		m.plugin(hparamsStart, v.Start.encode())
	case v.End != nil:
		var end message
		end.varint(endStatus, uint64(v.End.Status))
		end.double(endSeconds, v.End.Seconds)
		m.plugin(hparamsEnd, end)
	default: // part of a oneof, hence there when it is 0
		m = protowire.AppendFixed32(protowire.AppendTag(m, valueSimple, protowire.Fixed32Type), math.Float32bits(v.Scalar))
	}
	return m
}

// plugin appends data of the HParams plugin: the metadata holds it, the value
// itself is a tensor of no elements.
func (m *message) plugin(kind protowire.Number, data []byte) {
	var shape, tensor, content, plugin, metadata message
	shape.nested(shapeDim, nil) // a dimension of size 0
	tensor.varint(tensorType, typeFloat)
	tensor.nested(tensorShape, shape)
	m.nested(valueTensor, tensor)

	content.nested(kind, data)
	plugin.text(pluginName, hparamsPlugin)
	plugin.nested(pluginContent, content)
	metadata.nested(metadataPlugin, plugin)
	metadata.varint(metadataClass, tensorClass)
	m.nested(valueMetadata, metadata)
}

func (s *SessionStart) encode() []byte {
	var m message
	for _, h := range s.HParams {
		var v, entry message
		switch x := h.Value.(type) {
		case bool:
			v = protowire.AppendVarint(protowire.AppendTag(v, protoBool, protowire.VarintType), protowire.EncodeBool(x))
		case float64:
			v = protowire.AppendFixed64(protowire.AppendTag(v, protoNumber, protowire.Fixed64Type), math.Float64bits(x))
		case string:
			v.nested(protoString, []byte(x))
		default:
			panic(fmt.Sprintf("tfevents: hyperparameter %s is a %T, want a bool, a float64 or a string", h.Name, h.Value))
		}
		entry.text(mapKey, h.Name)
		entry.nested(mapValue, v)
		m.nested(startHParams, entry)
	}
	m.text(startGroup, s.Group)
	m.double(startSeconds, s.Seconds)
	return m
}
