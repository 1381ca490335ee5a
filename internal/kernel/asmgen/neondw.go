package main

// neonDWFile writes the depthwise convolutions for NEON.
func neonDWFile() []byte {
	a := newNEON()
	neonDepthwise(a)
	neonDWInput(a)
	neonDWWeight(a)
	return a.finish()
}

// Registers of the depthwise kernels of NEON:
//
//	R0   args
//	R1   bytes from tap to tap in the source    R2  from weight to weight
//	R3   from destination to destination        R4  from row to row of taps in the source
//	R5   source of the block                    R6  destination
//	R7   rows of taps left                      R8  source of the row of taps
//	R9   source of the column                   R10 weights of the row of taps
//	R11  weight, and scratch                    R12 columns or blocks left
//	R17  offset of the vector of channels       R19 vectors left

// neonDWStart reads the registers that stay, and runs loops for every vector of
// channels.
func neonDWStart(a *neon, args string, fields [][2]string, loops func(cut tail)) {
	a.ins("MOVD", a.arg("args"), "R0")
	for _, f := range append(fields, [2]string{"off", "R17"}, [2]string{"chunks", "R19"}, [2]string{"lanes", "R11"}) {
		a.field(args, f[0], f[1])
	}
	a.chunks("R11", loops)
}

// chunks writes loops for R19 whole vectors of channels and for a tail, of as
// many channels as lanes says, and returns.
func (a *neon) chunks(lanes string, loops func(cut tail)) {
	cut, chunk := a.label("cut"), a.label("chunk")
	a.ins("CMP", 4, lanes)
	a.ins("BLT", cut)
	a.at(chunk)
	loops(false)
	a.ins("ADD", 16, "R17", "R17")
	a.ins("SUBS", 1, "R19", "R19")
	a.ins("BNE", chunk)
	a.ret()
	a.at(cut)
	a.setCut(lanes)
	loops(true)
	a.ret()
}

// columnsLeft runs block for u columns at a time of those that R12 counts, as
// long as there are so many, and jumps to done when none are left. After blocks
// of one column nothing is left.
func (a *neon) columnsLeft(u int, done string, block func()) {
	again, next := a.label("block"), a.label("next")
	a.ins("CMP", u, "R12")
	a.ins("BLT", next)
	a.at(again)
	block()
	a.ins("SUBS", u, "R12", "R12")
	a.ins("BEQ", done)
	a.ins("CMP", u, "R12")
	a.ins("BGE", again)
	a.at(next)
}

// neonBlock is the size of the largest block of outputs of depthwise. A tail
// is rare, and not worth the code of more.
func neonBlock(cut tail) int {
	if cut {
		return 2
	}
	return 14
}

// neonDepthwise writes the convolution, in the blocks of depthwise.
//
//	func depthwise(args *depthwiseArgs)
//
// Sums are in the first registers, then a row of weights, then columns of the
// source. Besides the registers above:
//
//	R13  source of the row      R14  destination of the row
//	R15  rows left              R16  size of the block
//	R20  weights                R21  sums over pixels
func neonDepthwise(a *neon) {
	a.fn("depthwise", []string{"args"}, nil)
	neonDWStart(a, "depthwiseArgs", [][2]string{{"xCol", "R1"}, {"wCol", "R2"}, {"yCol", "R3"}, {"xRow", "R4"}}, func(cut tail) { neonDepthwiseRows(a, cut) })
}

func neonDepthwiseRows(a *neon, cut tail) {
	row, phase, block, done, end, next := a.label("row"), a.label("phase"), a.label("block"), a.label("done"), a.label("end"), a.label("next")
	a.holdAct(swish)
	for _, f := range [][2]string{{"x", "R13"}, {"y", "R14"}, {"w", "R20"}, {"sums", "R21"}} {
		a.field("depthwiseArgs", f[0], f[1])
		a.ins("ADD", "R17", f[1])
	}
	a.field("depthwiseArgs", "rows", "R15")

	a.at(row)
	a.ins("MOVD", "R13", "R5")
	a.ins("MOVD", "R14", "R6")
	a.field("depthwiseArgs", "size", "R16")
	a.ins("ADD", 1, "R16", "R16")
	a.field("depthwiseArgs", "tall", "R12")
	a.at(phase)
	a.ins("CBZ", "R12", end)

	a.at(block)
	a.ins("MOVD", "R5", "R8")
	a.ins("MOVD", "R20", "R10")
	a.field("depthwiseArgs", "k", "R7")
	two := a.label("two")
	sizes := upTo(neonBlock(cut))
	fin := map[int]string{}
	for _, u := range sizes {
		fin[u] = a.label("sums")
	}
	kernels := func(stride, k int) {
		choose(a.asm, "R16", 1, sizes, func(u int) {
			neonDepthwiseTaps(a, cut, stride, k, u)
			a.ins("B", fin[u])
		})
	}
	a.field("depthwiseArgs", "stride", "R11")
	a.ins("CMP", 2, "R11")
	a.ins("BEQ", two)
	choose(a.asm, "R7", 1, []int{1, 2, 3, 4, 5, 6, 7}, func(k int) { kernels(1, k) })
	a.at(two)
	a.ins("LSR", 1, "R7", "R11")
	choose(a.asm, "R11", 1, []int{3, 5, 7}, func(k int) { kernels(2, k) })
	for _, u := range sizes {
		a.at(fin[u])
		neonDepthwiseEnd(a, cut, u)
		a.ins("B", done)
	}

	a.at(done)
	a.field("depthwiseArgs", "xOut", "R11")
	a.ins("MADD", "R16", "R5", "R11", "R5")
	a.ins("SUBS", 1, "R12", "R12")
	a.ins("BNE", block)

	// After the blocks one larger come the others.
	a.at(end)
	a.field("depthwiseArgs", "size", "R11")
	a.ins("CMP", "R11", "R16")
	a.ins("BEQ", next)
	a.ins("MOVD", "R11", "R16")
	a.field("depthwiseArgs", "short", "R12")
	a.ins("B", phase)

	a.at(next)
	a.field("depthwiseArgs", "xStep", "R11")
	a.ins("ADD", "R11", "R13")
	a.field("depthwiseArgs", "yRow", "R11")
	a.ins("ADD", "R11", "R14")
	a.ins("SUBS", 1, "R15", "R15")
	a.ins("BNE", row)
}

// tapRows runs body for R7 rows of taps from R8 and R10 on. Before, the weights
// of the row are loaded; wRow is the field of the bytes to the next.
func (a *neon) tapRows(cut tail, taps int, wt func(t int) vec, args, wRow string, body func()) {
	row := a.label("taps")
	a.at(row)
	a.ins("MOVD", "R10", "R11")
	for t := range taps {
		a.loadNext(cut, "R11", "R2", wt(t))
	}
	a.field(args, wRow, "R11")
	a.ins("ADD", "R11", "R10")
	body()
	a.ins("ADD", "R4", "R8")
	a.ins("SUBS", 1, "R7", "R7")
	a.ins("BNE", row)
}

// columns runs body for every one of n columns of the source, loaded in turns
// into the registers from first on, before end.
func (a *neon) columns(cut tail, n int, first, end vec, body func(x int, in vec)) {
	turns := min(4, int(end-first))
	a.ins("MOVD", "R8", "R9")
	for x := range n {
		in := first + vec(x%turns)
		a.loadNext(cut, "R9", "R1", in)
		body(x, in)
	}
}

// neonDepthwiseTaps computes the sums of products of a block of u outputs.
func neonDepthwiseTaps(a *neon, cut tail, stride, k, u int) {
	acc := func(i int) vec { return vec(i) }
	wt := func(t int) vec { return vec(u + t) }
	zero, taps := a.label("zero"), a.label("sums")
	a.field("depthwiseArgs", "shift", "R11")
	a.ins("CBZ", "R11", zero)
	a.load(cut, addr{base: "R11", index: "R17"}, acc(0))
	for i := range u - 1 {
		a.mov(acc(i+1), acc(0))
	}
	a.ins("B", taps)
	a.at(zero)
	for i := range u {
		a.zero(acc(i))
	}
	a.at(taps)
	a.tapRows(cut, k, wt, "depthwiseArgs", "wRow", func() {
		a.columns(cut, (u-1)*stride+k, vec(u+k), neonLog2e, func(x int, in vec) {
			for i := range u {
				if t := x - i*stride; t >= 0 && t < k {
					a.fma(acc(i), in, wt(t))
				}
			}
		})
	})
}

// neonDepthwiseEnd finishes and stores a block of u outputs.
func neonDepthwiseEnd(a *neon, cut tail, u int) {
	acc := func(i int) vec { return vec(i) }
	bit := func(flag int, skip string) {
		a.ins("AND", flag, "R11", "R8")
		a.ins("CBZ", "R8", skip)
	}
	linear, unclamped, store := a.label("linear"), a.label("unclamped"), a.label("store")
	a.field("depthwiseArgs", "flags", "R11")
	bit(dwSwish, linear)
	for i := range u {
		a.act(swish, acc(i), [6]vec{16, 17, 18, 19, 20, 21})
	}
	a.at(linear)
	bit(dwClamp, unclamped)
	lo, hi := vec(16), vec(17)
	a.fieldAll("depthwiseArgs", "lo", lo)
	a.fieldAll("depthwiseArgs", "hi", hi)
	for i := range u {
		a.op("fmax", acc(i), acc(i), lo)
		a.op("fmin", acc(i), acc(i), hi)
	}
	a.at(unclamped)
	bit(dwSums, store)
	sum := vec(16)
	a.load(cut, reg("R21"), sum)
	for i := range u {
		a.op("fadd", sum, sum, acc(i))
	}
	a.store(cut, sum, reg("R21"))
	a.at(store)
	for i := range u {
		a.storeNext(cut, acc(i), "R6", "R3")
	}
}
