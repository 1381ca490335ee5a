package report

import (
	"fmt"
	"math"
	"strings"

	"effnet/search"
)

// table is one that the page can sort by its columns.
type table struct {
	ID, Class string
	Columns   []column
	Rows      []tableRow
}

// column of a table. Numbers sort by their Sort key.
type column struct {
	Name, Tip string
	Number    bool
}

// tableRow is of one network.
type tableRow struct {
	Net   string
	Cells []cell
}

// cell is one entry; Sort orders it where text would not.
type cell struct {
	Text   string
	Sort   string
	Tip    string
	Ink    string
	Strong bool
}

// number is a cell; "–" for one that is not known.
func number(format string, x float64) cell {
	if math.IsNaN(x) {
		return cell{Text: "–", Sort: "-1"}
	}
	return cell{Text: fmt.Sprintf(format, x), Sort: fmt.Sprint(x)}
}

// counted is a cell with a large whole number.
func counted(x int64) cell { return cell{Text: count(float64(x)), Sort: fmt.Sprint(x)} }

// measured is a cell with a cost that is 0 where it was not measured.
func measured(x float64, text func(float64) string) cell {
	if x == 0 {
		return number("", math.NaN())
	}
	return cell{Text: text(x), Sort: fmt.Sprint(x)}
}

// networksTable has a row for every network of the search.
func networksTable(a *search.Analysis) *table {
	t := &table{ID: "networks", Columns: []column{
		{"network", "name in the ledger", false},
		{"stands for", "the rule it is an example of", false},
		{"depth", "factor of repeats", true},
		{"width", "factor of channels", true},
		{"px", "height and width of the image", true},
		{"cost", "realised " + costAxis(a), true},
		{"MACs", "multiply-accumulates of one image", true},
		{"params", "trainable numbers", true},
	}}
	latency, memory := false, false
	for _, n := range a.Nets {
		latency, memory = latency || n.Latency > 0, memory || n.Memory > 0
	}
	if memory {
		t.Columns = append(t.Columns, column{"memory", "bytes at the peak of inference", true})
	}
	if latency {
		t.Columns = append(t.Columns, column{"latency", "time of one image on this machine", true})
	}
	t.Columns = append(t.Columns, []column{
		{"d : w : r", "how the growth of cost divides over depth, width and resolution after rounding, per cent", false},
		{"longest", "epochs of its longest finished training", true},
		{"accuracy", "mean validation accuracy of those, per cent", true},
		{"seeds", "trainings of full length", true},
		{"validation", "their mean accuracy on the validation images, per cent", true},
		{"± sd", "standard deviation over this network's own seeds", true},
		{"test", "mean accuracy on the test images, where they were used, per cent", true},
	}...)
	// Where there is one class of kernels and one machine, it goes without saying.
	trainers := len(a.Trainers()) > 1
	if trainers {
		t.Columns = append(t.Columns, column{"kernels", "classes of kernels that trained it: unlike ones round differently", false})
	}
	for i := range a.Nets {
		n := &a.Nets[i]
		row := networkCells(a, n)
		if memory {
			row = append(row, measured(float64(n.Memory), count))
		}
		if latency {
			row = append(row, measured(n.Latency, seconds))
		}
		row = append(row, scoreCells(a, n)...)
		if trainers {
			row = append(row, trainersCell(a, n.ID))
		}
		t.Rows = append(t.Rows, tableRow{n.ID, row})
	}
	return t
}

// networkCells say what a network is.
func networkCells(a *search.Analysis, n *search.NetworkResult) []cell {
	rows := "stem " + fmt.Sprint(n.Stem) + "\n" + strings.Join(n.Stages, "\n") + "\nhead " + fmt.Sprint(n.Head)
	role := cell{Text: roleName(n.Role), Ink: string(roleInk(n.Role))}
	switch {
	case n.Role == search.RoleMixed:
		role = cell{}
	case n.Stage == search.StageExplore && n.Role == search.RoleCompound:
		role.Text = "compound (chosen)"
	}
	return []cell{
		{Text: n.ID, Tip: rows},
		role,
		number("%.3f", n.Depth),
		number("%.3f", n.Width),
		number("%.0f", float64(n.Resolution)),
		number("%.3f×", n.CostRatio),
		counted(n.MACs), counted(n.Params),
	}
}

// scoreCells say how it did.
func scoreCells(a *search.Analysis, n *search.NetworkResult) []cell {
	shares := cell{Text: "–"}
	if n.Stage != search.StageBase {
		shares.Text = fmt.Sprintf("%.0f : %.0f : %.0f", 100*n.Realised.D, 100*n.Realised.W, 100*n.Realised.R)
	}
	longest, accuracy := math.NaN(), math.NaN()
	if ts := a.TrialsOf(n.ID, ""); len(ts) > 0 {
		last := ts[len(ts)-1].Epochs
		longest = float64(last)
		for len(ts) > 0 && ts[0].Epochs < last {
			ts = ts[1:]
		}
		accuracy, _ = trialsMean(ts)
	}
	seeds := number("%.0f", float64(n.Validation.N))
	if n.Failed > 0 {
		seeds.Text += fmt.Sprintf(" (%d failed)", n.Failed)
	}
	return []cell{
		shares,
		number("%.0f", longest),
		number("%.2f", 100*accuracy),
		seeds,
		number("%.2f", 100*n.Validation.Mean),
		number("%.2f", 100*n.Validation.SD),
		number("%.2f", 100*n.Test.Mean),
	}
}
