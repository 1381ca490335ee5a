package serve

import (
	"encoding/binary"
	"math"
	"net/http"
	"strconv"
)

// floats are the n values of a tensor: from JSON, flat or nested, or of the
// binary data behind it, little-endian.
func (t *oipTensor) floats(n int, data []byte) ([]float32, error) {
	size, inBinary := t.Parameters["binary_data_size"]
	if !inBinary {
		if len(data) > 0 {
			return nil, errorf(http.StatusBadRequest, "%d bytes of binary data follow, and %s has no binary_data_size", len(data), t.Name)
		}
		return parseFloats(t.Name, t.Data, n)
	}
	if t.Data != nil {
		return nil, errorf(http.StatusBadRequest, "%s has data both in JSON and behind it", t.Name)
	}
	if v, ok := size.(float64); !ok || v != float64(4*n) || len(data) != 4*n {
		return nil, errorf(http.StatusBadRequest, "%s has binary_data_size %v and %d bytes follow, its shape wants %d", t.Name, size, len(data), 4*n)
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return x, nil
}

// largest is the magnitude up to which a model takes values: far above what prepared
// pictures have, and too small to overflow on the way through a network, so that an
// output that is not finite is the weights' fault.
const largest = 1e6

// inRange reports the first value that no prepared picture has.
func inRange(name string, x []float32) error {
	for i, v := range x {
		if !(v >= -largest && v <= largest) {
			return errorf(http.StatusBadRequest, "%s: value %d is %g, want -1e6 to 1e6", name, i, v)
		}
	}
	return nil
}

func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// parseFloats reads n numbers from a JSON array, of arrays or of numbers; how it
// is nested does not matter. text is valid JSON, or nil.
func parseFloats(name string, text []byte, n int) ([]float32, error) {
	x := make([]float32, 0, n)
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '[', ']', ',', ' ', '\t', '\r', '\n':
			i++
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			end := i + 1
			for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.' || text[end] == 'e' || text[end] == 'E' || text[end] == '+' || text[end] == '-') {
				end++
			}
			v, err := strconv.ParseFloat(string(text[i:end]), 32)
			if err != nil {
				return nil, errorf(http.StatusBadRequest, "%s: %s is no FP32", name, text[i:end])
			}
			if len(x) == n {
				return nil, errorf(http.StatusBadRequest, "%s has more data than its shape, which wants %d values", name, n)
			}
			x = append(x, float32(v))
			i = end
		default:
			return nil, errorf(http.StatusBadRequest, "%s: its data is not an array of numbers", name)
		}
	}
	if len(x) != n {
		return nil, errorf(http.StatusBadRequest, "%s has %d values, its shape wants %d", name, len(x), n)
	}
	return x, nil
}
