//go:build unix

package kernel

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// TestPages runs kernels on slices that end, and on slices that begin, at a
// page that cannot be touched: a read beyond, even one whose result is not
// used, is a fault.
func TestPages(t *testing.T) {
	old := allocate
	defer func() { allocate = old }()
	for _, side := range []string{"end", "begin"} {
		var mapped [][]byte
		allocate = func(n, _ int) ([]float32, int) {
			page := os.Getpagesize()
			size := (4*n + page - 1) / page * page
			mem, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
			if err != nil {
				t.Fatal(err)
			}
			mapped = append(mapped, mem)
			for _, guard := range [][]byte{mem[:page], mem[page+size:]} {
				if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
					t.Fatal(err)
				}
			}
			if n == 0 {
				return nil, 0
			}
			all := unsafe.Slice((*float32)(unsafe.Pointer(&mem[page])), size/4)
			if side == "end" {
				return all, size/4 - n
			}
			return all, 0
		}
		t.Run(side, func(t *testing.T) {
			eachImpl(t, func(t *testing.T, impl *Impl) {
				if impl == &Generic {
					t.Skip("the language sees to that")
				}
				rng := rand.New(rand.NewPCG(5, 5))
				run := func(f func()) {
					f()
					for _, mem := range mapped {
						if err := syscall.Munmap(mem); err != nil {
							t.Fatal(err)
						}
					}
					mapped = nil
				}
				for _, c := range edgeCases() {
					run(func() { testGemm(t, impl, c, rng) })
				}
				for _, c := range dwEdges() {
					run(func() { testDW(t, impl, c, rng) })
				}
				for i, c := range convEdges() {
					if i%4 == 0 {
						run(func() { testConv(t, impl, c, rng) })
					}
				}
				for i, c := range depthwiseEdges() {
					if i%3 == 0 {
						run(func() { testDepthwise(t, impl, c, i%2 == 0, rng) })
					}
				}
				for i, k := range rowKernels() {
					for j, c := range rowCases {
						if (i+j)%3 == 0 {
							run(func() { testRows(t, impl, k, c, rng) })
						}
					}
				}
			})
		})
	}
}
