// Package imageprep prepares one image for a network: decode it safely,
// orient, convert, resize, crop, flip and normalise.
//
// Pixels stay 8-bit until the very last step, and every step on them follows
// Pillow's integer arithmetic bit for bit, because that is what the reference
// weights were trained and measured with.
package imageprep

// Image is 8-bit pixels [H,W,C], rows from the top, channels innermost: C is
// 1 (grey) or 3 (red, green, blue). Callers must not write to Pix of an image
// they did not make.
type Image struct {
	Pix     []byte
	H, W, C int
}

// Limits bound the work that one untrusted image may cause. Zero fields mean
// the default.
type Limits struct {
	MaxBytes  int64 // encoded size; 64 MiB
	MaxPixels int64 // width times height; 64 Mi
	MaxScans  int   // scans of a JPEG; 64
}
