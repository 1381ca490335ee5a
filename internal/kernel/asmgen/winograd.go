package main

// winogradFile writes the transforms of Winograd's convolution.
func winogradFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		winogradInput(a)
		winogradOutput(a)
		winogradGradient(a)
	}
	return a.finish()
}

// Bits of winogradArgs.flags, as in winograd_asm.go.
const (
	winogradSwish = 1 << iota
	winogradClamp
	winogradRow    // there is a second row of y
	winogradColumn // each tile has a second column
	winogradShift  // there is a shift
	winogradDivide // swish with a division, where it is quick
)

// winogradLoop writes the loops over tiles, and over the vectors of channels of
// each, of a function with the argument args.
//
//	SI  source of the tile    DI  destination of the tile
//	AX  bytes of the channel  BX  bytes of the whole vectors of channels
//	R8  a column of the source; its rows are R10 apart, R11 thrice that, columns R13
//	R12 args                  R15 tiles left
//
// With AVX2 there are whole vectors only.
func winogradLoop(a *asm, name, src, srcRow, srcCol, dst string, body func(cut tail)) {
	a.fn(name, []string{"args"}, []string{"rest"})
	field := func(name string) string { return "winogradArgs_" + name + "(R12)" }
	a.ins("MOVQ", a.arg("args"), "R12")
	a.ins("MOVQ", field("c"), "CX")
	a.ins("MOVQ", "CX", "BX")
	a.ins("ANDQ", -a.lanes, "BX")
	a.ins("SHLQ", 2, "BX")
	a.ins("ANDQ", a.lanes-1, "CX")
	a.ins("MOVQ", "CX", a.local("rest"))
	if a.kmask {
		a.setMask("AX")
	}
	a.ins("MOVQ", field(src), "SI")
	a.ins("MOVQ", field(dst), "DI")
	a.ins("MOVQ", field("tiles"), "R15")
	a.ins("MOVQ", field(srcRow), "R10")
	a.ins("LEAQ", "(R10)(R10*2)", "R11")
	a.ins("MOVQ", field(srcCol), "R13")
	tile, vector, cut, next := a.label("tile"), a.label("vector"), a.label("cut"), a.label("next")
	a.at(tile)
	a.ins("XORL", "AX", "AX")
	a.ins("CMPQ", "AX", "BX")
	a.ins("JEQ", cut)
	a.at(vector)
	body(false)
	a.ins("ADDQ", a.bytes(), "AX")
	a.ins("CMPQ", "AX", "BX")
	a.ins("JLT", vector)
	a.at(cut)
	if a.kmask {
		a.ins("CMPQ", a.local("rest"), 0)
		a.ins("JEQ", next)
		body(true)
		a.at(next)
	}
	a.ins("ADDQ", field(src+"Tile"), "SI")
	a.ins("ADDQ", field(dst+"Tile"), "DI")
	a.ins("DECQ", "R15")
	a.ins("JNZ", tile)
	a.ret()
}

// winogradColumns runs use for the four columns of the source, each of four
// elements: registers, or where there are too few, addresses.
func winogradColumns(a *asm, cut tail, use func(j int, d [4]any)) {
	a.ins("LEAQ", "(SI)(AX*1)", "R8")
	for j := range 4 {
		d := [4]any{"(R8)", "(R8)(R10*1)", "(R8)(R10*2)", "(R8)(R11*1)"}
		if a.regs == 32 {
			for i := range d {
				v := vec(16 + 4*(j%2) + i)
				a.load(cut, d[i].(string), v)
				d[i] = v
			}
		}
		use(j, d)
		a.ins("ADDQ", "R13", "R8")
	}
}

// to computes dst = x op y op z ...
func (a *asm) to(dst vec, x any, more ...any) {
	a.ins("VMOVUPS", x, dst)
	for i := 0; i < len(more); i += 2 {
		a.ins(more[i].(string), more[i+1], dst, dst)
	}
}

// winogradInput writes the transform of the input.
//
//	func winogradInput(args *winogradArgs)
func winogradInput(a *asm) {
	winogradLoop(a, "winogradInput", "x", "xRow", "xCol", "m", func(cut tail) {
		t := func(i, j int) vec { return vec(4*i + j) }
		winogradColumns(a, cut, func(j int, d [4]any) {
			a.to(t(0, j), d[0], "VSUBPS", d[2])
			a.to(t(1, j), d[1], "VADDPS", d[2])
			a.to(t(2, j), d[2], "VSUBPS", d[1])
			a.to(t(3, j), d[1], "VSUBPS", d[3])
		})
		a.ins("LEAQ", "(DI)(AX*1)", "R8")
		for i := range 4 {
			store := func(v vec) {
				a.store(cut, v, "(R8)")
				a.ins("ADDQ", "winogradArgs_point(R12)", "R8")
			}
			t0, t1, t2, t3 := t(i, 0), t(i, 1), t(i, 2), t(i, 3)
			a.ins("VSUBPS", t2, t0, t0)
			store(t0)
			a.ins("VADDPS", t2, t1, t0)
			store(t0)
			a.ins("VSUBPS", t1, t2, t2)
			store(t2)
			a.ins("VSUBPS", t3, t1, t1)
			store(t1)
		}
	})
}

// winogradOutput writes the transform back, with the epilogue.
//
//	func winogradOutput(args *winogradArgs)
func winogradOutput(a *asm) {
	winogradLoop(a, "winogradOutput", "m", "point4", "point", "y", func(cut tail) {
		s := func(r, j int) vec { return vec(4*r + j) }
		y := func(r, c int) vec { return vec(8 + 2*r + c) }
		t := [4]vec{12, 13, 14, 15}
		each := func(f func(v vec)) {
			for i := range 4 {
				f(y(i/2, i%2))
			}
		}
		winogradColumns(a, cut, func(j int, d [4]any) {
			a.to(s(0, j), d[0], "VADDPS", d[1], "VADDPS", d[2])
			a.to(s(1, j), d[1], "VSUBPS", d[2], "VSUBPS", d[3])
		})
		for r := range 2 {
			a.to(y(r, 0), s(r, 0), "VADDPS", s(r, 1), "VADDPS", s(r, 2))
			a.to(y(r, 1), s(r, 1), "VSUBPS", s(r, 2), "VSUBPS", s(r, 3))
		}
		bare, linear, unclamped, done := a.label("bare"), a.label("linear"), a.label("unclamped"), a.label("done")
		a.ins("MOVQ", "winogradArgs_flags(R12)", "CX")
		a.ins("TESTL", winogradShift, "CX")
		a.ins("JZ", bare)
		a.ins("MOVQ", "winogradArgs_shift(R12)", "R8")
		a.load(cut, "(R8)(AX*1)", t[0])
		each(func(v vec) { a.ins("VADDPS", t[0], v, v) })
		a.at(bare)
		a.ins("TESTL", winogradSwish, "CX")
		a.ins("JZ", linear)
		a.swishes(winogradDivide, func(act int) {
			each(func(v vec) { a.act(act, v, t) })
		})
		a.at(linear)
		a.ins("TESTL", winogradClamp, "CX")
		a.ins("JZ", unclamped)
		a.ins("VBROADCASTSS", "winogradArgs_lo(R12)", t[0])
		a.ins("VBROADCASTSS", "winogradArgs_hi(R12)", t[1])
		each(func(v vec) {
			a.ins("VMAXPS", v, t[0], v)
			a.ins("VMINPS", v, t[1], v)
		})
		a.at(unclamped)
		a.ins("LEAQ", "(DI)(AX*1)", "R8")
		a.ins("MOVQ", "winogradArgs_yCol(R12)", "R9")
		row := func(r int) {
			one := a.label("one")
			a.store(cut, y(r, 0), "(R8)")
			a.ins("TESTL", winogradColumn, "CX")
			a.ins("JZ", one)
			a.store(cut, y(r, 1), "(R8)(R9*1)")
			a.at(one)
		}
		row(0)
		a.ins("TESTL", winogradRow, "CX")
		a.ins("JZ", done)
		a.ins("ADDQ", "winogradArgs_yRow(R12)", "R8")
		row(1)
		a.at(done)
	})
}

// winogradGradient writes the transform of the output's gradient.
//
//	func winogradGradient(args *winogradArgs)
func winogradGradient(a *asm) {
	winogradLoop(a, "winogradGradient", "x", "xRow", "xCol", "m", func(cut tail) {
		const zero, sum = vec(8), vec(9)
		t := func(i, j int) vec { return vec(2*i + j) }
		a.zero(zero)
		a.ins("LEAQ", "(SI)(AX*1)", "R8")
		for j := range 2 {
			a.load(cut, "(R8)", t(0, j))
			a.load(cut, "(R8)(R10*1)", t(3, j))
			a.ins("VADDPS", t(3, j), t(0, j), t(1, j))
			a.ins("VSUBPS", t(3, j), t(0, j), t(2, j))
			a.ins("VSUBPS", t(3, j), zero, t(3, j))
			a.ins("ADDQ", "R13", "R8")
		}
		a.ins("LEAQ", "(DI)(AX*1)", "R8")
		for i := range 4 {
			store := func(v vec) {
				a.store(cut, v, "(R8)")
				a.ins("ADDQ", "winogradArgs_point(R12)", "R8")
			}
			t0, t1 := t(i, 0), t(i, 1)
			store(t0)
			a.ins("VADDPS", t1, t0, sum)
			store(sum)
			a.ins("VSUBPS", t1, t0, sum)
			store(sum)
			a.ins("VSUBPS", t1, zero, t1)
			store(t1)
		}
	})
}
