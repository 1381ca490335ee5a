package main

// neonGemmFile writes gemm for NEON, with the arguments of gemm.go. The rows
// of A have their elements either next to each other (acs 4) or stand next to
// each other (ars 4).
func neonGemmFile() []byte {
	a := newNEON()
	a.fn("gemm", []string{"tiles", "rows", "cols", "k", "a", "ars", "acs", "b", "ldb", "c", "ldc", "acc"}, nil)
	for _, p := range [][2]string{{"tiles", "R16"}, {"rows", "R11"}, {"cols", "R10"}, {"k", "R17"}, {"a", "R14"}, {"ars", "R12"}, {"acs", "R19"}, {"b", "R20"}, {"ldb", "R21"}, {"c", "R15"}, {"ldc", "R13"}, {"acc", "R25"}} {
		a.ins("MOVD", a.arg(p[0]), p[1])
	}
	one := a.label("one")
	a.ins("CMP", 4, "R10")
	a.ins("BLE", one)
	a.ins("SUB", 4, "R10", "R10")
	neonGemmVecs(a, 2)
	a.at(one)
	neonGemmVecs(a, 1)
	return a.finish()
}

func neonGemmVecs(a *neon, vecs int) {
	cut := a.label("cut")
	a.ins("CMP", 4, "R10")
	a.ins("BLT", cut)
	neonGemmSteps(a, vecs, false)
	a.at(cut)
	a.setCut("R10")
	neonGemmSteps(a, vecs, true)
}

func neonGemmSteps(a *neon, vecs int, last tail) {
	apart := a.label("apart")
	a.ins("CMP", 4, "R19")
	a.ins("BNE", apart)
	for _, trans := range []bool{false, true} {
		if trans {
			a.at(apart)
		}
		choose(a.asm, "R11", 1, upTo(neonRows), func(r int) { neonGemmTiles(a, r, vecs, last, trans) })
	}
}

// neonGemmTiles is the loop over tiles of one size, and returns.
//
//	R1 ...  rows of A at the step, or R1 all of them
//	R9      row of B at the step   R10  steps left
//	R11     row of C               R12  ars    R13  ldc
//	R14     A of the tile          R15  C of the tile
//	R16     tiles left             R17  k      R19  acs
//	R20     b                      R21  ldb    R25  acc
func neonGemmTiles(a *neon, rows, vecs int, last tail, trans bool) {
	acc := func(r, v int) vec { return vec(r*vecs + v) }
	cut := func(v int) tail { return last && v == vecs-1 }
	tile, add, next := a.label("tile"), a.label("add"), a.label("next")
	a.at(tile)
	if trans {
		a.ins("MOVD", "R14", "R1")
		a.ins("ADD", 4*rows, "R14", "R14")
	} else {
		a.rowAddresses(rows, "R14", "R12")
	}
	a.ins("MOVD", "R20", "R9")
	a.ins("MOVD", "R17", "R10")
	for i := range rows * vecs {
		a.zero(vec(i))
	}
	loadB := func(b vec) {
		switch {
		case bool(last):
			for v := range vecs {
				a.load(cut(v), addr{base: "R9", disp: 16 * v}, b+vec(v))
			}
			a.ins("ADD", "R21", "R9")
		case vecs == 2:
			a.ins("VLD1.P", "(R9)(R21)", "["+s4(b)+", "+s4(b+1)+"]")
		default:
			a.loadNext(false, "R9", "R21", b)
		}
	}
	if trans {
		neonColumns(a, rows, vecs, loadB)
	} else {
		neonSteps(a, rows, vecs, loadB)
	}

	a.ins("CBNZ", "R25", add)
	for _, plus := range []bool{false, true} {
		if plus {
			a.at(add)
		}
		for r := range rows {
			for v := range vecs {
				dst := addr{base: "R15", disp: 16 * v}
				if plus {
					a.load(cut(v), dst, neonB)
					a.op("fadd", acc(r, v), acc(r, v), neonB)
				}
				a.store(cut(v), acc(r, v), dst)
			}
			a.ins("ADD", "R13", "R15")
		}
		if !plus {
			a.ins("B", next)
		}
	}
	a.at(next)
	a.ins("SUBS", 1, "R16", "R16")
	a.ins("BNE", tile)
	a.ret()
}

// neonColumns writes R10 steps of a tile whose rows stand next to each other,
// R19 bytes from step to step.
func neonColumns(a *neon, rows, vecs int, loadB func(b vec)) {
	step := a.label("step")
	a.at(step)
	loadB(neonB)
	// Where there are more than four, the last four begin at a multiple of
	// nothing but a float.
	at, second := neonA, neonA+1
	switch {
	case rows == neonRows:
		a.ins("VLD1.P", "(R1)(R19)", "["+s4(at)+", "+s4(second)+"]")
	case rows == 4:
		a.loadNext(false, "R1", "R19", at)
	default:
		switch {
		case rows > 4:
			a.load(false, reg("R1"), at)
			a.load(false, addr{base: "R1", disp: 4 * (rows - 4)}, second)
		case rows == 3:
			a.ins("FMOVD", "(R1)", fr(at))
			a.ins("FMOVS", "8(R1)", fr(second))
		case rows == 2:
			a.ins("FMOVD", "(R1)", fr(at))
		case rows == 1:
			a.ins("FMOVS", "(R1)", fr(at))
		}
		a.ins("ADD", "R19", "R1")
	}
	for r := range rows {
		from, i := at, r
		switch {
		case rows > 4 && r >= 4:
			from, i = second, r-(rows-4)
		case rows == 3 && r == 2:
			from, i = second, 0
		}
		for v := range vecs {
			a.by("fmla", vec(r*vecs+v), neonB+vec(v), from, i)
		}
	}
	a.ins("SUBS", 1, "R10", "R10")
	a.ins("BNE", step)
}
