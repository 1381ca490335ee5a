package search

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/arch"
)

// The corners and the centre of the triangle of shares, the ratio of
// EfficientNet-B0's alpha, beta and gamma, and that of Dollar, Singh and
// Girshick's "fast" scaling ("Fast and Accurate Model Scaling", 2021), which
// keeps activations, and so running time, low.
var (
	DepthCorner      = arch.Shares{D: 1}
	WidthCorner      = arch.Shares{W: 1}
	ResolutionCorner = arch.Shares{R: 1}
	Centre           = arch.Shares{D: 1. / 3, W: 1. / 3, R: 1. / 3}
	B0Shares         = sharesOf(math.Log(arch.B0Compound.Alpha), 2*math.Log(arch.B0Compound.Beta), 2*math.Log(arch.B0Compound.Gamma))
	FastShares       = arch.Shares{D: 0.1, W: 0.8, R: 0.1}
)

// corners are those of depth, width and resolution.
var corners = [3]arch.Shares{DepthCorner, WidthCorner, ResolutionCorner}

// sharesOf divides by the sum, which must not be 0. The logs of a network
// that shrank are all negative and give shares like any other.
func sharesOf(d, w, r float64) arch.Shares {
	sum := d + w + r
	return arch.Shares{D: d/sum + 0, W: w/sum + 0, R: r/sum + 0} // +0: not -0
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
	// Realised divides the growth of MACs by what each dimension alone, after
	// rounding, multiplies them by. This is the network's place on the
	// triangle, whatever its budget is measured in: a depth factor too small to
	// add a layer counts for nothing.
	Realised arch.Shares `json:"realised"`

	CostRatio float64 `json:"cost_ratio"` // realised cost over the base's
	Costs
	// Predicted are measured costs as they were predicted before the
	// measurement; nil where nothing was measured.
	Predicted *Costs `json:"predicted,omitempty"`
}

// Key tells scalings of one base apart: it is equal for those that are the same
// network at the same resolution.
func Key(s *arch.Spec) string {
	var n Network
	n.shape(s)
	return n.key()
}

func (n *Network) key() string {
	return fmt.Sprintf("%d %d %d %s", n.Resolution, n.Stem, n.Head, strings.Join(n.Stages, " "))
}

// shape fills in what Key tells networks apart by.
func (n *Network) shape(s *arch.Spec) {
	n.Resolution, n.Stem, n.Head = s.Resolution, s.Stem.Width, s.Head
	n.Stages = make([]string, len(s.Stages))
	for i := range s.Stages {
		n.Stages[i] = s.Stages[i].String()
	}
}

// resolve fills in what the spec says of the network.
func (n *Network) resolve(spec *arch.Spec, baseMACs int64) error {
	c, err := spec.CostAt(spec.Resolution)
	if err != nil {
		return err
	}
	n.shape(spec)
	n.Costs = countedCosts(&c)
	n.CostRatio = float64(c.MACs) / float64(baseMACs)
	return nil
}

// Spec builds the network from its base and fails where that gives anything
// but the recorded network: a ledger's networks are the ones that are trained.
func (n *Network) Spec(base *arch.Spec) (arch.Spec, error) {
	spec, err := Scale(base, arch.Factors{Depth: n.Depth, Width: n.Width, Resolution: n.Resolution})
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

// Scale grows or shrinks base as its rule says, but for one thing: where depth
// shrinks, repeats round to the nearest number, at least one. Rounding up, as
// EfficientNet does, would keep nearly every block (TinyNet, arXiv 2010.14819).
func Scale(base *arch.Spec, f arch.Factors) (arch.Spec, error) {
	b := *base
	if f.Depth < 1 {
		b.Rule.Depth = arch.RoundNearest
	}
	return b.Scale(f)
}
