package main

import "math"

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
	swishDivide // those of AVX-512 with a division
	sigmoidDivide
)

// divided are the activations that have a kind with a division.
var divided = map[int]int{swish: swishDivide, sigmoid: sigmoidDivide}

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

// With AVX-512 a table of 32 powers is a single instruction: exp(-z) =
// 2^e 2^(k/32) 2^(f/32) with 32e+k the integer nearest to t = -32 z log2(e), k in
// [0,32) and |f| <= 1/2. Adding expMagic512 to t leaves 32e+k in the low bits of
// the sum, which shifted up by 18 is e in the place of an exponent and k below
// it; the table makes up for that k.
const (
	expScale512 = -32 * 1.4426950408889634
	expMagic512 = 3 << 22
	expMin512   = -87 // below, 1/(1 + exp(-z)) is not normal
	expMax512   = 40  // above, 1 + exp(-z) is 1
)

// exp2Poly512 is 2^(f/32).
var exp2Poly512 = []float32{1, 0.021661168673, 0.00023460126788708721}

// exp2Table are the bits of 2^(k/32) less k<<18.
var exp2Table = func() (t [32]uint32) {
	for k := range t {
		t[k] = math.Float32bits(float32(math.Exp2(float64(k)/32))) - uint32(k)<<18
	}
	return t
}()

// actConstants are the constants of an activation and its derivative.
func actConstants(act int) []float32 {
	switch act {
	case relu, relu6:
		return []float32{0, 6}
	case swish, sigmoid:
		return append([]float32{expMin512, expMax512, expScale512, expMagic512}, exp2Poly512...) // for the many registers of AVX-512
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

// cut512 cuts z to the range of den512 from below, and into both from both sides.
func (a *asm) cut512(z, both, tmp vec) {
	a.ins("VMAXPS", z, a.kreg(expMin512, tmp), z)
	a.ins("VMINPS", z, a.kreg(expMax512, tmp), both)
}

// den512 computes d = 1 + exp(-z) for z in [expMin512, expMax512] or NaN.
// z, n and m are overwritten.
func (a *asm) den512(z, n, m, d vec) {
	a.insk("VMULPS", expScale512, z, z)
	a.insk("VADDPS", expMagic512, z, n)
	a.insk("VSUBPS", expMagic512, n, m) // the integer 32e+k
	a.ins("VSUBPS", m, z, z)
	a.ins("VPSLLD", 18, n, m)
	a.lookup(n, d)
	a.ins("VPADDD", m, n, n) // the float 2^e 2^(k/32)
	a.ins("VMOVUPS", a.k(exp2Poly512[2]), d)
	a.insk("VFMADD213PS", exp2Poly512[1], z, d)
	a.insk("VFMADD213PS", exp2Poly512[0], z, d)
	a.insk("VFMADD213PS", 1, n, d)
}

// sigmoid512 computes s = 1/(1 + exp(-z)) for z as in den512, by a division or
// by a first guess and a step of Newton's. z and t are overwritten; s may be t[0].
func (a *asm) sigmoid512(divide bool, z, s vec, t [3]vec) {
	d := t[2]
	a.den512(z, t[0], t[1], d)
	if divide {
		a.ins("VDIVPS", d, a.kreg(1, s), s)
		return
	}
	a.ins("VRCP14PS", d, s)
	a.insk("VFNMADD213PS", 1, s, d)
	a.ins("VFMADD231PS", d, s, s)
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
	case swish, sigmoid, swishDivide, sigmoidDivide:
		if a.kmask {
			cut := t[0]
			a.cut512(z, cut, t[1])
			switch act {
			case swish:
				a.sigmoid512(false, cut, t[1], [3]vec(t[1:]))
				a.ins("VMULPS", t[1], z, z)
			case swishDivide:
				a.den512(cut, t[1], t[2], t[3])
				a.ins("VDIVPS", t[3], z, z)
			default:
				a.sigmoid512(act == sigmoidDivide, cut, z, [3]vec(t[1:]))
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

// slope puts the derivative of swish or sigmoid at z into z. t is overwritten.
func (a *asm) slope(act int, z vec, t [4]vec) {
	s := t[1]
	if a.kmask {
		a.cut512(z, z, s) // from above, too: not an infinity times 0
		a.ins("VMOVAPS", z, t[0])
		a.sigmoid512(act > acts, t[0], s, [3]vec(t[1:]))
	} else {
		a.clamp(z, z, z, s)
		a.expNeg1(z, s, t[2], t[3])
		a.ins("VDIVPS", s, a.kreg(1, t[2]), s)
	}
	one := a.kreg(1, t[2])
	a.ins("VSUBPS", s, one, t[0]) // 1 - s
	if act == swish || act == swishDivide {
		a.ins("VFMADD213PS", one, t[0], z)
		a.ins("VMULPS", s, z, z)
	} else {
		a.ins("VMULPS", s, t[0], z)
	}
}

// actGrad multiplies g by the derivative, other than slope's, of the activation
// at z, which is overwritten.
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
