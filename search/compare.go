package search

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// pairedSeeds is the number of common seeds from which on a comparison uses
// the spread of the differences between networks trained with the same seed.
// With fewer, no sign-flip test can reach 5 % (2/2^5 is 6 %) and a spread has
// hardly any degrees of freedom; the noise pooled over all networks is used
// instead.
const pairedSeeds = 6

const (
	level     = 0.95
	bootDraws = 2000
)

// Comparison is the difference in test accuracy of the chosen ratio's network
// and another, in shares of one, first less second.
type Comparison struct {
	First, Second string
	Rule          Role    // of the second
	Factor        float64 // validated at; 0 over all factors
	Seeds         int     // both have
	Diff          float64
	SE, DF        float64
	Lo, Hi        float64 // 95 % interval
	P             float64 // two-sided, of no difference
	// Holm is P adjusted for all comparisons with rules, at all factors (Holm
	// 1979).
	Holm           float64
	SignFlip       float64 // two-sided sign-flip p-value; NaN below pairedSeeds pairs
	BootLo, BootHi float64 // 95 % bootstrap interval over seeds and test images together
	ImageSE        float64 // the part of SE due to the draw of test images
	// Kernels are the classes of kernels that trained the two, where they are
	// unlike: rounding then differs as with another seed, which the intervals
	// count as noise.
	Kernels []string

	diffs []float64 // seed by seed
}

// Half is half the width of the interval.
func (c *Comparison) Half() float64 { return (c.Hi - c.Lo) / 2 }

// Differs reports whether the two are told apart, all other comparisons of the
// search being taken into account: where all are in truth equal, that happens
// in at most 5 % of searches.
func (c *Comparison) Differs() bool { return c.Holm <= callLevel && c.agrees() }

// agrees: where there are pairs enough for it, the sign-flip test finds a
// difference too.
func (c *Comparison) agrees() bool { return math.IsNaN(c.SignFlip) || c.SignFlip <= 1-level }

// p is the two-sided p-value, 1 where the sign-flip test does not agree.
func (c *Comparison) p() float64 {
	if !c.agrees() {
		return 1
	}
	return c.P
}

// compareTests compares two networks by their final trials with common seeds.
// noise is the pooled spread of an accuracy over seeds, draws how many bootstrap
// samples there are; 0: bootDraws.
func compareTests(r *Result, first, second string, noise Noise, draws int) (Comparison, bool) {
	c := Comparison{First: first, Second: second, Holm: math.NaN(), SignFlip: math.NaN(), BootLo: math.NaN(), BootHi: math.NaN()}
	if draws == 0 {
		draws = bootDraws
	}
	var hitsA, hitsB [][]byte
	var kernels []string
	var pa, pb float64
	images := 0
	for _, a := range r.TrialsOf(first, PhaseFinal) {
		b := r.Trials[TrialID(second, a.Epochs, a.Seed)]
		if b == nil || b.Outcome == nil || b.Outcome.Test == nil {
			continue
		}
		x, y := a.Outcome.Test.Accuracy(), b.Outcome.Test.Accuracy()
		c.diffs = append(c.diffs, x-y)
		kernels = addKernel(addKernel(kernels, a.Outcome.Kernel), b.Outcome.Kernel)
		pa += x
		pb += y
		images = a.Outcome.Test.Total
		if a.Outcome.TestHits != nil && b.Outcome.TestHits != nil {
			hitsA = append(hitsA, a.Outcome.TestHits)
			hitsB = append(hitsB, b.Outcome.TestHits)
		}
	}
	n := len(c.diffs)
	if n == 0 || images == 0 || n < pairedSeeds && noise.DF == 0 {
		return c, false
	}
	if c.Seeds = n; len(kernels) > 1 {
		slices.Sort(kernels)
		c.Kernels = kernels
	}
	var sd float64
	c.Diff, sd = meanSD(c.diffs)
	draw := imageDraw{images: images}
	if len(hitsA) == n {
		_, c.ImageSE = hitDifference(hitsA, hitsB, images)
		draw.tally(hitsA, hitsB)
	} else {
		c.ImageSE = math.Hypot(samplingError(pa/float64(n), images), samplingError(pb/float64(n), images))
		draw.se = c.ImageSE
	}
	seedVar, seedDF := 2*noise.SD*noise.SD/float64(n), float64(noise.DF)
	if n >= pairedSeeds {
		seedVar, seedDF = sd*sd/float64(n), float64(n-1)
		c.SignFlip = signFlip(c.diffs, bootDraws, 1)
	}
	c.student(seedVar, seedDF)
	c.BootLo, c.BootHi = bootstrapDifference(c.diffs, &draw, noise, draws, 1)
	return c, true
}

// student makes the interval and p-value from the variance that seeds bring,
// with its degrees of freedom, and the images' (Welch 1947, Satterthwaite
// 1946). The images are so many that their part counts as known.
func (c *Comparison) student(seedVar, seedDF float64) {
	imageVar := c.ImageSE * c.ImageSE
	c.SE = math.Sqrt(seedVar + imageVar)
	c.DF = math.Inf(1)
	if seedVar > 0 {
		c.DF = seedDF * (seedVar + imageVar) * (seedVar + imageVar) / (seedVar * seedVar)
	}
	half := tQuantile(1-(1-level)/2, c.DF) * c.SE
	c.Lo, c.Hi = c.Diff-half, c.Diff+half
	c.P = twoSided(c.Diff, c.SE, c.DF)
}

func twoSided(diff, se, df float64) float64 {
	if se == 0 {
		if diff == 0 {
			return 1
		}
		return 0
	}
	t := math.Abs(diff / se)
	if math.IsInf(df, 1) || df > 1e6 {
		return 2 * distuv.UnitNormal.Survival(t)
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}

// imageDraw draws the test images again. An image is, for a comparison, what
// the two networks made of it with each seed: 1 where only the first was
// right, -1 where only the second was.
type imageDraw struct {
	images int
	se     float64 // of the difference, where it is not known image by image
	values [][]int8
	counts []int // images with those values; all other images have none but zeros
}

// tally counts the images with equal values.
func (d *imageDraw) tally(a, b [][]byte) {
	index := map[string]int{}
	value := make([]byte, len(a))
	for i := range d.images {
		some := false
		for s := range a {
			v := a[s][i/8]>>(i%8)&1 - b[s][i/8]>>(i%8)&1
			value[s] = v
			some = some || v != 0
		}
		if !some {
			continue
		}
		k, ok := index[string(value)]
		if !ok {
			k = len(d.values)
			index[string(value)] = k
			row := make([]int8, len(value))
			for s, v := range value {
				row[s] = int8(v)
			}
			d.values, d.counts = append(d.values, row), append(d.counts, 0)
		}
		d.counts[k]++
	}
}

// noise is by how much the mean difference over the seeds picked moves when
// the images are drawn again.
func (d *imageDraw) noise(picked []int, r *rand.Rand) float64 {
	if d.values == nil {
		return d.se * r.NormFloat64()
	}
	n := len(picked)
	counts := make([]int, 2*n+1) // images by the sum over the seeds, from -n
	for k, row := range d.values {
		sum := n
		for _, s := range picked {
			sum += int(row[s])
		}
		counts[sum] += d.counts[k]
	}
	// A multinomial draw, binomial by binomial.
	left, of := d.images, d.images
	moved := 0.0
	for sum, count := range counts {
		if sum == n || count == 0 {
			continue
		}
		drawn := count
		if count < of {
			drawn = 0
			if left > 0 {
				drawn = int(distuv.Binomial{N: float64(left), P: float64(count) / float64(of), Src: r}.Rand())
			}
		}
		left -= drawn
		of -= count
		moved += float64((drawn - count) * (sum - n))
	}
	return moved / float64(n) / float64(d.images)
}

// bootstrapDifference is the percentile interval of the mean difference, the
// seeds and the test images being drawn again together. Of few seeds a
// percentile interval is too narrow; its percentiles are moved out to where
// Student's interval would have them on normal noise (Hesterberg 2015, the
// expanded percentile interval). Below pairedSeeds seeds there are too few to
// draw from: the seeds' part then comes from the pooled noise, uncertain as
// its degrees of freedom say.
func bootstrapDifference(diffs []float64, images *imageDraw, noise Noise, draws int, seed uint64) (lo, hi float64) {
	n := len(diffs)
	r := rand.New(rand.NewPCG(seed, 0xd1ff))
	picked := make([]int, n)
	for i := range picked {
		picked[i] = i
	}
	mean, _ := meanSD(diffs)
	means := make([]float64, draws)
	for i := range means {
		at := mean
		if n >= pairedSeeds {
			at = 0
			for k := range picked {
				picked[k] = r.IntN(n)
				at += diffs[picked[k]] / float64(n)
			}
		} else {
			chi := distuv.ChiSquared{K: float64(noise.DF), Src: r}.Rand()
			at += noise.SD * math.Sqrt(2/float64(n)*float64(noise.DF)/chi) * r.NormFloat64()
		}
		means[i] = at + images.noise(picked, r)
	}
	tail := (1 - level) / 2
	if n >= pairedSeeds {
		tail = distuv.UnitNormal.CDF(math.Sqrt(float64(n)/float64(n-1)) * tQuantile(tail, float64(n-1)))
	}
	slices.Sort(means)
	return stat.Quantile(tail, stat.LinInterp, means, nil), stat.Quantile(1-tail, stat.LinInterp, means, nil)
}

// overFactors joins comparisons with one rule at several factors: the mean
// difference. Their trainings are independent; their images are the same, so
// that part of the error is added, not averaged out.
func overFactors(cs []Comparison, noise Noise) Comparison {
	c := Comparison{Rule: cs[0].Rule, Holm: math.NaN(), SignFlip: math.NaN(), BootLo: math.NaN(), BootHi: math.NaN()}
	k := float64(len(cs))
	var seedVar, df float64
	for i := range cs {
		x := &cs[i]
		c.Seeds += x.Seeds
		c.Diff += x.Diff / k
		c.ImageSE += x.ImageSE / k
		v := max(x.SE*x.SE-x.ImageSE*x.ImageSE, 0) / (k * k)
		seedVar += v
		if x.Seeds >= pairedSeeds {
			df += float64(x.Seeds - 1)
		}
		c.diffs = append(c.diffs, x.diffs...)
		for _, k := range x.Kernels {
			c.Kernels = addKernel(c.Kernels, k)
		}
	}
	slices.Sort(c.Kernels)
	if df == 0 {
		df = float64(noise.DF)
	}
	c.student(seedVar, df)
	if c.Seeds >= pairedSeeds {
		c.SignFlip = signFlip(c.diffs, bootDraws, 1)
	}
	return c
}

// holm adjusts p-values for their number (Holm 1979).
func holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(ps[i], ps[j]) })
	out := make([]float64, len(ps))
	var least float64
	for k, i := range order {
		least = max(least, min(1, ps[i]*float64(len(ps)-k)))
		out[i] = least
	}
	return out
}

// compare compares, at every factor validated at, the chosen ratio's network
// with each rule's, and with the base. draws are the bootstrap samples.
func (a *Analysis) compare(draws int) {
	if a.Choice == nil {
		return
	}
	for i := range a.Plan.Finals {
		f := &a.Plan.Finals[i]
		comp := a.Choice.Compounds[i].ID
		for k := range f.Networks {
			a.compareWith(comp, f.Networks[k].ID, f.Factor, draws)
		}
		a.compareWith(comp, a.Plan.BaseNet.ID, f.Factor, draws)
	}
	var rules []*Comparison
	var ps []float64
	by := map[Role][]Comparison{}
	var order []Role
	for i := range a.Compare {
		c := &a.Compare[i]
		if c.Rule == RoleBase {
			continue
		}
		rules, ps = append(rules, c), append(ps, c.P)
		if by[c.Rule] == nil {
			order = append(order, c.Rule)
		}
		by[c.Rule] = append(by[c.Rule], *c)
	}
	for i, p := range holm(ps) {
		rules[i].Holm = p
	}
	for _, rule := range order {
		if cs := by[rule]; len(cs) > 1 && rule != RoleMixed {
			a.Across = append(a.Across, overFactors(cs, a.Pooled))
		}
	}
	ps = ps[:0]
	for i := range a.Across {
		ps = append(ps, a.Across[i].P)
	}
	for i, p := range holm(ps) {
		a.Across[i].Holm = p
	}
}

func (a *Analysis) compareWith(compound, other string, factor float64, draws int) {
	if compound == other {
		return
	}
	if c, ok := compareTests(a.Result, compound, other, a.Pooled, draws); ok {
		c.Factor, c.Rule = factor, a.Net(other).Role
		a.Compare = append(a.Compare, c)
	}
}
