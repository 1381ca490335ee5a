// Asmgen writes the assembly of package kernel. Run it with go generate in
// that package. A kernel is described once, for vectors of any width, and
// written for AVX-512 and for AVX2 with FMA.
package main

import (
	"fmt"
	"os"
)

// files are the assembly files by name.
func files() map[string][]byte {
	return map[string][]byte{
		"conv_amd64.s": convFile(),
		"dw_amd64.s":   dwFile(),
		"gemm_amd64.s": gemmFile(),
		"peak_amd64.s": peakFile(),
		"rows_amd64.s": rowsFile(),
	}
}

func main() {
	for name, text := range files() {
		if err := os.WriteFile(name, text, 0o666); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
