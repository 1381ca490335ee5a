//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// An isa is an instruction set that assembly is written for.
type isa uint8

const (
	avx2 isa = iota
	avx512
)

// lanes is how many elements a vector has.
func (t isa) lanes() int {
	if t == avx512 {
		return 16
	}
	return 8
}

// assembly lists the implementations in assembly, best first. The gates
// include that the operating system saves the registers, and are subject to
// GODEBUG=cpu.avx512f=off and the like.
func assembly() []Row {
	c := &cpu.X86
	return []Row{
		{&asmAVX512, c.HasAVX512F && c.HasAVX512BW && c.HasAVX512DQ && c.HasAVX512VL && c.HasFMA},
		{&asmAVX2, c.HasAVX2 && c.HasFMA},
	}
}

var (
	asmAVX512 = withWinograd(avx512, asmImpl(avx512, "avx512"))
	asmAVX2   = withWinograd(avx2, asmImpl(avx2, "avx2"))
)

// divides is set where a division of vectors costs less than a step of Newton's,
// as it does on AMD's processors and not on Intel's: it chooses the code of
// swish and sigmoid for AVX-512. Only a test changes it.
var divides = func() bool {
	b, c, d := vendor()
	return b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163 // AuthenticAMD
}()

// vendor is what CPUID says of the maker.
func vendor() (b, c, d uint32)
