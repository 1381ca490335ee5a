package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestGemmAhead holds that what is fetched ahead changes no bit.
func TestGemmAhead(t *testing.T) {
	const m, n, k = 29, 41, 300
	rng := rand.New(rand.NewPCG(8, 8))
	a, b := randoms(rng, m*k), randoms(rng, k*n)
	eachImpl(t, func(t *testing.T, impl *Impl) {
		want, got := make([]float32, m*n), make([]float32, m*n)
		impl.Gemm(m, n, k, a, k, 1, b, n, want, n, false, nil)
		for _, most := range []int{0, 1, 100, 1 << 20} {
			var ahead Ahead
			ahead.Set(make([]float32, most), nil, make([]float32, 3))
			impl.Gemm(m, n, k, a, k, 1, b, n, got, n, false, &ahead)
			sameBits(t, "C", got, want)
		}
	})
}

func TestAheadTakesAllInOrder(t *testing.T) {
	first, second := make([]float32, 40), make([]float32, 16)
	var a Ahead
	a.Set(first, nil, second)
	for i, want := range []*float32{&first[0], &first[32], &second[0]} {
		if got, stride := a.take(2, 16); got != want || stride != 64 {
			t.Errorf("call %d gives %p by %d bytes, want %p by 64", i, got, stride, want)
		}
	}
	if _, stride := a.take(1, 16); stride != 0 {
		t.Errorf("with nothing left the stride is %d, want 0", stride)
	}
	a.Set(first)
	a.Set()
	if _, stride := a.take(1, 16); stride != 0 {
		t.Errorf("after nothing was set the stride is %d, want 0", stride)
	}
}
