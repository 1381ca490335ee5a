package search

import (
	"fmt"
	"math"
	"strconv"

	"effnet/arch"
)

// Weights trade distance on the triangle against distance from the cost aimed
// at: being off by one part in a hundred weighs as much as being off by the
// weight's hundredths of the triangle's side. Spreading cares for the
// triangle, validation for equal cost.
const (
	spreadWeight   = 0.5
	exploreWeight  = 1
	validateWeight = 5
)

// A network is inside the triangle where every dimension has a share of
// insideShare, and worth a pick there where it is insideGap from all others.
const (
	insideShare = 0.08
	insideGap   = 0.05
)

func (p *point) inside() bool {
	return min(p.realised.D, p.realised.W, p.realised.R) >= insideShare
}

// nameDistance is how far from a ratio a network may lie and still be named
// after it.
const nameDistance = 0.2

// ruleDistance is that of a rule that is validated, which coarse rounding must
// not remove.
const ruleDistance = 0.35

// Near is the network of the space that comes closest to a ratio at a cost of
// target times the base's. weight says how much the cost matters.
func (sp *Space) Near(ratio arch.Shares, target, weight float64) (Network, bool) {
	p := sp.near(ratio, target, weight, nil)
	if p == nil {
		return Network{}, false
	}
	return sp.network(p), true
}

// near is Near's point among those that allowed allows, nil for all; it is nil
// where there is none.
func (sp *Space) near(ratio arch.Shares, target, weight float64, allowed func(*point) bool) *point {
	best, at := math.Inf(1), -1
	for i := range sp.points {
		p := &sp.points[i]
		if allowed != nil && !allowed(p) {
			continue
		}
		d := Distance(p.realised, ratio) + weight*math.Abs(math.Log(p.ratio/target))
		if d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return nil
	}
	return &sp.points[at]
}

// Corner is the network of one dimension alone whose cost is nearest to target
// times the base's.
func (sp *Space) Corner(dim int, target float64) (Network, bool) {
	p := sp.corner(dim, target)
	if p == nil {
		return Network{}, false
	}
	return sp.network(p), true
}

// corner is Corner's point, nil where there is none.
func (sp *Space) corner(dim int, target float64) *point {
	best, at := math.Inf(1), -1
	for i := range sp.corners[dim] {
		if d := math.Abs(math.Log(sp.corners[dim][i].ratio / target)); d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return nil
	}
	return &sp.corners[dim][at]
}

// Target is the cost, within tolerance of the factor, that the corners can
// meet most equally: coarse rounding leaves each a few costs only.
func (sp *Space) Target(tolerance float64) float64 {
	const steps = 200
	best, target := math.Inf(1), sp.Factor
	for i := -steps; i <= steps; i++ {
		t := sp.Factor * (1 + tolerance*float64(i)/steps)
		var worst float64
		for dim := range sp.corners {
			if p := sp.corner(dim, t); p != nil {
				worst = max(worst, math.Abs(math.Log(p.ratio/t)))
			}
		}
		// The factor itself matters too, five times less than equal cost.
		if worst += 0.2 * math.Abs(math.Log(t/sp.Factor)); worst < best {
			best, target = worst, t
		}
	}
	return target
}

// Spread picks at most n networks well spread over the triangle, named by
// prefix: the corners, B0's ratio and the centre first, then again and again
// the one farthest from all picked before, every other time of those inside the
// triangle: the farthest alone would nearly always lie on an edge. A pick is
// preferred the nearer its cost is to the factor.
func (sp *Space) Spread(n int, prefix string) []Network {
	var picked []Network
	var points []point
	taken := map[place]bool{}
	add := func(p *point, name string) {
		if p == nil || taken[p.at] || len(picked) >= n {
			return
		}
		taken[p.at] = true
		net := sp.network(p)
		net.ID = prefix + name
		picked, points = append(picked, net), append(points, *p)
	}
	for dim, name := range dimNames {
		add(sp.corner(dim, sp.Factor), name)
	}
	for _, mark := range []struct {
		ratio arch.Shares
		name  string
	}{{B0Shares, "b0"}, {Centre, "centre"}} {
		if p := sp.near(mark.ratio, sp.Factor, exploreWeight, nil); p != nil && Distance(p.realised, mark.ratio) <= nameDistance {
			add(p, mark.name)
		}
	}

	gap := make([]float64, len(sp.points)) // distance to the nearest pick
	for i := range gap {
		gap[i] = math.Inf(1)
		for j := range points {
			gap[i] = min(gap[i], apart(&sp.points[i], &points[j]))
		}
	}
	farthest := func(inside bool) int {
		best, at := 0.0, -1
		for i := range sp.points {
			p := &sp.points[i]
			if taken[p.at] || inside && (!p.inside() || gap[i] < insideGap) {
				continue
			}
			if v := gap[i] - spreadWeight*math.Abs(math.Log(p.ratio/sp.Factor)); at < 0 || v > best {
				best, at = v, i
			}
		}
		return at
	}
	for len(picked) < n {
		at := -1
		if len(picked)%2 == 1 {
			at = farthest(true)
		}
		if at < 0 {
			at = farthest(false)
		}
		if at < 0 {
			break
		}
		p := &sp.points[at]
		add(p, fmt.Sprintf("%02d", len(picked)+1))
		for i := range gap {
			gap[i] = min(gap[i], apart(&sp.points[i], p))
		}
	}
	return picked
}

// apart is how different two networks are for spreading: their distance on
// the triangle, and a little of that between their factors' shares, which
// keeps apart what rounding has brought to nearly the same place.
func apart(p, q *point) float64 {
	return Distance(p.realised, q.realised) + Distance(p.nominal, q.nominal)/4
}

// prefix names the networks of a factor: "x2-".
func prefix(factor float64) string { return "x" + formatFactor(factor) + "-" }

// finalPrefix names the networks compared at a factor: "v4-". Candidates of
// the same factor may be other networks: those compared aim at equal cost.
func finalPrefix(factor float64) string { return "v" + formatFactor(factor) + "-" }

func formatFactor(factor float64) string {
	return strconv.FormatFloat(factor, 'g', 4, 64)
}
