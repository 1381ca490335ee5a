package search

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// mixed is a linear model with a random effect for each group,
//
//	y = X b + u_group + e,  Var(e_i) = s2 / weight_i,  Var(u) = ratio * s2,
//
// prepared so that fitting another y costs little. n observations, p columns.
type mixed struct {
	n, p   int
	x      *mat.Dense // [n,p]
	group  []int
	weight []float64
	sum    []float64 // of the weights of each group
	at     []mixedAt
}

// mixedAt is the model at one ratio of the variances.
type mixedAt struct {
	ratio  float64
	wx     *mat.Dense    // [n,p] V^-1 X
	inv    *mat.SymDense // [p,p] (X' V^-1 X)^-1
	solve  *mat.Dense    // [p,n] y to b
	logDet float64       // of V and of X' V^-1 X
}

// mixedRatios are those tried: the likelihood is flat enough between them.
var mixedRatios = []float64{0, 0.05, 0.1, 0.2, 0.35, 0.6, 1, 1.7, 3, 6, 12, 30, 100}

// mixedFit is the model fitted to a y.
type mixedFit struct {
	beta  []float64
	cov   *mat.SymDense // of beta
	s2    float64
	ratio float64
	df    float64 // of s2
	at    *mixedAt
}

// newMixed is nil where X does not determine b.
func newMixed(x *mat.Dense, group []int, weight []float64) *mixed {
	m := &mixed{x: x, group: group, weight: weight}
	m.n, m.p = x.Dims()
	if m.n <= m.p {
		return nil
	}
	for i, g := range group {
		for len(m.sum) <= g {
			m.sum = append(m.sum, 0)
		}
		m.sum[g] += weight[i]
	}
	for _, ratio := range mixedRatios {
		a := mixedAt{ratio: ratio, wx: mat.NewDense(m.n, m.p, nil), solve: mat.NewDense(m.p, m.n, nil), inv: mat.NewSymDense(m.p, nil)}
		for j := range m.p {
			a.wx.SetCol(j, m.weigh(mat.Col(nil, j, x), ratio))
		}
		info := mat.NewDense(m.p, m.p, nil)
		info.Mul(x.T(), a.wx)
		sym := mat.NewSymDense(m.p, nil)
		for i := range m.p {
			for j := i; j < m.p; j++ {
				sym.SetSym(i, j, (info.At(i, j)+info.At(j, i))/2)
			}
		}
		var chol mat.Cholesky
		if !chol.Factorize(sym) || chol.Cond() > 1e10 {
			return nil
		}
		if err := chol.InverseTo(a.inv); err != nil {
			return nil
		}
		a.solve.Mul(a.inv, a.wx.T())
		a.logDet = chol.LogDet()
		for _, w := range weight {
			a.logDet -= math.Log(w)
		}
		for _, s := range m.sum {
			a.logDet += math.Log1p(ratio * s)
		}
		m.at = append(m.at, a)
	}
	return m
}

// weigh is V^-1 v, in units of s2 (Sherman and Morrison, group by group).
func (m *mixed) weigh(v []float64, ratio float64) []float64 {
	sum := make([]float64, len(m.sum))
	for i, g := range m.group {
		sum[g] += m.weight[i] * v[i]
	}
	out := make([]float64, len(v))
	for i, g := range m.group {
		out[i] = m.weight[i] * (v[i] - ratio*sum[g]/(1+ratio*m.sum[g]))
	}
	return out
}

// fit maximises the restricted likelihood over the ratios. ss and df are a
// sum of squares of the same noise from elsewhere.
func (m *mixed) fit(y []float64, ss, df float64) *mixedFit {
	var best *mixedAt
	least, bestSS := math.Inf(1), 0.0
	b := make([]float64, m.p)
	f := &mixedFit{beta: make([]float64, m.p), df: float64(m.n-m.p) + df}
	yy := floats.Dot(y, y)
	for k := range m.at {
		a := &m.at[k]
		wy := m.weigh(y, a.ratio)
		rss := floats.Dot(y, wy)
		for j := range m.p {
			b[j] = floats.Dot(a.solve.RawRowView(j), y)
		}
		for i := range m.n {
			rss -= floats.Dot(a.wx.RawRowView(i), b) * y[i]
		}
		// What rounding leaves of a perfect fit is no noise.
		rss = max(rss, 1e-13*yy, 0)
		crit := f.df*math.Log(rss+ss+math.SmallestNonzeroFloat64) + a.logDet
		if crit < least {
			least, best, bestSS = crit, a, rss
			copy(f.beta, b)
		}
	}
	f.at, f.ratio = best, best.ratio
	f.s2 = (bestSS + ss) / f.df
	f.cov = mat.NewSymDense(m.p, nil)
	f.cov.ScaleSym(f.s2, best.inv)
	return f
}

// residuals splits y into what the fit says and noise of variance s2: the
// residuals freed of the groups' effects and weights, and blown up by what the
// fit took of them.
func (m *mixed) residuals(y []float64, f *mixedFit) (fitted, noise []float64) {
	fitted, noise = make([]float64, m.n), make([]float64, m.n)
	for i := range fitted {
		fitted[i] = floats.Dot(m.x.RawRowView(i), f.beta)
		noise[i] = (y[i] - fitted[i]) * math.Sqrt(m.weight[i])
	}
	m.scale(noise, noise, f.ratio, -1)
	var ss float64
	mean := floats.Sum(noise) / float64(m.n)
	for i := range noise {
		noise[i] -= mean
		ss += noise[i] * noise[i]
	}
	if ss > 0 {
		floats.Scale(math.Sqrt(f.s2*float64(m.n)/ss), noise)
	}
	return fitted, noise
}

// colour turns independent noise into noise with the model's covariance.
func (m *mixed) colour(dst, noise []float64, ratio float64) {
	m.scale(dst, noise, ratio, 1)
	for i := range dst {
		dst[i] /= math.Sqrt(m.weight[i])
	}
}

// scale multiplies by (I + ratio z z')^(power/2), z the roots of the weights,
// group by group.
func (m *mixed) scale(dst, src []float64, ratio, power float64) {
	dot := make([]float64, len(m.sum))
	for i, g := range m.group {
		dot[g] += math.Sqrt(m.weight[i]) * src[i]
	}
	for i, g := range m.group {
		k := math.Pow(1+ratio*m.sum[g], power/2) - 1
		dst[i] = src[i] + k/m.sum[g]*math.Sqrt(m.weight[i])*dot[g]
	}
}

// residual is what weighted least squares leaves of y, column by column
// (modified Gram and Schmidt): columns that earlier ones imply are left out.
type residual struct {
	y, root []float64   // times the root of the weights
	basis   [][]float64 // orthonormal
	ss      float64     // sum of squares left
	rank    int
}

func newResidual(y, weight []float64) *residual {
	r := &residual{y: make([]float64, len(y)), root: make([]float64, len(y))}
	for i := range y {
		r.root[i] = math.Sqrt(weight[i])
		r.y[i] = y[i] * r.root[i]
	}
	r.ss = floats.Dot(r.y, r.y)
	return r
}

func (r *residual) clone() *residual {
	c := *r
	c.y = append([]float64(nil), r.y...)
	c.basis = append([][]float64(nil), r.basis...)
	return &c
}

func (r *residual) remove(col []float64) {
	q := make([]float64, len(col))
	floats.MulTo(q, col, r.root)
	size := floats.Norm(q, 2)
	for range 2 { // once more, for what rounding left
		for _, b := range r.basis {
			floats.AddScaled(q, -floats.Dot(q, b), b)
		}
	}
	left := floats.Norm(q, 2)
	if !(left > 1e-8*size) {
		return
	}
	floats.Scale(1/left, q)
	r.basis = append(r.basis, q)
	r.rank++
	floats.AddScaled(r.y, -floats.Dot(r.y, q), q)
	r.ss = floats.Dot(r.y, r.y)
}

// fTest is the p-value of the columns that full has beyond part being
// worthless; ss and df are a sum of squares of the same noise from elsewhere.
// It is NaN where there is nothing to test or to test with.
func fTest(part, full *residual, ss float64, df int) float64 {
	extra, rest := full.rank-part.rank, len(full.y)-full.rank+df
	if extra < 1 || rest < 1 {
		return math.NaN()
	}
	gain, noise := max(part.ss-full.ss, 0), full.ss+ss
	switch {
	case gain <= 1e-20*float64(len(part.y)):
		return 1
	case noise <= 0:
		return 0
	}
	return distuv.F{D1: float64(extra), D2: float64(rest)}.Survival(gain / float64(extra) / (noise / float64(rest)))
}
