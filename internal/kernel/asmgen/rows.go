package main

import "fmt"

// rowsFile writes rowsAVX512 and rowsAVX2: the kernels over rows of channels,
// element-wise functions with coefficients per channel and sums per channel.
//
//	func rows(args *rowArgs)
//
// args.op chooses the kernel.
func rowsFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		a.fn("rows", []string{"args"}, nil)
		a.ins("MOVQ", a.arg("args"), "R15")
		a.ins("MOVQ", "rowArgs_op(R15)", "AX")
		choose(a, "AX", 0, rowLoops, func(l rowLoop) {
			a.comment("%s", l.name)
			if !a.kmask {
				l = l.avx2()
			}
			if d := l.divided; d != nil && a.kmask {
				newton := a.label("newton")
				a.ins("CMPQ", "rowArgs_divide(R15)", 0)
				a.ins("JEQ", newton)
				d.emit(a)
				a.at(newton)
			}
			l.emit(a)
		})
	}
	return a.finish()
}

// A rowLoop describes a kernel over matrices [rows, n] of contiguous rows.
//
// Groups of four rows, then single ones, are walked column by column: the
// coefficients and sums of a vector of channels are loaded once a group.
type rowLoop struct {
	name string
	act  int
	data int // matrices: args.data
	coef int // arrays [n] that are read: args.coef
	sum  int // arrays [n] that are added to: args.sum
	num  int // numbers at args.num
	// ahead is how many bytes ahead matrices are fetched from memory, more than a
	// group has; 0 leaves that to the machine. A body that computes for long keeps the
	// machine from seeing far enough ahead by itself.
	ahead int
	hold  []float32
	table bool // hold exp2Table, too
	// abreast is how many rows are worked on at a time, each with temps registers of
	// its own: the instructions of one row wait for each other. 0 is 1.
	abreast, temps int
	far            bool // leave coefficients of whole vectors in memory
	// body does the work of one vector of one row: it reads and writes data
	// at the addresses given. r are coefficients, sums and numbers, in this order, in
	// registers but for those that are far; t are free.
	body    func(a *asm, cut tail, data []string, r []any, t []vec)
	divided *rowLoop // the same with a division, for AVX-512
}

// avx2 is l for the registers of AVX2, which suffice for the constants of swish
// and sigmoid and two rows.
func (l rowLoop) avx2() rowLoop {
	l.hold, l.table = nil, false
	if l.abreast == 0 {
		return l
	}
	l.abreast, l.temps, l.far = 2, 4, l.sum > 0
	lo := float32(tableMin)
	if l.far {
		lo = slopeMin8
	}
	l.hold = []float32{1, tableMagic, lo, tableMax, expScale8, expPoly8[1], ln2Hi8}
	used := l.sum + l.abreast*l.temps
	if !l.far {
		used += l.coef
	}
	l.hold = l.hold[:min(avx2.regs-1-used, len(l.hold))]
	return l
}

// rowRegs hold the pointers of a rowLoop: data, coef, sum. The other
// registers of the loop are
//
//	AX, BX  bytes of a row, and thrice that
//	CX      bytes of a row's whole vectors
//	DX      offset of the column
//	R15     rows left
var rowRegs = []string{"SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13"}

// emit writes the loop and the return. R15 is args.
func (l rowLoop) emit(a *asm) {
	a.hold(l.hold...)
	if l.table {
		a.holdTable()
	}
	regs := rowRegs
	for _, f := range []struct {
		field string
		n     int
	}{{"data", l.data}, {"coef", l.coef}, {"sum", l.sum}} {
		for i := range f.n {
			a.ins("MOVQ", fmt.Sprintf("(rowArgs_%s+%d)(R15)", f.field, 8*i), regs[i])
		}
		regs = regs[f.n:]
	}
	if l.num > 0 {
		a.ins("MOVQ", "rowArgs_num(R15)", "AX")
	}
	for i := range l.num {
		a.ins("VBROADCASTSS", mem("AX", 4*i), vec(l.coef+l.sum+i))
	}
	a.ins("MOVQ", "rowArgs_n(R15)", "CX")
	a.ins("LEAQ", "(CX*4)", "AX")
	a.ins("LEAQ", "(AX)(AX*2)", "BX")
	a.ins("ANDQ", a.lanes-1, "CX")
	a.setMask("DX")
	a.ins("MOVQ", "AX", "CX")
	a.ins("ANDQ", -a.bytes(), "CX")
	a.ins("MOVQ", "rowArgs_rows(R15)", "R15")

	four, one, done := a.label("four"), a.label("one"), a.label("done")
	rest := a.label("rest")
	a.ins("SUBQ", 4, "R15")
	a.ins("JLT", rest)
	a.at(four)
	l.group(a, 4)
	a.ins("SUBQ", 4, "R15")
	a.ins("JGE", four)
	a.at(rest)
	a.ins("ADDQ", 4, "R15")
	a.ins("JZ", done)
	a.at(one)
	l.group(a, 1)
	a.ins("DECQ", "R15")
	a.ins("JNZ", one)
	a.at(done)
	a.ret()
}

// group walks the columns of some rows.
func (l rowLoop) group(a *asm, rows int) {
	column, cut, next := a.label("column"), a.label("cut"), a.label("next")
	a.ins("XORQ", "DX", "DX")
	a.ins("CMPQ", "DX", "CX")
	a.ins("JGE", cut)
	a.at(column)
	l.column(a, rows, false)
	for i := range l.data {
		a.ins("ADDQ", a.bytes(), rowRegs[i])
	}
	a.ins("ADDQ", a.bytes(), "DX")
	a.ins("CMPQ", "DX", "CX")
	a.ins("JLT", column)
	a.at(cut)
	a.ins("CMPQ", "AX", "CX")
	a.ins("JEQ", next)
	l.column(a, rows, true)
	a.at(next)
	a.ins("MOVQ", "AX", "DX")
	if rows == 4 {
		a.ins("ADDQ", "BX", "DX")
	}
	a.ins("SUBQ", "CX", "DX")
	for i := range l.data {
		a.ins("ADDQ", "DX", rowRegs[i])
	}
}

func (l rowLoop) column(a *asm, rows int, cut tail) {
	nc, ns := l.coef, l.sum
	channel := func(i int) string { return memx(rowRegs[l.data+i], "DX", 1, 0) }
	far, abreast := 0, max(1, l.abreast)
	if l.far && bool(cut) {
		abreast = 1
	} else if l.far {
		far = nc
	}
	for i := far; i < nc+ns; i++ {
		a.load(cut, channel(i), vec(i))
	}
	var operands []any
	var free []vec
	for i := range a.unheld() {
		switch {
		case i < far:
			operands = append(operands, channel(i))
			free = append(free, vec(i))
		case i < nc+ns+l.num:
			operands = append(operands, vec(i))
		default:
			free = append(free, vec(i))
		}
	}
	at := func(r int) (data []string) {
		for i := range l.data {
			if r == 3 {
				data = append(data, memx(rowRegs[i], "BX", 1, 0))
			} else {
				data = append(data, memx(rowRegs[i], "AX", r, 0))
			}
		}
		return data
	}
	for r := 0; r < rows; r += abreast {
		a.interleave(min(abreast, rows-r), func(i int) { l.body(a, cut, at(r+i), operands, free[i*l.temps:]) })
	}
	if l.ahead > 0 && rows == 4 && !bool(cut) {
		// Rows follow each other: what the columns of a group fetch is together a
		// stretch as long as the group.
		a.ins("LEAQ", "(DX)(DX*2)", "R14")
		for i := 1; i < l.data; i++ { // 0 is written
			for line := range 4 * a.bytes() / 64 {
				a.ins("PREFETCHT0", memx(rowRegs[i], "R14", 1, l.ahead+64*line))
			}
		}
	}
	for i := nc; i < nc+ns; i++ {
		a.store(cut, vec(i), channel(i))
	}
}

// rowLoops are the kernels in the order of package kernel's rowOp.
var rowLoops = func() []rowLoop {
	var loops []rowLoop
	for _, f := range []func(act int) rowLoop{scaleAct, actBackward, apply} {
		for act := range acts {
			l := f(act)
			l.name += []string{"Identity", "ReLU", "ReLU6", "Swish", "Sigmoid", "HardSwish", "HardSigmoid"}[act]
			loops = append(loops, l.with(f, act))
		}
	}
	loops = append(loops, moments, affine2, sumRows, dotRows, add, axpy, rmsprop, sgd, adamw, average)
	return append(loops, swishSlope(swish).with(swishSlope, swish), slopeBackward, gatedBackward)
}()

// with is l, which f makes, for its activation.
func (l rowLoop) with(f func(act int) rowLoop, act int) rowLoop {
	l.act = act
	l.hold = actConstants(act)
	if act == swish || act == sigmoid {
		l.ahead, l.abreast, l.temps = 8192, 4, 5
		l.table = l.sum == 0 // else there are no registers for it
		d := l
		d.body = f(divided[act]).body
		l.divided = &d
	}
	return l
}

// upTo4 are the first of t, which are as many as the activation uses.
func upTo4(t []vec) (first [4]vec) {
	copy(first[:], t)
	return first
}

func scaleAct(act int) rowLoop {
	return rowLoop{name: "scaleAct", data: 2, coef: 2,
		// dst, src; scale, shift
		body: func(a *asm, cut tail, data []string, r []any, t []vec) {
			z := t[0]
			a.load(cut, data[1], z)
			a.ins("VFMADD213PS", r[1], r[0], z)
			a.act(act, z, upTo4(t[1:]))
			a.store(cut, z, data[0])
		},
	}
}

func actBackward(act int) rowLoop {
	return rowLoop{name: "actBackward", data: 3, coef: 3, sum: 2,
		// g, dz, y; scale, shift, center; sumG, sumGY
		body: func(a *asm, cut tail, data []string, r []any, t []vec) {
			z, g := t[0], t[1]
			if act != identity {
				a.load(cut, data[2], z)
				a.ins("VFMADD213PS", r[1], a.reg(r[0], g), z)
			}
			switch act {
			case swish, sigmoid, swishDivide, sigmoidDivide:
				// Without g, which would take a register.
				if a.kmask {
					a.slope512(act, z, [4]vec(t[1:]))
					a.load(cut, data[1], g)
					a.ins("VMULPS", z, g, g)
				} else {
					a.slope8(act, z, t[1:])
					dz := any(data[1])
					if cut {
						a.load(cut, data[1], g)
						dz = g
					}
					a.ins("VMULPS", dz, t[3], g)
					a.ins("VMULPS", t[2], g, g)
				}
			default:
				a.load(cut, data[1], g)
				a.actGrad(act, g, z, [4]vec(t[2:]))
			}
			gradSums(a, cut, g, z, data[2], r[2:])
			a.store(cut, g, data[0])
		},
	}
}

// gradSums adds g and g*(y-center) to sums; r are center, sumG, sumGY. It overwrites tmp.
func gradSums(a *asm, cut tail, g, tmp vec, y string, r []any) {
	a.load(cut, y, tmp)
	a.ins("VSUBPS", r[0], tmp, tmp)
	a.ins("VADDPS", g, r[1], r[1])
	a.ins("VFMADD231PS", g, tmp, r[2])
}

func swishSlope(act int) rowLoop {
	return rowLoop{name: "swishSlope", data: 3, coef: 2,
		// dst, slope, src; scale, shift
		body: func(a *asm, cut tail, data []string, r []any, t []vec) {
			z := t[0]
			a.load(cut, data[2], z)
			a.ins("VFMADD213PS", r[1], r[0], z)
			s, rest, tmp := a.swishParts(act, z, t[1:])
			a.store(cut, z, data[0])
			a.ins("VMINPS", z, a.kreg(tableMax, tmp), z) // not an infinity times 0
			a.ins("VFMADD231PS", z, rest, s)
			a.store(cut, s, data[1])
		},
	}
}

// g, dz, slope, y; center; sumG, sumGY
var slopeBackward = rowLoop{name: "slopeBackward", data: 4, coef: 1, sum: 2,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		g, y := t[0], t[1]
		a.load(cut, data[1], g)
		a.load(cut, data[2], y)
		a.ins("VMULPS", y, g, g)
		gradSums(a, cut, g, y, data[3], r)
		a.store(cut, g, data[0])
	},
}

// g, slope, y; gate, shift, center; sumG, sumGY
var gatedBackward = rowLoop{name: "gatedBackward", data: 3, coef: 3, sum: 2,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		g, y := t[0], t[1]
		a.load(cut, data[0], g)
		a.ins("VFMADD213PS", r[1], r[0], g)
		a.load(cut, data[1], y)
		a.ins("VMULPS", y, g, g)
		gradSums(a, cut, g, y, data[2], r[2:])
		a.store(cut, g, data[0])
	},
}

func apply(act int) rowLoop {
	return rowLoop{name: "apply", data: 2,
		// dst, src
		body: func(a *asm, cut tail, data []string, r []any, t []vec) {
			a.load(cut, data[1], t[0])
			a.act(act, t[0], upTo4(t[1:]))
			a.store(cut, t[0], data[0])
		},
	}
}

// x; center; sum, sumsq
var moments = rowLoop{name: "moments", data: 1, coef: 1, sum: 2,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[0], t[0])
		a.ins("VSUBPS", r[0], t[0], t[0])
		a.ins("VADDPS", t[0], r[1], r[1])
		a.ins("VFMADD231PS", t[0], t[0], r[2])
	},
}

// dst, g, y; a, b, c
var affine2 = rowLoop{name: "affine2", data: 3, coef: 3,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[2], t[0])
		a.ins("VFMADD213PS", r[2], r[1], t[0])
		a.load(cut, data[1], t[1])
		a.ins("VFMADD231PS", t[1], r[0], t[0])
		a.store(cut, t[0], data[0])
	},
}

// x; sum
var sumRows = rowLoop{name: "sumRows", data: 1, sum: 1,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[0], t[0])
		a.ins("VADDPS", t[0], r[0], r[0])
	},
}

// x, y; sum
var dotRows = rowLoop{name: "dotRows", data: 2, sum: 1,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.ins("VFMADD231PS", t[0], t[1], r[0])
	},
}

// dst, src
var add = rowLoop{name: "add", data: 2,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.ins("VADDPS", t[1], t[0], t[0])
		a.store(cut, t[0], data[0])
	},
}

// dst, src; alpha
var axpy = rowLoop{name: "axpy", data: 2, num: 1,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.ins("VFMADD231PS", t[1], r[0], t[0])
		a.store(cut, t[0], data[0])
	},
}
