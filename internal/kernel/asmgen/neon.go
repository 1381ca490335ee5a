package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// neonISA is NEON, the vectors that every arm64 has.
var neonISA = isa{name: "NEON", lanes: 4, regs: 32}

// A neon is an assembly file for arm64. Go's assembler has multiply-add and
// integer arithmetic on vectors; other instructions are written as words, with
// their names in ARM's syntax behind: destination first.
//
// R22, R23, R24 and R26 belong to accesses of tails, see setCut.
type neon struct {
	*asm
	vectors [][4]float32 // of the file, in memory
}

func newNEON() *neon {
	a := &neon{asm: newAsm()}
	a.isa = neonISA
	return a
}

func (a *neon) ret() { a.ins("RET") }

// s4 names a register of four floats.
func s4(v vec) string { return fmt.Sprintf("V%d.S4", v) }

// fr names a register in loads and stores.
func fr(v vec) string { return fmt.Sprintf("F%d", v) }

// lane names one float of a register.
func lane(v vec, i int) string { return fmt.Sprintf("V%d.S[%d]", v, i) }

// three are the instructions of three registers that Go's assembler lacks.
var three = map[string]uint32{
	"fadd":  0x4e20d400,
	"fsub":  0x4ea0d400,
	"fmul":  0x6e20dc00,
	"fdiv":  0x6e20fc00,
	"fmax":  0x4e20f400, // a NaN of either gives a NaN
	"fmin":  0x4ea0f400,
	"fcmgt": 0x6ea0e400,
}

func (a *neon) word(code uint32, format string, args ...any) {
	fmt.Fprintf(&a.buf, "\tWORD $0x%08x // "+format+"\n", append([]any{code}, args...)...)
}

// op writes d = n op m.
func (a *neon) op(op string, d, n, m vec) {
	code, ok := three[op]
	if !ok {
		panic("asmgen: no instruction " + op)
	}
	a.word(code|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.4s, v%d.4s", op, d, n, m)
}

func (a *neon) sqrt(d, n vec) {
	a.word(0x6ea1f800|uint32(n)<<5|uint32(d), "fsqrt v%d.4s, v%d.4s", d, n)
}

// by writes d op= n * m[i], for fmla and fmul (d = n * m[i]).
func (a *neon) by(op string, d, n, m vec, i int) {
	code := map[string]uint32{"fmla": 0x4f801000, "fmul": 0x4f809000}[op]
	a.word(code|uint32(i&1)<<21|uint32(i>>1)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.4s, v%d.s[%d]", op, d, n, m, i)
}

// fma adds n*m to d, fms subtracts it.
func (a *neon) fma(d, n, m vec) { a.ins("VFMLA", s4(m), s4(n), s4(d)) }
func (a *neon) fms(d, n, m vec) { a.ins("VFMLS", s4(m), s4(n), s4(d)) }

func (a *neon) mov(d, n vec) { a.bits("VMOV", d, n) }
func (a *neon) zero(d vec)   { a.bits("VEOR", d, d, d) }

// bits writes an operation on all bits, destination first.
func (a *neon) bits(op string, d vec, from ...vec) {
	var operands []any
	for _, v := range slices.Backward(from) {
		operands = append(operands, fmt.Sprintf("V%d.B16", v))
	}
	a.ins(op, append(operands, fmt.Sprintf("V%d.B16", d))...)
}

// An addr is the address disp(base), or (base)(index).
type addr struct {
	base, index string
	disp        int
}

func reg(base string) addr { return addr{base: base} }

func (m addr) String() string { return mem(m.base, m.disp) }

// num is the number of an integer register.
func num(reg string) (n uint32) {
	if _, err := fmt.Sscanf(reg, "R%d", &n); err != nil {
		panic(err)
	}
	return n
}

// setCut makes tails as many lanes long as count says, 1 to 3. A tail is
// accessed lane by lane without a branch: at the offsets 0, min(1, count-1)
// and min(2, count-1) of floats. Read, lanes outside the tail repeat one of it;
// written, the last lane first, what does not belong is overwritten.
func (a *neon) setCut(count string) {
	a.ins("SUB", 1, count, "R23")
	for _, r := range []string{"R23", "R22"} {
		a.ins("MOVD", map[string]int{"R23": 2, "R22": 1}[r], "R24")
		a.ins("CMP", "R24", "R23")
		a.ins("CSEL", "LT", "R23", "R24", r)
	}
	a.ins("LSL", 2, "R22", "R22")
	a.ins("LSL", 2, "R23", "R23")
}

// cutLane puts the address of lane 1 or 2 of a tail into R24.
func (a *neon) cutLane(i int, m addr) {
	off := []string{"", "R22", "R23"}[i]
	a.ins("ADD", off, m.base, "R24")
	if m.disp != 0 {
		a.ins("ADD", m.disp, "R24", "R24")
	}
}

// flat is m without an index; it may overwrite R26.
func (a *neon) flat(m addr) addr {
	if m.index == "" {
		return m
	}
	a.ins("ADD", m.index, m.base, "R26")
	return reg("R26")
}

func (a *neon) load(t tail, m addr, dst vec) {
	switch {
	case bool(t):
		m = a.flat(m)
		a.ins("FMOVS", m.String(), fr(dst))
		for i := 1; i <= 2; i++ {
			a.cutLane(i, m)
			a.ins("VLD1", "(R24)", lane(dst, i))
		}
	case m.index != "":
		a.word(0x3ce06800|num(m.index)<<16|num(m.base)<<5|uint32(dst), "ldr q%d, [x%d, x%d]", dst, num(m.base), num(m.index))
	default:
		a.ins("FMOVQ", m.String(), fr(dst))
	}
}

func (a *neon) store(t tail, src vec, m addr) {
	switch {
	case bool(t):
		m = a.flat(m)
		for i := 2; i >= 1; i-- {
			a.cutLane(i, m)
			a.ins("VST1", lane(src, i), "(R24)")
		}
		a.ins("FMOVS", fr(src), m.String())
	case m.index != "":
		a.word(0x3ca06800|num(m.index)<<16|num(m.base)<<5|uint32(src), "str q%d, [x%d, x%d]", src, num(m.base), num(m.index))
	default:
		a.ins("FMOVQ", fr(src), m.String())
	}
}

// loadNext and storeNext move base by step bytes after the access.
func (a *neon) loadNext(t tail, base, step string, dst vec) {
	if t {
		a.load(t, reg(base), dst)
		a.ins("ADD", step, base)
		return
	}
	a.ins("VLD1.P", fmt.Sprintf("(%s)(%s)", base, step), "["+s4(dst)+"]")
}

func (a *neon) storeNext(t tail, src vec, base, step string) {
	if t {
		a.store(t, src, reg(base))
		a.ins("ADD", step, base)
		return
	}
	a.ins("VST1.P", "["+s4(src)+"]", fmt.Sprintf("(%s)(%s)", base, step))
}

// field loads a field of args, which is in R0, into a register.
func (a *neon) field(args, field, reg string) {
	a.ins("MOVD", args+"_"+field+"(R0)", reg)
}

// fieldAll loads a float of args into all lanes. It overwrites R24.
func (a *neon) fieldAll(args, field string, dst vec) {
	a.ins("ADD", "$"+args+"_"+field, "R0", "R24")
	a.ins("VLD1R", "(R24)", "["+s4(dst)+"]")
}

// loadConsts loads vectors of constants. It overwrites R25.
func (a *neon) loadConsts(consts map[vec][4]float32) {
	if len(consts) == 0 {
		return
	}
	a.ins("MOVD", "$consts<>(SB)", "R25")
	for v := range vec(a.regs) {
		c, ok := consts[v]
		if !ok {
			continue
		}
		i := slices.Index(a.vectors, c)
		if i < 0 {
			i = len(a.vectors)
			a.vectors = append(a.vectors, c)
		}
		a.ins("FMOVQ", mem("R25", 16*i), fr(v))
	}
}

// finish writes the constants and returns the file.
func (a *neon) finish() []byte {
	for i, c := range a.vectors {
		fmt.Fprintf(&a.buf, "\n// %s\n", strings.Trim(fmt.Sprint(c), "[]"))
		for j := range 2 {
			bits := uint64(math.Float32bits(c[2*j+1]))<<32 | uint64(math.Float32bits(c[2*j]))
			fmt.Fprintf(&a.buf, "DATA consts<>+%d(SB)/8, $0x%016x\n", 16*i+8*j, bits)
		}
	}
	if len(a.vectors) > 0 {
		fmt.Fprintf(&a.buf, "GLOBL consts<>(SB), NOPTR|RODATA, $%d\n", 16*len(a.vectors))
	}
	return a.buf.Bytes()
}
