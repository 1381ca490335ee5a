package train

import (
	"math"

	"effnet/arch"
)

// matrix is the shape of q, a row an output channel, if it is a weight that Muon is
// for: of a convolution that mixes channels. Depthwise ones, the classifier and
// vectors are AdamW's.
func (o *Optimizer) matrix(q arch.Param) (rows, cols int, ok bool) {
	if o.Kind != Muon || q.Role != arch.ConvWeight {
		return 0, 0, false
	}
	rows = q.Shape[0]
	return rows, q.Elems() / rows, true
}

// muonSteps is how often orthogonal iterates.
const muonSteps = 5

// orthogonalScratch is how many floats orthogonal wants for a matrix.
func orthogonalScratch(rows, cols int) int {
	n := min(rows, cols)
	return 2*align(rows*cols) + 5*align(n*n)
}

// orthogonal brings the singular values of u [rows, cols] near 1 (0.7 to 1.2), by
// five of Jordan's quintic Newton-Schulz iterations (Jordan et al., "Muon: An
// optimizer for hidden layers in neural networks", 2024), and keeps its singular
// vectors. An iteration is x <- x p with p = a + b g + c g^2 of the Gram matrix
// g = x'x, which becomes p g p: all but the first and the last product are of
// small, square matrices.
func orthogonal(w *worker, u []float32, rows, cols int) {
	const a, b, c = 3.4445, -4.7750, 2.0315
	// x is tall, n columns.
	m, n := max(rows, cols), min(rows, cols)
	k, mark := w.k, w.used
	x, y := w.take(m*n), w.take(m*n)
	gram, poly, all, tmp, next := w.take(n*n), w.take(n*n), w.take(n*n), w.take(n*n), w.take(n*n)
	if rows < cols {
		transpose(x, n, u, cols, rows, cols, false)
	} else {
		copy(x, u)
	}
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	scale := float32(1 / max(math.Sqrt(sum), 1e-7))
	for i := range x {
		x[i] *= scale
	}
	square := func(dst, p, q []float32) { k.Gemm(n, n, n, p, n, 1, q, n, dst, n, false, nil) }
	k.Gemm(n, n, m, x, 1, n, x, n, gram, n, false, nil)
	for i := range muonSteps {
		square(poly, gram, gram)
		for j := range poly {
			poly[j] = b*gram[j] + c*poly[j]
		}
		for j := range n {
			poly[j*n+j] += a
		}
		if i == 0 {
			copy(all, poly)
		} else {
			square(next, all, poly)
			all, next = next, all
		}
		if i < muonSteps-1 {
			square(tmp, poly, gram)
			square(gram, tmp, poly)
		}
	}
	k.Gemm(m, n, n, x, n, 1, all, n, y, n, false, nil)
	if rows < cols {
		transpose(u, cols, y, n, m, n, false)
	} else {
		copy(u, y)
	}
	w.used = mark
}

// muonRule is a step of Muon with the constants of one.
type muonRule struct{ lr, momentum, decay float32 }

// apply updates weight v by its gradient and the momentum's memory. It leaves
// other numbers in g.
func (r muonRule) apply(w *worker, c *updateChunk, v, g, mom []float32) {
	for i, d := range g {
		mom[i] += (1 - r.momentum) * (d - mom[i])
		g[i] = d + r.momentum*(mom[i]-d)
	}
	orthogonal(w, g, c.rows, c.cols)
	// The root of the mean square of a step is that of AdamW's (Liu et al.,
	// "Muon is Scalable for LLM Training", 2025).
	lr := r.lr * 0.2 * float32(math.Sqrt(float64(max(c.rows, c.cols))))
	keep := float32(1)
	if c.decay {
		keep -= r.decay
	}
	for i, d := range g {
		v[i] = keep*v[i] - lr*d
	}
}
