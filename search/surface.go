package search

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"effnet/arch"
)

// SurfacePoint is one finished trial as the response surface sees it.
type SurfacePoint struct {
	Network  string
	Shares   arch.Shares // realised
	LogCost  float64     // log of the realised cost over the base's
	Rung     int         // its length: trials of one length share an offset
	Seed     uint64
	Accuracy float64
	// Weight is the relative precision of the accuracy, one over its noise's
	// variance up to a common factor; 0 counts as 1.
	Weight float64
}

// SurfaceOptions say where a surface is read and what is known beside it.
type SurfaceOptions struct {
	LogCost float64 // log of the cost ratio that predictions are for
	NoiseSS float64 // sum of squares, inside networks, of trainings outside the points
	NoiseDF int     // its degrees of freedom
	Seed    uint64  // of the bootstrap
	Draws   int     // bootstrap samples; 0: surfaceDraws
	Steps   int     // of the grid along a side; 0: surfaceSteps
}

const (
	surfaceDraws = 1000
	surfaceSteps = 40
	// surfaceSpare is how many networks there must be beyond the coefficients.
	surfaceSpare = 2
)

// Surface is a response surface: accuracy as a full quadratic in the shares
// of width and resolution, linear in the log of the realised cost, with an
// offset for every rung and seed. A network that only ran short rungs still
// tells of the shares; trainings with one seed share what that seed brings.
// Beside the noise of a training, each network may lie off the quadratic by
// some amount of its own (a random effect): that much of a network's error
// more seeds do not remove. Both variances are fitted by restricted maximum
// likelihood (Patterson and Thompson 1971). Which networks went on to longer
// rungs depends on accuracies that are among the points, so that likelihood
// needs no correction for it (Rubin 1976).
type Surface struct {
	Why string // why there is no surface; everything else is then zero

	Trials, Networks int
	Optimum          arch.Shares // best point of the triangle
	Accuracy         float64     // predicted there, at full length and SurfaceOptions.LogCost
	SE               float64     // of that prediction
	Sigma            float64     // standard deviation of a training
	Tau              float64     // standard deviation of networks about the quadratic
	R2               float64     // share of the variance inside rungs and seeds that it explains
	LackOfFit        float64     // p-value of the quadratic being enough; NaN without repeated trainings
	Parallel         float64     // p-value of all rungs having the same slopes; NaN where it cannot be told

	Grid   []float64       // accuracies predicted, in the order of a triangle
	Region [][]arch.Shares // outlines of the 95 % region of the optimum without thin gaps, each a closed polygon
	Area   float64         // of the region, over the triangle's

	fit     *mixedFit
	terms   int        // coefficients of the shares and the cost
	cost    float64    // mean log cost, taken off; NaN without a cost term
	logCost float64    // for predictions
	blocks  []int      // columns of the full length's offsets
	offset  float64    // taken off the accuracies
	crit    [3]float64 // critical values of the statistic by its rank
	summit  summit     // of the fit
	noise   []summit   // of what bootstrapped surfaces have beside the fit: how a surface looks where all shares are equally good
}

// summit is a quadratic in the shares with its best point.
type summit struct {
	beta [quadratic]float64
	cov  [quadratic][quadratic]float64 // of beta
	best arch.Shares
}

// quadratic are the terms of the shares.
const quadratic = 5

func surfaceTerms(s arch.Shares) [quadratic]float64 {
	u, v := s.W-Centre.W, s.R-Centre.R
	return [quadratic]float64{u, v, u * u, u * v, v * v}
}

// FitSurface fits, and finds the region of the optimum. The result does not
// depend on the order of the points.
//
// The region inverts a test (Box and Hunter 1954): a point inside the
// triangle belongs to it unless the surface's gradient there differs from
// zero; on an edge or in a corner the gradient may also point outwards, which
// is tested by the distance to the cone of such gradients, conditionally on
// the face of the cone that the nearest one lies on (Bartholomew 1961). The
// critical values come from a residual bootstrap of the studentised gradient.
// As a gradient may also be zero where the surface is lowest, a point at which
// the surface is lower than at its best is taken out: lower by more standard
// errors than would be expected if all shares were equally good.
func FitSurface(points []SurfacePoint, opt SurfaceOptions) *Surface {
	if opt.Draws == 0 {
		opt.Draws = surfaceDraws
	}
	if opt.Steps == 0 {
		opt.Steps = surfaceSteps
	}
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b SurfacePoint) int {
		return cmp.Or(cmp.Compare(a.Rung, b.Rung), cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Network, b.Network), cmp.Compare(a.Accuracy, b.Accuracy))
	})
	s := &Surface{Trials: len(points), logCost: opt.LogCost, cost: math.NaN()}
	d := newSurfaceDesign(points)
	s.Networks = len(d.nets)
	s.terms = quadratic
	if d.spread > 1e-6 {
		s.terms, s.cost = quadratic+1, d.cost
	}
	if least := s.terms + 1 + surfaceSpare; s.Networks < least {
		s.Why = fmt.Sprintf("a surface has %d coefficients and wants at least %d networks, there are %d", s.terms+1, least, s.Networks)
		return s
	}
	x, y := d.matrix(s.terms), make([]float64, len(points))
	for i := range points {
		s.offset += points[i].Accuracy / float64(len(points))
	}
	for i := range points {
		y[i] = points[i].Accuracy - s.offset
	}
	m := newMixed(x, d.group, d.weight)
	if m == nil {
		s.Why = "the networks lie on the triangle so that a quadratic in the shares is not determined"
		return s
	}
	last := points[len(points)-1].Rung
	for i, b := range d.blocks {
		if b.rung == last {
			s.blocks = append(s.blocks, s.terms+i)
		}
	}
	s.fit = m.fit(y, opt.NoiseSS, float64(opt.NoiseDF))
	s.Sigma = math.Sqrt(s.fit.s2)
	s.Tau = s.Sigma * math.Sqrt(s.fit.ratio)
	s.summit = newSummit(s.fit, make([]float64, quadratic))
	s.Optimum = s.summit.best
	s.Accuracy, s.SE = s.At(s.Optimum)
	s.goodness(d, x, y, opt)
	s.bootstrap(m, y, opt)
	s.region(opt.Steps)
	return s
}

// surfaceDesign is what the points say of the model's matrix.
type surfaceDesign struct {
	points []SurfacePoint
	nets   []string
	group  []int // network of each point
	blocks []surfaceBlock
	block  []int // of each point
	weight []float64
	cost   float64 // mean log cost
	spread float64 // standard deviation of the log cost
}

// surfaceBlock is the trials that share an offset.
type surfaceBlock struct {
	rung int
	seed uint64
}

// newSurfaceDesign sorts out sorted points.
func newSurfaceDesign(points []SurfacePoint) *surfaceDesign {
	d := &surfaceDesign{points: points}
	index := map[string]int{}
	var costs []float64
	for i := range points {
		p := &points[i]
		g, ok := index[p.Network]
		if !ok {
			g = len(d.nets)
			index[p.Network] = g
			d.nets = append(d.nets, p.Network)
			costs = append(costs, p.LogCost)
		}
		d.group = append(d.group, g)
		b := surfaceBlock{p.Rung, p.Seed}
		if n := len(d.blocks); n == 0 || d.blocks[n-1] != b {
			d.blocks = append(d.blocks, b)
		}
		d.block = append(d.block, len(d.blocks)-1)
		w := p.Weight
		if w == 0 {
			w = 1
		}
		d.weight = append(d.weight, w)
	}
	if len(costs) > 1 {
		d.cost, d.spread = stat.Mean(costs, nil), stat.StdDev(costs, nil)
	}
	return d
}

// matrix has a row a point: the shares' terms, the log cost where terms has
// room for it, then a column for each block.
func (d *surfaceDesign) matrix(terms int) *mat.Dense {
	x := mat.NewDense(len(d.points), terms+len(d.blocks), nil)
	for i := range d.points {
		for j, t := range surfaceTerms(d.points[i].Shares) {
			x.Set(i, j, t)
		}
		if terms > quadratic {
			x.Set(i, quadratic, d.points[i].LogCost-d.cost)
		}
		x.Set(i, terms+d.block[i], 1)
	}
	return x
}

// At predicts the accuracy of a full-length training at the shares, and the
// prediction's standard error: of the surface, not of a single training.
func (s *Surface) At(at arch.Shares) (accuracy, se float64) {
	if s.fit == nil {
		return math.NaN(), math.NaN()
	}
	row := s.row(at)
	v := mat.NewVecDense(len(row), row)
	return s.Mean(at), math.Sqrt(max(mat.Inner(v, s.fit.cov, v), 0))
}

// Mean is At without the standard error, which takes most of its time.
func (s *Surface) Mean(at arch.Shares) float64 {
	if s.fit == nil {
		return math.NaN()
	}
	return s.offset + floats.Dot(s.row(at), s.fit.beta)
}

// row is what the coefficients of the fit are multiplied by.
func (s *Surface) row(at arch.Shares) []float64 {
	row := make([]float64, len(s.fit.beta))
	t := surfaceTerms(at)
	copy(row, t[:])
	if s.terms > quadratic {
		row[quadratic] = s.logCost - s.cost
	}
	for _, b := range s.blocks {
		row[b] = 1 / float64(len(s.blocks))
	}
	return row
}

// gradient of the quadratic with coefficients beta along the shares of width
// and of resolution.
func gradient(beta []float64, at arch.Shares) (g [2]float64) {
	u, v := at.W-Centre.W, at.R-Centre.R
	g[0] = beta[0] + 2*beta[2]*u + beta[3]*v
	g[1] = beta[1] + beta[3]*u + 2*beta[4]*v
	return g
}

// gradientCov is the covariance of the gradient's parts.
func gradientCov(cov mat.Symmetric, at arch.Shares) (v [3]float64) {
	x, y := at.W-Centre.W, at.R-Centre.R
	a := [quadratic]float64{1, 0, 2 * x, y, 0}
	b := [quadratic]float64{0, 1, 0, x, 2 * y}
	for i := range quadratic {
		for j := range quadratic {
			c := cov.At(i, j)
			v[0] += a[i] * a[j] * c
			v[1] += a[i] * b[j] * c
			v[2] += b[i] * b[j] * c
		}
	}
	return v
}

// along turns a gradient and its covariance into derivatives along p and q.
func along(g [2]float64, v [3]float64, p, q [2]float64) (a, b, va, vab, vb float64) {
	form := func(p, q [2]float64) float64 {
		return p[0]*q[0]*v[0] + (p[0]*q[1]+p[1]*q[0])*v[1] + p[1]*q[1]*v[2]
	}
	return g[0]*p[0] + g[1]*p[1], g[0]*q[0] + g[1]*q[1], form(p, p), form(p, q), form(q, q)
}

// The directions, in shares of width and resolution, along the three edges.
var (
	toWidth      = [2]float64{1, 0}  // from depth
	toResolution = [2]float64{0, 1}  // from depth
	across       = [2]float64{-1, 1} // from width to resolution
)

func negative(p [2]float64) [2]float64 { return [2]float64{-p[0], -p[1]} }

// onEdge is how small a share counts as none.
const onEdge = 1e-9

// stationary measures how far the gradient at a point is from one that a best
// point of the triangle has there. rank is the number of its components that
// are held against zero: the statistic is about rank times an F variable with
// rank degrees of freedom.
func stationary(g [2]float64, v [3]float64, at arch.Shares) (t float64, rank int) {
	d, w, r := at.D <= onEdge, at.W <= onEdge, at.R <= onEdge
	switch {
	case w && r: // depth's corner
		return cornered(along(g, v, toWidth, toResolution))
	case d && r:
		return cornered(along(g, v, negative(toWidth), across))
	case d && w:
		return cornered(along(g, v, negative(toResolution), negative(across)))
	case w:
		return edged(along(g, v, toResolution, toWidth))
	case r:
		return edged(along(g, v, toWidth, toResolution))
	case d:
		return edged(along(g, v, across, [2]float64{-1, -1}))
	}
	a, b, va, vab, vb := along(g, v, toWidth, toResolution)
	return both(a, b, va, vab, vb), 2
}

// both is the squared length of (a, b) in units of its covariance.
func both(a, b, va, vab, vb float64) float64 {
	det := va*vb - vab*vab
	if !(det > 0) {
		if a == 0 && b == 0 {
			return 0
		}
		return math.Inf(1)
	}
	return (a*a*vb - 2*a*b*vab + b*b*va) / det
}

// one is the squared length of a in units of its variance.
func one(a, va float64) float64 {
	switch {
	case a == 0:
		return 0
	case !(va > 0):
		return math.Inf(1)
	}
	return a * a / va
}

// edged: a, along the edge, should be zero, and b, inwards, not positive.
func edged(a, b, va, vab, vb float64) (float64, int) {
	if va > 0 {
		b -= vab / va * a
	}
	if b <= 0 {
		return one(a, va), 1
	}
	return one(a, va) + one(b, vb-vab*vab/max(va, math.SmallestNonzeroFloat64)), 2
}

// cornered: neither a nor b, along the two edges, should be positive.
func cornered(a, b, va, vab, vb float64) (float64, int) {
	if a <= 0 && b <= 0 {
		return 0, 0
	}
	best, rank := both(a, b, va, vab, vb), 2
	if a > 0 && va > 0 && b-vab/va*a <= 0 && one(a, va) <= best {
		best, rank = one(a, va), 1
	}
	if b > 0 && vb > 0 && a-vab/vb*b <= 0 && one(b, vb) <= best {
		best, rank = one(b, vb), 1
	}
	return best, rank
}

// argmax is the best point of the triangle for a quadratic's coefficients.
func argmax(beta []float64) arch.Shares {
	value := func(s arch.Shares) (y float64) {
		for i, t := range surfaceTerms(s) {
			y += beta[i] * t
		}
		return y
	}
	at := slices.Clone(corners[:])
	a, b, c := 2*beta[2], beta[3], 2*beta[4]
	if det := a*c - b*b; det > 0 && a < 0 {
		u, v := (b*beta[1]-c*beta[0])/det, (b*beta[0]-a*beta[1])/det
		s := arch.Shares{W: Centre.W + u, R: Centre.R + v}
		s.D = 1 - s.W - s.R
		if min(s.D, s.W, s.R) > 0 {
			return s
		}
	}
	for i := range 3 {
		p, q := at[i], at[(i+1)%3]
		// Along the edge the quadratic is a parabola through three values.
		y0, y1, y2 := value(p), value(mix(p, q, 0.5)), value(q)
		if curve := 2 * (y0 - 2*y1 + y2); curve < 0 {
			if t := -(-3*y0 + 4*y1 - y2) / (2 * curve); t > 0 && t < 1 {
				at = append(at, mix(p, q, t))
			}
		}
	}
	best := at[0]
	for _, s := range at[1:] {
		if value(s) > value(best) {
			best = s
		}
	}
	return best
}

// mix is the point t of the way from p to q.
func mix(p, q arch.Shares, t float64) arch.Shares {
	at := func(a, b float64) float64 { return a*(1-t) + b*t }
	return arch.Shares{D: at(p.D, q.D), W: at(p.W, q.W), R: at(p.R, q.R)}
}

// goodness says how well the quadratic, of matrix x, describes the points.
func (s *Surface) goodness(d *surfaceDesign, x *mat.Dense, y []float64, opt SurfaceOptions) {
	s.LackOfFit, s.Parallel = math.NaN(), math.NaN()
	blocks := newResidual(y, d.weight)
	for b := range d.blocks {
		blocks.remove(indicator(d.block, b))
	}
	null := blocks.ss
	surface := blocks.clone()
	for j := range s.terms {
		surface.remove(mat.Col(nil, j, x))
	}
	if null > 0 {
		s.R2 = 1 - surface.ss/null
	}
	full := surface.clone()
	for g := range d.nets {
		full.remove(indicator(d.group, g))
	}
	s.LackOfFit = fTest(surface, full, opt.NoiseSS, opt.NoiseDF)
	slopes := surface.clone()
	first := d.blocks[0].rung
	for _, rung := range s.rungs(d) {
		if rung == first {
			continue
		}
		for k := range 2 {
			col := make([]float64, len(y))
			for i := range d.points {
				if d.points[i].Rung == rung {
					col[i] = surfaceTerms(d.points[i].Shares)[k]
				}
			}
			slopes.remove(col)
		}
	}
	if slopes.rank > surface.rank {
		s.Parallel = fTest(surface, slopes, opt.NoiseSS, opt.NoiseDF)
	}
}

// rungs lists the rungs of the points, in order.
func (s *Surface) rungs(d *surfaceDesign) []int {
	var out []int
	for _, b := range d.blocks {
		if !slices.Contains(out, b.rung) {
			out = append(out, b.rung)
		}
	}
	return out
}

// indicator is one where of[i] is k.
func indicator(of []int, k int) []float64 {
	col := make([]float64, len(of))
	for i := range of {
		if of[i] == k {
			col[i] = 1
		}
	}
	return col
}

// String says in a sentence where the surface is best.
func (s *Surface) String() string {
	if s.Why != "" {
		return "No response surface: " + s.Why + "."
	}
	o := s.Optimum
	text := fmt.Sprintf("The response surface is best at %.0f %% depth, %.0f %% width, %.0f %% resolution; the 95 %% region of that has %.0f %% of the triangle.",
		100*o.D, 100*o.W, 100*o.R, 100*s.Area)
	if s.Parallel <= parallelDoubt {
		text += fmt.Sprintf(" Short trainings seem to prefer other ratios than long ones (p %.2g): do not rely on the region.", s.Parallel)
	}
	return text
}

// parallelDoubt is the p-value of equal slopes in all rungs below which the
// region is doubted: it is not valid without.
const parallelDoubt = 0.1

// bootstrap fits surfaces to residuals drawn again: their studentised gradients
// are the critical values, and what they add to the surface is its noise.
func (s *Surface) bootstrap(m *mixed, y []float64, opt SurfaceOptions) {
	r := rand.New(rand.NewPCG(opt.Seed, 0x5bf5))
	fitted, noise := m.residuals(y, s.fit)
	again, draws := make([]float64, len(y)), make([]float64, len(y))
	ghat := gradient(s.fit.beta, s.Optimum)
	var null [3][]float64 // statistics by rank
	for range opt.Draws {
		for i := range draws {
			draws[i] = noise[r.IntN(len(noise))]
		}
		m.colour(again, draws, s.fit.ratio)
		for i := range again {
			again[i] += fitted[i]
		}
		var ss float64
		for range opt.NoiseDF {
			e := noise[r.IntN(len(noise))]
			ss += e * e
		}
		f := m.fit(again, ss, float64(opt.NoiseDF))
		s.noise = append(s.noise, newSummit(f, s.fit.beta))
		g, v := gradient(f.beta, s.Optimum), gradientCov(f.cov, s.Optimum)
		g[0] -= ghat[0]
		g[1] -= ghat[1]
		a, b, va, vab, vb := along(g, v, toWidth, toResolution)
		null[2] = append(null[2], both(a, b, va, vab, vb))
		c, _, vc, _, _ := along(g, v, across, across)
		null[1] = append(null[1], one(a, va), one(b, vb), one(c, vc))
	}
	for rank := 1; rank <= 2; rank++ {
		slices.Sort(null[rank])
		s.crit[rank] = stat.Quantile(level, stat.LinInterp, null[rank], nil)
	}
}

// contains reports whether the 95 % region of the optimum has the shares.
func (s *Surface) contains(at arch.Shares) bool {
	t, rank := stationary(gradient(s.fit.beta, at), gradientCov(s.fit.cov, at), at)
	return t <= s.crit[rank] && s.low(at) >= lowLevel
}

// lowLevel is the p-value of the height at which a point is taken out of the
// region: small, as the gradient's test has used up the region's 5 %.
const lowLevel = 0.01

// low is the p-value of the surface being no lower at a point than at its best
// one: how often a surface of noise alone is lower there than at its own best
// point, by as many standard errors. No set of shares makes that likelier than
// all being equally good.
func (s *Surface) low(at arch.Shares) float64 {
	seen := s.summit.drop(at)
	if seen == 0 {
		return 1
	}
	k := 0
	for i := range s.noise {
		if s.noise[i].drop(at) >= seen {
			k++
		}
	}
	return float64(k) / float64(len(s.noise))
}

// newSummit is that of a fit, less the coefficients of another.
func newSummit(f *mixedFit, less []float64) (q summit) {
	for i := range quadratic {
		q.beta[i] = f.beta[i] - less[i]
		for j := range quadratic {
			q.cov[i][j] = f.cov.At(i, j)
		}
	}
	q.best = argmax(q.beta[:])
	return q
}

// drop is by how many standard errors the quadratic is lower at a point than at
// its best one, squared.
func (q *summit) drop(at arch.Shares) float64 {
	a, b := surfaceTerms(q.best), surfaceTerms(at)
	var diff, v float64
	for i := range quadratic {
		a[i] -= b[i]
		diff += a[i] * q.beta[i]
	}
	if diff <= 0 {
		return 0
	}
	for i := range quadratic {
		for j := range quadratic {
			v += a[i] * a[j] * q.cov[i][j]
		}
	}
	return one(diff, v)
}

// region evaluates the grid.
func (s *Surface) region(steps int) {
	t := triangle{steps}
	in := make([]bool, t.size())
	for i := range in {
		at := t.shares(i)
		s.Grid = append(s.Grid, s.Mean(at))
		in[i] = s.contains(at)
	}
	in = t.closed(in, steps/regionGap)
	s.Region = t.outline(in)
	s.Area = t.area(in)
}

// regionGap: gaps in the region that are thinner than two of so many parts of
// a share belong to it. Between an edge, where the gradient may point
// outwards, and the places inside where it may be zero the test leaves a slit.
const regionGap = 20
