package kernel

// Generic is the pure-Go implementation, the definition of every kernel.
var Generic = Impl{
	Name: "go", MR: 4, NR: 4,
	Gemm:             gemmGo,
	DWForward:        dwForwardGo,
	DWBackwardInput:  dwBackwardInputGo,
	DWBackwardWeight: dwBackwardWeightGo,
	ScaleAct:         scaleActGo,
	Moments:          momentsGo,
	ActBackward:      actBackwardGo,
	Affine2:          affine2Go,
	SumRows:          sumRowsGo,
	DotRows:          dotRowsGo,
	Add:              addGo,
	Axpy:             axpyGo,
	Apply:            applyGo,
}

func dwForwardGo(s DW, x, w, y []float32) {
	c := s.C
	for oy := range s.OutH {
		for ox := range s.OutW {
			out := y[(oy*s.OutW+ox)*c:][:c]
			clear(out)
			for ky := range s.K {
				for kx := range s.K {
					in := x[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					wt := w[(ky*s.K+kx)*c:][:c]
					for i := range out {
						out[i] += in[i] * wt[i]
					}
				}
			}
		}
	}
}

func dwBackwardInputGo(s DW, dy, w, dx []float32) {
	c := s.C
	clear(dx[:s.InH*s.InW*c])
	for oy := range s.OutH {
		for ox := range s.OutW {
			g := dy[(oy*s.OutW+ox)*c:][:c]
			for ky := range s.K {
				for kx := range s.K {
					in := dx[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					wt := w[(ky*s.K+kx)*c:][:c]
					for i := range g {
						in[i] += g[i] * wt[i]
					}
				}
			}
		}
	}
}

func dwBackwardWeightGo(s DW, x, dy, dw []float32) {
	c := s.C
	for oy := range s.OutH {
		for ox := range s.OutW {
			g := dy[(oy*s.OutW+ox)*c:][:c]
			for ky := range s.K {
				for kx := range s.K {
					in := x[((oy*s.Stride+ky)*s.InW+ox*s.Stride+kx)*c:][:c]
					d := dw[(ky*s.K+kx)*c:][:c]
					for i := range g {
						d[i] += in[i] * g[i]
					}
				}
			}
		}
	}
}
