//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// An isa is an instruction set that assembly is written for.
type isa uint8

const (
	avx2 isa = iota
	avx512
)

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
	asmAVX512 = asmImpl(avx512, "avx512")
	asmAVX2   = asmImpl(avx2, "avx2")
)

func asmImpl(t isa, name string) Impl {
	impl := Generic
	impl.Name = name
	impl.MR, impl.NR = t.gemmTile()
	impl.Gemm = func(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
		gemmAsm(t, m, n, k, a, ars, acs, b, ldb, c, ldc, acc)
	}
	return impl
}
