package imageprep

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"

	"golang.org/x/image/webp"
)

// decodeWebP decodes a still image, or the first frame of an animation, which
// the decoder does not know: the frame makes a file of its own.
func decodeWebP(data []byte) (image.Image, error) {
	const animation = 1 << 1
	if head := riffChunk(data[12:], "VP8X"); len(head) == 10 && head[0]&animation != 0 {
		frame, err := webpFrame(head[4:], riffChunk(data[12:], "ANMF"))
		if err != nil {
			return nil, err
		}
		data = frame
	}
	return webp.Decode(bytes.NewReader(data))
}

// webpFrame makes a file of a frame of an animation. canvas is width - 1 and
// height - 1, of three bytes each; frame starts with x/2, y/2, width - 1,
// height - 1 and duration, of three bytes each, and a byte of flags. The chunk
// of alpha, which is dropped anyway, stays out.
func webpFrame(canvas, frame []byte) ([]byte, error) {
	if len(frame) < 16 {
		return nil, errors.New("the animation has no frame")
	}
	if !bytes.Equal(frame[:6], make([]byte, 6)) || !bytes.Equal(frame[6:12], canvas) {
		return nil, errors.New("an animation whose first frame does not fill it is not supported")
	}
	for _, id := range []string{"VP8 ", "VP8L"} {
		pixels := riffChunk(frame[16:], id)
		if pixels == nil {
			continue
		}
		file := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), canvas...)
		file = binary.LittleEndian.AppendUint32(append(file, id...), uint32(len(pixels)))
		file = append(append(file, pixels...), make([]byte, len(pixels)%2)...)
		binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
		return file, nil
	}
	return nil, errors.New("the first frame of the animation has no image")
}
