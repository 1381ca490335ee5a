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

// The exponential of NEON is exp(-z) = 2^n 2^f with n the integer nearest to
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

// On amd64 an instruction looks powers up in a table. Adding tableMagic to a
// float leaves the nearest integer in the low bits of the sum.
const (
	tableMagic = 3 << 22
	tableMin   = -87 // below, 1/(1 + exp(-z)) is not normal
	tableMax   = 40  // above, 1 + exp(-z) is 1
)

// With AVX-512 the table has 32 powers: exp(-z) = 2^e 2^(k/32) 2^(f/32) with
// 32e+k the integer nearest to t = -32 z log2(e), k in [0,32) and |f| <= 1/2.
// That integer, shifted up by 18, is e in the place of an exponent and k below
// it; the table makes up for that k.
const expScale512 = -32 * 1.4426950408889634

// exp2Poly512 is 2^(f/32).
var exp2Poly512 = []float32{1, 0.021661168673, 0.00023460126788708721}

// exp2Table are the bits of 2^(k/32) less k<<18.
var exp2Table = func() (t [32]uint32) {
	for k := range t {
		t[k] = math.Float32bits(float32(math.Exp2(float64(k)/32))) - uint32(k)<<18
	}
	return t
}()

// With AVX2 it has eight: exp(-z) = 2^-e 2^(-k/8) exp(r) with 8e+k the integer
// nearest to 8 z log2(e), k in [0,8), and r = (8e+k) log(2)/8 - z. log(2)/8 in
// two parts keeps r exact.
const (
	expScale8 = 8 * 1.4426950408889634
	ln2Hi8    = 0.0866433978
	ln2Lo8    = -2.38081777e-10
	slopeMin8 = -80 // where z exp(-z) is finite
)

// expPoly8 is exp(r) for |r| <= log(2)/16, but for the terms 1 + r.
var expPoly8 = []float32{0.500064605, 0.1666685955}

// expTable8 are the bits of 2^(-k/8) and k<<20.
var expTable8 = func() (t [8]uint32) {
	for k := range t {
		t[k] = math.Float32bits(float32(math.Exp2(-float64(k)/8))) + uint32(k)<<20
	}
	return t
}()

// actConstants are the constants of an activation and its derivative.
func actConstants(act int) []float32 {
	switch act {
	case relu, relu6:
		return []float32{0, 6}
	case swish, sigmoid:
		return append([]float32{tableMin, tableMax, expScale512, tableMagic}, exp2Poly512...) // for the many registers of AVX-512
	case hardSwish, hardSigmoid:
		return []float32{-3, 3, 0, 6, 1. / 6, 1. / 3, 0.5, 1}
	}
	return nil
}

// clamp puts z, cut to at least lo, into low, and cut to at most tableMax, too,
// into both. Of two operands, the second comes out of a maximum or minimum if
// one is NaN.
func (a *asm) clamp(lo float32, z, low, both, tmp vec) {
	a.ins("VMAXPS", z, a.kreg(lo, tmp), low)
	a.ins("VMINPS", low, a.kreg(tableMax, tmp), both)
}

// exp8 computes exp(-z) = p + p q for z in [tableMin, tableMax] or NaN. It keeps
// no more of log(2)/8 than its high part if that will do. z is overwritten.
func (a *asm) exp8(exact bool, z, p, q vec) {
	n, r := q, z
	a.ins("VMOVUPS", a.k(expScale8), p)
	a.ins("VFMADD213PS", a.k(tableMagic), z, p)
	a.ins("VSUBPS", a.k(tableMagic), p, n) // the integer 8e+k
	a.ins("VFMSUB231PS", a.k(ln2Hi8), n, r)
	if exact {
		a.ins("VFMADD231PS", a.k(ln2Lo8), n, r)
	}
	a.ins("VPERMPS", "exptable8<>+0(SB)", p, n) // minds the low three bits
	a.ins("VPSLLD", 20, p, p)
	a.ins("VPSUBD", p, n, p) // the float 2^-e 2^(-k/8)
	a.ins("VMOVUPS", a.k(expPoly8[1]), q)
	a.ins("VFMADD213PS", a.k(expPoly8[0]), r, q)
	a.ins("VFMADD213PS", a.k(1), r, q)
	a.ins("VMULPS", q, r, q)
}

// den8 computes d = 1 + exp(-z) for z as in exp8. z and t are overwritten.
func (a *asm) den8(z, d, t vec) {
	a.exp8(true, z, d, t)
	a.ins("VFMADD213PS", a.k(1), d, t) // in this order p q, which is small, is rounded least
	a.ins("VADDPS", t, d, d)
}

// cut512 cuts z to the range of den512 from below, and into both from both sides.
func (a *asm) cut512(z, both, tmp vec) {
	a.ins("VMAXPS", z, a.kreg(tableMin, tmp), z)
	a.ins("VMINPS", z, a.kreg(tableMax, tmp), both)
}

// den512 computes d = 1 + exp(-z) for z in [tableMin, tableMax] or NaN.
// z, n and m are overwritten.
func (a *asm) den512(z, n, m, d vec) {
	a.insk("VMULPS", expScale512, z, z)
	a.insk("VADDPS", tableMagic, z, n)
	a.insk("VSUBPS", tableMagic, n, m) // the integer 32e+k
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
			a.clamp(tableMin, z, z, z, t[1])
			a.den8(z, t[1], t[2])
			a.ins("VDIVPS", t[1], a.kreg(1, z), z)
			return
		}
		a.clamp(tableMin, z, z, t[0], t[1])
		a.den8(t[0], t[1], t[2])
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

// swishParts replaces z by swish(z), and gives s = sigmoid(z) and 1 - s in registers
// of t, of which another is free: swish'(z) = s + swish(z) (1 - s).
func (a *asm) swishParts(act int, z vec, t []vec) (s, rest, free vec) {
	if a.kmask {
		s, rest, free = t[1], t[2], t[0]
		a.cut512(z, free, s)
		a.sigmoid512(act == swishDivide, free, s, [3]vec(t[1:]))
	} else {
		s, rest, free = t[0], t[1], t[2]
		a.clamp(tableMin, z, z, s, free)
		a.den8(s, rest, free)
		a.ins("VDIVPS", rest, a.kreg(1, s), s)
	}
	a.ins("VMULPS", s, z, z)
	a.ins("VSUBPS", s, a.kreg(1, rest), rest)
	return s, rest, free
}

// slope512 puts the derivative of swish or sigmoid at z into z. t is overwritten.
func (a *asm) slope512(act int, z vec, t [4]vec) {
	s := t[1]
	a.cut512(z, z, s) // from above, too: not an infinity times 0
	a.ins("VMOVAPS", z, t[0])
	a.sigmoid512(act > acts, t[0], s, [3]vec(t[1:]))
	one := a.kreg(1, t[2])
	a.ins("VSUBPS", s, one, t[0]) // 1 - s
	if act == swish || act == swishDivide {
		a.ins("VFMADD213PS", one, t[0], z)
		a.ins("VMULPS", s, z, z)
	} else {
		a.ins("VMULPS", s, t[0], z)
	}
}

// slope8 computes the derivative of swish or sigmoid at z as a product, one factor in
// t[1], the other in t[2]: of s = 1/d, d = 1 + e and e = exp(-z), which says
// 1 - s = e s before the division is done. z and t are overwritten.
func (a *asm) slope8(act int, z vec, t []vec) {
	r, e, s := t[0], t[1], t[2]
	a.clamp(slopeMin8, z, r, r, s)
	if act == swish {
		a.ins("VMOVAPS", r, z)
	}
	a.exp8(false, r, s, e)
	a.ins("VFMADD213PS", s, s, e)
	one := a.kreg(1, r)
	a.ins("VADDPS", e, one, s)
	if act == swish {
		a.ins("VMULPS", z, e, e)
	}
	a.ins("VDIVPS", s, one, s)
	if act == swish {
		a.ins("VFMADD213PS", one, s, e)
	} else {
		a.ins("VMULPS", s, e, e)
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
