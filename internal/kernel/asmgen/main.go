// Asmgen writes the assembly of package kernel. Run it with go generate in
// that package. For amd64 a kernel is described once, for vectors of any width,
// and written for AVX-512 and for AVX2 with FMA; for arm64 there is one more
// description, for NEON.
package main

import (
	"fmt"
	"os"
)

// files are the assembly files by name.
func files() map[string][]byte {
	return map[string][]byte{
		"conv_amd64.s":     convFile(),
		"conv_arm64.s":     neonConvFile(),
		"dw_amd64.s":       dwFile(),
		"dw_arm64.s":       neonDWFile(),
		"gemm_amd64.s":     gemmFile(),
		"gemm_arm64.s":     neonGemmFile(),
		"peak_amd64.s":     peakFile(),
		"peak_arm64.s":     neonPeakFile(),
		"rows_amd64.s":     rowsFile(),
		"winograd_amd64.s": winogradFile(),
		"vendor_amd64.s":   vendorFile(),
		"rows_arm64.s":     neonRowsFile(),
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
