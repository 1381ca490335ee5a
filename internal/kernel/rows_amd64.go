//go:build !purego

package kernel

func (t isa) rows(a *rowArgs) {
	if t == avx512 {
		rowsAVX512(a)
	} else {
		rowsAVX2(a)
	}
}

//go:noescape
func rowsAVX512(args *rowArgs)

//go:noescape
func rowsAVX2(args *rowArgs)
