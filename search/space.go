package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"effnet/arch"
)

// Budget says which networks are candidates: those whose cost lies within
// Tolerance, relatively, of Factor times the base's, and within all Limits.
// A factor below 1 shrinks the base.
type Budget struct {
	Cost      Measure // what Factor multiplies; "" is MACs
	Factor    float64
	Tolerance float64
	Limits    []Limit
}

// Space is every distinct network within a budget. Costs that can be counted
// are; others are predicted until [Space.Measured] measures those that are
// picked.
type Space struct {
	Base arch.Spec
	Budget

	baseMACs int64
	cost     *gauge
	limits   []*gauge
	meter    *Meter
	step     float64 // of a grid of factors; 0 for none

	dims    [3][]setting
	points  []point    // within the budget
	corners [3][]point // single-dimension networks within the limits and cornerTolerance, least scaled first
	places  map[string]place
}

// setting is one outcome of rounding along a dimension.
type setting struct {
	lo, hi float64 // smallest and largest swept share of the growth that gives it
	log    float64 // log of what it alone multiplies the MACs by
}

// place is the number of the setting in each dimension; 0 is the base's.
type place [3]int32

func (p place) compare(q place) int { return slices.Compare(p[:], q[:]) }

// point is a network of a space, without what can be made of its place.
type point struct {
	at                place
	ratio             float64 // cost over the base's
	nominal, realised arch.Shares
}

const (
	dimDepth = iota
	dimWidth
	dimResolution
)

var dimNames = [3]string{"depth", "width", "resolution"}

const (
	// sweepSteps is how finely a dimension's share is swept, per unit.
	sweepSteps = 500
	// maxShare ends the sweep: beyond it, a dimension whose cost grows too
	// slowly (fixed stem and head, rounding) is given up.
	maxShare = 2.5
	// cornerTolerance is how far from the factor a single-dimension network's
	// cost may lie where none lies within the tolerance: coarse rounding must
	// not remove the rule that the others are compared with.
	cornerTolerance = 0.25
	// maxSpace bounds the networks of a space.
	maxSpace = 1_000_000
)

// mostPredicted are the most settings of a dimension where costs are predicted,
// for which a graph must be built: large bases have hundreds, all but alike.
var mostPredicted = [3]int{24, 64, 64}

// Enumerate finds the distinct networks whose realised MACs are within
// tolerance of factor times the base's.
func Enumerate(base arch.Spec, factor, tolerance float64) (*Space, error) {
	return NewSpace(context.Background(), base, Budget{Factor: factor, Tolerance: tolerance}, nil)
}

// NewSpace finds the distinct networks within a budget. With a budget in
// memory or latency it first measures a few networks with m.
func NewSpace(ctx context.Context, base arch.Spec, b Budget, m *Meter) (*Space, error) {
	sp, err := newSpace(ctx, base, b, m)
	if err != nil {
		return nil, err
	}
	return sp, sp.enumerate(sp.sweep)
}

// enumerate finds the points among each dimension's settings.
func (sp *Space) enumerate(settings func(dim int) ([]setting, error)) (err error) {
	for dim := range sp.dims {
		if sp.dims[dim], err = settings(dim); err != nil {
			return err
		}
		if sp.predicts() {
			sp.dims[dim] = thin(sp.dims[dim], mostPredicted[dim])
		}
	}
	return sp.fill()
}

// newSpace is a space whose dimensions have no settings yet.
func newSpace(ctx context.Context, base arch.Spec, b Budget, m *Meter) (*Space, error) {
	if !(b.Factor > 0) || b.Factor == 1 || math.IsInf(b.Factor, 0) {
		return nil, fmt.Errorf("search: factor is %v, want above 1 to grow, or above 0 and below 1 to shrink", b.Factor)
	}
	c, err := base.CostAt(base.Resolution)
	if err != nil {
		return nil, err
	}
	sp := &Space{Base: base, Budget: b, baseMACs: c.MACs, meter: m, places: map[string]place{}}
	return sp, sp.gauges(ctx)
}

// Len is how many networks are within the budget.
func (sp *Space) Len() int { return len(sp.points) }

// factorAt turns a share of the growth, along one dimension, into that
// dimension's factor.
func factorAt(dim int, factor, share float64) float64 {
	if dim == dimDepth {
		return math.Pow(factor, share)
	}
	return math.Pow(factor, share/2)
}

// growth scales the base, each dimension by its share of the growth.
func (sp *Space) growth(shares [3]float64) arch.Factors {
	return arch.Factors{
		Depth:      sp.snap(factorAt(dimDepth, sp.Factor, shares[0])),
		Width:      sp.snap(factorAt(dimWidth, sp.Factor, shares[1])),
		Resolution: pixels(sp.Base.Resolution, sp.snap(factorAt(dimResolution, sp.Factor, shares[2]))),
	}
}

// pixels is a side of so many times resolution; at least 1: 0 would keep the
// base's.
func pixels(resolution int, factor float64) int {
	return max(1, int(math.Round(float64(resolution)*factor)))
}

// progress is how far along the way from the base to the factor a multiple of
// a cost is: 0 at the base, 1 at the factor, negative where the cost went the
// other way.
func (sp *Space) progress(ratio float64) float64 { return math.Log(ratio) / math.Log(sp.Factor) }

// sweep finds the distinct outcomes of scaling one dimension alone until its
// cost has passed the factor.
func (sp *Space) sweep(dim int) ([]setting, error) {
	shares := make([]float64, int(sweepSteps*maxShare)+1)
	for i := range shares {
		shares[i] = float64(i) / sweepSteps
	}
	return sp.settings(dim, shares)
}

// settings finds the distinct outcomes of scaling one dimension alone by
// shares, which grow from 0, until its cost has passed the factor.
func (sp *Space) settings(dim int, shares []float64) ([]setting, error) {
	var out []setting
	last, open := "", false // the latest outcome, and whether it is the last of out
	end := 1 + math.Log1p(cornerTolerance)/math.Abs(math.Log(sp.Factor))
	for i, share := range shares {
		var at [3]float64
		at[dim] = share
		spec, err := Scale(&sp.Base, sp.growth(at))
		var c arch.Totals
		key := ""
		if err == nil {
			if key = Key(&spec); key != last {
				c, err = spec.CostAt(spec.Resolution)
			}
		}
		if err != nil {
			if i == 0 {
				return nil, err
			}
			break // beyond what a network may be
		}
		if key != last {
			last = key
			ratio, err := sp.cost.guess(&spec, &c)
			if err != nil {
				return nil, err
			}
			macs := float64(c.MACs) / float64(sp.baseMACs)
			along := sp.progress(ratio)
			if along == 0 { // a dimension that is free in this measure
				along = sp.progress(macs)
			}
			if along > end {
				break
			}
			// A base whose channels are no multiples of the divisor may get
			// smaller at first where it is to grow.
			if open = sp.progress(macs) >= 0; open {
				out = append(out, setting{lo: share, log: math.Log(macs)})
			}
		}
		// What rounding leaves as it was counts as not scaled at all.
		if open && len(out) > 1 {
			out[len(out)-1].hi = share
		}
	}
	return out, nil
}

// thin keeps n settings, the base's among them, evenly.
func thin(s []setting, n int) []setting {
	if len(s) <= n {
		return s
	}
	out := make([]setting, n)
	for i := range out {
		out[i] = s[i*(len(s)-1)/(n-1)]
	}
	return out
}

// within reports whether a cost is near the factor, to a tolerance.
func (sp *Space) within(ratio, tolerance float64) bool {
	return ratio >= sp.Factor*(1-tolerance) && ratio <= sp.Factor*(1+tolerance)
}

// past reports whether a cost is beyond the factor and its tolerance, seen
// from the base; reached, that it is no longer short of them.
func (sp *Space) past(ratio float64) bool {
	if sp.Factor < 1 {
		return ratio < sp.Factor*(1-sp.Tolerance)
	}
	return ratio > sp.Factor*(1+sp.Tolerance)
}

func (sp *Space) reached(ratio float64) bool {
	if sp.Factor < 1 {
		return ratio <= sp.Factor*(1+sp.Tolerance)
	}
	return ratio >= sp.Factor*(1-sp.Tolerance)
}

// fill finds the points and the corners by the costs as they are known now.
func (sp *Space) fill() error {
	if err := sp.product(); err != nil {
		return err
	}
	for dim := range sp.corners {
		sp.corners[dim] = nil
		for s := 1; s < len(sp.dims[dim]); s++ {
			var at place
			at[dim] = int32(s)
			p, ok, err := sp.point(at)
			if err != nil {
				return err
			}
			if ok && sp.within(p.ratio, cornerTolerance) {
				sp.corners[dim] = append(sp.corners[dim], p)
			}
		}
	}
	return nil
}

// product walks depths and widths and finds the resolutions whose cost is
// within the budget by bisection. Every cost, counted or predicted, is
// monotone in the resolution.
func (sp *Space) product() error {
	sp.points = sp.points[:0]
	var fail error
	for i := range sp.dims[dimDepth] {
		for j := range sp.dims[dimWidth] {
			guess := func(k int) float64 {
				ratio, err := sp.guess(place{int32(i), int32(j), int32(k)})
				if err != nil {
					fail = err
				}
				return ratio
			}
			res := len(sp.dims[dimResolution])
			first := sort.Search(res, func(k int) bool { return sp.reached(guess(k)) })
			for k := first; k < res && fail == nil && !sp.past(guess(k)); k++ {
				at := place{int32(i), int32(j), int32(k)}
				if sp.cost.knows(at) {
					continue
				}
				p, ok, err := sp.point(at)
				if err != nil {
					return err
				}
				if ok {
					sp.points = append(sp.points, p)
				}
			}
			if fail != nil {
				return fail
			}
			if len(sp.points) > maxSpace {
				return fmt.Errorf("search: over %d networks cost %v times %s: use a smaller tolerance", maxSpace, sp.Factor, sp.Base.Name)
			}
			// Wider networks cost more; but memory can fall where two widths
			// round apart and a shortcut ends.
			if first == 0 && sp.cost.measure != MeasureMemory && sp.past(guess(0)) {
				break
			}
		}
	}
	// Measured costs may lie where no prediction led.
	for at := range sp.cost.known {
		p, ok, err := sp.point(at)
		if err != nil {
			return err
		}
		if ok && sp.within(p.ratio, sp.Tolerance) {
			sp.points = append(sp.points, p)
		}
	}
	if len(sp.cost.known) > 0 {
		slices.SortFunc(sp.points, func(p, q point) int { return p.at.compare(q.at) })
	}
	return nil
}

// guess is a network's counted or predicted cost over the base's. What is
// beyond the limits of networks is beyond every cost.
func (sp *Space) guess(at place) (float64, error) {
	spec, c, ok := sp.build(at)
	if !ok {
		if sp.Factor < 1 {
			return 0, nil
		}
		return math.Inf(1), nil
	}
	return sp.cost.guess(&spec, &c)
}

// build makes the network of three settings; ok is false where there is none.
func (sp *Space) build(at place) (spec arch.Spec, c arch.Totals, ok bool) {
	f, _ := sp.factors(at)
	spec, err := Scale(&sp.Base, f)
	if err == nil {
		c, err = spec.CostAt(spec.Resolution)
	}
	return spec, c, err == nil
}

// factors are those of three settings, with their shares. Each setting leaves
// its share an interval; of their box this is the point whose sum is nearest
// to 1, on the diagonal, so that the factors are those of a ratio at a nominal
// cost as near the factor as can be.
func (sp *Space) factors(at place) (arch.Factors, arch.Shares) {
	set := [3]*setting{&sp.dims[0][at[0]], &sp.dims[1][at[1]], &sp.dims[2][at[2]]}
	var lo, hi float64
	for _, s := range set {
		lo += s.lo
		hi += s.hi
	}
	u := 0.5
	if hi > lo {
		u = min(max((1-lo)/(hi-lo), 0), 1)
	}
	var shares [3]float64
	for d, s := range set {
		shares[d] = s.lo + u*(s.hi-s.lo)
	}
	var nominal arch.Shares
	if shares[0]+shares[1]+shares[2] > 0 {
		nominal = sharesOf(shares[0], shares[1], shares[2])
	}
	return sp.growth(shares), nominal
}

// realised are the shares of what each setting alone multiplies the MACs by.
func (sp *Space) realised(at place) arch.Shares {
	d, w, r := sp.dims[0][at[0]].log, sp.dims[1][at[1]].log, sp.dims[2][at[2]].log
	if d+w+r == 0 {
		return arch.Shares{}
	}
	return sharesOf(d, w, r)
}

// point is the network of three settings; ok is false where there is none or
// a limit forbids it.
func (sp *Space) point(at place) (p point, ok bool, err error) {
	spec, c, ok := sp.build(at)
	if !ok {
		return point{}, false, nil
	}
	for _, g := range sp.limits {
		x, err := g.ratio(at, &spec, &c)
		if err != nil || x > g.most {
			return point{}, false, err
		}
	}
	p = point{at: at, realised: sp.realised(at)}
	_, p.nominal = sp.factors(at)
	p.ratio, err = sp.cost.ratio(at, &spec, &c)
	return p, true, err
}

// network makes what is recorded of a point.
func (sp *Space) network(p *point) Network {
	f, nominal := sp.factors(p.at)
	n := Network{Depth: f.Depth, Width: f.Width, Nominal: nominal, Realised: p.realised}
	spec, err := Scale(&sp.Base, f)
	if err == nil {
		err = n.resolve(&spec, sp.baseMACs)
	}
	if err != nil {
		panic("search: a network of the space cannot be built: " + err.Error()) // it was before
	}
	n.CostRatio = p.ratio
	for _, g := range sp.measured() {
		if x, ok := g.known[p.at]; ok {
			n.Costs.set(g.measure, x.value)
			if x.predicted > 0 {
				if n.Predicted == nil {
					n.Predicted = &Costs{}
				}
				n.Predicted.set(g.measure, x.predicted)
			}
		}
	}
	sp.places[n.key()] = p.at
	return n
}
