//go:build !purego

package kernel

// dwWeightKernel is the kernel, at stride 1, that takes most of the left rows
// of taps of a k x k kernel, and how many it takes.
func (t isa) dwWeightKernel(k, left int) (kernel, rows int) {
	switch {
	case k == 3:
		return 0, 3
	case k == 5:
		return 1, 5
	case left >= 3:
		return 2, 3
	}
	return 3, 1
}

func (t isa) dwWeight(a *dwWeightArgs) { dwWeightNEON(a) }

//go:noescape
func dwWeightNEON(args *dwWeightArgs)
