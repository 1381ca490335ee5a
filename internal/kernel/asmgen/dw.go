package main

// dwFile writes the depthwise convolutions.
func dwFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		dwGather(a)
		dwWeight(a)
	}
	return a.finish()
}

// maxTaps is the largest width of a depthwise kernel.
const maxTaps = 7

// cuts are the ways to access vectors of channels: with AVX-512 always under
// the mask, which costs nothing.
func (a *asm) cuts() []tail {
	if a.lanes == 16 {
		return []tail{true}
	}
	return []tail{false, true}
}

// dwGather writes a sum over taps for every point of a grid of outputs, which
// is both the forward convolution and the gradient of its input.
//
//	func dwGather(args *dwArgs)
//
// The grid is the product of args.rows and args.cols, spans of outputs that
// have the same taps. For every vector of channels, row and span of columns,
// blocks of outputs stay in registers over all taps. A row of taps is held in
// registers, and a column of the input is loaded once for all the outputs of
// the block that it takes part in.
//
//	AX   input of the block     BX  output         CX  rows of taps left
//	SI   input of the row of taps                  DI  input of the column
//	DX   weights of the row of taps                R15 weight
//	R8   bytes from input to input tap, R12 thrice that, R13 from row to row
//	R9   from weight to weight  R10 from output to output
//	R11  outputs left           R14 args
func dwGather(a *asm) {
	a.fn("dwGather", []string{"args"}, []string{"off", "chunks", "span", "spans", "col", "colsLeft", "left", "taps", "dstPtr", "srcPtr", "wPtr", "wCols"})
	a.ins("MOVQ", a.arg("args"), "R14")
	a.copy("dwArgs_off(R14)", a.local("off"))
	a.copy("dwArgs_chunks(R14)", a.local("chunks"))
	a.ins("MOVQ", "dwArgs_tapCol(R14)", "R8")
	a.ins("LEAQ", "(R8)(R8*2)", "R12")
	a.ins("MOVQ", "dwArgs_tapRow(R14)", "R13")
	a.ins("MOVQ", "dwArgs_wCol(R14)", "R9")
	a.ins("MOVQ", "dwArgs_dstCol(R14)", "R10")
	a.ins("MOVQ", "dwArgs_lanes(R14)", "CX")
	cut := a.label("cut")
	if len(a.cuts()) > 1 {
		a.ins("CMPQ", "CX", a.lanes)
		a.ins("JLT", cut)
	}
	for _, t := range a.cuts() {
		if t {
			a.at(cut)
			a.setMask("AX")
		}
		dwGatherLoops(a, t)
	}
}

// dwGatherLoops are the loops around blocks of outputs, and return.
func dwGatherLoops(a *asm, cut tail) {
	chunk, span, row, col := a.label("chunk"), a.label("span"), a.label("row"), a.label("col")
	nextCol, two := a.label("nextCol"), a.label("two")

	a.at(chunk)
	a.copy("dwArgs_nrows(R14)", a.local("spans"))
	a.ins("LEAQ", "dwArgs_rows(R14)", "AX")
	a.ins("MOVQ", "AX", a.local("span"))

	a.at(span)
	a.ins("MOVQ", a.local("span"), "CX")
	a.copy("dwSpan_n(CX)", a.local("left"))
	for _, p := range []string{"dst", "src", "w"} {
		a.ins("MOVQ", "dwArgs_"+p+"(R14)", "AX")
		a.ins("ADDQ", "dwSpan_"+p+"(CX)", "AX")
		a.ins("ADDQ", a.local("off"), "AX")
		a.ins("MOVQ", "AX", a.local(p+"Ptr"))
	}
	a.copy("dwSpan_taps(CX)", a.local("taps"))

	a.at(row)
	a.ins("LEAQ", "dwArgs_cols(R14)", "CX")
	a.ins("MOVQ", "dwArgs_ncols(R14)", "DI")

	// CX is the span of columns, DI how many are left.
	a.at(col)
	a.ins("MOVQ", "CX", a.local("col"))
	a.ins("MOVQ", "DI", a.local("colsLeft"))
	for _, p := range [][2]string{{"src", "AX"}, {"dst", "BX"}, {"w", "DX"}} {
		a.ins("MOVQ", a.local(p[0]+"Ptr"), p[1])
		a.ins("ADDQ", "dwSpan_"+p[0]+"(CX)", p[1])
	}
	a.ins("MOVQ", "DX", a.local("wCols"))
	a.ins("MOVQ", "dwSpan_n(CX)", "R11")
	a.ins("MOVQ", "dwSpan_taps(CX)", "SI")
	none := a.label("none")
	a.ins("CMPQ", a.local("taps"), 0)
	a.ins("JEQ", none)
	a.ins("TESTQ", "SI", "SI")
	a.ins("JZ", none)
	a.ins("CMPQ", "dwArgs_stride(R14)", 2)
	a.ins("JEQ", two)
	var taps []int
	for t := 1; t <= maxTaps; t++ {
		taps = append(taps, t)
	}
	choose(a, "SI", 1, taps, func(t int) { dwBlocks(a, cut, 1, t, nextCol) })
	a.at(two)
	a.ins("SHRQ", 1, "SI")
	choose(a, "SI", 1, []int{3, 5, 7}, func(t int) { dwBlocks(a, cut, 2, t, nextCol) })

	a.at(none)
	zero := a.label("zero")
	a.zero(0)
	a.at(zero)
	a.store(cut, 0, "(BX)")
	a.ins("ADDQ", "R10", "BX")
	a.ins("DECQ", "R11")
	a.ins("JNZ", zero)

	a.at(nextCol)
	a.ins("MOVQ", a.local("col"), "CX")
	a.ins("ADDQ", "$dwSpan__size", "CX")
	a.ins("MOVQ", a.local("colsLeft"), "DI")
	a.ins("DECQ", "DI")
	a.ins("JNZ", col)

	for _, p := range []string{"dst", "src"} {
		a.ins("MOVQ", "dwArgs_"+p+"Step(R14)", "AX")
		a.ins("ADDQ", "AX", a.local(p+"Ptr"))
	}
	a.ins("DECQ", a.local("left"))
	a.ins("JNZ", row)
	a.ins("ADDQ", "$dwSpan__size", a.local("span"))
	a.ins("DECQ", a.local("spans"))
	a.ins("JNZ", span)
	a.ins("ADDQ", a.bytes(), a.local("off"))
	a.ins("DECQ", a.local("chunks"))
	a.ins("JNZ", chunk)
	a.ret()
}

// dwBlocks writes R11 outputs of a span of columns with the given taps a row,
// and jumps to done.
func dwBlocks(a *asm, cut tail, stride, taps int, done string) {
	for u := 8; u >= 1; u /= 2 {
		if a.lanes == 8 && u+taps > 13 {
			continue
		}
		a.blocksOf("R11", u, done, func() { dwBlock(a, cut, stride, taps, u) })
	}
}

// blocksOf runs block as long as u columns are left, and jumps to done when
// none are. After blocks of one column nothing is left.
func (a *asm) blocksOf(left string, u int, done string, block func()) {
	again, next := a.label("block"), a.label("next")
	if u > 1 {
		a.ins("CMPQ", left, u)
		a.ins("JLT", next)
	}
	a.at(again)
	block()
	a.ins("SUBQ", u, left)
	if u == 1 {
		a.ins("JNZ", again)
		a.ins("JMP", done)
		return
	}
	a.ins("JZ", done)
	a.ins("CMPQ", left, u)
	a.ins("JGE", again)
	a.at(next)
}

// dwBlock writes u outputs and moves AX and BX past them.
func dwBlock(a *asm, cut tail, stride, taps, u int) {
	acc := func(i int) vec { return vec(i) }
	wt := func(i int) vec { return vec(u + i) }
	in := func(i int) vec { return vec(u + taps + i%max(1, min(4, a.regs-1-u-taps))) }
	for i := range u {
		a.zero(acc(i))
	}
	a.ins("MOVQ", "AX", "SI")
	a.ins("MOVQ", a.local("wCols"), "DX")
	a.ins("MOVQ", a.local("taps"), "CX")

	row := a.label("taps")
	a.at(row)
	a.ins("MOVQ", "DX", "R15")
	for i := range taps {
		a.load(cut, "(R15)", wt(i))
		if i < taps-1 {
			a.ins("ADDQ", "R9", "R15")
		}
	}
	a.ins("ADDQ", "dwArgs_wRow(R14)", "DX")
	a.ins("MOVQ", "SI", "DI")
	for x := range (u-1)*stride + taps {
		if x > 0 && x%3 == 0 {
			a.ins("ADDQ", "R12", "DI")
		}
		a.load(cut, memx("DI", "R8", x%3, 0), in(x))
		for i := range u {
			if t := x - i*stride; t >= 0 && t < taps {
				a.ins("VFMADD231PS", in(x), wt(t), acc(i))
			}
		}
	}
	a.ins("ADDQ", "R13", "SI")
	a.ins("DECQ", "CX")
	a.ins("JNZ", row)

	for i := range u {
		a.store(cut, acc(i), "(BX)")
		a.ins("ADDQ", "R10", "BX")
	}
	step := u * stride
	for ; step > 8; step -= 8 {
		a.ins("LEAQ", "(AX)(R8*8)", "AX")
	}
	a.ins("LEAQ", memx("AX", "R8", step, 0), "AX")
}

// dwWeight adds up the gradient of the weights.
//
//	func dwWeight(args *dwWeightArgs)
//
// For every vector of channels, the sums of some rows of taps stay in
// registers over a grid of outputs.
//
//	AX   input of the block     BX  gradient of the block
//	SI   input of the row of taps                  DI  input of the column
//	R8   bytes from input to input, R12 thrice that, R13 from row to row
//	R10  from gradient to gradient
//	R11  columns left           R15 rows left      R14 args
func dwWeight(a *asm) {
	a.fn("dwWeight", []string{"args"}, []string{"off", "chunks"})
	a.ins("MOVQ", a.arg("args"), "R14")
	a.copy("dwWeightArgs_off(R14)", a.local("off"))
	a.copy("dwWeightArgs_chunks(R14)", a.local("chunks"))
	a.ins("MOVQ", "dwWeightArgs_xCol(R14)", "R8")
	a.ins("LEAQ", "(R8)(R8*2)", "R12")
	a.ins("MOVQ", "dwWeightArgs_xRow(R14)", "R13")
	a.ins("MOVQ", "dwWeightArgs_dyCol(R14)", "R10")
	a.ins("MOVQ", "dwWeightArgs_lanes(R14)", "CX")
	cut := a.label("cut")
	if len(a.cuts()) > 1 {
		a.ins("CMPQ", "CX", a.lanes)
		a.ins("JLT", cut)
	}
	for _, t := range a.cuts() {
		if t {
			a.at(cut)
			a.setMask("AX")
		}
		a.ins("MOVQ", "dwWeightArgs_kernel(R14)", "AX")
		choose(a, "AX", 0, dwWeightKernels(a.isa), func(k dwWeightKernel) { dwWeightLoops(a, t, k) })
	}
}

// A dwWeightKernel sums rows of taps in one pass, for a stride.
type dwWeightKernel struct{ taps, rows, stride int }

// dwWeightKernels are the passes in the order in which package kernel numbers
// them.
func dwWeightKernels(s isa) []dwWeightKernel {
	var ks []dwWeightKernel
	for _, stride := range []int{1, 2} {
		if s.lanes == 16 {
			ks = append(ks, dwWeightKernel{3, 3, stride}, dwWeightKernel{5, 5, stride}, dwWeightKernel{7, 3, stride}, dwWeightKernel{7, 1, stride})
		} else {
			ks = append(ks, dwWeightKernel{3, 3, stride}, dwWeightKernel{5, 2, stride}, dwWeightKernel{5, 1, stride}, dwWeightKernel{7, 1, stride})
		}
	}
	return ks
}

func dwWeightLoops(a *asm, cut tail, k dwWeightKernel) {
	chunk, row, nextRow := a.label("chunk"), a.label("row"), a.label("nextRow")
	acc := func(y, x int) vec { return vec(y*k.taps + x) }
	a.at(chunk)
	for y := range k.rows {
		for x := range k.taps {
			a.zero(acc(y, x))
		}
	}
	a.ins("MOVQ", "dwWeightArgs_x(R14)", "CX")
	a.ins("ADDQ", a.local("off"), "CX")
	a.ins("MOVQ", "dwWeightArgs_dy(R14)", "DX")
	a.ins("ADDQ", a.local("off"), "DX")
	a.ins("MOVQ", "dwWeightArgs_rows(R14)", "R15")

	a.at(row)
	a.ins("MOVQ", "CX", "AX")
	a.ins("MOVQ", "DX", "BX")
	a.ins("MOVQ", "dwWeightArgs_cols(R14)", "R11")
	for _, u := range []int{4, 1} {
		a.blocksOf("R11", u, nextRow, func() { dwWeightBlock(a, cut, k, u, acc) })
	}
	a.at(nextRow)
	a.ins("ADDQ", "dwWeightArgs_xStep(R14)", "CX")
	a.ins("ADDQ", "dwWeightArgs_dyRow(R14)", "DX")
	a.ins("DECQ", "R15")
	a.ins("JNZ", row)

	a.ins("MOVQ", "dwWeightArgs_dw(R14)", "AX")
	a.ins("ADDQ", a.local("off"), "AX")
	sum := vec(k.rows * k.taps)
	for y := range k.rows {
		for x := range k.taps {
			a.load(cut, "(AX)", sum)
			a.ins("VADDPS", sum, acc(y, x), acc(y, x))
			a.store(cut, acc(y, x), "(AX)")
			a.ins("ADDQ", "dwWeightArgs_wCol(R14)", "AX")
		}
	}
	a.ins("ADDQ", a.bytes(), a.local("off"))
	a.ins("DECQ", a.local("chunks"))
	a.ins("JNZ", chunk)
	a.ret()
}

// dwWeightBlock adds the products of u gradients and moves AX and BX past them.
func dwWeightBlock(a *asm, cut tail, k dwWeightKernel, u int, acc func(y, x int) vec) {
	dy := func(i int) vec { return vec(k.rows*k.taps + i) }
	in := func(i int) vec {
		first := k.rows*k.taps + u
		return vec(first + i%max(1, min(4, a.regs-b2i(a.lanes == 8)-first)))
	}
	for i := range u {
		a.load(cut, "(BX)", dy(i))
		a.ins("ADDQ", "R10", "BX")
	}
	for y := range k.rows {
		if y == 0 {
			a.ins("MOVQ", "AX", "SI")
		} else {
			a.ins("ADDQ", "R13", "SI")
		}
		a.ins("MOVQ", "SI", "DI")
		for x := range (u-1)*k.stride + k.taps {
			if x > 0 && x%3 == 0 {
				a.ins("ADDQ", "R12", "DI")
			}
			a.load(cut, memx("DI", "R8", x%3, 0), in(x))
			for i := range u {
				if t := x - i*k.stride; t >= 0 && t < k.taps {
					a.ins("VFMADD231PS", in(x), dy(i), acc(y, t))
				}
			}
		}
	}
	a.ins("LEAQ", memx("AX", "R8", u*k.stride, 0), "AX")
}
