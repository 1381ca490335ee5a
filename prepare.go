package effnet

import (
	"fmt"

	"effnet/arch"
	"effnet/imageprep"
)

// Preparer brings pictures to what a network expects.
type Preparer struct {
	Fit      imageprep.Fit
	norm     *imageprep.Normalizer
	channels int
}

// NewPreparer makes the preparer of s. Its errors say why pictures are not for s.
func NewPreparer(s *arch.Spec) (*Preparer, error) {
	if s.Channels != 1 && s.Channels != 3 {
		return nil, fmt.Errorf("%s takes images of %d channels; pictures have 1 or 3", s.Name, s.Channels)
	}
	if len(s.Prep.Mean) == 0 || len(s.Prep.Std) == 0 {
		return nil, fmt.Errorf("%s does not say how to normalise pixels: no preprocessing in its spec", s.Name)
	}
	p := &Preparer{Fit: imageprep.Fit{Size: s.Resolution, Crop: s.Prep.Crop, Squash: s.Prep.Squash, Filter: FilterOf(s.Prep.Filter)}, channels: s.Channels}
	if p.Fit.Crop == 0 {
		p.Fit.Crop = 1
	}
	var mean, std []float32
	for i := range s.Prep.Mean {
		mean, std = append(mean, float32(s.Prep.Mean[i])), append(std, float32(s.Prep.Std[i]))
	}
	p.norm = imageprep.NewNormalizer(mean, std)
	return p, nil
}

// FilterOf is a spec's filter as package imageprep has it; bicubic where a spec
// says none.
func FilterOf(f arch.Filter) imageprep.Filter {
	switch f {
	case arch.Bilinear:
		return imageprep.Bilinear
	case arch.TFBicubic:
		return imageprep.TFBicubic
	}
	return imageprep.Bicubic
}

// FromNCHW reorders a prepared picture of other programs, src [C, pixels], to dst
// [pixels, C], as [Model.Run] wants it.
func FromNCHW(dst, src []float32, pixels, c int) {
	for k := range c {
		for i, v := range src[k*pixels:][:pixels] {
			dst[i*c+k] = v
		}
	}
}

// Elems is the number of values of one picture.
func (p *Preparer) Elems() int { return p.Fit.Size * p.Fit.Size * p.channels }

// Apply writes im to x [H,W,C].
func (p *Preparer) Apply(x []float32, im imageprep.Image) {
	var b imageprep.FitBuffers
	p.norm.Apply(x, p.Fit.Apply(&b, imageprep.Convert(nil, im, p.channels)))
}
