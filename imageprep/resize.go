package imageprep

// Filter is an interpolation kernel.
type Filter uint8

const (
	Bilinear Filter = iota // triangle, support 1
	Bicubic                // cubic convolution with a = -0.5, support 2
)
