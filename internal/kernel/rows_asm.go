//go:build (amd64 || arm64) && !purego

package kernel

// The kernels over rows of channels share one driver, which calls assembly for
// blocks of rows. Assembly is at its best with rows of whole vectors and a
// hundred channels or so. Narrow rows are therefore seen as fewer, wider ones:
// several rows side by side, whose coefficients are repeated, and whose sums
// are folded in the end.

const (
	maxWide   = 256   // channels of a widened row, at most
	blockSize = 16384 // elements of a call
	flatRow   = 256   // elements of a row of an array without channels
)

// A rowOp is a kernel over rows, in the order of asmgen's rowLoops. Those with
// an activation have one for each Act.
type rowOp int

const (
	opScaleAct    = rowOp(0)
	opActBackward = opScaleAct + rowOp(numActs)
	opApply       = opActBackward + rowOp(numActs)
)

const (
	opMoments = opApply + rowOp(numActs) + iota
	opAffine2
	opSumRows
	opDotRows
	opAdd
	opAxpy
	opRMSProp
	opSGD
	opAdamW
	opAverage
	opSwishSlope
	opSlopeBackward
	opGatedBackward
)

// A rowCall is a call of a kernel over rows: its matrices, all of the same
// shape, its coefficients and sums per channel, and its other numbers.
type rowCall struct {
	op   rowOp
	data [4][]float32
	coef [3][]float32
	sum  [2][]float32
	num  [6]float32
}

// rowArgs is a block of a rowCall as assembly reads it.
type rowArgs struct {
	op, rows, n int
	divide      int // not 0: swish and sigmoid of AVX-512 with a division
	data        [4]*float32
	coef        [3]*float32
	sum         [2]*float32
	num         *float32
}

// widen is how many of m rows of c channels to lay side by side: rows of whole
// vectors where there are elements enough to pay for the repetition and, for
// sums, enough channels that a sum is not waited for.
func widen(m, c int, sums bool) int {
	rep := 1
	for rep*c%16 != 0 {
		rep *= 2
	}
	for sums && 2*rep*c <= maxWide/2 {
		rep *= 2
	}
	if rep*c > maxWide || 4*rep > m || m*c < 2048 {
		return 1
	}
	return rep
}

// rowsAsm runs r over m rows of c channels. The slices that the kernel does not
// use are nil; those that it uses have been found long enough.
func rowsAsm(t isa, m, c int, r *rowCall) {
	sums := r.sum[0] != nil
	if rep := widen(m, c, sums); rep > 1 {
		if sums {
			rowsWideSums(t, m, c, rep, r)
		} else {
			rowsWide(t, m, c, rep, r)
		}
		for i, s := range r.data {
			if s != nil {
				r.data[i] = s[m/rep*rep*c:]
			}
		}
		m %= rep
	}
	rowsBlocks(t, m, c, r)
}

// rowsWide runs r over the multiple of rep of its rows.
func rowsWide(t isa, m, c, rep int, r *rowCall) {
	var wide [len(r.coef)][maxWide]float32
	w := *r
	for i, s := range r.coef {
		if s != nil {
			w.coef[i] = wide[i][:rep*c]
			for j := 0; j < rep*c; j += c {
				copy(wide[i][j:], s)
			}
		}
	}
	rowsBlocks(t, m/rep, rep*c, &w)
}

// rowsWideSums is rowsWide for a kernel with sums.
func rowsWideSums(t isa, m, c, rep int, r *rowCall) {
	var wide [len(r.sum)][maxWide]float32
	w := *r
	for i, s := range r.sum {
		if s != nil {
			w.sum[i] = wide[i][:rep*c]
		}
	}
	rowsWide(t, m, c, rep, &w)
	for i, s := range r.sum {
		for j := 0; s != nil && j < rep*c; j += c {
			addGo(s, wide[i][j:])
		}
	}
}

// rowsBlocks runs r over m rows of n channels in calls of bounded length.
func rowsBlocks(t isa, m, n int, r *rowCall) {
	args := rowArgs{op: int(r.op), n: n}
	if divides {
		args.divide = 1
	}
	for i, s := range r.coef {
		if s != nil {
			args.coef[i] = &s[0]
		}
	}
	for i, s := range r.sum {
		if s != nil {
			args.sum[i] = &s[0]
		}
	}
	args.num = &r.num[0]
	// Assembly sums rows by fours.
	step := max(4, blockSize/n&^3)
	for i := 0; i < m; i += step {
		args.rows = min(step, m-i)
		for j, s := range r.data {
			if s != nil {
				args.data[j] = &s[i*n]
			}
		}
		t.rows(&args)
	}
}

// flatAsm runs r over arrays of n elements.
func flatAsm(t isa, n int, r *rowCall) {
	rowsBlocks(t, n/flatRow, flatRow, r)
	if rest := n % flatRow; rest > 0 {
		for i, s := range r.data {
			if s != nil {
				r.data[i] = s[n-rest:]
			}
		}
		rowsBlocks(t, 1, rest, r)
	}
}

func scaleActAsm(t isa, dst, src, scale, shift []float32, act Act) {
	if m, c := rowsOf(dst, scale, act); m > 0 {
		rowsAsm(t, m, c, &rowCall{op: opScaleAct + rowOp(act), data: [4][]float32{dst, need(src, m*c)}, coef: [3][]float32{scale, need(shift, c)}})
	}
}

func actBackwardAsm(t isa, g, dz, y, scale, shift, center []float32, act Act, sumG, sumGY []float32) {
	if m, c := rowsOf(g, scale, act); m > 0 {
		rowsAsm(t, m, c, &rowCall{
			op:   opActBackward + rowOp(act),
			data: [4][]float32{g, need(dz, m*c), need(y, m*c)},
			coef: [3][]float32{scale, need(shift, c), need(center, c)},
			sum:  [2][]float32{need(sumG, c), need(sumGY, c)},
		})
	}
}

func swishSlopeAsm(t isa, dst, slope, src, scale, shift []float32) {
	if m, c := rowsOf(dst, scale, Swish); m > 0 {
		rowsAsm(t, m, c, &rowCall{op: opSwishSlope, data: [4][]float32{dst, need(slope, m*c), need(src, m*c)}, coef: [3][]float32{scale, need(shift, c)}})
	}
}

func slopeBackwardAsm(t isa, g, dz, slope, y, center, sumG, sumGY []float32) {
	if m, c := rowsOf(g, center, Swish); m > 0 {
		rowsAsm(t, m, c, &rowCall{
			op:   opSlopeBackward,
			data: [4][]float32{g, need(dz, m*c), need(slope, m*c), need(y, m*c)},
			coef: [3][]float32{center},
			sum:  [2][]float32{need(sumG, c), need(sumGY, c)},
		})
	}
}

func gatedBackwardAsm(t isa, g, slope, y, gate, shift, center, sumG, sumGY []float32) {
	if m, c := rowsOf(g, gate, Swish); m > 0 {
		rowsAsm(t, m, c, &rowCall{
			op:   opGatedBackward,
			data: [4][]float32{g, need(slope, m*c), need(y, m*c)},
			coef: [3][]float32{gate, need(shift, c), need(center, c)},
			sum:  [2][]float32{need(sumG, c), need(sumGY, c)},
		})
	}
}

func momentsAsm(t isa, x, center, sum, sumsq []float32) {
	if m, c := rowsOf(x, center, 0); m > 0 {
		rowsAsm(t, m, c, &rowCall{op: opMoments, data: [4][]float32{x}, coef: [3][]float32{center}, sum: [2][]float32{need(sum, c), need(sumsq, c)}})
	}
}

func affine2Asm(t isa, dst, g, y, a, b, c []float32) {
	if m, n := rowsOf(dst, a, 0); m > 0 {
		rowsAsm(t, m, n, &rowCall{op: opAffine2, data: [4][]float32{dst, need(g, m*n), need(y, m*n)}, coef: [3][]float32{a, need(b, n), need(c, n)}})
	}
}

func sumRowsAsm(t isa, x, sum []float32) {
	if m, c := rowsOf(x, sum, 0); m > 0 {
		rowsAsm(t, m, c, &rowCall{op: opSumRows, data: [4][]float32{x}, sum: [2][]float32{need(sum, c)}})
	}
}

func dotRowsAsm(t isa, x, y, sum []float32) {
	if m, c := rowsOf(x, sum, 0); m > 0 {
		rowsAsm(t, m, c, &rowCall{op: opDotRows, data: [4][]float32{x, need(y, m*c)}, sum: [2][]float32{need(sum, c)}})
	}
}

func addAsm(t isa, dst, src []float32) {
	if n := len(dst); n > 0 {
		flatAsm(t, n, &rowCall{op: opAdd, data: [4][]float32{dst, need(src, n)}})
	}
}

func axpyAsm(t isa, alpha float32, dst, src []float32) {
	if n := len(dst); n > 0 {
		flatAsm(t, n, &rowCall{op: opAxpy, data: [4][]float32{dst, need(src, n)}, num: [6]float32{alpha}})
	}
}

func applyAsm(t isa, dst, src []float32, act Act) {
	if n, _ := rowsOf(dst, []float32{0}, act); n > 0 {
		flatAsm(t, n, &rowCall{op: opApply + rowOp(act), data: [4][]float32{dst, need(src, n)}})
	}
}
