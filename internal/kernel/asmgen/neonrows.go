package main

import "fmt"

// neonRowsFile writes the kernels over rows of channels for NEON: the loops of
// rowLoops with other bodies.
//
//	func rows(args *rowArgs)
func neonRowsFile() []byte {
	a := newNEON()
	a.fn("rows", []string{"args"}, nil)
	a.ins("MOVD", a.arg("args"), "R0")
	a.field("rowArgs", "op", "R1")
	var loops []neonLoop
	for i, l := range rowLoops {
		loops = append(loops, neonLoop{l, i})
	}
	choose(a.asm, "R1", 0, loops, func(l neonLoop) {
		a.comment("%s", l.name)
		l.emit(a)
	})
	return a.finish()
}

// A neonBody is the body of a rowLoop for NEON; constants of the activation are
// held.
type neonBody func(a *neon, cut tail, data []addr, r, t []vec)

// A neonLoop is a rowLoop and its operation.
type neonLoop struct {
	rowLoop
	op int
}

func (l neonLoop) body() neonBody {
	if l.op < 3*acts {
		return []func(act int) neonBody{neonScaleAct, neonActBackward, neonApply}[l.op/acts](l.act)
	}
	return neonBodies[l.name]
}

// The registers of a loop:
//
//	R0            args
//	R1 ...        data, coef, sum
//	R10 R11 R12   bytes of a row, twice, thrice that
//	R13           bytes of a row's whole vectors
//	R14           offset of the column
//	R15           rows left
func (l neonLoop) emit(a *neon) {
	n := 0
	for _, f := range []struct {
		field string
		n     int
	}{{"data", l.data}, {"coef", l.coef}, {"sum", l.sum}} {
		for i := range f.n {
			a.ins("MOVD", fmt.Sprintf("(rowArgs_%s+%d)(R0)", f.field, 8*i), neonRow(n))
			n++
		}
	}
	a.holdAct(l.act)
	if l.num > 0 {
		a.field("rowArgs", "num", "R10")
	}
	for i := range l.num {
		a.ins("VLD1R.P", "4(R10)", "["+s4(vec(l.coef+l.sum+i))+"]")
	}
	a.field("rowArgs", "n", "R13")
	a.ins("AND", 3, "R13", "R14")
	a.setCut("R14")
	a.ins("LSL", 2, "R13", "R10")
	a.ins("LSL", 1, "R10", "R11")
	a.ins("ADD", "R10", "R11", "R12")
	a.ins("AND", "$~15", "R10", "R13")
	a.field("rowArgs", "rows", "R15")

	four, one, rest, done := a.label("four"), a.label("one"), a.label("rest"), a.label("done")
	a.ins("SUBS", 4, "R15", "R15")
	a.ins("BLT", rest)
	a.at(four)
	l.group(a, 4)
	a.ins("SUBS", 4, "R15", "R15")
	a.ins("BGE", four)
	a.at(rest)
	a.ins("ADDS", 4, "R15", "R15")
	a.ins("BEQ", done)
	a.at(one)
	l.group(a, 1)
	a.ins("SUBS", 1, "R15", "R15")
	a.ins("BNE", one)
	a.at(done)
	a.ret()
}

// group walks the columns of some rows.
func (l neonLoop) group(a *neon, rows int) {
	column, cut, next := a.label("column"), a.label("cut"), a.label("next")
	a.ins("MOVD", 0, "R14")
	a.ins("CBZ", "R13", cut)
	a.at(column)
	l.column(a, rows, false)
	for i := range l.data {
		a.ins("ADD", 16, neonRow(i), neonRow(i))
	}
	a.ins("ADD", 16, "R14", "R14")
	a.ins("CMP", "R13", "R14")
	a.ins("BLT", column)
	a.at(cut)
	a.ins("CMP", "R10", "R13")
	a.ins("BEQ", next)
	l.column(a, rows, true)
	a.at(next)
	a.ins("SUB", "R13", "R10", "R14")
	if rows == 4 {
		a.ins("ADD", "R12", "R14")
	}
	for i := range l.data {
		a.ins("ADD", "R14", neonRow(i))
	}
}

func (l neonLoop) column(a *neon, rows int, cut tail) {
	nc, ns := l.coef, l.sum
	channel := func(i int) addr { return addr{base: neonRow(l.data + i), index: "R14"} }
	for i := range nc + ns {
		a.load(cut, channel(i), vec(i))
	}
	var regs, free []vec
	for i := range neonLog2e { // the first that may hold a constant
		if int(i) < nc+ns+l.num {
			regs = append(regs, i)
		} else {
			free = append(free, i)
		}
	}
	for r := range rows {
		var data []addr
		for i := range l.data {
			data = append(data, addr{base: neonRow(i), index: []string{"", "R10", "R11", "R12"}[r]})
		}
		l.body()(a, cut, data, regs, free)
	}
	for i := nc; i < nc+ns; i++ {
		a.store(cut, vec(i), channel(i))
	}
}

// dst, src; scale, shift
func neonScaleAct(act int) neonBody {
	return func(a *neon, cut tail, data []addr, r, t []vec) {
		x, z := t[0], t[1]
		a.load(cut, data[1], x)
		a.mov(z, r[1])
		a.fma(z, x, r[0])
		a.act(act, z, [6]vec(t[2:]))
		a.store(cut, z, data[0])
	}
}

// g, dz, y; scale, shift, center; sumG, sumGY
func neonActBackward(act int) neonBody {
	return func(a *neon, cut tail, data []addr, r, t []vec) {
		g, y, z := t[0], t[1], t[2]
		a.load(cut, data[1], g)
		a.load(cut, data[2], y)
		if act != identity {
			a.mov(z, r[1])
			a.fma(z, y, r[0])
			a.actGrad(act, g, z, [6]vec(t[3:]))
		}
		neonGradSums(a, g, y, r[2:])
		a.store(cut, g, data[0])
	}
}

// neonGradSums adds g and g*(y-center) to sums; r are center, sumG, sumGY. It
// overwrites y.
func neonGradSums(a *neon, g, y vec, r []vec) {
	a.op("fsub", y, y, r[0])
	a.op("fadd", r[1], r[1], g)
	a.fma(r[2], y, g)
}

// dst, src
func neonApply(act int) neonBody {
	return func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[1], t[0])
		a.act(act, t[0], [6]vec(t[1:]))
		a.store(cut, t[0], data[0])
	}
}

// neonBodies are those of the loops for one activation at most, whose arguments are
// listed where the loops are.
var neonBodies = map[string]neonBody{
	"moments": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[0], t[0])
		a.op("fsub", t[0], t[0], r[0])
		a.op("fadd", r[1], r[1], t[0])
		a.fma(r[2], t[0], t[0])
	},
	"affine2": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[2], t[0])
		a.load(cut, data[1], t[1])
		a.mov(t[2], r[2])
		a.fma(t[2], t[0], r[1])
		a.fma(t[2], t[1], r[0])
		a.store(cut, t[2], data[0])
	},
	"sumRows": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[0], t[0])
		a.op("fadd", r[0], r[0], t[0])
	},
	"dotRows": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.fma(r[0], t[0], t[1])
	},
	"add": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.op("fadd", t[0], t[0], t[1])
		a.store(cut, t[0], data[0])
	},
	"axpy": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.fma(t[0], t[1], r[0])
		a.store(cut, t[0], data[0])
	},
	"rmsprop": func(a *neon, cut tail, data []addr, r, t []vec) {
		lr, alpha, momentum, eps, decay := r[0], r[1], r[2], r[3], r[4]
		p, d, s, e, m := t[0], t[1], t[2], t[3], t[4]
		a.load(cut, data[0], p)
		a.load(cut, data[1], d)
		a.fma(d, p, decay)
		a.load(cut, data[2], s)
		a.op("fmul", e, d, d)
		a.op("fsub", e, e, s)
		a.fma(s, e, alpha)
		a.store(cut, s, data[2])
		a.op("fadd", e, s, eps)
		a.sqrt(e, e)
		a.op("fmul", d, d, lr)
		a.op("fdiv", d, d, e)
		a.load(cut, data[3], m)
		a.fma(d, m, momentum)
		a.store(cut, d, data[3])
		a.op("fsub", p, p, d)
		a.store(cut, p, data[0])
	},
	"sgd": func(a *neon, cut tail, data []addr, r, t []vec) {
		lr, momentum, decay := r[0], r[1], r[2]
		p, d, m := t[0], t[1], t[2]
		a.load(cut, data[0], p)
		a.load(cut, data[1], d)
		a.fma(d, p, decay)
		a.load(cut, data[2], m)
		a.fma(d, m, momentum)
		a.store(cut, d, data[2])
		a.fma(p, d, lr)
		a.store(cut, p, data[0])
	},
	"adamw": func(a *neon, cut tail, data []addr, r, t []vec) {
		lr, alpha, beta, eps, decay, unbias := r[0], r[1], r[2], r[3], r[4], r[5]
		p, d, m, s, e := t[0], t[1], t[2], t[3], t[4]
		a.load(cut, data[1], d)
		a.load(cut, data[2], m)
		a.op("fsub", e, d, m)
		a.fma(m, e, alpha)
		a.store(cut, m, data[2])
		a.load(cut, data[3], s)
		a.op("fmul", d, d, d)
		a.op("fsub", d, d, s)
		a.fma(s, d, beta)
		a.store(cut, s, data[3])
		a.op("fmul", s, s, unbias)
		a.sqrt(s, s)
		a.op("fadd", s, s, eps)
		a.op("fmul", m, m, lr)
		a.op("fdiv", m, m, s)
		a.load(cut, data[0], p)
		a.fma(p, p, decay)
		a.op("fsub", p, p, m)
		a.store(cut, p, data[0])
	},
	"swishSlope": func(a *neon, cut tail, data []addr, r, t []vec) {
		x, z := t[0], t[1]
		a.load(cut, data[2], x)
		a.mov(z, r[1])
		a.fma(z, x, r[0])
		t = t[1:]
		s, rest, low := t[3], t[1], t[2]
		a.op("fmax", z, z, neonMin)
		a.op("fmin", t[1], z, neonMax)
		a.expNeg1([6]vec(t[1:]))
		a.op("fdiv", s, neonOne, s)
		a.op("fmin", low, z, neonMax) // not an infinity times 0
		a.op("fmul", z, z, s)
		a.store(cut, z, data[0])
		a.op("fsub", rest, neonOne, s)
		a.op("fmul", low, low, rest)
		a.fma(s, s, low)
		a.store(cut, s, data[1])
	},
	"slopeBackward": func(a *neon, cut tail, data []addr, r, t []vec) {
		g, y, slope := t[0], t[1], t[2]
		a.load(cut, data[1], g)
		a.load(cut, data[2], slope)
		a.load(cut, data[3], y)
		a.op("fmul", g, g, slope)
		neonGradSums(a, g, y, r)
		a.store(cut, g, data[0])
	},
	"gatedBackward": func(a *neon, cut tail, data []addr, r, t []vec) {
		g, y, slope, dz := t[0], t[1], t[2], t[3]
		a.load(cut, data[0], g)
		a.load(cut, data[1], slope)
		a.load(cut, data[2], y)
		a.mov(dz, r[1])
		a.fma(dz, g, r[0])
		a.op("fmul", g, dz, slope)
		neonGradSums(a, g, y, r[2:])
		a.store(cut, g, data[0])
	},
	"average": func(a *neon, cut tail, data []addr, r, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.op("fsub", t[1], t[1], t[0])
		a.fma(t[0], t[1], r[0])
		a.store(cut, t[0], data[0])
	},
}
