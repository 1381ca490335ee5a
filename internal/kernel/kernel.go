// Package kernel holds the arithmetic of the engine: slices in, slices out.
// It knows nothing of ops, graphs or threads. Tensors are float32 in NHWC
// order, so a "row" below is the C channels of one pixel and a [M,C] matrix is
// M pixels of any number of images.
//
// An [Impl] is one implementation of every kernel for one instruction set.
// The pure-Go one is the definition of what each kernel computes; assembly is
// tested against it. Every call is single-threaded and bounded by its
// arguments, and leaves no state behind. Results of one Impl do not depend on
// slice alignment; different Impls may differ by rounding.
package kernel

//go:generate go run ./asmgen

// Act is an activation applied by a kernel.
type Act uint8

const (
	Identity    Act = iota // x
	ReLU                   // max(x, 0)
	ReLU6                  // min(max(x, 0), 6)
	Swish                  // x / (1 + exp(-x))
	Sigmoid                // 1 / (1 + exp(-x))
	HardSwish              // x * min(max(x+3, 0), 6) / 6
	HardSigmoid            // min(max(x+3, 0), 6) / 6
)

// DW is the geometry of one depthwise convolution over one image whose
// padding is already part of its input: x [InH,InW,C], y [OutH,OutW,C] with
// InH >= (OutH-1)*Stride+K and InW likewise.
type DW struct {
	C, K, Stride         int
	InH, InW, OutH, OutW int
}

// Impl is one implementation of the kernels. All slices may be unaligned and
// longer than needed; only the elements named by the shapes are read or written.
type Impl struct {
	Name   string // "go", "avx2", "avx512", "neon"
	MR, NR int    // tile of Gemm: multiples of these waste nothing

	// Gemm computes C = A B, or C += A B when acc is set, for C [m,n]:
	// A's element (i,p) is a[i*ars+p*acs], B's is b[p*ldb+j] (or see InPanels),
	// C's is c[i*ldc+j].
	// One of ars, acs is 1. With acs = 1 it is the forward product of pixels
	// and weights, with ars = 1 the product of a transpose: a gradient of weights.
	// An element of C depends on its row of A, its column of B and its own old
	// value alone, bit for bit, and not on where it stands.
	// What ahead has is fetched into the cache on the way; nil for nothing.
	Gemm func(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool, ahead *Ahead)

	// Conv computes a convolution with a weight packed by Pack, whose panels are
	// Panel columns wide, of Lanes to a vector. As in Gemm, an element does not
	// depend on where it stands. Any panels can be computed alone; what follows
	// them in w is taken as what will be needed next.
	Conv         func(s Conv, x, w, y []float32)
	Panel, Lanes int
	// ScaleRows computes dst = scale*src for the len(scale) rows of dst and src.
	ScaleRows func(dst, src, scale []float32)

	// WinogradInput and WinogradOutput are the transforms of a 3x3 convolution,
	// WinogradGradient that of its gradient, for the weight: see Winograd. With fewer
	// channels than MinWinograd on either side, Conv is quicker.
	WinogradInput    func(s Winograd, x, v []float32)
	WinogradOutput   func(s Winograd, m, y []float32)
	WinogradGradient func(s Winograd, dy, e []float32)
	MinWinograd      int

	// Depthwise computes a depthwise convolution, and adds to sums [C], unless
	// it is nil, the sums of y over its pixels. As in Gemm, an element of y does
	// not depend on where it stands.
	Depthwise func(s Depthwise, x, w, y, sums []float32)
	// DWBackwardInput computes the gradient dx [InH,InW,C], overwritten whole,
	// of x from dy [OutH,OutW,C].
	DWBackwardInput func(s DW, dy, w, dx []float32)
	// DWBackwardWeight adds the gradient of w to dw [K*K,C].
	DWBackwardWeight func(s DW, x, dy, dw []float32)

	// ScaleAct computes dst = act(scale*src + shift) over rows of len(scale)
	// channels; dst may be src. The number of rows is len(dst)/len(scale).
	ScaleAct func(dst, src, scale, shift []float32, act Act)
	// Moments adds, per channel, the sum of x-center to sum and of
	// (x-center)^2 to sumsq over the rows of x.
	Moments func(x, center, sum, sumsq []float32)
	// ActBackward goes back through z = act(scale*y + shift): it computes
	// g = dz * act'(scale*y + shift), which may overwrite dz, and adds, per
	// channel, the sum of g to sumG and of g*(y-center) to sumGY.
	ActBackward func(g, dz, y, scale, shift, center []float32, act Act, sumG, sumGY []float32)
	// SwishSlope computes dst = swish(u) and slope = swish'(u) of u = scale*src + shift
	// over rows; dst or slope may be src. It may differ from ScaleAct in the last bits.
	SwishSlope func(dst, slope, src, scale, shift []float32)
	// SlopeBackward is ActBackward with the derivative given: g = dz * slope.
	SlopeBackward func(g, dz, slope, y, center, sumG, sumGY []float32)
	// GatedBackward is SlopeBackward in place, of dz = gate*g + shift.
	GatedBackward func(g, slope, y, gate, shift, center, sumG, sumGY []float32)
	// Affine2 computes dst = a*g + b*y + c per channel over rows; dst may be g.
	// It is the batch-norm gradient once its sums are known.
	Affine2 func(dst, g, y, a, b, c []float32)

	// SumRows adds the rows of x [M,C] to sum [C].
	SumRows func(x, sum []float32)
	// DotRows adds, per channel, the sum over rows of x*y to sum [C].
	DotRows func(x, y, sum []float32)
	// Add computes dst += src.
	Add func(dst, src []float32)
	// Axpy computes dst += alpha*src.
	Axpy func(alpha float32, dst, src []float32)
	// Apply computes dst = act(src); dst may be src.
	Apply func(dst, src []float32, act Act)

	// RMSProp, SGD and AdamW take a step of an optimiser: see the types of
	// their last arguments. Average moves avg towards p: avg += weight*(p-avg).
	RMSProp func(p, g, square, mom []float32, s RMSPropStep)
	SGD     func(p, g, mom []float32, s SGDStep)
	AdamW   func(p, g, mean, square []float32, s AdamWStep)
	Average func(avg, p []float32, weight float32)

	// Peak and Stream measure the machine. Peak computes x = PeakScale*x +
	// PeakShift so many times for as many of the first elements as it holds in
	// registers, and returns how many floating-point operations that took.
	// Stream reads x, whose length is a multiple of StreamBlock, and returns
	// its sum, added up in any order.
	Peak   func(x *[PeakFloats]float32, iterations int) (flops int64)
	Stream func(x []float32) (sum float32)
}
