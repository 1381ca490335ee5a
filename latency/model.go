package latency

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Model predicts latency as a sum of amounts of work times non-negative
// coefficients, least squares of the relative errors at the networks measured.
// Weights of networks cost one price up to the size of a cache and another
// beyond it.
type Model struct {
	fit     fitted
	left    []fitted // with one sample left out, for each sample
	scatter float64  // root mean square of the relative errors at the samples left out
}

// fitted is the coefficients of the terms, in seconds, and the cache's size.
type fitted struct {
	coef  terms
	cache float64
}

// terms are the features, with the bytes of weights beyond the cache last.
type terms [numTerms]float64

const (
	uncachedBytes = numFeatures
	numTerms      = numFeatures + 1
)

// cacheSizes are tried for the one that explains the samples best. The last
// holds every network.
var cacheSizes = [...]float64{1 << 20, 2 << 20, 4 << 20, 8 << 20, 12 << 20, 16 << 20, 24 << 20, 32 << 20, 48 << 20, 64 << 20, math.Inf(1)}

func (f *Features) terms(cache float64) (t terms) {
	copy(t[:], f[:])
	t[weightBytes] = min(f[weightBytes], cache)
	t[uncachedBytes] = f[weightBytes] - t[weightBytes]
	return t
}

func (f *fitted) predict(x *Features) float64 {
	t := x.terms(f.cache)
	return f.coef.dot(&t)
}

// Estimate is a latency predicted and its standard error, as a part of it.
type Estimate struct {
	Latency time.Duration
	Error   float64
}

// MinSamples is how many samples Fit wants.
const MinSamples = 3

// Fit makes a model of samples that were all measured on one machine with the
// same options.
func Fit(samples []Sample) (*Model, error) {
	if len(samples) < MinSamples {
		return nil, fmt.Errorf("latency: a model wants at least %d samples, got %d", MinSamples, len(samples))
	}
	m := &Model{fit: fit(samples, -1)}
	all := 0.0
	for i := range samples {
		f := fit(samples, i)
		m.left = append(m.left, f)
		m.scatter += samples[i].trust() * sq(f.predict(&samples[i].Features)/samples[i].Median.Seconds()-1)
		all += samples[i].trust()
	}
	m.scatter = math.Sqrt(m.scatter / all)
	return m, nil
}

// Predict estimates the latency of a network. The error is made of two parts:
// how far off predictions of measured networks are when those are left out of
// the fit, and how much this one depends on any single sample, which grows with
// the distance from them (the jackknife).
func (m *Model) Predict(x Features) Estimate {
	y := m.fit.predict(&x)
	var jack float64
	for i := range m.left {
		jack += sq(m.left[i].predict(&x)/y - 1)
	}
	n := float64(len(m.left))
	return Estimate{seconds(y), math.Sqrt(sq(m.scatter) + jack*(n-1)/n)}
}

func (t *terms) dot(u *terms) (sum float64) {
	for i := range t {
		sum += t[i] * u[i]
	}
	return sum
}

func sq(x float64) float64 { return x * x }

func seconds(s float64) time.Duration {
	return time.Duration(math.Min(s*float64(time.Second), math.MaxInt64/2))
}

// trust is the weight of a sample in a fit, at most 1: less where the machine
// was busy and the runs took unlike times. A model is never better than
// steady, so that samples steadier than that count alike.
func (s *Sample) trust() float64 {
	const steady = 0.05
	return 1 / (1 + sq(s.Spread()/steady))
}

// ridge keeps coefficients of terms that grow alike from being chosen by
// rounding errors; small against any noise of measurement.
const ridge = 1e-9

// fit makes the model of all samples but number skip.
func fit(samples []Sample, skip int) fitted {
	var best fitted
	least := math.Inf(1)
	for _, cache := range cacheSizes {
		if coef, sum := leastSquares(samples, skip, cache); sum < least*(1-1e-9) || cache == cacheSizes[0] {
			best, least = fitted{coef, cache}, sum
		}
	}
	return best
}

// leastSquares minimises
//
//	sum over samples but skip of trust * (coef . terms / median - 1)^2
//
// over coef >= 0, and returns that sum. At the minimum the coefficients above 0
// are those of plain least squares on their terms alone, so of all subsets of
// terms whose plain solution has no coefficient below 0 it is the one with the
// least sum.
func leastSquares(samples []Sample, skip int, cache float64) (best terms, least float64) {
	// Normal equations a coef = b, in units of each term's own size.
	var a [numTerms][numTerms]float64
	var b, unit terms
	rows := make([]terms, len(samples))
	for i := range samples {
		rows[i] = samples[i].Features.terms(cache)
		for j := range rows[i] {
			rows[i][j] /= samples[i].Median.Seconds()
			unit[j] = max(unit[j], rows[i][j])
		}
	}
	total := 0.0 // of trust
	for i, row := range rows {
		if i == skip {
			continue
		}
		trust := samples[i].trust()
		total += trust
		for j := range row {
			if unit[j] > 0 {
				row[j] /= unit[j]
			}
		}
		for j := range row {
			b[j] += trust * row[j]
			for k := range row {
				a[j][k] += trust * row[j] * row[k]
			}
		}
	}
	least = total
	for set := uint(1); set < 1<<numTerms; set++ {
		c, ok := solve(&a, &b, set)
		if !ok {
			continue
		}
		if sum := total - c.dot(&b); sum < least { // c a c - 2 b c + total, where a c = b
			best, least = c, sum
		}
	}
	for j := range best {
		if unit[j] > 0 {
			best[j] /= unit[j]
		}
	}
	return best, least
}

// solve finds c with a c = b, of the rows and columns in set, by Cholesky's
// method. It reports false where a is singular there or a coefficient negative.
func solve(a *[numTerms][numTerms]float64, b *terms, set uint) (c terms, ok bool) {
	var l [numTerms][numTerms]float64
	var index [numTerms]int
	n := 0
	for s := set; s != 0; s &= s - 1 {
		index[n] = bits.TrailingZeros(s)
		n++
	}
	var y terms // l y = b
	for i := range n {
		for j := range i + 1 {
			x := a[index[i]][index[j]]
			if i == j {
				x += ridge * x
			}
			for k := range j {
				x -= l[i][k] * l[j][k]
			}
			switch {
			case j < i:
				l[i][j] = x / l[j][j]
			case !(x > 0):
				return c, false
			default:
				l[i][i] = math.Sqrt(x)
			}
		}
		x := b[index[i]]
		for k := range i {
			x -= l[i][k] * y[k]
		}
		y[i] = x / l[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		x := y[i]
		for k := i + 1; k < n; k++ {
			x -= l[k][i] * c[index[k]]
		}
		x /= l[i][i]
		if !(x >= 0) {
			return c, false
		}
		c[index[i]] = x
	}
	return c, true
}
