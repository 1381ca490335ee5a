package main

// Activations, in the order of kernel.Act.
const (
	identity = iota
	relu
	relu6
	swish
	sigmoid
	hardSwish
	hardSigmoid
	acts
	swishDivide // swish of AVX-512 with a division
)

// The exponential is exp(-z) = 2^n 2^f with n the integer nearest to
// t = -z log2(e) and f = t - n, |f| <= 1/2. Adding expMagic to t leaves n + 127
// in the low bits of the sum, which shifted up is the float 2^n; log2(e) in two
// parts keeps f exact; 2^f is a polynomial of least maximal relative error.
// The same numbers stand in act.go of package kernel.
const (
	log2eHi  = 1.442695
	log2eLo  = 1.925963e-08
	expMagic = 3<<22 + 127
	expMin   = -89 // below, exp(-z) is +Inf for us
	expMax   = 88  // above, 1 + exp(-z) is 1
)

var exp2Poly = []float32{1, 0.6931472, 0.24022648, 0.05550332, 0.009618439, 0.0013399004, 0.00015353254}

// With AVX-512 there are instructions for the fraction of t counted from below,
// 0 <= f < 1, for multiplying with 2^n, and for a first guess at a reciprocal.
const expMin512 = -87 // below, 1/(1 + exp(-z)) is not normal

var exp2Poly512 = []float32{1, 0.6931513, 0.24016444, 0.055799913, 0.009017030, 0.0018671301}

// actConstants are the constants of an activation and its derivative.
func actConstants(act int) []float32 {
	switch act {
	case relu, relu6:
		return []float32{0, 6}
	case swish, sigmoid:
		return append([]float32{-log2eHi, expMin512, expMax}, exp2Poly512...) // for the many registers of AVX-512
	case hardSwish, hardSigmoid:
		return []float32{-3, 3, 0, 6, 1. / 6, 1. / 3, 0.5, 1}
	}
	return nil
}

// expNeg1 computes den = 1 + exp(-z) for z in [expMin, expMax] or NaN.
// z is kept; f and n are overwritten.
func (a *asm) expNeg1(z, den, f, n vec) {
	a.ins("VMOVUPS", a.k(-log2eHi), n)
	a.ins("VMOVAPS", n, f)
	a.ins("VFMADD213PS", a.k(expMagic), z, n)
	a.ins("VSUBPS", a.k(expMagic), n, den) // the integer n
	a.ins("VFMSUB213PS", den, z, f)
	a.ins("VFMADD231PS", a.k(-log2eLo), z, f)
	a.ins("VMOVUPS", a.k(exp2Poly[6]), den)
	for i := 5; i >= 0; i-- {
		a.ins("VFMADD213PS", a.k(exp2Poly[i]), f, den)
	}
	a.ins("VPSLLD", 23, n, n) // the float 2^n
	a.ins("VFMADD213PS", a.k(1), n, den)
}

// clamp puts z, cut to the range of the exponential from below, into low, and
// from both sides into both. Of two operands, the second comes out of a
// maximum or minimum if one is NaN.
func (a *asm) clamp(z, low, both, tmp vec) {
	a.ins("VMAXPS", z, a.kreg(expMin, tmp), low)
	a.ins("VMINPS", low, a.kreg(expMax, tmp), both)
}

// den512 cuts z to what is not below expMin512 and computes d = 1 + exp(-z).
// z, d, f and n are different.
func (a *asm) den512(z, d, f, n vec) {
	const below = 1 // rounding towards minus infinity
	a.ins("VMAXPS", z, a.kreg(expMin512, n), z)
	a.ins("VMULPS", a.k(-log2eHi), z, n)
	a.ins("VREDUCEPS", below, n, f)
	a.ins("VMOVUPS", a.k(exp2Poly512[5]), d)
	for i := 4; i >= 0; i-- {
		a.ins("VFMADD213PS", a.k(exp2Poly512[i]), f, d)
	}
	a.ins("VSCALEFPS", n, d, d)
	a.ins("VADDPS", a.k(1), d, d)
}

// sigmoid512 computes s = 1/(1 + exp(-z)) as den512 does, with a step of
// Newton's in place of a division.
func (a *asm) sigmoid512(z, s, f, n vec) {
	a.den512(z, f, s, n)
	a.ins("VRCP14PS", f, s)
	a.ins("VFNMADD213PS", a.k(1), s, f)
	a.ins("VFMADD231PS", f, s, s)
}

// swishes writes the code of swish, or that of both kinds, of which the bit
// divide of CX chooses one.
func (a *asm) swishes(divide int, emit func(act int)) {
	if !a.kmask {
		emit(swish)
		return
	}
	newton, done := a.label("newton"), a.label("done")
	a.ins("TESTL", divide, "CX")
	a.ins("JZ", newton)
	emit(swishDivide)
	a.ins("JMP", done)
	a.at(newton)
	emit(swish)
	a.at(done)
}

// act replaces z by its activation.
func (a *asm) act(act int, z vec, t [4]vec) {
	switch act {
	case relu, relu6:
		a.ins("VMAXPS", z, a.kreg(0, t[0]), z)
		if act == relu6 {
			a.ins("VMINPS", z, a.kreg(6, t[0]), z)
		}
	case swishDivide:
		a.den512(z, t[0], t[1], t[2])
		a.ins("VDIVPS", t[0], z, z)
	case swish, sigmoid:
		if a.kmask {
			a.sigmoid512(z, t[0], t[1], t[2])
			if act == swish {
				a.ins("VMULPS", t[0], z, z)
			} else {
				a.ins("VMOVAPS", t[0], z)
			}
			return
		}
		if act == sigmoid {
			a.clamp(z, z, z, t[1])
			a.expNeg1(z, t[1], t[2], t[3])
			a.ins("VDIVPS", t[1], a.kreg(1, z), z)
			return
		}
		a.clamp(z, z, t[0], t[1])
		a.expNeg1(t[0], t[1], t[2], t[3])
		a.ins("VDIVPS", t[1], z, z)
	case hardSwish, hardSigmoid:
		h := z
		if act == hardSwish {
			h = t[1]
		}
		a.ins("VADDPS", a.k(3), z, h)
		a.ins("VMAXPS", h, a.kreg(0, t[0]), h)
		a.ins("VMINPS", h, a.kreg(6, t[0]), h)
		a.ins("VMULPS", a.k(1./6), h, h)
		if act == hardSwish {
			a.ins("VMULPS", h, z, z)
		}
	}
}

// actGrad multiplies g by the derivative of the activation at z, which is
// overwritten.
func (a *asm) actGrad(act int, g, z vec, t [4]vec) {
	const gt, lt = 30, 17 // ordered, quiet
	switch act {
	case relu, relu6:
		if a.lanes == 16 {
			a.ins("VCMPPS", gt, a.kreg(0, t[0]), z, "K2")
			if act == relu6 {
				a.ins("VCMPPS", lt, a.kreg(6, t[0]), z, "K2", "K2")
			}
			a.ins("VMOVAPS.Z", g, "K2", g)
			return
		}
		a.ins("VCMPPS", gt, a.k(0), z, t[0])
		a.ins("VANDPS", t[0], g, g)
		if act == relu6 {
			a.ins("VCMPPS", lt, a.k(6), z, t[0])
			a.ins("VANDPS", t[0], g, g)
		}
	case swish, sigmoid:
		var one vec
		if a.kmask {
			a.sigmoid512(z, t[1], t[0], t[2])
			a.ins("VMINPS", z, a.kreg(expMax, t[2]), z) // not an infinity times 0
			one = a.kreg(1, t[2])
		} else {
			a.clamp(z, z, z, t[1])
			a.expNeg1(z, t[1], t[2], t[3])
			one = a.kreg(1, t[2])
			a.ins("VDIVPS", t[1], one, t[1]) // s
		}
		a.ins("VSUBPS", t[1], one, t[0]) // 1 - s
		if act == swish {
			a.ins("VFMADD213PS", one, z, t[0])
		}
		a.ins("VMULPS", t[1], t[0], t[0])
		a.ins("VMULPS", t[0], g, g)
	case hardSwish:
		// Of 1 and z/3 + 1/2 the one that holds at z, or 0 below both.
		slope, one := t[0], t[1]
		a.ins("VMOVUPS", a.k(0.5), slope)
		a.ins("VFMADD231PS", a.k(1./3), z, slope)
		a.ins("VMOVUPS", a.k(1), one)
		if a.lanes == 16 {
			a.ins("VCMPPS", lt, a.kreg(3, t[2]), z, "K2")
			a.ins("VMOVAPS", slope, "K2", one)
			a.ins("VCMPPS", gt, a.kreg(-3, t[2]), z, "K2")
			a.ins("VMULPS.Z", one, g, "K2", g)
			return
		}
		a.ins("VCMPPS", lt, a.k(3), z, t[2])
		a.ins("VBLENDVPS", t[2], slope, one, one)
		a.ins("VMULPS", one, g, g)
		a.ins("VCMPPS", gt, a.k(-3), z, t[2])
		a.ins("VANDPS", t[2], g, g)
	case hardSigmoid:
		a.ins("VMULPS", a.k(1./6), g, g)
		if a.lanes == 16 {
			a.ins("VCMPPS", gt, a.kreg(-3, t[0]), z, "K2")
			a.ins("VCMPPS", lt, a.kreg(3, t[0]), z, "K2", "K2")
			a.ins("VMOVAPS.Z", g, "K2", g)
			return
		}
		for _, side := range []struct {
			cmp int
			x   float32
		}{{gt, -3}, {lt, 3}} {
			a.ins("VCMPPS", side.cmp, a.k(side.x), z, t[0])
			a.ins("VANDPS", t[0], g, g)
		}
	}
}
