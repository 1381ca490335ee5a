package dataset

import (
	"math"

	"effnet/autoaugment"
	"effnet/imageprep"
)

// policyBuffers are what a policy needs from image to image.
type policyBuffers struct {
	ops []autoaugment.Op
	pix [2][]byte // results, by turns
	rng rng
}

// apply returns im after what p draws from r, in the buffers' storage.
func (b *policyBuffers) apply(p autoaugment.Policy, im imageprep.Image, fill [3]byte, r rng) imageprep.Image {
	b.rng = r
	b.ops = p.Draw(b.ops[:0], &b.rng)
	for i, op := range b.ops {
		dst := &b.pix[i%2]
		im = applyOp(*dst, im, op, fill)
		*dst = im.Pix
	}
	return im
}

// applyOp does op to src.
func applyOp(dst []byte, src imageprep.Image, op autoaugment.Op, fill [3]byte) imageprep.Image {
	f := imageprep.Bilinear
	if op.Bicubic {
		f = imageprep.Bicubic
	}
	switch op.Kind {
	case autoaugment.AutoContrast:
		return imageprep.AutoContrast(dst, src)
	case autoaugment.Equalize:
		return imageprep.Equalize(dst, src)
	case autoaugment.Invert:
		return imageprep.Invert(dst, src)
	case autoaugment.Rotate:
		return imageprep.Rotate(dst, src, op.Arg, f, fill)
	case autoaugment.Posterize:
		return imageprep.Posterize(dst, src, int(op.Arg))
	case autoaugment.Solarize:
		return imageprep.Solarize(dst, src, int(op.Arg))
	case autoaugment.SolarizeAdd:
		return imageprep.SolarizeAdd(dst, src, int(op.Arg))
	case autoaugment.Color:
		return imageprep.Color(dst, src, op.Arg)
	case autoaugment.Contrast:
		return imageprep.Contrast(dst, src, op.Arg)
	case autoaugment.Brightness:
		return imageprep.Brightness(dst, src, op.Arg)
	case autoaugment.Sharpness:
		return imageprep.Sharpness(dst, src, op.Arg)
	case autoaugment.ShearX:
		return imageprep.ShearX(dst, src, op.Arg, f, fill)
	case autoaugment.ShearY:
		return imageprep.ShearY(dst, src, op.Arg, f, fill)
	case autoaugment.TranslateX:
		return imageprep.TranslateX(dst, src, op.Arg*float64(src.W), f, fill)
	case autoaugment.TranslateY:
		return imageprep.TranslateY(dst, src, op.Arg*float64(src.H), f, fill)
	}
	panic("dataset: no such operation: " + op.Kind.String())
}

// fillOf is the colour of mean, of pixels in [0,1] by channel; nil: grey.
func fillOf(mean []float32) [3]byte {
	fill := [3]byte{128, 128, 128}
	for c, m := range mean {
		fill[c] = byte(math.RoundToEven(min(max(float64(m), 0), 1) * 255))
	}
	return fill
}
