package imageprep

import (
	"bytes"

	"github.com/bep/imagemeta"
)

// orientation reads the EXIF orientation, 1 to 8; 1 when there is none or it
// makes no sense.
func orientation(data []byte, format string) int {
	var f imagemeta.ImageFormat
	var mark string
	switch format {
	case "JPEG":
		f, mark = imagemeta.JPEG, "Exif\x00\x00"
	case "PNG":
		f, mark = imagemeta.PNG, "eXIf"
	case "WebP":
		f, mark = imagemeta.WebP, "EXIF"
	default:
		return 1
	}
	if !bytes.Contains(data, []byte(mark)) {
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
