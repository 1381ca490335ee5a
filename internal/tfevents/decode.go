package tfevents

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message that is read: b for bytes and messages, n for
// the rest.
type field struct {
	number protowire.Number
	kind   protowire.Type
	n      uint64
	b      []byte
}

// fields calls f with every field of a message, until one is an error.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %v", ErrDamaged, protowire.ParseError(n))
		}
		b = b[n:]
		x := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			x.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			x.n = uint64(v)
		case protowire.Fixed64Type:
			x.n, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			x.b, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: field %d: %v", ErrDamaged, number, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

func (f field) double() float64 { return math.Float64frombits(f.n) }

func decode(b []byte) (Event, error) {
	var e Event
	err := fields(b, func(f field) error {
		switch f.number {
		case eventWall:
			e.Wall = f.double()
		case eventStep:
			e.Step = int64(f.n)
		case eventVersion:
			e.Version = string(f.b)
		case eventSummary:
			return fields(f.b, func(f field) error {
				v, err := decodeValue(f.b)
				e.Values = append(e.Values, v)
				return err
			})
		}
		return nil
	})
	return e, err
}

func decodeValue(b []byte) (Value, error) {
	var v Value
	err := fields(b, func(f field) error {
		switch f.number {
		case valueTag:
			v.Tag = string(f.b)
		case valueSimple:
			v.Scalar = math.Float32frombits(uint32(f.n))
		case valueImage:
			img, err := decodeImage(f.b)
			v.Image = img
			return err
		case valueMetadata:
			return v.decodeMetadata(f.b)
		}
		return nil
	})
	return v, err
}

func decodeImage(b []byte) (*Image, error) {
	img := &Image{}
	err := fields(b, func(f field) error {
		switch f.number {
		case imageHeight:
			img.Height = int(int32(f.n))
		case imageWidth:
			img.Width = int(int32(f.n))
		case imageColour:
			img.Channels = int(int32(f.n))
		case imagePNG:
			img.PNG = f.b
		}
		return nil
	})
	return img, err
}

// decodeMetadata reads what the HParams plugin put into a value's metadata.
func (v *Value) decodeMetadata(b []byte) error {
	var name string
	var content []byte
	err := fields(b, func(f field) error {
		if f.number != metadataPlugin {
			return nil
		}
		return fields(f.b, func(f field) error {
			switch f.number {
			case pluginName:
				name = string(f.b)
			case pluginContent:
				content = f.b
			}
			return nil
		})
	})
	if err != nil || name != hparamsPlugin {
		return err
	}
	return fields(content, func(f field) error {
		switch f.number {
		case hparamsStart:
			s, err := decodeStart(f.b)
			v.Start = s
			return err
		case hparamsEnd:
			v.End = &SessionEnd{}
			return fields(f.b, func(f field) error {
				switch f.number {
				case endStatus:
					v.End.Status = Status(f.n)
				case endSeconds:
					v.End.Seconds = f.double()
				}
				return nil
			})
		}
		return nil
	})
}

func decodeStart(b []byte) (*SessionStart, error) {
	s := &SessionStart{}
	err := fields(b, func(f field) error {
		switch f.number {
		case startHParams:
			h, err := decodeHParam(f.b)
			s.HParams = append(s.HParams, h)
			return err
		case startGroup:
			s.Group = string(f.b)
		case startSeconds:
			s.Seconds = f.double()
		}
		return nil
	})
	return s, err
}

func decodeHParam(b []byte) (HParam, error) {
	var h HParam
	err := fields(b, func(f field) error {
		switch f.number {
		case mapKey:
			h.Name = string(f.b)
		case mapValue:
			return fields(f.b, func(f field) error {
				switch f.number {
				case protoNumber:
					h.Value = f.double()
				case protoString:
					h.Value = string(f.b)
				case protoBool:
					h.Value = protowire.DecodeBool(f.n)
				}
				return nil
			})
		}
		return nil
	})
	return h, err
}
