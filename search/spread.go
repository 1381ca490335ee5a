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

// nameDistance is how far from a ratio a network may lie and still be named
// after it.
const nameDistance = 0.2

// Near is the network of the space that comes closest to a ratio at a cost of
// target times the base's. weight says how much the cost matters.
func (sp *Space) Near(ratio arch.Shares, target, weight float64) (Network, bool) {
	best, at := math.Inf(1), -1
	for i := range sp.Nets {
		n := &sp.Nets[i]
		d := Distance(n.Realised, ratio) + weight*math.Abs(math.Log(n.CostRatio/target))
		if d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return Network{}, false
	}
	return sp.Nets[at], true
}

// Corner is the network of one dimension alone whose cost is nearest to target
// times the base's.
func (sp *Space) Corner(dim int, target float64) (Network, bool) {
	best, at := math.Inf(1), -1
	for i := range sp.corners[dim] {
		if d := math.Abs(math.Log(sp.corners[dim][i].CostRatio / target)); d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return Network{}, false
	}
	return sp.corners[dim][at], true
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
			if n, ok := sp.Corner(dim, t); ok {
				worst = max(worst, math.Abs(math.Log(n.CostRatio/t)))
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
// the one farthest from all picked before. A pick is preferred the nearer its
// cost is to the factor.
func (sp *Space) Spread(n int, prefix string) []Network {
	var picked []Network
	taken := map[string]bool{}
	add := func(net Network, ok bool, name string) {
		key := net.key()
		if !ok || taken[key] || len(picked) >= n {
			return
		}
		taken[key] = true
		net.ID = prefix + name
		picked = append(picked, net)
	}
	for dim, name := range dimNames {
		net, ok := sp.Corner(dim, sp.Factor)
		add(net, ok, name)
	}
	for _, mark := range []struct {
		ratio arch.Shares
		name  string
	}{{B0Shares, "b0"}, {Centre, "centre"}} {
		net, ok := sp.Near(mark.ratio, sp.Factor, exploreWeight)
		add(net, ok && Distance(net.Realised, mark.ratio) <= nameDistance, mark.name)
	}

	gap := make([]float64, len(sp.Nets)) // distance to the nearest pick
	for i := range gap {
		gap[i] = math.Inf(1)
		for j := range picked {
			gap[i] = min(gap[i], apart(&sp.Nets[i], &picked[j]))
		}
	}
	for len(picked) < n {
		best, at := 0.0, -1
		for i := range sp.Nets {
			if taken[sp.Nets[i].key()] {
				continue
			}
			if v := gap[i] - spreadWeight*math.Abs(math.Log(sp.Nets[i].CostRatio/sp.Factor)); at < 0 || v > best {
				best, at = v, i
			}
		}
		if at < 0 {
			break
		}
		net := sp.Nets[at]
		add(net, true, fmt.Sprintf("%02d", len(picked)+1))
		for i := range gap {
			gap[i] = min(gap[i], apart(&sp.Nets[i], &net))
		}
	}
	return picked
}

// apart is how different two networks are for spreading: their distance on
// the triangle, and a little of that between their factors' shares, which
// keeps apart what rounding has brought to nearly the same place.
func apart(a, b *Network) float64 {
	return Distance(a.Realised, b.Realised) + Distance(a.Nominal, b.Nominal)/4
}

// key is equal for equal networks.
func (n *Network) key() string { return fmt.Sprint(n.Resolution, n.Stem, n.Head, n.Stages) }

// prefix names the networks of a factor: "x2-".
func prefix(factor float64) string {
	return "x" + strconv.FormatFloat(factor, 'g', 4, 64) + "-"
}
