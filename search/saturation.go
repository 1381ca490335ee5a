package search

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"effnet/internal/words"
)

// SaturationPoint is one full-length training of a network that grew along
// one dimension alone, or of the base.
type SaturationPoint struct {
	Network  string
	Cost     float64 // realised, over the base's
	Seed     uint64
	Accuracy float64
}

// Curve is a way that error may fall with cost.
type Curve string

const (
	Saturating Curve = "saturating" // err = e_inf + a C^-b, 0 < e_inf
	PowerLaw   Curve = "power law"  // err = a C^-b
	LogLinear  Curve = "log-linear" // err = a - b log2 C
)

// CurveFit is one of them fitted.
type CurveFit struct {
	Curve Curve
	EInf  float64
	A, B  float64
	SS    float64 // residual sum of squares
	AICc  float64 // +Inf where the trainings are too few for it
}

// At is the error at a cost.
func (f *CurveFit) At(cost float64) float64 {
	if f.Curve == LogLinear {
		return f.A - f.B*math.Log2(cost)
	}
	return f.EInf + f.A*math.Pow(cost, -f.B)
}

// Saturation is whether growing one dimension alone stops paying.
type Saturation struct {
	Dimension string // depth, width or resolution
	Points    []SaturationPoint
	Why       string // why nothing can be fitted; what follows is then zero

	Fits [3]CurveFit // saturating, power law, log-linear
	Best Curve       // with the least AICc
	// Saturates says that the saturating curve is clearly better, by
	// clearAICc, than both that never end. Gain is then the knee's meaning.
	Saturates bool
	// Support is the share of bootstrap samples whose least AICc is the
	// saturating curve's.
	Support float64
	// Knee is the cost at which half of the error that this dimension alone
	// can ever remove is removed; there a doubling gains half of what the first
	// one did. NaN where the data show none.
	Knee, KneeLo, KneeHi float64 // with its 95 % interval
	EInfLo, EInfHi       float64 // 95 % interval of the saturating curve's floor
	// Band is the 95 % band of the best curve from the least cost to the
	// largest, point by point.
	Band []BandPoint
	// First and Last are the error that the first doubling of cost removes and
	// that at the largest cost, by the best curve; of a search that shrinks, the
	// error that the first halving adds and the last.
	First, Last float64
	Text        string // one sentence
}

// BandPoint is a curve with its interval at a cost, in shares of one.
type BandPoint struct{ Cost, Accuracy, Lo, Hi float64 }

const (
	bandPoints      = 25
	clearAICc       = 2
	saturationDraws = 500
	saturationCosts = 3 // least number of costs
	minPower        = 0.02
	maxPower        = 8
)

// FitSaturation fits the three curves to trainings along one dimension. draws
// are the bootstrap samples, seeded by seed; 0: saturationDraws.
func FitSaturation(dimension string, points []SaturationPoint, draws int, seed uint64) *Saturation {
	if draws == 0 {
		draws = saturationDraws
	}
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b SaturationPoint) int {
		return cmp.Or(cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Network, b.Network), cmp.Compare(a.Seed, b.Seed))
	})
	s := &Saturation{Dimension: dimension, Points: points, Knee: math.NaN(), KneeLo: math.NaN(), KneeHi: math.NaN()}
	c, e := make([]float64, len(points)), make([]float64, len(points))
	var groups [][]int // points of each network
	costs := 0
	for i := range points {
		c[i], e[i] = points[i].Cost, 1-points[i].Accuracy
		if i == 0 || points[i].Cost > points[i-1].Cost*1.02 {
			costs++
		}
		if i == 0 || points[i].Network != points[i-1].Network || points[i].Cost != points[i-1].Cost {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], i)
	}
	if costs < saturationCosts {
		s.Why = fmt.Sprintf("%s alone was trained in full at %s, a curve wants %d", dimension, words.Plural(costs, "cost"), saturationCosts)
		s.Text = title(s.Why) + "."
		return s
	}
	p := newPowers(c)
	s.Fits = fitCurves(c, e, p, true)
	best := bestCurve(&s.Fits)
	s.Best = best.Curve
	shrinks := c[len(c)-1] < 1.02 // nothing is larger than the base
	s.Saturates = !shrinks && s.Fits[0].AICc+clearAICc <= min(s.Fits[1].AICc, s.Fits[2].AICc) && s.Fits[0].A > 0 && s.Fits[0].EInf > 0
	top := c[len(c)-1]
	s.First, s.Last = best.At(1)-best.At(2), best.At(top/2)-best.At(top)
	if shrinks {
		s.First, s.Last = best.At(0.5)-best.At(1), best.At(c[0])-best.At(2*c[0])
	}
	knees, floors := s.bootstrap(c, e, groups, p, draws, seed)
	s.EInfLo, s.EInfHi = percentiles(floors)
	step, does := "doubling", "removes"
	if shrinks {
		step = "halving"
	}
	if (s.First < 0) != shrinks { // then every step does
		does = "adds"
	}
	gains := fmt.Sprintf("the first %s of cost %s %s points of error, the last %s", step, does, Points(math.Abs(s.First)), Points(math.Abs(s.Last)))
	switch {
	case shrinks && s.First <= 0:
		s.Text = fmt.Sprintf("Shrinking %s alone costs no accuracy: %s.", dimension, gains)
	case shrinks:
		s.Text = fmt.Sprintf("Shrinking %s alone: %s.", dimension, gains)
	case s.Saturates:
		s.Knee = math.Pow(2, 1/s.Fits[0].B)
		s.KneeLo, s.KneeHi = percentiles(knees)
		s.Text = fmt.Sprintf("%s alone saturates: from %s times the base's cost (95 %% interval %s to %s) a doubling gains less than half of the first.",
			title(dimension), ratioText(s.Knee), ratioText(s.KneeLo), ratioText(s.KneeHi))
	case s.First <= 0:
		s.Text = fmt.Sprintf("%s alone does not pay: %s.", title(dimension), gains)
	case s.Best == Saturating:
		s.Text = fmt.Sprintf("%s alone may saturate, but the data do not tell: %s.", title(dimension), gains)
	default:
		s.Text = fmt.Sprintf("The data show no saturation of %s alone: %s.", dimension, gains)
	}
	return s
}

func ratioText(x float64) string {
	if x > 1000 || math.IsInf(x, 1) {
		return "over 1000"
	}
	return fmt.Sprintf("%.2g", x)
}

// bootstrap draws the trainings of every network again: its mean, and noise
// out of the residuals of all networks about their means. It fills in Support
// and Band.
func (s *Saturation) bootstrap(c, e []float64, groups [][]int, p *powers, draws int, seed uint64) (knees, floors []float64) {
	var noise []float64
	mean := make([]float64, len(e))
	for _, g := range groups {
		var sum float64
		for _, i := range g {
			sum += e[i]
		}
		for _, i := range g {
			mean[i] = sum / float64(len(g))
			if len(g) > 1 {
				noise = append(noise, (e[i]-mean[i])*math.Sqrt(float64(len(g))/float64(len(g)-1)))
			}
		}
	}
	if len(noise) == 0 { // one training each: what the best curve leaves
		best := bestCurve(&s.Fits)
		for i := range e {
			mean[i] = best.At(c[i])
			noise = append(noise, e[i]-mean[i])
		}
	}
	s.Band = make([]BandPoint, bandPoints)
	curves := make([][]float64, bandPoints) // what the drawn curves say at each cost
	for i := range s.Band {
		at := c[0] * math.Pow(c[len(c)-1]/c[0], float64(i)/(bandPoints-1))
		s.Band[i] = BandPoint{Cost: at, Accuracy: 1 - bestCurve(&s.Fits).At(at)}
	}
	r := rand.New(rand.NewPCG(seed, 0x5a7))
	again := make([]float64, len(e))
	for range draws {
		for i := range again {
			again[i] = mean[i] + noise[r.IntN(len(noise))]
		}
		fits := fitCurves(c, again, p, false)
		if bestCurve(&fits).Curve == Saturating {
			s.Support += 1 / float64(draws)
		}
		knees = append(knees, math.Pow(2, 1/fits[0].B))
		floors = append(floors, fits[0].EInf)
		for k := range fits {
			if fits[k].Curve == s.Best {
				for i := range s.Band {
					curves[i] = append(curves[i], 1-fits[k].At(s.Band[i].Cost))
				}
			}
		}
	}
	for i := range s.Band {
		s.Band[i].Lo, s.Band[i].Hi = percentiles(curves[i])
	}
	return knees, floors
}

// percentiles are the ends of the middle 95 %.
func percentiles(xs []float64) (lo, hi float64) {
	slices.Sort(xs)
	return stat.Quantile((1-level)/2, stat.LinInterp, xs, nil), stat.Quantile((1+level)/2, stat.LinInterp, xs, nil)
}

func bestCurve(fits *[3]CurveFit) *CurveFit {
	best := &fits[0]
	for i := range fits {
		// Of equals, the one without an end.
		if fits[i].AICc <= best.AICc {
			best = &fits[i]
		}
	}
	return best
}

// powers are the powers tried, evenly spaced in their logarithm, and the costs
// of the trainings to them.
type powers struct {
	b []float64
	x [][]float64 // c^-b
}

const powerSteps = 64

func newPowers(c []float64) *powers {
	p := &powers{}
	for i := range powerSteps + 1 {
		b := minPower * math.Pow(maxPower/minPower, float64(i)/powerSteps)
		p.b, p.x = append(p.b, b), append(p.x, raise(c, b))
	}
	return p
}

// raise is c^-b.
func raise(c []float64, b float64) []float64 {
	x := make([]float64, len(c))
	for i := range c {
		x[i] = math.Pow(c[i], -b)
	}
	return x
}

// fitCurves fits all three to errors e at costs c, the power to the nearest of
// those in p, or, where fine is set, to what lies between them.
func fitCurves(c, e []float64, p *powers, fine bool) [3]CurveFit {
	fits := [3]CurveFit{p.fit(c, e, true, fine), p.fit(c, e, false, fine), fitLog(c, e)}
	n := float64(len(c))
	for i := range fits {
		k := 3. // two coefficients and the noise
		if fits[i].Curve == Saturating {
			k = 4
		}
		fits[i].AICc = math.Inf(1)
		if n > k+1 {
			// An error is not known better than to a millionth.
			fits[i].AICc = n*math.Log(max(fits[i].SS/n, 1e-12)) + 2*k + 2*k*(k+1)/(n-k-1)
		}
	}
	return fits
}

func fitLog(c, e []float64) CurveFit {
	x := make([]float64, len(c))
	for i := range c {
		x[i] = math.Log2(c[i])
	}
	a, b := stat.LinearRegression(x, e, nil, false)
	f := CurveFit{Curve: LogLinear, A: a, B: -b}
	for i := range x {
		d := e[i] - a - b*x[i]
		f.SS += d * d
	}
	return f
}

// fit searches the power, the rest being linear in it.
func (p *powers) fit(c, e []float64, floor, fine bool) CurveFit {
	best, where := CurveFit{SS: math.Inf(1)}, 0
	for i, b := range p.b {
		if f := fitLinear(p.x[i], e, b, floor); f.SS < best.SS {
			best, where = f, i
		}
	}
	if !fine {
		return best
	}
	// Golden section in the logarithm, between the neighbours.
	at := func(log float64) CurveFit { return fitLinear(raise(c, math.Exp(log)), e, math.Exp(log), floor) }
	lo, hi := math.Log(p.b[max(where-1, 0)]), math.Log(p.b[min(where+1, powerSteps)])
	golden := (math.Sqrt(5) - 1) / 2
	u, v := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fu, fv := at(u), at(v)
	for range 30 {
		if fu.SS < fv.SS {
			hi, v, fv = v, u, fu
			u = hi - golden*(hi-lo)
			fu = at(u)
		} else {
			lo, u, fu = u, v, fv
			v = lo + golden*(hi-lo)
			fv = at(v)
		}
	}
	for _, f := range []CurveFit{fu, fv} {
		if f.SS < best.SS {
			best = f
		}
	}
	return best
}

// fitLinear fits the floor and the scale for a power, x being the costs to it:
// both not negative and the floor no higher than the least error.
func fitLinear(x, e []float64, power float64, floor bool) CurveFit {
	f := CurveFit{Curve: PowerLaw, B: power}
	if floor {
		f.Curve = Saturating
	}
	n := float64(len(x))
	var sx, sxx, sy, sxy float64
	least := math.Inf(1)
	for i := range x {
		sx += x[i]
		sxx += x[i] * x[i]
		sy += e[i]
		sxy += x[i] * e[i]
		least = min(least, e[i])
	}
	if floor {
		if det := n*sxx - sx*sx; det > 1e-12*n*sxx {
			f.EInf = min(max((sy*sxx-sx*sxy)/det, 0), max(least, 0))
		}
	}
	f.A = max((sxy-f.EInf*sx)/sxx, 0)
	for i := range x {
		d := e[i] - f.EInf - f.A*x[i]
		f.SS += d * d
	}
	return f
}
