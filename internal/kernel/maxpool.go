package kernel

// MaxPool is the geometry of one max pool over one image x [InH,InW,C], whose
// rows lie XRow floats apart, to y [OutH,OutW,C]. The window of y[oy,ox] is the
// K x K pixels of x from [oy*Stride-Top, ox*Stride-Left] on; those outside the
// image do not count, and at least one is inside. A NaN is larger than all else.
//
// A network pools once, behind its stem, so this is plain Go for every machine.
type MaxPool struct {
	C, K, Stride, Top, Left    int
	InH, InW, XRow, OutH, OutW int
}

// Forward computes rows [a,b) of y, the first of which y starts with.
func (s MaxPool) Forward(x, y []float32, a, b int) {
	for oy := a; oy < b; oy++ {
		for ox := range s.OutW {
			dst := y[:s.C]
			y = y[s.C:]
			y0, y1 := s.window(oy, s.Top, s.InH)
			x0, x1 := s.window(ox, s.Left, s.InW)
			copy(dst, x[y0*s.XRow+x0*s.C:])
			for iy := y0; iy < y1; iy++ {
				for ix := x0; ix < x1; ix++ {
					src := x[iy*s.XRow+ix*s.C:][:len(dst)]
					for i, v := range src {
						if larger(v, dst[i]) {
							dst[i] = v
						}
					}
				}
			}
		}
	}
}

// Backward adds to dx [InH,InW,C], without gaps between its rows, the gradient
// dy of y: all of it to the first of the largest elements of each window.
func (s MaxPool) Backward(x, dy, dx []float32) {
	for oy := range s.OutH {
		for ox := range s.OutW {
			y0, y1 := s.window(oy, s.Top, s.InH)
			x0, x1 := s.window(ox, s.Left, s.InW)
			for c, d := range dy[:s.C] {
				top, at := x[y0*s.XRow+x0*s.C+c], (y0*s.InW+x0)*s.C+c
				for iy := y0; iy < y1; iy++ {
					for ix := x0; ix < x1; ix++ {
						if v := x[iy*s.XRow+ix*s.C+c]; larger(v, top) {
							top, at = v, (iy*s.InW+ix)*s.C+c
						}
					}
				}
				dx[at] += d
			}
			dy = dy[s.C:]
		}
	}
}

// window is the part of a window that is inside the image, along one axis.
func (s MaxPool) window(o, before, n int) (from, to int) {
	from = o*s.Stride - before
	return max(from, 0), min(from+s.K, n)
}

func larger(v, than float32) bool { return v > than || v != v }
