package main

// dwWeight adds up the gradient of the weights.
//
//	func dwWeight(args *dwWeightArgs)
//
// For every vector of channels, the sums of some rows of taps stay in
// registers over a grid of outputs.
//
//	AX   input of the block     BX  gradient of the block
//	SI   input of the row of taps                  DI  input of the column
//	CX   input of the row       DX  gradient of the row
//	R8   bytes from input to input, R12 thrice that, R13 from row to row
//	R10  bytes from gradient to gradient and from weight to weight
//	R11  columns left           R15 rows left      R14 args
func dwWeight(a *asm) {
	a.fn("dwWeight", []string{"args"}, []string{"off", "chunks"})
	dwPrologue(a, "dwWeightArgs", map[string]string{"R8": "xCol", "R10": "xCol", "R13": "xRow"}, func(cut tail) {
		a.ins("MOVQ", "dwWeightArgs_kernel(R14)", "AX")
		choose(a, "AX", 0, dwWeightKernels(a.isa), func(k dwWeightKernel) {
			a.chunks(func() { dwWeightRows(a, cut, k) })
		})
	})
}

// A dwWeightKernel sums rows of taps in one pass, for a stride.
type dwWeightKernel struct{ taps, rows, stride int }

// dwWeightKernels are the passes in the order in which package kernel numbers
// them.
func dwWeightKernels(s isa) []dwWeightKernel {
	var ks []dwWeightKernel
	for _, stride := range []int{1, 2} {
		if s.regs == 32 {
			ks = append(ks, dwWeightKernel{3, 3, stride}, dwWeightKernel{5, 5, stride}, dwWeightKernel{7, 3, stride}, dwWeightKernel{7, 1, stride})
		} else {
			ks = append(ks, dwWeightKernel{3, 3, stride}, dwWeightKernel{5, 2, stride}, dwWeightKernel{5, 1, stride}, dwWeightKernel{7, 1, stride})
		}
	}
	return ks
}

func dwWeightRows(a *asm, cut tail, k dwWeightKernel) {
	row, next := a.label("row"), a.label("next")
	acc := func(y, x int) vec { return vec(y*k.taps + x) }
	for i := range k.rows * k.taps {
		a.zero(vec(i))
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
		a.blocksOf("R11", u, next, func() { dwWeightBlock(a, cut, k, u, acc) })
	}
	a.at(next)
	a.ins("ADDQ", "dwWeightArgs_xStep(R14)", "CX")
	a.ins("ADDQ", "dwWeightArgs_dyRow(R14)", "DX")
	a.ins("DECQ", "R15")
	a.ins("JNZ", row)

	a.ins("MOVQ", "dwWeightArgs_dw(R14)", "AX")
	a.ins("ADDQ", a.local("off"), "AX")
	sum := vec(k.rows * k.taps)
	for i := range k.rows * k.taps {
		a.load(cut, "(AX)", sum)
		a.ins("VADDPS", sum, vec(i), vec(i))
		a.store(cut, vec(i), "(AX)")
		a.ins("ADDQ", "R10", "AX")
	}
}

// dwWeightBlock adds the products of u gradients and moves AX and BX past them.
func dwWeightBlock(a *asm, cut tail, k dwWeightKernel, u int, acc func(y, x int) vec) {
	dy := func(i int) vec { return vec(k.rows*k.taps + i) }
	for i := range u {
		a.load(cut, "(BX)", dy(i))
		a.ins("ADDQ", "R10", "BX")
	}
	a.ins("MOVQ", "AX", "SI")
	for y := range k.rows {
		if y > 0 {
			a.ins("ADDQ", "R13", "SI")
		}
		a.columns(cut, (u-1)*k.stride+k.taps, dy(u), func(x int, in vec) {
			for i := range u {
				if t := x - i*k.stride; t >= 0 && t < k.taps {
					a.ins("VFMADD231PS", in, dy(i), acc(y, t))
				}
			}
		})
	}
	a.advance(u * k.stride)
}
