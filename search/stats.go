package search

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// meanSD returns the mean of xs and their standard deviation with n-1 in the
// denominator; the deviation is NaN for fewer than two values.
func meanSD(xs []float64) (mean, sd float64) {
	if len(xs) == 0 {
		return math.NaN(), math.NaN()
	}
	mean = stat.Mean(xs, nil)
	if len(xs) < 2 {
		return mean, math.NaN()
	}
	return mean, stat.StdDev(xs, nil)
}

// pooledSD estimates the one standard deviation that all groups share from
// the spread inside each. df is its degrees of freedom: one fewer than the
// values in each group, summed. Without any, sd is NaN.
func pooledSD(groups [][]float64) (sd float64, df int) {
	var ss float64
	for _, g := range groups {
		if len(g) < 2 {
			continue
		}
		m := stat.Mean(g, nil)
		for _, x := range g {
			ss += (x - m) * (x - m)
		}
		df += len(g) - 1
	}
	if df == 0 {
		return math.NaN(), 0
	}
	return math.Sqrt(ss / float64(df)), df
}

// tQuantile is the quantile p of Student's t with df degrees of freedom;
// an infinite df gives the normal's.
func tQuantile(p, df float64) float64 {
	if math.IsInf(df, 1) || df > 1e6 {
		return distuv.UnitNormal.Quantile(p)
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(p)
}

// samplingError is the standard error of an accuracy p measured on n images:
// what it would move by if the images were drawn again.
func samplingError(p float64, n int) float64 {
	if n < 1 {
		return math.NaN()
	}
	return math.Sqrt(p * (1 - p) / float64(n))
}

// signFlip is the two-sided p-value of the hypothesis that the paired
// differences are symmetric around zero: the share of all 2^n ways to flip
// their signs whose sum is at least as far from zero as the one seen. Up to
// exactFlips differences every way is counted; beyond, draws of them are,
// with the observed one among them.
func signFlip(diffs []float64, draws int, seed uint64) float64 {
	if len(diffs) == 0 {
		return 1
	}
	var seen float64
	for _, d := range diffs {
		seen += d
	}
	// Sums in another order differ in the last bits.
	limit := math.Abs(seen) * (1 - 1e-12)
	if n := len(diffs); n <= exactFlips {
		hits := 0
		for mask := range uint64(1) << n {
			var sum float64
			for i, d := range diffs {
				if mask>>i&1 == 1 {
					d = -d
				}
				sum += d
			}
			if math.Abs(sum) >= limit {
				hits++
			}
		}
		return float64(hits) / float64(uint64(1)<<n)
	}
	r := rand.New(rand.NewPCG(seed, 0x5167))
	hits := 1
	for range draws {
		var sum float64
		for _, d := range diffs {
			if r.Uint64()&1 == 1 {
				d = -d
			}
			sum += d
		}
		if math.Abs(sum) >= limit {
			hits++
		}
	}
	return float64(hits) / float64(draws+1)
}

const exactFlips = 16

// hitDifference compares two networks on the same test images. a and b hold
// one bitset a seed, bit i set where image i was classified correctly. It
// returns the difference of their mean accuracies and its standard error over
// the draw of images: images that both get right or both get wrong carry no
// error, so it is smaller than two separate sampling errors would suggest.
func hitDifference(a, b [][]byte, n int) (diff, se float64) {
	if n < 2 || len(a) == 0 || len(b) == 0 {
		return math.NaN(), math.NaN()
	}
	var sum, sq float64
	for i := range n {
		d := hitShare(a, i) - hitShare(b, i)
		sum += d
		sq += d * d
	}
	nf := float64(n)
	diff = sum / nf
	return diff, math.Sqrt(max(sq/nf-diff*diff, 0) / (nf - 1))
}

// hitShare is the share of seeds that classified image i correctly.
func hitShare(seeds [][]byte, i int) float64 {
	k := 0
	for _, h := range seeds {
		k += int(h[i/8] >> (i % 8) & 1)
	}
	return float64(k) / float64(len(seeds))
}

// countHits is the number of bits set.
func countHits(h []byte) int {
	n := 0
	for _, b := range h {
		n += bits.OnesCount8(b)
	}
	return n
}

// shrink pulls group means towards their common mean by as much as their
// noise explains their spread (empirical Bayes): se2[i] is the variance of
// means[i], tau2 the estimated variance of the true values. Means that differ
// by no more than noise does collapse onto one another.
func shrink(means, se2 []float64) (shrunk []float64, tau2 float64) {
	n := len(means)
	shrunk = slices.Clone(means)
	if n < 3 {
		return shrunk, math.NaN()
	}
	tau2 = max(stat.Variance(means, nil)-stat.Mean(se2, nil), 0)
	var sw, swx float64
	for i, m := range means {
		w := 1 / (tau2 + se2[i])
		if tau2+se2[i] == 0 {
			return shrunk, 0
		}
		sw += w
		swx += w * m
	}
	grand := swx / sw
	for i, m := range means {
		shrunk[i] = grand + (m-grand)*tau2/(tau2+se2[i])
	}
	return shrunk, tau2
}

// expectedMax is the mean of the largest of n standard normals: how many
// standard errors the best of n equal networks looks better than it is.
func expectedMax(n int) float64 {
	if n < 2 {
		return 0
	}
	// E[max] = integral of 1 - F(x)^n over x > 0, less that of F(x)^n over x < 0.
	const h, lim = 1e-2, 9.0
	var sum float64
	for x := h / 2; x < lim; x += h {
		sum += 1 - math.Pow(distuv.UnitNormal.CDF(x), float64(n)) - math.Pow(distuv.UnitNormal.CDF(-x), float64(n))
	}
	return sum * h
}

// seedsNeeded is the number of seeds a network at which a true difference d
// is seen with 80 % power at the 5 % level, when each seed's accuracy has
// standard deviation sd and fixedSE is the part of the difference's standard
// error that more seeds do not shrink. It is 0 where no number suffices.
func seedsNeeded(d, sd, fixedSE float64) int {
	const z = 1.959964 + 0.841621
	room := d*d/(z*z) - fixedSE*fixedSE
	if !(room > 0) {
		return 0
	}
	return max(2, int(math.Ceil(2*sd*sd/room)))
}
