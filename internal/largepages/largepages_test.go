package largepages

import "testing"

func TestKeepsContent(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 10, 3 << 19, 5<<19 + 7} {
		x := make([]float32, n)
		Expect(x)
		for i := range x {
			x[i] = float32(i)
		}
		Move(x)
		for i, v := range x {
			if v != float32(i) {
				t.Fatalf("of %d values number %d is %v", n, i, v)
			}
		}
	}
}
