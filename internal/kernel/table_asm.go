//go:build (amd64 || arm64) && !purego

package kernel

const pureGo = false // no assembly in this build

func asmImpl(t isa, name string) Impl {
	impl := Generic
	impl.Name = name
	impl.NR = t.gemmCols()
	impl.MR = t.gemmRows(impl.NR)
	impl.Gemm = func(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool, ahead *Ahead) {
		gemmAsm(t, m, n, k, a, ars, acs, b, ldb, c, ldc, acc, ahead)
	}
	impl.Panel, impl.Lanes = 2*t.lanes(), t.lanes()
	impl.Conv = func(s Conv, x, w, y []float32) { convAsm(t, s, x, w, y) }
	impl.ScaleRows = func(dst, src, scale []float32) { scaleRowsAsm(t, dst, src, scale) }
	impl.Depthwise = func(s Depthwise, x, w, y, sums []float32) { depthwiseAsm(t, s, x, w, y, sums) }
	impl.DWBackwardInput = func(s DW, dy, w, dx []float32) { dwBackwardInputAsm(t, s, dy, w, dx) }
	impl.DWBackwardWeight = func(s DW, x, dy, dw []float32) { dwBackwardWeightAsm(t, s, x, dy, dw) }
	impl.ScaleAct = func(dst, src, scale, shift []float32, act Act) { scaleActAsm(t, dst, src, scale, shift, act) }
	impl.Moments = func(x, center, sum, sumsq []float32) { momentsAsm(t, x, center, sum, sumsq) }
	impl.ActBackward = func(g, dz, y, scale, shift, center []float32, act Act, sumG, sumGY []float32) {
		actBackwardAsm(t, g, dz, y, scale, shift, center, act, sumG, sumGY)
	}
	impl.SwishSlope = func(dst, slope, src, scale, shift []float32) { swishSlopeAsm(t, dst, slope, src, scale, shift) }
	impl.SlopeBackward = func(g, dz, slope, y, center, sumG, sumGY []float32) {
		slopeBackwardAsm(t, g, dz, slope, y, center, sumG, sumGY)
	}
	impl.GatedBackward = func(g, slope, y, gate, shift, center, sumG, sumGY []float32) {
		gatedBackwardAsm(t, g, slope, y, gate, shift, center, sumG, sumGY)
	}
	impl.Affine2 = func(dst, g, y, a, b, c []float32) { affine2Asm(t, dst, g, y, a, b, c) }
	impl.SumRows = func(x, sum []float32) { sumRowsAsm(t, x, sum) }
	impl.DotRows = func(x, y, sum []float32) { dotRowsAsm(t, x, y, sum) }
	impl.Add = func(dst, src []float32) { addAsm(t, dst, src) }
	impl.Axpy = func(alpha float32, dst, src []float32) { axpyAsm(t, alpha, dst, src) }
	impl.Apply = func(dst, src []float32, act Act) { applyAsm(t, dst, src, act) }
	impl.RMSProp = func(p, g, square, mom []float32, s RMSPropStep) { rmspropAsm(t, p, g, square, mom, s) }
	impl.SGD = func(p, g, mom []float32, s SGDStep) { sgdAsm(t, p, g, mom, s) }
	impl.AdamW = func(p, g, mean, square []float32, s AdamWStep) { adamwAsm(t, p, g, mean, square, s) }
	impl.Average = func(avg, p []float32, weight float32) { averageAsm(t, avg, p, weight) }
	impl.Peak = func(x *[PeakFloats]float32, iterations int) int64 { return peakAsm(t, x, iterations) }
	impl.Stream = func(x []float32) float32 { return streamAsm(t, x) }
	return impl
}
