package main

// gemmFile writes gemmAVX512 and gemmAVX2: C = A B or C += A B for a column
// of tiles, each of some rows and of one or two vectors of columns.
//
//	func gemm(tiles, rows, cols, k int, a *float32, ars, acs int,
//		b *float32, ldb int, c *float32, ldc, acc int, ahead *float32, stride int)
//
// Strides are in bytes. A tile of C stays in registers over all of k: a step
// loads a row of B and multiplies it by a broadcast element of every row of A.
func gemmFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		gemm(a)
	}
	return a.finish()
}

// gemmRows is the height of the largest tile of some vectors a row. Of two, 24 of 32
// registers for AVX-512 and 12 of 16 for AVX2 hold C; more than 12 rows would
// want more addresses.
func gemmRows(s isa, vecs int) int {
	if s.regs == 32 {
		return 12
	}
	return 12 / vecs
}

func gemm(a *asm) {
	a.fn("gemm", []string{"tiles", "rows", "cols", "k", "a", "ars", "acs", "b", "ldb", "c", "ldc", "acc", "ahead", "stride"}, nil)
	a.ins("MOVQ", a.arg("tiles"), "R15")
	a.ins("MOVQ", a.arg("a"), "AX")
	a.ins("MOVQ", a.arg("ars"), "R11")
	a.ins("MOVQ", a.arg("acs"), "R12")
	a.ins("MOVQ", a.arg("ldb"), "R13")
	a.ins("MOVQ", a.arg("c"), "DX")
	a.ins("MOVQ", a.arg("ldc"), "BX")
	a.ins("MOVQ", a.arg("cols"), "CX")
	a.ins("MOVQ", a.arg("rows"), "DI")
	a.ins("MOVQ", a.arg("ahead"), "R14")

	// Which kernel: vectors a row, the last one whole or cut, and rows.
	one := a.label("one")
	a.ins("CMPQ", "CX", a.lanes)
	a.ins("JLE", one)
	a.ins("SUBQ", a.lanes, "CX")
	gemmDispatch(a, 2)
	a.at(one)
	if a.isa == avx512 {
		half := a.label("half")
		a.ins("CMPQ", "CX", avx512half.lanes)
		a.ins("JLE", half)
		gemmDispatch(a, 1)
		a.at(half)
		a.isa = avx512half
	}
	gemmDispatch(a, 1)
}

func gemmDispatch(a *asm, vecs int) {
	// With AVX-512 a masked access costs no more than a whole one.
	whole := a.label("whole")
	if !a.kmask {
		a.ins("CMPQ", "CX", a.lanes)
		a.ins("JEQ", whole)
	}
	a.setMask("SI")
	gemmKernels(a, vecs, true)
	if !a.kmask {
		a.at(whole)
		gemmKernels(a, vecs, false)
	}
}

func gemmKernels(a *asm, vecs int, last tail) {
	var rows []int
	for r := range gemmRows(a.isa, vecs) {
		rows = append(rows, r+1)
	}
	choose(a, "DI", 1, rows, func(r int) { gemmTiles(a, r, vecs, last) })
}

// gemmTiles is the loop over tiles of one size, and returns.
//
//	AX   A of the tile      SI R8 R9 R10  rows 0, 3, 6, 9 of A at the step
//	R11  ars  R12  acs      DI  row of B at the step   R13  ldb
//	DX   C of the tile      BX  ldc
//	CX   steps left         R15 tiles left    R14  what is fetched ahead
func gemmTiles(a *asm, rows, vecs int, last tail) {
	acc := func(r, v int) vec { return vec(r*vecs + v) }
	b := func(v int) vec { return vec(rows*vecs + v) }
	elem := vec(rows*vecs + vecs)
	cut := func(v int) tail { return last && v == vecs-1 }
	groups := []string{"SI", "R8", "R9", "R10"}[:(rows+2)/3]

	tile, step, add, next := a.label("tile"), a.label("step"), a.label("add"), a.label("next")
	a.at(tile)
	for i, p := range groups {
		if i == 0 {
			a.ins("MOVQ", "AX", p)
		} else {
			a.ins("LEAQ", memx(groups[i-1], "R11", 2, 0), p)
			a.ins("ADDQ", "R11", p)
		}
	}
	a.ins("MOVQ", a.arg("b"), "DI")
	a.ins("MOVQ", a.arg("k"), "CX")
	for r := range rows {
		for v := range vecs {
			a.zero(acc(r, v))
		}
	}

	a.at(step)
	for v := range vecs {
		a.load(cut(v), mem("DI", v*a.bytes()), b(v))
	}
	for r := range rows {
		x := memx(groups[r/3], "R11", r%3, 0)
		if vecs == 1 && a.kmask {
			a.ins("VFMADD231PS.BCST", x, b(0), acc(r, 0))
			continue
		}
		// More than one register lets a broadcast run ahead.
		e := elem + vec(r%max(1, min(4, a.free()-int(elem))))
		a.ins("VBROADCASTSS", x, e)
		for v := range vecs {
			a.ins("VFMADD231PS", e, b(v), acc(r, v))
		}
	}
	a.ins("ADDQ", "R13", "DI")
	a.ins("PREFETCHT0", mem("R14", 0))
	a.ins("ADDQ", a.arg("stride"), "R14")
	for _, p := range groups {
		a.ins("ADDQ", "R12", p)
	}
	a.ins("DECQ", "CX")
	a.ins("JNZ", step)

	a.ins("MOVQ", "DX", "DI")
	if bool(last) && !a.kmask {
		a.countMask("SI")
	}
	a.ins("CMPQ", a.arg("acc"), 0)
	a.ins("JNE", add)
	for _, plus := range []bool{false, true} {
		if plus {
			a.at(add)
		}
		for r := range rows {
			for v := range vecs {
				dst := mem("DI", v*a.bytes())
				if plus {
					a.load(cut(v), dst, b(v))
					a.ins("VADDPS", b(v), acc(r, v), acc(r, v))
				}
				if bool(cut(v)) && !a.kmask {
					a.ins("LEAQ", dst, "R8")
					a.storeParts(acc(r, v), "R8", "SI")
				} else {
					a.store(cut(v), acc(r, v), dst)
				}
			}
			a.ins("ADDQ", "BX", "DI")
		}
		if !plus {
			a.ins("JMP", next)
		}
	}
	a.at(next)
	a.ins("MOVQ", "DI", "DX")
	a.ins("MOVQ", "R11", "SI")
	a.ins("IMULQ", rows, "SI")
	a.ins("ADDQ", "SI", "AX")
	a.ins("DECQ", "R15")
	a.ins("JNZ", tile)
	a.ret()
}
