package main

// peakFile writes the loops that measure the machine.
//
//	func peak(x *float32, n int)
//
// n times x = x*scale + shift on peakVecs vectors, which stay in registers. A
// multiply-add takes four cycles and two start in each, so eight that do not
// wait for each other keep the units busy; four more cover what else happens.
//
//	func stream(x *float32, n int, sums *float32)
//
// Reads n blocks of streamVecs vectors, n at least 1, and writes one vector of
// their sum.
func peakFile() []byte {
	a := newAsm()
	for _, a.isa = range isas {
		peak(a)
		stream(a)
	}
	return a.finish()
}

const (
	peakVecs   = 12
	streamVecs = 8
)

// The constants of kernel.PeakScale and kernel.PeakShift.
const (
	peakScale = 0.75
	peakShift = 0.25
)

func peak(a *asm) {
	a.fn("peak", []string{"x", "n"}, nil)
	a.ins("MOVQ", a.arg("x"), "SI")
	a.ins("MOVQ", a.arg("n"), "CX")
	scale, shift := vec(peakVecs), vec(peakVecs+1)
	a.ins("VMOVUPS", a.k(peakScale), scale)
	a.ins("VMOVUPS", a.k(peakShift), shift)
	for i := range peakVecs {
		a.load(false, mem("SI", i*a.bytes()), vec(i))
	}
	loop, done := a.label("loop"), a.label("done")
	a.ins("TESTQ", "CX", "CX")
	a.ins("JLE", done)
	a.at(loop)
	for i := range peakVecs {
		a.ins("VFMADD213PS", shift, scale, vec(i))
	}
	a.ins("DECQ", "CX")
	a.ins("JNZ", loop)
	a.at(done)
	for i := range peakVecs {
		a.store(false, vec(i), mem("SI", i*a.bytes()))
	}
	a.ret()
}

func stream(a *asm) {
	a.fn("stream", []string{"x", "n", "sums"}, nil)
	a.ins("MOVQ", a.arg("x"), "SI")
	a.ins("MOVQ", a.arg("n"), "CX")
	a.ins("MOVQ", a.arg("sums"), "DI")
	for i := range streamVecs {
		a.zero(vec(i))
	}
	loop := a.label("loop")
	a.at(loop)
	for i := range streamVecs {
		a.ins("VADDPS", mem("SI", i*a.bytes()), vec(i), vec(i))
	}
	a.ins("ADDQ", streamVecs*a.bytes(), "SI")
	a.ins("DECQ", "CX")
	a.ins("JNZ", loop)
	for n := streamVecs / 2; n > 0; n /= 2 {
		for i := range n {
			a.ins("VADDPS", vec(i+n), vec(i), vec(i))
		}
	}
	a.store(false, 0, mem("DI", 0))
	a.ret()
}
