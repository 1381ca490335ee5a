//go:build !purego

package kernel

func (t isa) rows(a *rowArgs) { rowsNEON(a) }

//go:noescape
func rowsNEON(args *rowArgs)
