//go:build !purego

package kernel

// An isa is an instruction set that assembly is written for.
type isa uint8

const neon isa = 0

// lanes is how many elements a vector has.
func (t isa) lanes() int { return 4 }

// assembly lists the implementations in assembly. Every arm64 has NEON.
func assembly() []Row { return []Row{{&asmNEON, true}} }

var asmNEON = asmImpl(neon, "neon")

const divides = false // there is one kind of swish
