package main

// Constants of activations are in the last registers, one in all lanes or four
// of them.
const (
	neonMin, neonMax   = vec(31), vec(30) // expMin, expMax
	neonMagic, neonOne = vec(29), vec(28)
	neonC2, neonC4     = vec(27), vec(26)
	neonC1356          = vec(25)
	neonLog2e          = vec(24) // the two parts of -log2(e)

	neonZero, neonSix      = vec(31), vec(30)
	neonMinus3, neonThree  = vec(29), vec(27)
	neonHalf, neonFraction = vec(26), vec(25) // 1/2; 1/6 and 1/3
)

func all(x float32) [4]float32 { return [4]float32{x, x, x, x} }

// holdAct loads the constants of an activation and its derivative.
func (a *neon) holdAct(act int) {
	switch act {
	case relu, relu6:
		a.loadConsts(map[vec][4]float32{neonZero: all(0), neonSix: all(6)})
	case swish, sigmoid:
		p := exp2Poly
		a.loadConsts(map[vec][4]float32{
			neonMin: all(expMin), neonMax: all(expMax), neonMagic: all(expMagic), neonOne: all(p[0]),
			neonC2: all(p[2]), neonC4: all(p[4]), neonC1356: {p[1], p[3], p[5], p[6]}, neonLog2e: {-log2eHi, -log2eLo},
		})
	case hardSwish, hardSigmoid:
		a.loadConsts(map[vec][4]float32{
			neonZero: all(0), neonSix: all(6), neonMinus3: all(-3), neonThree: all(3),
			neonOne: all(1), neonHalf: all(0.5), neonFraction: {1. / 6, 1. / 3},
		})
	}
}

// expNeg1 computes t[2] = 1 + exp(-t[0]) for t[0] in [expMin, expMax] or NaN.
func (a *neon) expNeg1(t [6]vec) {
	n, f, square := t[1], t[2], t[0]
	a.mov(n, neonMagic)
	a.by("fmla", n, t[0], neonLog2e, 0)
	a.op("fsub", f, neonMagic, n) // minus the integer n
	a.by("fmla", f, t[0], neonLog2e, 0)
	a.by("fmla", f, t[0], neonLog2e, 1)
	// The polynomial of f as one of its square, to wait for less.
	low, mid, high := t[5], t[4], t[3]
	a.op("fmul", square, f, f)
	a.mov(high, neonC4)
	a.by("fmla", high, f, neonC1356, 2)
	a.by("fmla", high, square, neonC1356, 3)
	a.mov(mid, neonC2)
	a.by("fmla", mid, f, neonC1356, 1)
	a.fma(mid, square, high)
	a.mov(low, neonOne)
	a.by("fmla", low, f, neonC1356, 0)
	a.fma(low, square, mid)
	a.ins("VSHL", 23, s4(n), s4(n)) // the float 2^n
	a.mov(t[2], neonOne)
	a.fma(t[2], low, n)
}

// act replaces z by its activation.
func (a *neon) act(act int, z vec, t [6]vec) {
	switch act {
	case relu, relu6:
		a.op("fmax", z, z, neonZero)
		if act == relu6 {
			a.op("fmin", z, z, neonSix)
		}
	case swish:
		a.op("fmax", z, z, neonMin)
		a.op("fmin", t[0], z, neonMax)
		a.expNeg1(t)
		a.op("fdiv", z, z, t[2])
	case sigmoid:
		a.op("fmax", t[0], z, neonMin)
		a.op("fmin", t[0], t[0], neonMax)
		a.expNeg1(t)
		a.op("fdiv", z, neonOne, t[2])
	case hardSwish, hardSigmoid:
		a.op("fadd", t[0], z, neonThree)
		a.op("fmax", t[0], t[0], neonZero)
		a.op("fmin", t[0], t[0], neonSix)
		if act == hardSigmoid {
			a.by("fmul", z, t[0], neonFraction, 0)
			return
		}
		a.by("fmul", t[0], t[0], neonFraction, 0)
		a.op("fmul", z, z, t[0])
	}
}

// actGrad multiplies g by the derivative of the activation at z, which is
// overwritten.
func (a *neon) actGrad(act int, g, z vec, t [6]vec) {
	// keep leaves g where x > y, and 0 elsewhere.
	keep := func(x, y vec) {
		a.op("fcmgt", t[0], x, y)
		a.bits("VAND", g, g, t[0])
	}
	switch act {
	case relu, relu6:
		keep(z, neonZero)
		if act == relu6 {
			keep(neonSix, z)
		}
	case swish, sigmoid:
		a.op("fmax", z, z, neonMin)
		a.op("fmin", z, z, neonMax)
		a.mov(t[0], z)
		a.expNeg1(t)
		s, d := t[2], t[0]
		a.op("fdiv", s, neonOne, s)
		a.op("fsub", d, neonOne, s)
		if act == swish {
			a.mov(t[1], neonOne)
			a.fma(t[1], z, d)
			d = t[1]
		}
		a.op("fmul", d, d, s)
		a.op("fmul", g, g, d)
	case hardSwish:
		// Of 1 and z/3 + 1/2 the one that holds at z, or 0 below both.
		slope, one := t[1], t[2]
		a.mov(slope, neonHalf)
		a.by("fmla", slope, z, neonFraction, 1)
		a.mov(one, neonOne)
		a.op("fcmgt", t[0], neonThree, z)
		a.bits("VBIT", one, slope, t[0])
		a.op("fmul", g, g, one)
		keep(z, neonMinus3)
	case hardSigmoid:
		a.by("fmul", g, g, neonFraction, 0)
		keep(z, neonMinus3)
		keep(neonThree, z)
	}
}
