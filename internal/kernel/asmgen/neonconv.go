package main

import "fmt"

// neonConvFile writes the convolution for NEON, and the scaling of a packed
// weight, as conv.go does for amd64.
func neonConvFile() []byte {
	a := newNEON()
	neonConv(a)
	neonScaleRows(a)
	return a.finish()
}

// A tile of NEON is at most eight rows high and two vectors wide. Its sums are
// in V0-V15, four steps of each row in V16-V23, rows of the other factor, two
// vectors for each of four steps, in V24-V31.
const (
	neonRows = 8
	neonA    = vec(16)
	neonB    = vec(24)
)

// neonSteps writes four steps of a tile, then one at a time: R10 of them, at
// least one. A row's elements follow each other from R1, R2 ... on; loadB loads
// the vectors of a step and moves on to the next.
func neonSteps(a *neon, rows, vecs int, loadB func(b vec)) {
	acc := func(r, v int) vec { return vec(r*vecs + v) }
	four, rest, one, done := a.label("four"), a.label("rest"), a.label("one"), a.label("done")
	a.ins("SUBS", convUnroll, "R10", "R10")
	a.ins("BLT", rest)
	a.at(four)
	for r := range rows {
		a.ins("FMOVQ.P", fmt.Sprintf("16(%s)", neonRow(r)), fr(neonA+vec(r)))
	}
	for u := range convUnroll {
		loadB(neonB + vec(u*vecs))
	}
	for u := range convUnroll {
		for r := range rows {
			for v := range vecs {
				a.by("fmla", acc(r, v), neonB+vec(u*vecs+v), neonA+vec(r), u)
			}
		}
	}
	a.ins("SUBS", convUnroll, "R10", "R10")
	a.ins("BGE", four)
	a.at(rest)
	a.ins("ADDS", convUnroll, "R10", "R10")
	a.ins("BEQ", done)
	a.at(one)
	loadB(neonB)
	for r := range rows {
		a.ins("FMOVS.P", fmt.Sprintf("4(%s)", neonRow(r)), fr(neonA+vec(r)))
	}
	for r := range rows {
		for v := range vecs {
			a.by("fmla", acc(r, v), neonB+vec(v), neonA+vec(r), 0)
		}
	}
	a.ins("SUBS", 1, "R10", "R10")
	a.ins("BNE", one)
	a.at(done)
}

// neonRow is the register of the address of row r of a tile.
func neonRow(r int) string { return fmt.Sprintf("R%d", 1+r) }

// rowAddresses sets the addresses of rows step bytes apart from that in base
// on, which moves behind them.
func (a *neon) rowAddresses(rows int, base, step string) {
	for r := range rows {
		a.ins("MOVD", base, neonRow(r))
		a.ins("ADD", step, base)
	}
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i+1)
	}
	return list
}

// neonConv writes one panel of a convolution: lines of tiles of equal height.
//
//	func conv(args *convArgs)
func neonConv(a *neon) {
	a.fn("conv", []string{"args"}, nil)
	a.ins("MOVD", a.arg("args"), "R0")
	a.field("convArgs", "lanes", "R10")
	a.setCut("R10")
	for _, f := range [][2]string{{"xCol", "R12"}, {"yCol", "R13"}, {"lines", "R17"}, {"x", "R19"}, {"y", "R20"}, {"residual", "R21"}, {"pixels", "R11"}, {"vectors", "R10"}} {
		a.field("convArgs", f[0], f[1])
	}
	a.ins("SUB", "R20", "R21", "R21")
	one := a.label("one")
	a.ins("CMP", 1, "R10")
	a.ins("BEQ", one)
	choose(a.asm, "R11", 1, upTo(neonRows), func(r int) { neonConvTiles(a, r, 2) })
	a.at(one)
	choose(a.asm, "R11", 1, upTo(neonRows), func(r int) { neonConvTiles(a, r, 1) })
}

// neonConvTiles is the loop over lines and tiles of one size, and returns.
//
//	R0      args                R1 ...  x of the pixels at the step
//	R9      weight at the step  R10     steps left
//	R11     runs left, then y of the pixel
//	R12     xCol    R13 yCol    R14     x of the tile    R15 y of the tile
//	R16     tiles left          R17     lines left
//	R19     x of the line       R20     y of the line
//	R21     from y to residual
func neonConvTiles(a *neon, rows, vecs int) {
	acc := func(r, v int) vec { return vec(r*vecs + v) }
	each := func(f func(r, v int)) {
		for r := range rows {
			for v := range vecs {
				f(r, v)
			}
		}
	}
	line, tile, run, sums := a.label("line"), a.label("tile"), a.label("run"), a.label("sums")
	a.at(line)
	a.ins("MOVD", "R19", "R14")
	a.ins("MOVD", "R20", "R15")
	a.field("convArgs", "tiles", "R16")
	a.at(tile)
	a.rowAddresses(rows, "R14", "R12")
	a.field("convArgs", "shift", "R9")
	for v := range vecs {
		a.load(false, addr{base: "R9", disp: 16 * v}, acc(0, v))
	}
	each(func(r, v int) {
		if r > 0 {
			a.mov(acc(r, v), acc(0, v))
		}
	})
	a.field("convArgs", "w", "R9")
	a.field("convArgs", "segs", "R11")
	a.at(run)
	a.field("convArgs", "k", "R10")
	neonSteps(a, rows, vecs, func(b vec) {
		if vecs == 2 {
			a.ins("FLDPQ.P", "32(R9)", fmt.Sprintf("(F%d, F%d)", b, b+1))
		} else {
			a.ins("FMOVQ.P", "16(R9)", fr(b))
		}
	})
	a.ins("SUBS", 1, "R11", "R11")
	a.ins("BEQ", sums)
	a.field("convArgs", "xSkip", "R10")
	for r := range rows {
		a.ins("ADD", "R10", neonRow(r))
	}
	a.ins("B", run)

	a.at(sums)
	a.field("convArgs", "flags", "R10")
	bit := func(flag int, skip string) {
		a.ins("AND", flag, "R10", "R11")
		a.ins("CBZ", "R11", skip)
	}
	linear, alone, unclamped := a.label("linear"), a.label("alone"), a.label("unclamped")
	bit(convSwish, linear)
	a.holdAct(swish)
	each(func(r, v int) { a.act(swish, acc(r, v), [6]vec{16, 17, 18, 19, 20, 21}) })
	a.at(linear)
	wholeOrCut := func(access func(cut tail)) {
		some, done := a.label("cut"), a.label("done")
		a.ins("AND", convCut, "R10", "R11")
		a.ins("CBNZ", "R11", some)
		access(false)
		a.ins("B", done)
		a.at(some)
		access(true)
		a.at(done)
	}
	bit(convResidual, alone)
	wholeOrCut(func(cut tail) {
		a.ins("ADD", "R21", "R15", "R11")
		each(func(r, v int) {
			a.load(cut && v == vecs-1, addr{base: "R11", disp: 16 * v}, neonA)
			a.op("fadd", acc(r, v), acc(r, v), neonA)
			if v == vecs-1 {
				a.ins("ADD", "R13", "R11")
			}
		})
	})
	a.at(alone)
	bit(convClamp, unclamped)
	lo, hi := neonA, neonA+1
	a.fieldAll("convArgs", "lo", lo)
	a.fieldAll("convArgs", "hi", hi)
	each(func(r, v int) {
		a.op("fmax", acc(r, v), acc(r, v), lo)
		a.op("fmin", acc(r, v), acc(r, v), hi)
	})
	a.at(unclamped)
	wholeOrCut(func(cut tail) {
		each(func(r, v int) {
			a.store(cut && v == vecs-1, acc(r, v), addr{base: "R15", disp: 16 * v})
			if v == vecs-1 {
				a.ins("ADD", "R13", "R15")
			}
		})
	})
	a.ins("SUBS", 1, "R16", "R16")
	a.ins("BNE", tile)
	a.field("convArgs", "xRow", "R10")
	a.ins("ADD", "R10", "R19")
	a.field("convArgs", "yRow", "R10")
	a.ins("ADD", "R10", "R20")
	a.field("convArgs", "rRow", "R11")
	a.ins("SUB", "R10", "R11", "R11")
	a.ins("ADD", "R11", "R21")
	a.ins("SUBS", 1, "R17", "R17")
	a.ins("BNE", line)
	a.ret()
}

// neonScaleRows writes dst = scale*src for rows of vectors.
//
//	func scaleRows(dst, src, scale *float32, rows, vectors int)
func neonScaleRows(a *neon) {
	a.fn("scaleRows", []string{"dst", "src", "scale", "rows", "vectors"}, nil)
	for i, p := range a.params {
		a.ins("MOVD", a.arg(p), neonRow(i))
	}
	row, vector := a.label("row"), a.label("vector")
	a.at(row)
	a.ins("VLD1R.P", "4(R3)", "["+s4(0)+"]")
	a.ins("MOVD", "R5", "R6")
	a.at(vector)
	a.ins("FMOVQ.P", "16(R2)", fr(1))
	a.op("fmul", 1, 1, 0)
	a.ins("FMOVQ.P", fr(1), "16(R1)")
	a.ins("SUBS", 1, "R6", "R6")
	a.ins("BNE", vector)
	a.ins("SUBS", 1, "R4", "R4")
	a.ins("BNE", row)
	a.ret()
}
