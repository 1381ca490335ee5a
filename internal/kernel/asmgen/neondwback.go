package main

// neonDWInput writes the gradient of the input, as dwInput does for amd64.
//
//	func dwInput(args *dwInputArgs)
//
// Sums are in the first registers, then a row of weights, then columns of the
// source. Besides the registers of the depthwise kernels:
//
//	R13  span                   R14  class
//	R15  source of the row      R16  destination of the row
//	R20  weights of the class   R21  weights of the span
func neonDWInput(a *neon) {
	a.fn("dwInput", []string{"args"}, []string{"spans", "classes", "left", "taps"})
	neonDWStart(a, "dwInputArgs", [][2]string{{"dyCol", "R1"}, {"wCol", "R2"}, {"dxCol", "R3"}, {"dyRow", "R4"}}, func(cut tail) { neonDWInputRows(a, cut) })
}

// keep stores a variable; down takes one from it, and sets the flags.
func (a *neon) keep(reg, local string) { a.ins("MOVD", reg, a.local(local)) }

func (a *neon) down(local string) {
	a.ins("MOVD", a.local(local), "R11")
	a.ins("SUBS", 1, "R11", "R11")
	a.ins("MOVD", "R11", a.local(local))
}

func neonDWInputRows(a *neon, cut tail) {
	span, row, class, none, next := a.label("span"), a.label("row"), a.label("class"), a.label("none"), a.label("next")
	a.field("dwInputArgs", "nspans", "R11")
	a.keep("R11", "spans")
	a.ins("ADD", "$dwInputArgs_spans", "R0", "R13")

	a.at(span)
	for _, p := range [][2]string{{"dx", "R16"}, {"dy", "R15"}, {"w", "R21"}} {
		a.field("dwInputArgs", p[0], p[1])
		a.ins("MOVD", "dwSpan_"+p[0]+"(R13)", "R11")
		a.ins("ADD", "R11", p[1])
		a.ins("ADD", "R17", p[1])
	}
	for _, p := range [][2]string{{"n", "left"}, {"taps", "taps"}} {
		a.ins("MOVD", "dwSpan_"+p[0]+"(R13)", "R11")
		a.keep("R11", p[1])
	}

	a.at(row)
	a.field("dwInputArgs", "nclasses", "R11")
	a.keep("R11", "classes")
	a.ins("ADD", "$dwInputArgs_classes", "R0", "R14")

	a.at(class)
	a.ins("MOVD", "R15", "R5")
	a.ins("MOVD", "dwClass_dx(R14)", "R11")
	a.ins("ADD", "R11", "R16", "R6")
	a.ins("MOVD", "dwClass_w(R14)", "R11")
	a.ins("ADD", "R11", "R21", "R20")
	a.field("dwInputArgs", "cols", "R12")
	a.ins("MOVD", a.local("taps"), "R7")
	a.ins("CBZ", "R7", none)
	a.ins("MOVD", "dwClass_taps(R14)", "R7")
	choose(a.asm, "R7", 0, []int{0, 1, 2, 3, 4, 5, 6, 7}, func(taps int) {
		if taps == 0 {
			a.at(none)
			a.ins("MOVD", "dwClass_n(R14)", "R12")
		} else {
			neonDWInputRow(a, cut, taps)
			a.ins("MOVD", "dwClass_rest(R14)", "R12")
		}
		zero := a.label("zero")
		a.ins("CBZ", "R12", next)
		a.zero(0)
		a.at(zero)
		a.storeNext(cut, 0, "R6", "R3")
		a.ins("SUBS", 1, "R12", "R12")
		a.ins("BNE", zero)
		a.ins("B", next)
	})

	a.at(next)
	a.ins("ADD", "$dwClass__size", "R14", "R14")
	a.down("classes")
	a.ins("BNE", class)
	a.field("dwInputArgs", "dxStep", "R11")
	a.ins("ADD", "R11", "R16")
	a.ins("ADD", "R4", "R15")
	a.down("left")
	a.ins("BNE", row)
	a.ins("ADD", "$dwSpan__size", "R13", "R13")
	a.down("spans")
	a.ins("BNE", span)
}

// neonDWInputRow writes the destination of R12 source columns.
func neonDWInputRow(a *neon, cut tail, taps int) {
	end := a.label("end")
	for i := range taps - 1 {
		a.zero(vec(i))
	}
	for u := 8; u >= 1; u /= 2 {
		if u == 1 || !bool(cut) {
			a.columnsLeft(u, end, func() { neonDWInputBlock(a, cut, taps, u) })
		}
	}
	a.at(end)
	for i := range taps - 1 {
		a.storeNext(cut, vec(i), "R6", "R3")
	}
}

func neonDWInputBlock(a *neon, cut tail, taps, u int) {
	wt := func(t int) vec { return vec(u + taps - 1 + t) }
	for i := range u {
		a.zero(vec(taps - 1 + i))
	}
	a.ins("MOVD", "R5", "R8")
	a.ins("MOVD", "R20", "R10")
	a.ins("MOVD", a.local("taps"), "R7")
	a.tapRows(cut, taps, wt, "dwInputArgs", "wRow", func() {
		a.columns(cut, u, vec(u+2*taps-1), vec(a.regs), func(x int, in vec) {
			for t := range taps {
				a.fma(vec(x+t), in, wt(t))
			}
		})
	})
	for i := range u {
		a.storeNext(cut, vec(i), "R6", "R3")
	}
	for i := range taps - 1 {
		a.mov(vec(i), vec(u+i))
	}
	a.ins("MOVD", u, "R11")
	a.ins("MADD", "R11", "R5", "R1", "R5")
}

// neonDWWeight adds up the gradient of the weights, as dwWeight does for amd64,
// with its kernels for many registers.
//
//	func dwWeight(args *dwWeightArgs)
//
// Besides the registers of the depthwise kernels:
//
//	R3   bytes from gradient to gradient and from weight to weight
//	R6   gradient of the block
//	R13  input of the row       R14  gradient of the row
//	R15  rows left
func neonDWWeight(a *neon) {
	a.fn("dwWeight", []string{"args"}, nil)
	a.ins("MOVD", a.arg("args"), "R0")
	for _, f := range [][2]string{{"xCol", "R1"}, {"xCol", "R3"}, {"xRow", "R4"}, {"off", "R17"}, {"chunks", "R19"}, {"lanes", "R12"}, {"kernel", "R11"}} {
		a.field("dwWeightArgs", f[0], f[1])
	}
	choose(a.asm, "R11", 0, dwWeightKernels(a.isa), func(k dwWeightKernel) {
		a.chunks("R12", func(cut tail) { neonDWWeightRows(a, cut, k) })
	})
}

func neonDWWeightRows(a *neon, cut tail, k dwWeightKernel) {
	row, next := a.label("row"), a.label("next")
	for i := range k.rows * k.taps {
		a.zero(vec(i))
	}
	for _, f := range [][2]string{{"x", "R13"}, {"dy", "R14"}} {
		a.field("dwWeightArgs", f[0], f[1])
		a.ins("ADD", "R17", f[1])
	}
	a.field("dwWeightArgs", "rows", "R15")

	a.at(row)
	a.ins("MOVD", "R13", "R5")
	a.ins("MOVD", "R14", "R6")
	a.field("dwWeightArgs", "cols", "R12")
	for _, u := range []int{4, 1} {
		if u == 1 || !bool(cut) {
			a.columnsLeft(u, next, func() { neonDWWeightBlock(a, cut, k, u) })
		}
	}
	a.at(next)
	a.field("dwWeightArgs", "xStep", "R11")
	a.ins("ADD", "R11", "R13")
	a.field("dwWeightArgs", "dyRow", "R11")
	a.ins("ADD", "R11", "R14")
	a.ins("SUBS", 1, "R15", "R15")
	a.ins("BNE", row)

	a.field("dwWeightArgs", "dw", "R6")
	a.ins("ADD", "R17", "R6")
	sum := vec(k.rows * k.taps)
	for i := range k.rows * k.taps {
		a.load(cut, reg("R6"), sum)
		a.op("fadd", vec(i), vec(i), sum)
		a.storeNext(cut, vec(i), "R6", "R3")
	}
}

// neonDWWeightBlock adds the products of u gradients and moves on past them.
func neonDWWeightBlock(a *neon, cut tail, k dwWeightKernel, u int) {
	dy := func(i int) vec { return vec(k.rows*k.taps + i) }
	for i := range u {
		a.loadNext(cut, "R6", "R3", dy(i))
	}
	a.ins("MOVD", "R5", "R8")
	for y := range k.rows {
		if y > 0 {
			a.ins("ADD", "R4", "R8")
		}
		a.columns(cut, (u-1)*k.stride+k.taps, dy(u), vec(a.regs), func(x int, in vec) {
			for i := range u {
				if t := x - i*k.stride; t >= 0 && t < k.taps {
					a.fma(vec(y*k.taps+t), in, dy(i))
				}
			}
		})
	}
	a.ins("MOVD", u*k.stride, "R11")
	a.ins("MADD", "R11", "R5", "R1", "R5")
}
