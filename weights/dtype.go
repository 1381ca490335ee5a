package weights

import (
	"encoding/binary"
	"math"

	"effnet/internal/half"
)

// dtype is one element type of the format.
type dtype struct {
	name string
	bits int
	// convert reads len(dst) values from src, rounding to float32; nil where
	// a value of the type makes no sense as a weight.
	convert func(dst []float32, src []byte)
}

// Types below 16 bits are refused: nobody stores plain weights in them, and a
// file could unfold to many times its size.
var dtypes = []dtype{
	{"F32", 32, convertF32},
	{"F16", 16, convertF16},
	{"BF16", 16, convertBF16},
	{"F64", 64, convertF64},
	{"I64", 64, convertI64},
	{"I32", 32, convertI32},
	{"I16", 16, convertI16},
	{"U64", 64, nil}, {"U32", 32, nil}, {"U16", 16, nil}, {"C64", 64, nil},
	{"BOOL", 8, nil}, {"U8", 8, nil}, {"I8", 8, nil},
	{"F8_E5M2", 8, nil}, {"F8_E4M3", 8, nil}, {"F8_E8M0", 8, nil}, {"F8_E5M2FNUZ", 8, nil}, {"F8_E4M3FNUZ", 8, nil},
	{"F6_E2M3", 6, nil}, {"F6_E3M2", 6, nil}, {"F4", 4, nil},
}

func dtypeByName(name string) *dtype {
	for i := range dtypes {
		if dtypes[i].name == name {
			return &dtypes[i]
		}
	}
	return nil
}

func convertF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func convertF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = half.Widen(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func convertBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

func convertF64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

func convertI64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int64(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

func convertI32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
	}
}

func convertI16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:])))
	}
}
