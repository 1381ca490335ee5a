package train

import (
	"fmt"
	"testing"
)

func TestTranspose(t *testing.T) {
	for _, rows := range []int{1, 3, 4, 5, 15, 16, 17, 33} {
		for _, cols := range []int{1, 2, 4, 7, 16, 20, 31, 48} {
			for _, add := range []bool{false, true} {
				t.Run(fmt.Sprintf("%dx%d/add=%v", rows, cols, add), func(t *testing.T) {
					lds, ldd := cols+3, rows+2
					src, dst := make([]float32, rows*lds), make([]float32, cols*ldd)
					for i := range src {
						src[i] = float32(i + 1)
					}
					for i := range dst {
						dst[i] = -float32(i)
					}
					transpose(dst, ldd, src[:(rows-1)*lds+cols], lds, rows, cols, add)
					for i, got := range dst {
						c, r := i/ldd, i%ldd
						want := -float32(i)
						if r < rows {
							if !add {
								want = 0
							}
							want += src[r*lds+c]
						}
						if got != want {
							t.Fatalf("column %d, row %d is %v, want %v", c, r, got, want)
						}
					}
				})
			}
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	src, dst := make([]float32, 1280*1000), make([]float32, 1280*1000)
	for b.Loop() {
		transpose(dst, 1000, src, 1280, 1000, 1280, false)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(src)), "ns/element")
}
