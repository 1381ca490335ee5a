package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// poison is what surrounds every slice of a test: a NaN that no arithmetic
// makes. Read, it spoils a result; overwritten, it is missed by check.
const poison = 0x7fa5a5a5

// A block is memory of a test whose elements in use are those of a pattern;
// all others are poison.
type block struct {
	all  []float32 // with margins
	lead int       // length of the margin before s
	s    []float32 // what is handed to a kernel
	use  func(i int) bool
}

// allocate makes room for n elements with margins. TestPages replaces it.
var allocate = func(n, off int) (all []float32, lead int) {
	const margin = 67
	return make([]float32, margin+off+n+margin), margin + off
}

// newBlock makes a block of n elements that starts off elements later than
// others, and fills those in use by rng.
func newBlock(rng *rand.Rand, n, off int, use func(i int) bool) *block {
	b := &block{use: use}
	b.all, b.lead = allocate(n, off)
	for i := range b.all {
		b.all[i] = math.Float32frombits(poison)
	}
	b.s = b.all[b.lead:][:n]
	for i := range b.s {
		if use == nil || use(i) {
			b.s[i] = float32(rng.NormFloat64())
		}
	}
	return b
}

// clone is a copy that starts off elements later than others.
func (b *block) clone(off int) *block {
	c := newBlock(rand.New(rand.NewPCG(0, 0)), len(b.s), off, b.use)
	copy(c.s, b.s)
	return c
}

// check reports an element out of use that is no longer poison.
func (b *block) check(t *testing.T, name string) {
	t.Helper()
	for i, v := range b.all {
		if j := i - b.lead; j >= 0 && j < len(b.s) && (b.use == nil || b.use(j)) {
			continue
		}
		if math.Float32bits(v) != poison {
			t.Fatalf("%s: element %d of [0,%d) was overwritten with %v", name, i-b.lead, len(b.s), v)
		}
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, was %v", what, i, got[i], want[i])
		}
	}
}

// eachImpl runs f for every implementation that this CPU can run.
func eachImpl(t *testing.T, f func(t *testing.T, impl *Impl)) {
	for _, r := range Table() {
		t.Run(r.Impl.Name, func(t *testing.T) {
			if !r.Supported {
				t.Skip("not supported by this CPU")
			}
			f(t, r.Impl)
		})
	}
}

// benchImpl benchmarks f for every implementation; work is what one call does
// in units of 1e9: floating-point operations, or bytes.
func benchImpl(b *testing.B, name, unit string, work float64, f func(impl *Impl)) {
	for _, r := range Table() {
		if !r.Supported {
			continue
		}
		b.Run(fmt.Sprintf("%s/%s", name, r.Impl.Name), func(b *testing.B) {
			for b.Loop() {
				f(r.Impl)
			}
			b.ReportMetric(work*float64(b.N)/1e9/b.Elapsed().Seconds(), unit)
		})
	}
}

func randoms(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	return s
}
