package main

// dwFile writes the depthwise convolutions.
func dwFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		depthwise(a)
		dwInput(a)
		dwWeight(a)
	}
	return a.finish()
}

// Registers of the depthwise kernels:
//
//	AX   source of the block    BX  destination    CX  rows of taps left
//	SI   source of the row of taps                 DI  source of the column
//	DX   weights of the row of taps                R15 weight
//	R8   bytes from tap to tap in the source, R12 thrice that
//	R13  bytes from row to row of taps in the source
//	R9   bytes from weight to weight               R10 destination to destination
//	R11  columns left           R14 args

// dwPrologue reads the registers that stay, and writes loops for whole vectors
// and for those that the mask cuts. With AVX-512 a mask costs nothing, and one
// suffices.
func dwPrologue(a *asm, args string, regs map[string]string, loops func(cut tail)) {
	a.ins("MOVQ", a.arg("args"), "R14")
	for _, reg := range []string{"R8", "R9", "R10", "R13"} {
		if field := regs[reg]; field != "" {
			a.ins("MOVQ", args+"_"+field+"(R14)", reg)
		}
	}
	a.ins("LEAQ", "(R8)(R8*2)", "R12")
	a.copy(args+"_chunks(R14)", a.local("chunks"))
	a.copy(args+"_off(R14)", a.local("off"))
	a.ins("MOVQ", args+"_lanes(R14)", "CX")
	if !a.kmask {
		cut := a.label("cut")
		a.ins("CMPQ", "CX", a.lanes)
		a.ins("JLT", cut)
		loops(false)
		a.at(cut)
	}
	a.setMask("AX")
	loops(true)
}

// chunks runs loops for every vector of channels, and returns.
func (a *asm) chunks(loops func()) {
	chunk := a.label("chunk")
	a.at(chunk)
	loops()
	a.ins("ADDQ", a.bytes(), a.local("off"))
	a.ins("DECQ", a.local("chunks"))
	a.ins("JNZ", chunk)
	a.ret()
}

// Bits of depthwiseArgs.flags, as in dw_asm.go.
const (
	dwSwish  = 1 << iota // apply swish to the sums of products
	dwClamp              // cut to [lo, hi]
	dwSums               // add to the sums over pixels
	dwDivide             // swish with a division, where it is quick
)

// depthwise writes the convolution.
//
//	func depthwise(args *depthwiseArgs)
//
// For every vector of channels, a block of outputs of a row stays in registers
// over all taps. A row of taps is held in registers, and a column of the input
// is loaded once for all outputs of the block that it takes part in.
func depthwise(a *asm) {
	a.fn("depthwise", []string{"args"}, []string{"off", "chunks", "left", "src", "dst", "w", "size", "shift", "sums"})
	dwPrologue(a, "depthwiseArgs", map[string]string{"R8": "xCol", "R9": "wCol", "R10": "yCol", "R13": "xRow"}, func(cut tail) {
		a.chunks(func() { depthwiseRows(a, cut) })
	})
}

// depthwiseBlock is the size of the largest block of outputs with k taps a row,
// as in dw_amd64.go.
func depthwiseBlock(a *asm, k int) int { return min(14, a.free()-max(2+k, 4)) }

func depthwiseRows(a *asm, cut tail) {
	row, phase, block, done, end, next := a.label("row"), a.label("phase"), a.label("block"), a.label("done"), a.label("end"), a.label("next")
	for _, p := range [][2]string{{"x", "src"}, {"y", "dst"}, {"w", "w"}, {"shift", "shift"}, {"sums", "sums"}} {
		a.ins("MOVQ", "depthwiseArgs_"+p[0]+"(R14)", "AX")
		a.ins("ADDQ", a.local("off"), "AX")
		a.ins("MOVQ", "AX", a.local(p[1]))
	}
	a.copy("depthwiseArgs_rows(R14)", a.local("left"))

	a.at(row)
	a.ins("MOVQ", a.local("src"), "AX")
	a.ins("MOVQ", a.local("dst"), "BX")
	a.ins("MOVQ", "depthwiseArgs_size(R14)", "DI")
	a.ins("INCQ", "DI")
	a.ins("MOVQ", "depthwiseArgs_tall(R14)", "R11")
	a.at(phase)
	a.ins("MOVQ", "DI", a.local("size"))
	a.ins("TESTQ", "R11", "R11")
	a.ins("JZ", end)

	a.at(block)
	a.ins("MOVQ", "AX", "SI")
	a.ins("MOVQ", a.local("w"), "DX")
	a.ins("MOVQ", "depthwiseArgs_k(R14)", "CX")
	two := a.label("two")
	sizes := func(k int) (list []int) {
		for u := range depthwiseBlock(a, k) {
			list = append(list, u+1)
		}
		return list
	}
	fin := map[int]string{}
	for _, u := range sizes(1) {
		fin[u] = a.label("sums")
	}
	kernels := func(stride, k int) {
		choose(a, "DI", 1, sizes(k), func(u int) {
			depthwiseTaps(a, cut, stride, k, u)
			a.ins("JMP", fin[u])
		})
	}
	a.ins("CMPQ", "depthwiseArgs_stride(R14)", 2)
	a.ins("JEQ", two)
	choose(a, "CX", 1, []int{1, 2, 3, 4, 5, 6, 7}, func(k int) { kernels(1, k) })
	a.at(two)
	a.ins("MOVQ", "CX", "R15")
	a.ins("SHRQ", 1, "R15")
	choose(a, "R15", 1, []int{3, 5, 7}, func(k int) { kernels(2, k) })
	for _, u := range sizes(1) {
		a.at(fin[u])
		depthwiseEnd(a, cut, u)
		a.ins("JMP", done)
	}

	a.at(done)
	a.ins("MOVQ", a.local("size"), "DI")
	a.ins("MOVQ", "DI", "SI")
	a.ins("IMULQ", "depthwiseArgs_xOut(R14)", "SI")
	a.ins("ADDQ", "SI", "AX")
	a.ins("DECQ", "R11")
	a.ins("JNZ", block)

	// After the blocks one larger come the others.
	a.at(end)
	a.ins("MOVQ", "depthwiseArgs_size(R14)", "DI")
	a.ins("CMPQ", "DI", a.local("size"))
	a.ins("JEQ", next)
	a.ins("MOVQ", "depthwiseArgs_short(R14)", "R11")
	a.ins("JMP", phase)

	a.at(next)
	a.ins("MOVQ", "depthwiseArgs_xStep(R14)", "AX")
	a.ins("ADDQ", "AX", a.local("src"))
	a.ins("MOVQ", "depthwiseArgs_yRow(R14)", "AX")
	a.ins("ADDQ", "AX", a.local("dst"))
	a.ins("DECQ", a.local("left"))
	a.ins("JNZ", row)
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

// tapRows runs body for CX rows of taps from SI and DX on. Before, the weights
// of the row are loaded; wRow is the address of the bytes to the next.
func (a *asm) tapRows(cut tail, taps int, wt func(t int) vec, wRow string, body func()) {
	row := a.label("taps")
	a.at(row)
	a.ins("MOVQ", "DX", "R15")
	for t := range taps {
		a.load(cut, "(R15)", wt(t))
		if t < taps-1 {
			a.ins("ADDQ", "R9", "R15")
		}
	}
	a.ins("ADDQ", wRow, "DX")
	body()
	a.ins("ADDQ", "R13", "SI")
	a.ins("DECQ", "CX")
	a.ins("JNZ", row)
}

// columns runs body for every one of n source columns, loaded in turns into
// the registers from first on.
func (a *asm) columns(cut tail, n int, first vec, body func(x int, in vec)) {
	turns := max(1, min(4, a.free()-int(first)))
	a.ins("MOVQ", "SI", "DI")
	for x := range n {
		if x > 0 && x%3 == 0 {
			a.ins("ADDQ", "R12", "DI")
		}
		in := first + vec(x%turns)
		a.load(cut, memx("DI", "R8", x%3, 0), in)
		body(x, in)
	}
}

// advance moves AX by n source columns.
func (a *asm) advance(n int) {
	for ; n > 8; n -= 8 {
		a.ins("LEAQ", "(AX)(R8*8)", "AX")
	}
	a.ins("LEAQ", memx("AX", "R8", n, 0), "AX")
}

// depthwiseTaps computes the sums of products of a block of u outputs.
func depthwiseTaps(a *asm, cut tail, stride, k, u int) {
	acc := func(i int) vec { return vec(i) }
	wt := func(t int) vec { return vec(u + t) }
	zero, taps := a.label("zero"), a.label("sums")
	a.ins("CMPQ", "depthwiseArgs_shift(R14)", 0)
	a.ins("JEQ", zero)
	a.ins("MOVQ", a.local("shift"), "DX")
	a.load(cut, "(DX)", acc(0))
	for i := range u - 1 {
		a.ins("VMOVAPS", acc(0), acc(i+1))
	}
	a.ins("JMP", taps)
	a.at(zero)
	for i := range u {
		a.zero(acc(i))
	}
	a.at(taps)
	a.ins("MOVQ", a.local("w"), "DX")
	a.tapRows(cut, k, wt, "depthwiseArgs_wRow(R14)", func() {
		a.columns(cut, (u-1)*stride+k, vec(u+k), func(x int, in vec) {
			for i := range u {
				if t := x - i*stride; t >= 0 && t < k {
					a.ins("VFMADD231PS", in, wt(t), acc(i))
				}
			}
		})
	})
}

// depthwiseEnd finishes and stores a block of u outputs.
func depthwiseEnd(a *asm, cut tail, u int) {
	acc := func(i int) vec { return vec(i) }
	t := [4]vec{vec(u), vec(u + 1), vec(u + 2), vec(u + 3)}
	linear, unclamped, store := a.label("linear"), a.label("unclamped"), a.label("store")
	a.ins("MOVQ", "depthwiseArgs_flags(R14)", "CX")
	a.ins("TESTL", dwSwish, "CX")
	a.ins("JZ", linear)
	a.swishes(dwDivide, func(act int) {
		for i := range u {
			a.act(act, acc(i), t)
		}
	})
	a.at(linear)
	a.ins("TESTL", dwClamp, "CX")
	a.ins("JZ", unclamped)
	a.ins("VBROADCASTSS", "depthwiseArgs_lo(R14)", t[0])
	a.ins("VBROADCASTSS", "depthwiseArgs_hi(R14)", t[1])
	for i := range u {
		a.ins("VMAXPS", acc(i), t[0], acc(i))
		a.ins("VMINPS", acc(i), t[1], acc(i))
	}
	a.at(unclamped)
	a.ins("TESTL", dwSums, "CX")
	a.ins("JZ", store)
	a.ins("MOVQ", a.local("sums"), "DX")
	a.load(cut, "(DX)", t[0])
	for i := range u {
		a.ins("VADDPS", acc(i), t[0], t[0])
	}
	a.store(cut, t[0], "(DX)")
	a.at(store)
	for i := range u {
		a.store(cut, acc(i), "(BX)")
		a.ins("ADDQ", "R10", "BX")
	}
}

// dwInput writes the gradient of the input.
//
//	func dwInput(args *dwInputArgs)
//
// Rows of the destination come in spans that have the same rows of taps.
// Columns come in classes, one for each residue of the stride: a class is a
// convolution with every stride-th tap, of which a block of columns of the
// source adds to as many columns of the destination and, with the taps that
// reach further, to some of the next block, which stay in registers.
func dwInput(a *asm) {
	a.fn("dwInput", []string{"args"}, []string{"off", "chunks", "span", "spans", "class", "classes", "left", "taps", "src", "dst", "w", "wClass"})
	dwPrologue(a, "dwInputArgs", map[string]string{"R8": "dyCol", "R9": "wCol", "R10": "dxCol", "R13": "dyRow"}, func(cut tail) {
		a.chunks(func() { dwInputRows(a, cut) })
	})
}

func dwInputRows(a *asm, cut tail) {
	span, row, class, none, next := a.label("span"), a.label("row"), a.label("class"), a.label("none"), a.label("next")
	a.copy("dwInputArgs_nspans(R14)", a.local("spans"))
	a.ins("LEAQ", "dwInputArgs_spans(R14)", "CX")

	a.at(span)
	a.ins("MOVQ", "CX", a.local("span"))
	for _, p := range [][2]string{{"dx", "dst"}, {"dy", "src"}, {"w", "w"}} {
		a.ins("MOVQ", "dwInputArgs_"+p[0]+"(R14)", "AX")
		a.ins("ADDQ", "dwSpan_"+p[0]+"(CX)", "AX")
		a.ins("ADDQ", a.local("off"), "AX")
		a.ins("MOVQ", "AX", a.local(p[1]))
	}
	a.copy("dwSpan_n(CX)", a.local("left"))
	a.copy("dwSpan_taps(CX)", a.local("taps"))

	a.at(row)
	a.copy("dwInputArgs_nclasses(R14)", a.local("classes"))
	a.ins("LEAQ", "dwInputArgs_classes(R14)", "CX")

	a.at(class)
	a.ins("MOVQ", "CX", a.local("class"))
	a.ins("MOVQ", a.local("src"), "AX")
	a.ins("MOVQ", a.local("dst"), "BX")
	a.ins("ADDQ", "dwClass_dx(CX)", "BX")
	a.ins("MOVQ", a.local("w"), "DX")
	a.ins("ADDQ", "dwClass_w(CX)", "DX")
	a.ins("MOVQ", "DX", a.local("wClass"))
	a.ins("MOVQ", "dwInputArgs_cols(R14)", "R11")
	a.ins("MOVQ", "dwClass_taps(CX)", "SI")
	a.ins("CMPQ", a.local("taps"), 0)
	a.ins("JEQ", none)
	choose(a, "SI", 0, []int{0, 1, 2, 3, 4, 5, 6, 7}, func(taps int) {
		if taps == 0 {
			a.at(none)
			a.ins("MOVQ", a.local("class"), "CX")
			a.ins("MOVQ", "dwClass_n(CX)", "R11")
			dwZeros(a, cut, next)
			return
		}
		dwInputRow(a, cut, taps)
		a.ins("MOVQ", a.local("class"), "CX")
		a.ins("MOVQ", "dwClass_rest(CX)", "R11")
		dwZeros(a, cut, next)
	})

	a.at(next)
	a.ins("MOVQ", a.local("class"), "CX")
	a.ins("ADDQ", "$dwClass__size", "CX")
	a.ins("DECQ", a.local("classes"))
	a.ins("JNZ", class)
	a.ins("MOVQ", "dwInputArgs_dxStep(R14)", "AX")
	a.ins("ADDQ", "AX", a.local("dst"))
	a.ins("ADDQ", "R13", a.local("src"))
	a.ins("DECQ", a.local("left"))
	a.ins("JNZ", row)
	a.ins("MOVQ", a.local("span"), "CX")
	a.ins("ADDQ", "$dwSpan__size", "CX")
	a.ins("DECQ", a.local("spans"))
	a.ins("JNZ", span)
}

// dwZeros writes R11 zeros, or none, and jumps to done.
func dwZeros(a *asm, cut tail, done string) {
	zero := a.label("zero")
	a.ins("TESTQ", "R11", "R11")
	a.ins("JZ", done)
	a.zero(0)
	a.at(zero)
	a.store(cut, 0, "(BX)")
	a.ins("ADDQ", "R10", "BX")
	a.ins("DECQ", "R11")
	a.ins("JNZ", zero)
	a.ins("JMP", done)
}

// dwInputRow writes the destination of R11 source columns.
func dwInputRow(a *asm, cut tail, taps int) {
	end := a.label("end")
	for i := range taps - 1 {
		a.zero(vec(i))
	}
	for u := 8; u >= 1; u /= 2 {
		if u+2*taps > a.free() {
			continue
		}
		a.blocksOf("R11", u, end, func() { dwInputBlock(a, cut, taps, u) })
	}
	a.at(end)
	for i := range taps - 1 {
		a.store(cut, vec(i), "(BX)")
		a.ins("ADDQ", "R10", "BX")
	}
}

func dwInputBlock(a *asm, cut tail, taps, u int) {
	acc := func(i int) vec { return vec(i) }
	wt := func(t int) vec { return vec(u + taps - 1 + t) }
	for i := range u {
		a.zero(acc(taps - 1 + i))
	}
	a.ins("MOVQ", "AX", "SI")
	a.ins("MOVQ", a.local("wClass"), "DX")
	a.ins("MOVQ", a.local("taps"), "CX")
	a.tapRows(cut, taps, wt, "dwInputArgs_wRow(R14)", func() {
		a.columns(cut, u, vec(u+2*taps-1), func(x int, in vec) {
			for t := range taps {
				a.ins("VFMADD231PS", in, wt(t), acc(x+t))
			}
		})
	})
	for i := range u {
		a.store(cut, acc(i), "(BX)")
		a.ins("ADDQ", "R10", "BX")
	}
	for i := range taps - 1 {
		a.ins("VMOVAPS", acc(u+i), acc(i))
	}
	a.advance(u)
}
