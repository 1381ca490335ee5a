package main

// convFile writes the convolution as sums of products over runs, and the
// scaling of a packed weight.
func convFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		conv(a)
		scaleRows(a)
	}
	return a.finish()
}

// vendorFile writes the function that asks for the maker of the processor.
//
//	func vendor() (b, c, d uint32)
func vendorFile() []byte {
	a := newAsm()
	a.buf.WriteString("\nTEXT ·vendor(SB), NOSPLIT, $0-12\n")
	a.ins("XORL", "AX", "AX")
	a.ins("CPUID")
	a.ins("MOVL", "BX", "b+0(FP)")
	a.ins("MOVL", "CX", "c+4(FP)")
	a.ins("MOVL", "DX", "d+8(FP)")
	a.ins("RET")
	return a.finish()
}

// convRows is the number of pixels of the largest tile, which is two vectors of
// channels wide: 28 of 32 registers for AVX-512, 12 of 16 for AVX2 hold its sums.
func convRows(s isa) int {
	if s.regs == 32 {
		return 14
	}
	return 6
}

// Bits of convArgs.flags, as in conv_asm.go.
const (
	convSwish    = 1 << iota // apply swish to the sums
	convResidual             // then add the residual
	convClamp                // then cut to [lo, hi]
	convCut                  // the last vector is not whole
	convDivide               // swish with a division, where it is quick
)

const convUnroll = 4 // steps of the loop over a run

// conv writes one panel of a convolution: lines of tiles of equal height.
//
//	func conv(args *convArgs)
//
// The sums of a tile stay in registers over the whole patch: a step loads a row
// of the weight and multiplies it by a broadcast element of every pixel.
func conv(a *asm) {
	a.fn("conv", []string{"args"}, []string{"x", "y", "delta", "lines", "segs", "tiles", "ahead", "mask"})
	a.ins("MOVQ", a.arg("args"), "R12")
	a.ins("MOVQ", "convArgs_lanes(R12)", "CX")
	if a.kmask {
		a.setMask("AX")
	} else { // the registers of a tile leave no room for it
		a.ins("LEAQ", "tailmask<>+32(SB)", "AX")
		a.ins("SHLQ", 2, "CX")
		a.ins("SUBQ", "CX", "AX")
		a.ins("MOVQ", "AX", a.local("mask"))
	}
	a.copy("convArgs_lines(R12)", a.local("lines"))
	a.copy("convArgs_x(R12)", a.local("x"))
	a.copy("convArgs_y(R12)", a.local("y"))
	a.ins("MOVQ", "convArgs_residual(R12)", "AX")
	a.ins("SUBQ", "convArgs_y(R12)", "AX")
	a.ins("MOVQ", "AX", a.local("delta"))
	a.ins("MOVQ", "convArgs_w(R12)", "AX")
	a.ins("ADDQ", "convArgs_ahead(R12)", "AX")
	a.ins("MOVQ", "AX", a.local("ahead"))
	a.ins("MOVQ", "convArgs_xCol(R12)", "R11")
	a.ins("MOVQ", "convArgs_yCol(R12)", "BX")
	a.ins("MOVQ", "convArgs_pixels(R12)", "DI")

	var rows []int
	for r := range convRows(a.isa) {
		rows = append(rows, r+1)
	}
	one := a.label("one")
	a.ins("CMPQ", "convArgs_vectors(R12)", 1)
	a.ins("JEQ", one)
	choose(a, "DI", 1, rows, func(r int) { convTiles(a, r, 2) })
	a.at(one)
	choose(a, "DI", 1, rows, func(r int) { convTiles(a, r, 1) })
}

// convTiles is the loop over lines and tiles of one size, and returns.
//
//	AX   x of the tile      SI R8 R9 R10 R14  x of pixels 0, 3, 6, 9, 12 at the step
//	R11  bytes from pixel to pixel of x       DI  row of the weight at the step
//	DX   y of the tile      BX  bytes from pixel to pixel of y
//	CX   steps left         R13 what will be needed soon
//	R12  args, and scratch
func convTiles(a *asm, rows, vecs int) {
	acc := func(r, v int) vec { return vec(r*vecs + v) }
	spare := rows * vecs
	b := func(v int) vec { return vec(spare + v) }
	groups := []string{"SI", "R8", "R9", "R10", "R14"}[:(rows+2)/3]
	each := func(f func(r, v int)) {
		for r := range rows {
			for v := range vecs {
				f(r, v)
			}
		}
	}

	line, tile := a.label("line"), a.label("tile")
	a.at(line)
	a.ins("MOVQ", a.local("x"), "AX")
	a.ins("MOVQ", a.local("y"), "DX")
	a.ins("MOVQ", "convArgs_tiles(R12)", "CX")
	a.ins("MOVQ", "CX", a.local("tiles"))
	a.at(tile)
	for i, p := range groups {
		if i == 0 {
			a.ins("MOVQ", "AX", p)
		} else {
			a.ins("LEAQ", memx(groups[i-1], "R11", 2, 0), p)
			a.ins("ADDQ", "R11", p)
		}
	}
	a.ins("MOVQ", a.arg("args"), "R12")
	a.ins("MOVQ", a.local("ahead"), "R13")
	a.ins("MOVQ", "convArgs_segs(R12)", "CX")
	a.ins("MOVQ", "CX", a.local("segs"))
	a.ins("MOVQ", "convArgs_shift(R12)", "DI")
	for v := range vecs {
		a.ins("VMOVUPS", mem("DI", v*a.bytes()), acc(0, v))
	}
	each(func(r, v int) {
		if r > 0 {
			a.ins("VMOVAPS", acc(0, v), acc(r, v))
		}
	})
	a.ins("MOVQ", "convArgs_w(R12)", "DI")

	step := func(u int) {
		for v := range vecs {
			a.ins("VMOVUPS", mem("DI", (u*vecs+v)*a.bytes()), b(v))
		}
		for r := range rows {
			x := memx(groups[r/3], "R11", r%3, 4*u)
			if vecs == 1 && a.kmask {
				a.ins("VFMADD231PS.BCST", x, b(0), acc(r, 0))
				continue
			}
			// More than one register lets a broadcast run ahead.
			first := vec(spare + vecs)
			e := first + vec(r%max(1, min(4, a.regs-int(first))))
			a.ins("VBROADCASTSS", x, e)
			for v := range vecs {
				a.ins("VFMADD231PS", e, b(v), acc(r, v))
			}
		}
	}
	advance := func(steps int) {
		a.ins("ADDQ", steps*vecs*a.bytes(), "DI")
		for _, p := range groups {
			a.ins("ADDQ", 4*steps, p)
		}
	}
	run, some, single, rest, sums := a.label("run"), a.label("some"), a.label("single"), a.label("rest"), a.label("sums")
	a.at(run)
	a.ins("MOVQ", "convArgs_k(R12)", "CX")
	a.ins("SUBQ", convUnroll, "CX")
	a.ins("JLT", rest)
	a.at(some)
	for u := range convUnroll {
		a.ins("PREFETCHT1", mem("R13", 64*u))
		step(u)
	}
	a.ins("ADDQ", "convArgs_pace(R12)", "R13")
	advance(convUnroll)
	a.ins("SUBQ", convUnroll, "CX")
	a.ins("JGE", some)
	a.at(rest)
	a.ins("ADDQ", convUnroll, "CX")
	seg := a.label("seg")
	a.ins("JZ", seg)
	a.at(single)
	step(0)
	advance(1)
	a.ins("DECQ", "CX")
	a.ins("JNZ", single)
	a.at(seg)
	a.ins("DECQ", a.local("segs"))
	a.ins("JZ", sums)
	for _, p := range groups {
		a.ins("ADDQ", "convArgs_xSkip(R12)", p)
	}
	a.ins("JMP", run)

	a.at(sums)
	a.ins("MOVQ", "R13", a.local("ahead"))
	a.ins("MOVQ", "convArgs_flags(R12)", "CX")
	t := func(i int) vec { return vec((spare + i) % a.regs) }
	noSwish, noResidual, noClamp := a.label("linear"), a.label("alone"), a.label("unclamped")
	a.ins("TESTL", convSwish, "CX")
	a.ins("JZ", noSwish)
	a.swishes(convDivide, func(act int) {
		each(func(r, v int) { a.act(act, acc(r, v), [4]vec{t(0), t(1), t(2), t(3)}) })
	})
	a.at(noSwish)
	wholeOrCut := func(access func(cut tail)) {
		done, some := a.label("done"), a.label("cut")
		a.ins("TESTL", convCut, "CX")
		a.ins("JNZ", some)
		access(false)
		a.ins("JMP", done)
		a.at(some)
		access(true)
		a.at(done)
	}
	loadMask := func(cut tail) {
		if bool(cut) && !a.kmask {
			a.ins("MOVQ", a.local("mask"), "DI")
			a.ins("VMOVDQU", "(DI)", a.mask())
		}
	}
	a.ins("TESTL", convResidual, "CX")
	a.ins("JZ", noResidual)
	add := func(cut tail) {
		loadMask(cut)
		a.ins("MOVQ", "DX", "SI")
		a.ins("ADDQ", a.local("delta"), "SI")
		for r := range rows {
			for v := range vecs {
				src := mem("SI", v*a.bytes())
				if cut && v == vecs-1 {
					a.load(true, src, t(0))
					a.ins("VADDPS", t(0), acc(r, v), acc(r, v))
				} else {
					a.ins("VADDPS", src, acc(r, v), acc(r, v))
				}
			}
			a.ins("ADDQ", "BX", "SI")
		}
	}
	wholeOrCut(add)
	a.at(noResidual)
	a.ins("TESTL", convClamp, "CX")
	a.ins("JZ", noClamp)
	a.ins("VBROADCASTSS", "convArgs_lo(R12)", t(0))
	a.ins("VBROADCASTSS", "convArgs_hi(R12)", t(1))
	each(func(r, v int) {
		a.ins("VMAXPS", acc(r, v), t(0), acc(r, v))
		a.ins("VMINPS", acc(r, v), t(1), acc(r, v))
	})
	a.at(noClamp)
	store := func(cut tail) {
		loadMask(cut)
		a.ins("MOVQ", "DX", "SI")
		for r := range rows {
			for v := range vecs {
				a.store(cut && v == vecs-1, acc(r, v), mem("SI", v*a.bytes()))
			}
			a.ins("ADDQ", "BX", "SI")
		}
	}
	wholeOrCut(store)
	a.ins("MOVQ", "SI", "DX")
	a.ins("MOVQ", "R11", "CX")
	a.ins("IMULQ", rows, "CX")
	a.ins("ADDQ", "CX", "AX")
	a.ins("DECQ", a.local("tiles"))
	a.ins("JNZ", tile)
	a.ins("MOVQ", a.local("x"), "AX")
	a.ins("ADDQ", "convArgs_xRow(R12)", "AX")
	a.ins("MOVQ", "AX", a.local("x"))
	a.ins("MOVQ", "convArgs_yRow(R12)", "AX")
	a.ins("ADDQ", "AX", a.local("y"))
	a.ins("MOVQ", "convArgs_rRow(R12)", "CX")
	a.ins("SUBQ", "AX", "CX")
	a.ins("ADDQ", "CX", a.local("delta"))
	a.ins("DECQ", a.local("lines"))
	a.ins("JNZ", line)
	a.ret()
}

// scaleRows writes dst = scale*src for rows of vectors.
//
//	func scaleRows(dst, src, scale *float32, rows, vectors int)
func scaleRows(a *asm) {
	a.fn("scaleRows", []string{"dst", "src", "scale", "rows", "vectors"}, nil)
	a.ins("MOVQ", a.arg("dst"), "DI")
	a.ins("MOVQ", a.arg("src"), "SI")
	a.ins("MOVQ", a.arg("scale"), "DX")
	a.ins("MOVQ", a.arg("rows"), "CX")
	row, vector := a.label("row"), a.label("vector")
	a.at(row)
	a.ins("VBROADCASTSS", "(DX)", vec(0))
	a.ins("ADDQ", 4, "DX")
	a.ins("MOVQ", a.arg("vectors"), "BX")
	a.at(vector)
	a.ins("VMULPS", "(SI)", vec(0), vec(1))
	a.ins("VMOVUPS", vec(1), "(DI)")
	a.ins("ADDQ", a.bytes(), "SI")
	a.ins("ADDQ", a.bytes(), "DI")
	a.ins("DECQ", "BX")
	a.ins("JNZ", vector)
	a.ins("DECQ", "CX")
	a.ins("JNZ", row)
	a.ret()
}
