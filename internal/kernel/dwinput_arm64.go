//go:build !purego

package kernel

func (t isa) dwInput(a *dwInputArgs) { dwInputNEON(a) }

//go:noescape
func dwInputNEON(args *dwInputArgs)
