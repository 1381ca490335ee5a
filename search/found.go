package search

import (
	"math"
	"slices"

	"effnet/arch"
)

// Growth is the ratio to grow by as the verdict stands, and what it is: where a
// single dimension wins that dimension's, else the chosen one. It is nil before
// the search has chosen.
func (a *Analysis) Growth() (*arch.Shares, Role) {
	switch {
	case a.Choice == nil:
		return nil, ""
	case a.Verdict.Kind != SingleWins:
		return &a.Choice.Ratio, RoleCompound
	}
	dim := slices.Index(dimNames[:], a.Verdict.Single)
	return &corners[dim], Role(a.Verdict.Single)
}

// Ratio is what the search found, nil before it has chosen.
func (a *Analysis) Ratio() (*Ratio, error) {
	shares, role := a.Growth()
	if shares == nil {
		return nil, nil
	}
	base, err := a.Config.BaseSpec()
	if err != nil {
		return nil, err
	}
	cost, err := ParseMeasure(string(a.Config.Cost))
	if err != nil {
		return nil, err
	}
	r := &Ratio{
		Base: base.Name, Data: a.Config.Data, Cost: cost, Factor: a.Config.Factor,
		Shares: *shares, Verdict: a.Verdict.Text,
	}
	if role != RoleCompound {
		r.Compared = &a.Choice.Ratio
	}
	if a.Surface != nil {
		r.Region = extent(a.Surface.Region)
	}
	add := func(factor float64, id string) {
		n := a.Net(id)
		if n == nil {
			return
		}
		accuracy := n.Test
		if accuracy.N == 0 {
			accuracy = n.Validation
		}
		if accuracy.N == 0 || math.IsNaN(accuracy.Mean) {
			return
		}
		r.Points = append(r.Points, RatioPoint{
			Factor: factor, Depth: n.Depth, Width: n.Width, Resolution: n.Resolution,
			Realised: n.CostRatio, MACs: n.MACs, Params: n.Params, Accuracy: accuracy.Mean,
		})
	}
	if role != RoleCompound {
		for _, f := range a.Plan.Finals {
			for i := range f.Networks {
				if id := f.Networks[i].ID; a.Net(id).Role == role {
					add(f.Factor, id)
				}
			}
		}
		return r, nil
	}
	add(a.Config.Factor, a.Choice.Winner)
	for _, c := range a.Choice.Compounds {
		add(c.Factor, c.ID)
	}
	return r, nil
}

// extent is the range of the shares over outlines; nil for none.
func extent(outlines [][]arch.Shares) *Extent {
	none := [2]float64{math.Inf(1), math.Inf(-1)}
	x := Extent{none, none, none}
	for _, line := range outlines {
		for _, s := range line {
			for _, d := range []struct {
				to *[2]float64
				by float64
			}{{&x.Depth, s.D}, {&x.Width, s.W}, {&x.Resolution, s.R}} {
				by := min(max(d.by, 0), 1)
				d.to[0], d.to[1] = min(d.to[0], by), max(d.to[1], by)
			}
		}
	}
	if x.Depth[0] > x.Depth[1] {
		return nil
	}
	return &x
}
