package imageprep

import (
	"bytes"
	"encoding/binary"

	"github.com/bep/imagemeta"
)

// orientation reads the EXIF orientation, 1 to 8; 1 when there is none or it
// makes no sense.
func orientation(data []byte, format string) int {
	var f imagemeta.ImageFormat
	switch format {
	case "JPEG":
		f = imagemeta.JPEG
		if !bytes.Contains(data, []byte("Exif\x00\x00")) {
			return 1
		}
	case "PNG":
		f = imagemeta.PNG
		if !bytes.Contains(data, []byte("eXIf")) {
			return 1
		}
	case "WebP":
		// The block itself has the layout of a TIFF file. imagemeta's own
		// search misses it after a chunk of odd length.
		f = imagemeta.TIFF
		data = bytes.TrimPrefix(riffChunk(data[12:], "EXIF"), []byte("Exif\x00\x00"))
		if len(data) == 0 {
			return 1
		}
	default:
		return 1
	}
	o := 1
	// An error means damaged metadata, which must not lose the picture.
	_, _ = imagemeta.Decode(imagemeta.Options{
		R:           bytes.NewReader(data),
		ImageFormat: f,
		Sources:     imagemeta.EXIF,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool {
			return t.Tag == "Orientation" && t.Namespace == "IFD0"
		},
		HandleTag: func(t imagemeta.TagInfo) error {
			if v, ok := t.Value.(uint16); ok && v >= 1 && v <= 8 {
				o = int(v)
			}
			return imagemeta.ErrStopWalking
		},
	})
	return o
}

// riffChunk returns the content of the first chunk called id in a list of
// chunks; nil when there is none. Chunks are padded to even lengths.
func riffChunk(data []byte, id string) []byte {
	for len(data) >= 8 {
		n := int64(binary.LittleEndian.Uint32(data[4:]))
		name := string(data[:4])
		data = data[8:]
		if n > int64(len(data)) {
			return nil
		}
		if name == id {
			return data[:n]
		}
		data = data[min(n+n%2, int64(len(data))):]
	}
	return nil
}

// Orient turns src upright given its EXIF orientation: 1 as it is, 2 mirrored
// left-right, 3 turned half, 4 mirrored top-bottom, 5 transposed, 6 needing a
// quarter turn clockwise, 7 transposed along the other diagonal, 8 needing a
// quarter turn anticlockwise.
func Orient(src Image, orientation int) Image {
	if orientation <= 1 || orientation > 8 {
		return src
	}
	o := orientation - 1
	h, w, c := src.H, src.W, src.C
	// The source pixel of (y, x) is at (y, x), or (x, y) when transposed,
	// counted from the far side in flipped directions.
	flipX := o == 1 || o == 2 || o == 6 || o == 7
	flipY := o == 2 || o == 3 || o == 5 || o == 6
	transposed := o >= 4
	out := reuse(nil, h, w, c)
	if transposed {
		out.H, out.W = w, h
	}
	for y := range out.H {
		for x := range out.W {
			sy, sx := y, x
			if transposed {
				sy, sx = x, y
			}
			if flipX {
				sx = w - 1 - sx
			}
			if flipY {
				sy = h - 1 - sy
			}
			copy(out.Pix[(y*out.W+x)*c:(y*out.W+x)*c+c], src.Pix[(sy*w+sx)*c:])
		}
	}
	return out
}
