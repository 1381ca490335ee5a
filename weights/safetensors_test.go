package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"effnet/internal/alloctest"
)

// file makes a safetensors file from a header and a number of zero bytes.
func file(head string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(b, head...), make([]byte, data)...)
}

func parse(b []byte) (*Set, error) { return Read(bytes.NewReader(b), int64(len(b))) }

func encode(t interface{ Fatal(...any) }, s *Set) []byte {
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadTypes(t *testing.T) {
	data := []byte{}
	head := ""
	at := 0
	add := func(dtype string, values int, raw ...byte) {
		head += fmt.Sprintf(`,"%s":{"dtype":"%s","shape":[%d],"data_offsets":[%d,%d]}`, dtype, dtype, values, at, at+len(raw))
		at += len(raw)
		data = append(data, raw...)
	}
	le := binary.LittleEndian
	add("F32", 2, le.AppendUint32(le.AppendUint32(nil, math.Float32bits(1.5)), 0x7f800000)...)
	// 1, -2, largest, smallest normal, smallest subnormal, largest subnormal, -0, -inf
	add("F16", 8, 0, 0x3c, 0, 0xc0, 0xff, 0x7b, 0, 4, 1, 0, 0xff, 3, 0, 0x80, 0, 0xfc)
	add("BF16", 2, 0x80, 0x3f, 0x49, 0x40)
	add("F64", 1, le.AppendUint64(nil, math.Float64bits(0.1))...)
	add("I64", 1, le.AppendUint64(nil, uint64(1<<64-5))...)
	add("I32", 1, 0xfe, 0xff, 0xff, 0xff)
	add("I16", 1, 0x00, 0x80)
	b := append(file("{ "+head[1:]+" }\n  ", 0), data...)
	s, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Tensor{
		"F32":  {[]int{2}, []float32{1.5, float32(math.Inf(1))}},
		"F16":  {[]int{8}, []float32{1, -2, 65504, 0x1p-14, 0x1p-24, 1023 * 0x1p-24, float32(math.Copysign(0, -1)), float32(math.Inf(-1))}},
		"BF16": {[]int{2}, []float32{1, 3.140625}},
		"F64":  {[]int{1}, []float32{0.1}},
		"I64":  {[]int{1}, []float32{-5}},
		"I32":  {[]int{1}, []float32{-2}},
		"I16":  {[]int{1}, []float32{-32768}},
	}
	if d := cmp.Diff(want, s.Tensors); d != "" {
		t.Error(d)
	}
	if !math.Signbit(float64(s.Tensors["F16"].Data[6])) {
		t.Error("F16: -0 lost its sign")
	}
}

// TestReadForeign reads the example of the format's own documentation, a
// scalar, an empty tensor, escapes, and a counter that is dropped.
func TestReadForeign(t *testing.T) {
	head := `{"__metadata__":{"f\u006f\"o":"b\nar","e":""},` +
		`"test":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},` +
		`"bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"scalar":{"data_offsets":[24,28],"shape":[],"dtype":"F32"},` +
		`"empty":{"dtype":"F32","shape":[3,0],"data_offsets":[24,24]}}`
	s, err := parse(file(head, 28))
	if err != nil {
		t.Fatal(err)
	}
	want := &Set{
		Meta: map[string]string{`fo"o`: "b\nar", "e": ""},
		Tensors: map[string]Tensor{
			"test":   {[]int{2, 2}, make([]float32, 4)},
			"scalar": {[]int{}, make([]float32, 1)},
			"empty":  {[]int{3, 0}, []float32{}},
		},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
}

// hostile files, each with a part of the error it must give.
func hostile() map[string]struct {
	file []byte
	want string
} {
	const one = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	size := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	return map[string]struct {
		file []byte
		want string
	}{
		"empty file":              {nil, "has 0 bytes"},
		"seven bytes":             {make([]byte, 7), "has 7 bytes"},
		"no header":               {size(0), "does not start with {"},
		"header longer than file": {append(size(1000), one...), "header would have 1000 bytes, the file has 54"},
		"header over the limit":   {append(size(100_000_001), one...), "the format allows 100000000"},
		"header of 2^64-1":        {append(size(1<<64-1), one...), "18446744073709551615"},
		"header of 2^63":          {append(size(1<<63), one...), "9223372036854775808"},
		"leading space":           {file(" "+one, 8), "does not start with {"},
		"not UTF-8":               {file("{\"\xff\":1}", 0), "not UTF-8"},
		"cut JSON":                {file(one[:30], 8), "want ']', found the end"},
		"cut in a string":         {file(`{"abc`, 0), "string does not end"},
		"cut in an escape":        {file(`{"abc\`, 0), "string does not end"},
		"bad escape":              {file(`{"\q":{}}`, 0), "bad string"},
		"control character":       {file("{\"a\x00\":1}", 0), "control character"},
		"text after JSON":         {file(one+"x", 8), "want the end of the header, found 'x'"},
		"two values":              {file(one+one, 8), "want the end of the header"},
		"a list":                  {file("[]", 0), "does not start with {"},
		"trailing comma":          {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},}`, 8), `want '"'`},
		"tensor is a number":      {file(`{"a":1}`, 8), "want '{'"},
		"tensor is null":          {file(`{"a":null}`, 8), "want '{'"},
		"no fields":               {file(`{"a":{}}`, 8), "want a dtype, a shape and two data_offsets"},
		"unknown field":           {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":{}}}`, 8), `unknown field "x"`},
		"unknown dtype":           {file(`{"a":{"dtype":"F128","shape":[2],"data_offsets":[0,8]}}`, 8), `unknown dtype "F128"`},
		"duplicate tensor":        {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `key "a" is given twice`},
		"duplicate by escape":     {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `key "a" is given twice`},
		"duplicate field":         {file(`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `gives "dtype" twice`},
		"duplicate metadata":      {file(`{"__metadata__":{"k":"1","k":"2"}}`, 0), `metadata key "k" is given twice`},
		"two metadata":            {file(`{"__metadata__":{},"__metadata__":{}}`, 0), `"__metadata__" is given twice`},
		"metadata of numbers":     {file(`{"__metadata__":{"k":1}}`, 0), `want '"', found '1'`},
		"metadata nested":         {file(`{"__metadata__":{"k":{}}}`, 0), `want '"', found '{'`},
		"negative dimension":      {file(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8), `found "-2"`},
		"negative offset":         {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8), `found "-8"`},
		"fraction":                {file(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8), `found "2.0"`},
		"exponent":                {file(`{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}`, 8), `found "2e0"`},
		"leading zero":            {file(`{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}`, 8), `found "02"`},
		"number over 64 bits":     {file(`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8), "want a whole number"},
		"number over int":         {file(`{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]}}`, 8), "want a whole number"},
		"product overflows":       {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}}`, 8), "overflows"},
		"product wraps to fit":    {file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0), "overflows"},
		"bits overflow":           {file(`{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0), "overflows"},
		"overflow times zero":     {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0), "overflows"},
		"half a byte":             {file(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1), "does not end on a byte"},
		"larger than its data":    {file(`{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,8]}}`, 8), "want 4000000000000 bytes"},
		"claims data not there":   {file(`{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`, 8), "describes 4000000000000 bytes of data, the file has 8"},
		"smaller than its data":   {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8), "want 4 bytes"},
		"end before begin":        {file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[8,0]}}`, 8), "data_offsets [8 0]"},
		"one offset":              {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}`, 8), "two data_offsets"},
		"three offsets":           {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}`, 8), "more than 2"},
		"truncated data":          {file(one, 7), "describes 8 bytes of data, the file has 7"},
		"data after the last":     {file(one, 9), "describes 8 bytes of data, the file has 9"},
		"hole at the start":       {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "leave a hole"},
		"hole inside":             {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}`, 20), `tensor "b": data_offsets [12 20] leave a hole`},
		"overlap":                 {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), `tensor "b": data_offsets [4 12] overlap`},
		"same range twice":        {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "overlap"},
		"data without tensors":    {file(`{}`, 8), "describes 0 bytes of data, the file has 8"},
		"overlap of 100,000":      {file(many(100_000, `,"t%d":{"dtype":"F32","shape":[100000],"data_offsets":[0,400000]}`), 400_000), "overlap"},
		"100,001 tensors":         {file(many(100_001, `,"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`), 0), "more than 100000 tensors"},
		"million dimensions":      {file(`{"a":{"dtype":"F32","shape":[1`+strings.Repeat(",1", 1_000_000)+`],"data_offsets":[0,4]}}`, 4), "more than 16 dimensions"},
		"deep nesting":            {file(strings.Repeat(`{"a":`, 1_000_000), 0), "unknown field"},
		"open brackets":           {file(`{"a":{"shape":`+strings.Repeat("[", 1_000_000), 0), "want a whole number"},
		"long name":               {file(`{"`+strings.Repeat("n", 10_000_000)+`":{"dtype":"X","shape":[2],"data_offsets":[0,8]}}`, 8), "unknown dtype"},
		"bytes as weights":        {file(`{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}`, 8), "has dtype U8, want one of"},
		"complex weights":         {file(`{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}`, 8), "has dtype C64"},
		"pickle":                  {[]byte("\x80\x02}q\x00(X\x04\x00\x00\x00bn1.bias0000"), "the format allows"},
		"zip":                     {[]byte("PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00"), "the format allows"},
	}
}

func TestHostile(t *testing.T) {
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			var err error
			alloctest.Bounded(t, len(c.file), func() {
				alloctest.Quick(t, time.Second, func() { _, err = parse(c.file) })
			})
			var fe *FormatError
			var ue *UnsupportedError
			if !errors.As(err, &fe) && !errors.As(err, &ue) {
				t.Fatalf("error is %v (%T), want a FormatError or an UnsupportedError", err, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want a part %q", err, c.want)
			}
			if len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is not one short line: %q", err)
			}
		})
	}
}

// TestShrinkingFile reads a file that ends before the size it had.
func TestShrinkingFile(t *testing.T) {
	b := encode(t, Init(tinyGraph(t), 1))
	for _, n := range []int{4, 100, len(b) - 1} {
		if _, err := Read(bytes.NewReader(b[:n]), int64(len(b))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: error is %v, want an unexpected EOF", n, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Set{Tensors: map[string]Tensor{}, Meta: map[string]string{}}
		for range rapid.IntRange(0, 6).Draw(t, "tensors") {
			shape := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, "shape")
			n := 1
			for _, d := range shape {
				n *= d
			}
			name := rapid.String().Draw(t, "name") + rapid.SampledFrom([]string{"", ".running_mean"}).Draw(t, "suffix")
			s.Tensors[name] = Tensor{append([]int{}, shape...), rapid.SliceOfN(rapid.Float32(), n, n).Draw(t, "data")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "metadata") {
			s.Meta[rapid.String().Draw(t, "key")] = rapid.String().Draw(t, "value")
		}
		b := encode(t, s)
		if n := binary.LittleEndian.Uint64(b); n%8 != 0 {
			t.Errorf("header has %d bytes, want a multiple of 8", n)
		}
		got, err := parse(b)
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Error(d)
		}
		if again := encode(t, got); !bytes.Equal(b, again) {
			t.Errorf("wrote %q, then %q", b, again)
		}
	})
}

// TestWriteBytes pins the layout of a file.
func TestWriteBytes(t *testing.T) {
	s := &Set{
		Meta: map[string]string{"b": "<2>", "a": "1"},
		Tensors: map[string]Tensor{
			"bn.running_mean": {[]int{1}, []float32{1}},
			"a":               {nil, []float32{2}},
		},
	}
	b := encode(t, s)
	n := binary.LittleEndian.Uint64(b)
	want := `{"__metadata__":{"a":"1","b":"\u003c2\u003e"},` +
		`"bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},` +
		`"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},` +
		`"bn.running_mean":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`
	if got := strings.TrimRight(string(b[8:8+n]), " "); got != want {
		t.Errorf("header is\n%s\nwant\n%s", got, want)
	}
	if got, want := b[8+n:], []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x80\x3f"); !bytes.Equal(got, want) {
		t.Errorf("data is %x, want %x", got, want)
	}
}

func TestWriteErrors(t *testing.T) {
	one := []float32{1}
	for _, s := range []*Set{
		{Tensors: map[string]Tensor{"a": {[]int{2}, one}}},
		{Tensors: map[string]Tensor{"a\xff": {nil, one}}},
		{Tensors: map[string]Tensor{"__metadata__": {nil, one}}},
		{Tensors: map[string]Tensor{"bn.num_batches_tracked": {nil, one}}},
		{Meta: map[string]string{"k": "\xff"}},
	} {
		if err := s.Write(io.Discard); err == nil {
			t.Errorf("no error for %v", s)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.safetensors")
	if err := os.WriteFile(bad, []byte("hello, world"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        "is not a regular file",
		bad:                        "bad.safetensors: neither a safetensors file nor one of torch.save",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s): error is %v, want %q", path, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range hostile() {
		if len(c.file) < 4096 {
			f.Add(c.file)
		}
	}
	f.Add(encode(f, &Set{Meta: map[string]string{"k": "v"}, Tensors: map[string]Tensor{"x.running_mean": {[]int{2}, []float32{1, 2}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s *Set
		var err error
		alloctest.Bounded(t, len(b), func() { s, err = parse(b) })
		if err != nil {
			return
		}
		again, err := parse(encode(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again, cmp.Comparer(func(a, b float32) bool {
			return math.Float32bits(a) == math.Float32bits(b)
		})); d != "" {
			t.Error(d)
		}
	})
}
