package tfevents

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// golden is what scripts/golden/tfevents.py writes with TensorBoard.
func golden(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenEvents() []Event {
	const wall = 1.5e9
	start := func(name string, value any) Event {
		return Event{Wall: wall, Values: []Value{StartValue(&SessionStart{HParams: []HParam{{name, value}}, Group: "g", Seconds: wall})}}
	}
	return []Event{
		{Wall: wall, Version: Version},
		start("batch", 128.0),
		start("flip", false),
		start("optimizer", "sgd"),
		{Wall: wall + 1, Step: 50, Values: []Value{ScalarValue("step/loss", 0.5), ScalarValue("step/accuracy", 0)}},
		{Wall: wall + 2, Step: 50, Values: []Value{ImageValue("images", &Image{Width: 3, Height: 2, Channels: 1, PNG: []byte("png")})}},
		{Wall: wall + 3, Step: 100, Values: []Value{EndValue(Success, wall+3)}},
	}
}

// TestGolden holds both directions against TensorBoard's own writer.
func TestGolden(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, goldenEvents()...); err != nil {
		t.Fatal(err)
	}
	if want := golden(t); !bytes.Equal(b.Bytes(), want) {
		t.Errorf("wrote\n%x, want\n%x", b.Bytes(), want)
	}
	got, err := Read(bytes.NewReader(golden(t)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenEvents(), got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// TestMask is the example of a masked checksum: CRC-32C of "123456789" is
// 0xe3069283.
func TestMask(t *testing.T) {
	crc := uint32(0xe3069283)
	if got, want := mask([]byte("123456789")), (crc>>15|crc<<17)+0xa282ead8; got != want {
		t.Errorf("mask is %#x, want %#x", got, want)
	}
}

// TestDamage changes every byte of a file, and cuts it at every length: the
// records before are read, and the damage is told.
func TestDamage(t *testing.T) {
	whole := golden(t)
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTruncated) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		got, err := Read(bytes.NewReader(whole[:i]))
		var again bytes.Buffer
		if werr := Write(&again, got...); werr != nil || !bytes.Equal(again.Bytes(), whole[:again.Len()]) {
			t.Errorf("cut at %d: other events, %v", i, werr)
		}
		if between := again.Len() == i; between != (err == nil) || err != nil && !errors.Is(err, ErrTruncated) {
			t.Errorf("cut at %d, after %d of whole records: %v", i, again.Len(), err)
		}
	}
}

func anyValue(t *rapid.T) Value {
	tag := rapid.String().Draw(t, "tag")
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return Value{Tag: tag, Scalar: rapid.Float32().Draw(t, "scalar")}
	case 1:
		side := rapid.IntRange(0, 1<<20)
		return ImageValue(tag, &Image{side.Draw(t, "width"), side.Draw(t, "height"), 3, rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "png")})
	case 2:
		return EndValue(Status(rapid.IntRange(0, 3).Draw(t, "status")), rapid.Float64().Draw(t, "end"))
	}
	s := &SessionStart{Group: rapid.String().Draw(t, "group"), Seconds: rapid.Float64().Draw(t, "start")}
	for range rapid.IntRange(0, 3).Draw(t, "hparams") {
		v := rapid.OneOf(rapid.Bool().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny()).Draw(t, "value")
		s.HParams = append(s.HParams, HParam{rapid.String().Draw(t, "name"), v})
	}
	return StartValue(s)
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := []Event{{Wall: rapid.Float64().Draw(t, "wall"), Step: rapid.Int64().Draw(t, "step")}}
		for range rapid.IntRange(0, 3).Draw(t, "values") {
			want[0].Values = append(want[0].Values, anyValue(t))
		}
		var b bytes.Buffer
		if err := Write(&b, want...); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(golden(f))
	f.Add(golden(f)[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := Read(bytes.NewReader(b))
		if err == nil && len(b) > 0 && len(events) == 0 {
			t.Error("no events and no error")
		}
	})
}

// FuzzDecode goes behind the checksums.
func FuzzDecode(f *testing.F) {
	for _, e := range goldenEvents() {
		f.Add(e.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decode(b); err == nil {
			e.encode()
		}
	})
}
