package search

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"effnet/arch"
)

// The corners and the centre of the triangle of shares, and the ratio of
// EfficientNet-B0's alpha, beta and gamma.
var (
	DepthCorner      = arch.Shares{D: 1}
	WidthCorner      = arch.Shares{W: 1}
	ResolutionCorner = arch.Shares{R: 1}
	Centre           = arch.Shares{D: 1. / 3, W: 1. / 3, R: 1. / 3}
	B0Shares         = sharesOf(math.Log(arch.B0Compound.Alpha), 2*math.Log(arch.B0Compound.Beta), 2*math.Log(arch.B0Compound.Gamma))
)

// sharesOf divides by the sum, which must be positive.
func sharesOf(d, w, r float64) arch.Shares {
	sum := d + w + r
	return arch.Shares{D: d / sum, W: w / sum, R: r / sum}
}

// XY places s in an equilateral triangle of side 1: width at the lower left,
// resolution at the lower right, depth on top.
func XY(s arch.Shares) (x, y float64) {
	return s.R + s.D/2, s.D * math.Sqrt(3) / 2
}

// Distance between two points of that triangle.
func Distance(s, t arch.Shares) float64 {
	x0, y0 := XY(s)
	x1, y1 := XY(t)
	return math.Hypot(x1-x0, y1-y0)
}

// Network is one distinct network: what it is made of after rounding, what it
// really costs, and where on the triangle that puts it.
type Network struct {
	ID         string   `json:"id"`
	Depth      float64  `json:"depth"` // factors that give this network
	Width      float64  `json:"width"`
	Resolution int      `json:"resolution"` // pixels
	Stem       int      `json:"stem"`       // width after rounding
	Stages     []string `json:"stages"`     // block strings after rounding
	Head       int      `json:"head"`

	Nominal arch.Shares `json:"nominal"` // shares of the factors
	// Realised divides the growth of cost by what each dimension alone, after
	// rounding, multiplies the cost by. This is the network's place on the
	// triangle: a depth factor too small to add a layer counts for nothing.
	Realised arch.Shares `json:"realised"`

	CostRatio float64 `json:"cost_ratio"` // realised cost over the base's
	Costs
}

// setting is one outcome of rounding along a dimension.
type setting struct {
	lo, hi float64 // smallest and largest swept share of the growth that gives it
	log    float64 // log of what it alone multiplies the cost by
}

// Space is every distinct network whose realised cost is near a multiple of
// the base's.
type Space struct {
	Base    arch.Spec
	Factor  float64 // the multiple
	Nets    []Network
	corners [3][]Network // per dimension, single-dimension networks within cornerTolerance, cheapest first

	baseMACs int64
	dims     [3][]setting
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
	maxSpace = 200000
)

// factors turns a share of the growth, along one dimension, into that
// dimension's factor.
func factorAt(dim int, factor, share float64) float64 {
	if dim == dimDepth {
		return math.Pow(factor, share)
	}
	return math.Pow(factor, share/2)
}

// grow scales base, each dimension by its share of the growth.
func grow(base *arch.Spec, factor float64, shares [3]float64) (arch.Spec, error) {
	return base.Scale(arch.Factors{
		Depth:      factorAt(dimDepth, factor, shares[0]),
		Width:      factorAt(dimWidth, factor, shares[1]),
		Resolution: pixels(base, factorAt(dimResolution, factor, shares[2])),
	})
}

func pixels(base *arch.Spec, factor float64) int {
	return int(math.Round(float64(base.Resolution) * factor))
}

// fingerprint is equal for specs that are the same network at the same resolution.
func fingerprint(s *arch.Spec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %d", s.Resolution, s.Stem.Width, s.Head)
	for i := range s.Stages {
		b.WriteByte(' ')
		b.WriteString(s.Stages[i].String())
	}
	return b.String()
}

// sweep finds the distinct outcomes of growing one dimension alone until the
// cost passes the limit.
func (sp *Space) sweep(dim int, limit float64) ([]setting, error) {
	var out []setting
	last := ""
	for i := range int(sweepSteps*maxShare) + 1 {
		var shares [3]float64
		shares[dim] = float64(i) / sweepSteps
		spec, err := grow(&sp.Base, sp.Factor, shares)
		if err != nil {
			if i == 0 {
				return nil, err
			}
			break // beyond what a network may be
		}
		if key := fingerprint(&spec); key != last {
			c, err := spec.CostAt(spec.Resolution)
			if err != nil {
				if i == 0 {
					return nil, err
				}
				break
			}
			ratio := float64(c.MACs) / float64(sp.baseMACs)
			if ratio > limit {
				break
			}
			out = append(out, setting{lo: shares[dim], log: math.Log(ratio)})
			last = key
		}
		// What rounding leaves as it was counts as not scaled at all.
		if len(out) > 1 {
			out[len(out)-1].hi = shares[dim]
		}
	}
	return out, nil
}

// Enumerate finds the distinct networks whose realised cost is within
// tolerance of factor times the base's.
func Enumerate(base arch.Spec, factor, tolerance float64) (*Space, error) {
	c, err := base.CostAt(base.Resolution)
	if err != nil {
		return nil, err
	}
	sp := &Space{Base: base, Factor: factor, baseMACs: c.MACs}
	for dim := range sp.dims {
		sp.dims[dim], err = sp.sweep(dim, factor*(1+cornerTolerance))
		if err != nil {
			return nil, err
		}
	}
	if err := sp.product(factor*(1-tolerance), factor*(1+tolerance)); err != nil {
		return nil, err
	}
	for dim := range sp.corners {
		if err := sp.corner(dim); err != nil {
			return nil, err
		}
	}
	return sp, nil
}

// product walks depths and widths and, the cost being monotone, finds the
// resolutions whose cost lies between lo and hi by bisection.
func (sp *Space) product(lo, hi float64) error {
	for i := range sp.dims[dimDepth] {
		for j := range sp.dims[dimWidth] {
			res := sp.dims[dimResolution]
			var fail error
			ratio := func(k int) float64 {
				n, err := sp.network(i, j, k)
				if err != nil {
					fail = err
					return math.Inf(1)
				}
				return n.CostRatio
			}
			first := sort.Search(len(res), func(k int) bool { return ratio(k) >= lo })
			for k := first; k < len(res); k++ {
				n, err := sp.network(i, j, k)
				if err != nil {
					return err
				}
				if n.CostRatio > hi {
					break
				}
				sp.Nets = append(sp.Nets, n)
			}
			if fail != nil {
				return fail
			}
			if len(sp.Nets) > maxSpace {
				return fmt.Errorf("search: over %d networks cost %v times %s: use a smaller tolerance", maxSpace, sp.Factor, sp.Base.Name)
			}
			if first == 0 && ratio(0) > hi {
				break
			}
		}
	}
	return nil
}

// corner collects one dimension's own networks near the factor.
func (sp *Space) corner(dim int) error {
	for s := range sp.dims[dim] {
		var at [3]int
		at[dim] = s
		n, err := sp.network(at[0], at[1], at[2])
		if err != nil {
			return err
		}
		if s > 0 && math.Abs(n.CostRatio/sp.Factor-1) <= cornerTolerance {
			sp.corners[dim] = append(sp.corners[dim], n)
		}
	}
	return nil
}

// network makes the network of three settings.
func (sp *Space) network(i, j, k int) (Network, error) {
	set := [3]setting{sp.dims[0][i], sp.dims[1][j], sp.dims[2][k]}
	// Each setting leaves its share an interval. Take the point of their box
	// whose sum is nearest to 1, on the box's diagonal, so that the factors
	// are those of a ratio at a nominal cost as near the factor as can be.
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
	n := Network{
		Depth: factorAt(dimDepth, sp.Factor, shares[0]),
		Width: factorAt(dimWidth, sp.Factor, shares[1]),
	}
	res := pixels(&sp.Base, factorAt(dimResolution, sp.Factor, shares[2]))
	if sum := shares[0] + shares[1] + shares[2]; sum > 0 {
		n.Nominal = sharesOf(shares[0], shares[1], shares[2])
	}
	if sum := set[0].log + set[1].log + set[2].log; sum > 0 {
		n.Realised = sharesOf(set[0].log, set[1].log, set[2].log)
	}
	spec, err := sp.Base.Scale(arch.Factors{Depth: n.Depth, Width: n.Width, Resolution: res})
	if err != nil {
		return n, err
	}
	return n, n.resolve(&spec, sp.baseMACs)
}

// resolve fills in what the spec says of the network.
func (n *Network) resolve(spec *arch.Spec, baseMACs int64) error {
	c, err := spec.CostAt(spec.Resolution)
	if err != nil {
		return err
	}
	n.Resolution, n.Stem, n.Head = spec.Resolution, spec.Stem.Width, spec.Head
	n.Stages = n.Stages[:0]
	for i := range spec.Stages {
		n.Stages = append(n.Stages, spec.Stages[i].String())
	}
	n.Costs = countedCosts(&c)
	n.CostRatio = float64(c.MACs) / float64(baseMACs)
	return nil
}

// Spec builds the network from its base and fails where that gives anything
// but the recorded network: a ledger's networks are the ones that are trained.
func (n *Network) Spec(base *arch.Spec) (arch.Spec, error) {
	spec, err := base.Scale(arch.Factors{Depth: n.Depth, Width: n.Width, Resolution: n.Resolution})
	if err != nil {
		return spec, err
	}
	var again Network
	if err := again.resolve(&spec, 1); err != nil {
		return spec, err
	}
	if again.MACs != n.MACs || !slices.Equal(again.Stages, n.Stages) || again.Stem != n.Stem || again.Head != n.Head {
		return spec, fmt.Errorf("search: network %s: the base grown by its factors has stages %v and %d MACs, the ledger has %v and %d",
			n.ID, again.Stages, again.MACs, n.Stages, n.MACs)
	}
	spec.Name = base.Name + "-" + n.ID
	return spec, nil
}
