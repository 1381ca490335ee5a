package report

import (
	"fmt"
	"math"
	"strings"

	"effnet/search"
)

// column of the table of networks. Numbers sort by their Sort key.
type column struct {
	Name, Tip string
	Number    bool
}

var columns = []column{
	{"network", "name in the ledger", false},
	{"stands for", "the rule it is an example of", false},
	{"depth", "factor of repeats", true},
	{"width", "factor of channels", true},
	{"px", "height and width of the image", true},
	{"cost", "realised multiply-accumulates over the base's", true},
	{"MACs", "multiply-accumulates of one image", true},
	{"params", "trainable numbers", true},
	{"shares d : w : r", "how the growth of cost divides over depth, width and resolution after rounding, per cent", false},
	{"seeds", "finished trainings", true},
	{"validation", "mean accuracy on the validation images, per cent", true},
	{"± sd", "standard deviation over this network's own seeds", true},
	{"best", "best seed", true},
	{"test", "mean accuracy on the test images, where they were used, per cent", true},
}

// tableRow is one network.
func tableRow(a *search.Analysis, n *search.NetworkResult) []cell {
	number := func(format string, x float64) cell {
		if math.IsNaN(x) {
			return cell{Text: "–", Sort: "-1"}
		}
		return cell{Text: fmt.Sprintf(format, x), Sort: fmt.Sprint(x)}
	}
	rows := "stem " + fmt.Sprint(n.Stem) + "\n" + strings.Join(n.Stages, "\n") + "\nhead " + fmt.Sprint(n.Head)
	role := cell{Text: roleName(n.Role)}
	switch {
	case n.Role == search.RoleMixed:
		role.Text = ""
	case n.Stage == search.StageExplore && n.Role == search.RoleCompound:
		role.Text = "compound (chosen)"
	}
	if n.Role != search.RoleMixed {
		role.Ink = string(roleInk(n.Role))
	}
	shares := cell{Text: "–"}
	if n.Stage != search.StageBase {
		shares.Text = fmt.Sprintf("%.0f : %.0f : %.0f", 100*n.Realised.D, 100*n.Realised.W, 100*n.Realised.R)
	}
	best := math.NaN()
	for _, x := range n.Accuracies {
		if !(best >= x) {
			best = x
		}
	}
	seeds := number("%.0f", float64(n.Validation.N))
	if n.Failed > 0 {
		seeds.Text += fmt.Sprintf(" (%d failed)", n.Failed)
	}
	return []cell{
		{Text: n.ID, Tip: rows},
		role,
		number("%.3f", n.Depth),
		number("%.3f", n.Width),
		number("%.0f", float64(n.Resolution)),
		number("%.3f×", n.CostRatio),
		{Text: count(float64(n.MACs)), Sort: fmt.Sprint(n.MACs)},
		{Text: count(float64(n.Params)), Sort: fmt.Sprint(n.Params)},
		shares,
		seeds,
		number("%.2f", 100*n.Validation.Mean),
		number("%.2f", 100*n.Validation.SD),
		number("%.2f", 100*best),
		number("%.2f", 100*n.Test.Mean),
	}
}
