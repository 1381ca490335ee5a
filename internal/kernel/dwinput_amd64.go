//go:build !purego

package kernel

func (t isa) dwInput(a *dwInputArgs) {
	if t == avx512 {
		dwInputAVX512(a)
	} else {
		dwInputAVX2(a)
	}
}

//go:noescape
func dwInputAVX512(args *dwInputArgs)

//go:noescape
func dwInputAVX2(args *dwInputArgs)
