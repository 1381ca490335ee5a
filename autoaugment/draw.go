package autoaugment

// Kind is an operation on an image.
type Kind uint8

// The operations, and what Op.Arg is for each.
const (
	AutoContrast Kind = iota // -
	Equalize                 // -
	Invert                   // -
	Rotate                   // degrees, counterclockwise
	Posterize                // bits to keep, 0 or more
	Solarize                 // least value that is inverted, 0 to 256
	SolarizeAdd              // what is added to values below 128
	Color                    // factor: 0 grey, 1 the image
	Contrast                 // factor
	Brightness               // factor
	Sharpness                // factor
	ShearX                   // tangent of the angle
	ShearY                   // tangent of the angle
	TranslateX               // share of the width, to the left
	TranslateY               // share of the height, up
	kinds
)

var kindNames = [kinds]string{
	"AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "SolarizeAdd", "Color", "Contrast", "Brightness", "Sharpness",
	"ShearX", "ShearY", "TranslateX", "TranslateY",
}

func (k Kind) String() string { return kindNames[k] }

// moves reports whether the operation moves pixels, so that it interpolates.
func (k Kind) moves() bool {
	return k == Rotate || k >= ShearX
}

// Op is an operation to do.
type Op struct {
	Kind    Kind
	Arg     float64
	Bicubic bool // how an operation that moves pixels interpolates; else bilinear
}

// Rand is where a policy's choices come from; *math/rand/v2.Rand is one.
type Rand interface {
	Float64() float64     // in [0,1)
	IntN(n int) int       // in [0,n)
	NormFloat64() float64 // standard normal
}

// step is an operation of a policy with its probability and magnitude.
type step struct {
	kind      Kind
	prob      float64
	magnitude float64
}

// v0 is the ImageNet policy in the training code of EfficientNet: one of the
// pairs is drawn for an image.
var v0 = [...][2]step{
	{{Equalize, 0.8, 1}, {ShearY, 0.8, 4}},
	{{Color, 0.4, 9}, {Equalize, 0.6, 3}},
	{{Color, 0.4, 1}, {Rotate, 0.6, 8}},
	{{Solarize, 0.8, 3}, {Equalize, 0.4, 7}},
	{{Solarize, 0.4, 2}, {Solarize, 0.6, 2}},
	{{Color, 0.2, 0}, {Equalize, 0.8, 8}},
	{{Equalize, 0.4, 8}, {SolarizeAdd, 0.8, 3}},
	{{ShearX, 0.2, 9}, {Rotate, 0.6, 8}},
	{{Color, 0.6, 1}, {Equalize, 1, 2}},
	{{Invert, 0.4, 9}, {Rotate, 0.6, 0}},
	{{Equalize, 1, 9}, {ShearY, 0.6, 3}},
	{{Color, 0.4, 7}, {Equalize, 0.6, 0}},
	{{Posterize, 0.4, 6}, {AutoContrast, 0.4, 7}},
	{{Solarize, 0.6, 8}, {Color, 0.6, 9}},
	{{Solarize, 0.2, 4}, {Rotate, 0.8, 9}},
	{{Rotate, 1, 7}, {TranslateY, 0.8, 9}},
	{{ShearX, 0, 0}, {Solarize, 0.8, 4}},
	{{ShearY, 0.8, 0}, {Color, 0.6, 4}},
	{{Color, 1, 0}, {Rotate, 0.6, 2}},
	{{Equalize, 0.8, 4}, {Equalize, 0, 8}},
	{{Equalize, 1, 4}, {AutoContrast, 0.6, 2}},
	{{ShearY, 0.4, 7}, {SolarizeAdd, 0.6, 7}},
	{{Posterize, 0.8, 2}, {Solarize, 0.6, 10}},
	{{Solarize, 0.6, 8}, {Equalize, 0.6, 1}},
	{{Color, 0.8, 6}, {Rotate, 0.4, 5}},
}

// Draw appends to ops what the policy does to one image.
func (p Policy) Draw(ops []Op, r Rand) []Op {
	switch p.kind {
	case autoV0:
		for _, s := range v0[r.IntN(len(v0))] {
			ops = p.draw(ops, s, r)
		}
	case random:
		for range p.layers {
			ops = p.draw(ops, step{Kind(r.IntN(int(kinds))), p.prob, float64(p.magnitude)}, r)
		}
	}
	return ops
}

// draw appends the operation of one step, or nothing.
func (p Policy) draw(ops []Op, s step, r Rand) []Op {
	if r.Float64() >= s.prob {
		return ops
	}
	m := s.magnitude
	switch {
	case p.std > uniformStd:
		m *= r.Float64()
	case p.std > 0:
		m += float64(p.std * r.NormFloat64())
	}
	op := Op{Kind: s.kind}
	op.Arg = p.argument(s.kind, min(max(m, 0), float64(p.max)), r)
	if op.Kind.moves() {
		op.Bicubic = r.Float64() < 0.5
	}
	return append(ops, op)
}

// argument is what an operation of magnitude m, 0 to 10 and more, is called
// with. These are timm's ranges.
func (p Policy) argument(k Kind, m float64, r Rand) float64 {
	level := m / levels
	either := func(v float64) float64 { // to one side or the other
		if r.Float64() < 0.5 {
			return -v
		}
		return v
	}
	switch k {
	case Rotate:
		return either(level * 30)
	case Posterize: // without inc fewer bits at low magnitudes
		bits := int(level * 4)
		if p.increasing {
			bits = max(4-bits, 0)
		}
		return float64(bits)
	case Solarize: // without inc more at low magnitudes
		threshold := min(int(level*256), 256)
		if p.increasing {
			threshold = 256 - threshold
		}
		return float64(threshold)
	case SolarizeAdd:
		return float64(min(int(level*110), 128))
	case Color, Contrast, Brightness, Sharpness:
		if p.increasing {
			return max(0.1, 1+either(level*0.9))
		}
		return float64(level*1.8) + 0.1
	case ShearX, ShearY:
		return either(level * 0.3)
	case TranslateX, TranslateY:
		return either(level * 0.45)
	}
	return 0
}
