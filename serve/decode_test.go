package serve

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"effnet/imageprep"
)

// A picture that takes too long is given up, and gives back what it had.
func TestDecodeTime(t *testing.T) {
	s, url := newServer(t, Config{DecodeTime: time.Millisecond})
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 4000, 4000)), nil); err != nil {
		t.Fatal(err)
	}
	resp, data := send(t, "POST", url+"/v1/classify", "image/jpeg", b.Bytes())
	if resp.StatusCode != 422 || !strings.Contains(string(data), "takes too long to decode: more than 1ms") {
		t.Errorf("%s: %s", resp.Status, data)
	}
	for range 500 { // its decoder ends soon
		if s.decode.memory.TryAcquire(s.decode.total) {
			s.decode.memory.Release(s.decode.total)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("its memory is still held")
}

// A JPEG of very many scans is refused before it is decoded.
func TestScans(t *testing.T) {
	_, url := newServer(t, Config{})
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 2000, 2000)), nil); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	scan := bytes.Index(data, []byte{0xff, 0xda})
	bad := bytes.Clone(data[:scan])
	for range 1000 {
		bad = append(bad, data[scan:scan+10]...)
	}
	bad = append(bad, 0xff, 0xd9)
	start := time.Now()
	resp, text := send(t, "POST", url+"/v1/classify", "image/jpeg", bad)
	if resp.StatusCode != 413 || !strings.Contains(string(text), "65 scans, limit is 64") || time.Since(start) > 10*time.Second {
		t.Errorf("%s after %v: %s", resp.Status, time.Since(start), text)
	}
}

// Decoders never have more memory together than they may.
func TestDecodeMemory(t *testing.T) {
	data := picture(t, 200, 100, 1)
	need := int64(200*100*bytesPerPixel + 1<<16)
	d := newDecoder(Config{DecodeMemory: 2 * need, DecodeTime: time.Minute, Image: imageprep.Limits{MaxPixels: 1 << 20}}, testCores(t, 100))
	var now, most atomic.Int64
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			err := d.do(t.Context(), t.Context(), time.Now(), data, func(imageprep.Image) error {
				n := now.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(5 * time.Millisecond)
				now.Add(-1)
				return nil
			}, nil)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if most.Load() != 2 {
		t.Errorf("%d pictures were decoded at once, there is memory for 2", most.Load())
	}
	// One that alone needs more than there is has all of it.
	one := newDecoder(Config{DecodeMemory: 1000, DecodeTime: time.Minute}, testCores(t, 1))
	if err := one.do(t.Context(), t.Context(), time.Now(), data, func(imageprep.Image) error { return errors.New("used") }, nil); err == nil || err.Error() != "used" {
		t.Errorf("%v", err)
	}
}

// What has got its turn is decoded to the end, however long that takes.
func TestDecodeAfterTurn(t *testing.T) {
	d := newDecoder(Config{DecodeMemory: 1 << 20, DecodeTime: time.Minute}, testCores(t, 1))
	turn, end := context.WithCancel(t.Context())
	followed := false
	err := d.do(t.Context(), turn, time.Now(), picture(t, 20, 20, 1), func(imageprep.Image) error {
		end()
		time.Sleep(10 * time.Millisecond)
		return nil
	}, func() { followed = true })
	if err != nil || !followed {
		t.Errorf("%v, followed: %v", err, followed)
	}
	if err := d.do(t.Context(), turn, time.Now(), picture(t, 20, 20, 1), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("without a turn: %v", err)
	}
}
