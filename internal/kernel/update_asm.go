//go:build (amd64 || arm64) && !purego

package kernel

func rmspropAsm(t isa, p, g, square, mom []float32, s RMSPropStep) {
	if n := len(p); n > 0 {
		flatAsm(t, n, &rowCall{op: opRMSProp, data: [4][]float32{p, need(g, n), need(square, n), need(mom, n)}, num: [6]float32{s.LR, s.Alpha, s.Momentum, s.Eps, s.Decay}})
	}
}

func sgdAsm(t isa, p, g, mom []float32, s SGDStep) {
	if n := len(p); n > 0 {
		flatAsm(t, n, &rowCall{op: opSGD, data: [4][]float32{p, need(g, n), need(mom, n)}, num: [6]float32{-s.LR, s.Momentum, s.Decay}})
	}
}

func adamwAsm(t isa, p, g, mean, square []float32, s AdamWStep) {
	if n := len(p); n > 0 {
		flatAsm(t, n, &rowCall{op: opAdamW, data: [4][]float32{p, need(g, n), need(mean, n), need(square, n)}, num: [6]float32{s.LR * s.Unbias, s.Alpha, s.Beta, s.Eps, -s.Decay, s.UnbiasSquare}})
	}
}

func averageAsm(t isa, avg, p []float32, weight float32) {
	if n := len(avg); n > 0 {
		flatAsm(t, n, &rowCall{op: opAverage, data: [4][]float32{avg, need(p, n)}, num: [6]float32{weight}})
	}
}
