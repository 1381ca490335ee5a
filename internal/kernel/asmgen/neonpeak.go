package main

import "fmt"

// neonPeakFile writes the loops that measure the machine, those of peak.go.
// Multiply-adds of NEON add to one of their operands, so peak works on x-1:
// where x becomes x*scale + shift, that becomes (x-1)*scale, or x-1 less
// (1-scale) of it.
func neonPeakFile() []byte {
	a := newNEON()
	neonPeak(a)
	neonStream(a)
	return a.finish()
}

// neonPeakVecs is how many vectors stay in registers: four multiply-adds may
// start in a cycle and take four.
const neonPeakVecs = 24

func neonPeak(a *neon) {
	a.fn("peak", []string{"x", "n"}, nil)
	a.ins("MOVD", a.arg("x"), "R1")
	a.ins("MOVD", a.arg("n"), "R2")
	one, rest := neonOne, neonHalf
	a.loadConsts(map[vec][4]float32{one: all(1), rest: all(1 - peakScale)})
	loop := a.label("loop")
	at := func(i int) addr { return addr{base: "R1", disp: 16 * i} }
	for i := range neonPeakVecs {
		a.load(false, at(i), vec(i))
		a.op("fsub", vec(i), vec(i), one)
	}
	a.at(loop)
	for i := range neonPeakVecs {
		a.fms(vec(i), vec(i), rest)
	}
	a.ins("SUBS", 1, "R2", "R2")
	a.ins("BNE", loop)
	for i := range neonPeakVecs {
		a.op("fadd", vec(i), vec(i), one)
		a.store(false, vec(i), at(i))
	}
	a.ret()
}

func neonStream(a *neon) {
	a.fn("stream", []string{"x", "n", "sums"}, nil)
	for i, p := range a.params {
		a.ins("MOVD", a.arg(p), neonRow(i))
	}
	for i := range streamVecs {
		a.zero(vec(i))
	}
	loop := a.label("loop")
	a.at(loop)
	for i := 0; i < streamVecs; i += 2 {
		a.ins("FLDPQ.P", "32(R1)", fmt.Sprintf("(F%d, F%d)", 16+i, 17+i))
	}
	for i := range streamVecs {
		a.op("fadd", vec(i), vec(i), vec(16+i))
	}
	a.ins("SUBS", 1, "R2", "R2")
	a.ins("BNE", loop)
	for n := streamVecs / 2; n > 0; n /= 2 {
		for i := range n {
			a.op("fadd", vec(i), vec(i), vec(i+n))
		}
	}
	a.store(false, 0, reg("R3"))
	a.ret()
}
