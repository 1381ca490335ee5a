package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"effnet/weights"
)

// evalTally counts what a model makes of images.
type evalTally struct {
	classes []string // of the data
	labels  []int    // the model's class of each
	names   []string // of the model's classes

	images    int
	loss      float64 // sum of cross-entropies
	top5      int     // images whose label is among the five largest logits
	confusion [][]int // [class of the data, class of the model]
}

func newEvalTally(m *weights.Model, classes []string, labels []int) *evalTally {
	t := &evalTally{classes: classes, labels: labels, names: m.Labels}
	if t.names == nil {
		t.names = classes
	}
	for range classes {
		t.confusion = append(t.confusion, make([]int, len(t.names)))
	}
	return t
}

// add counts one image: its logits, by the model's classes, and its label, a
// class of the data.
func (t *evalTally) add(logits []float32, label int32) error {
	want := t.labels[label]
	loss, _ := crossEntropy(logits, int32(want))
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return errors.New("the network's output is not finite; its weights are broken")
	}
	best, above := 0, 0 // above: classes that rank before want, the earlier of two equal ones first
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
		if v > logits[want] || v == logits[want] && i < want {
			above++
		}
	}
	if above < 5 {
		t.top5++
	}
	t.images++
	t.loss += loss
	t.confusion[label][best]++
	return nil
}

// evalReport is the result of the eval command.
type evalReport struct {
	Model      string `json:"model"`
	Network    string `json:"network"`
	Resolution int    `json:"resolution"`
	Data       string `json:"data"`
	Split      string `json:"split"`
	Mirror     bool   `json:"mirror,omitempty"` // the logits are means over the image and its mirror image

	Images       int         `json:"images"`
	Correct      int         `json:"correct"`
	Top1         float64     `json:"top1"`
	Top1Interval [2]float64  `json:"top1_interval"`  // Wilson, 95 %
	Top5         *float64    `json:"top5,omitempty"` // where there are more than five classes
	Loss         float64     `json:"loss"`           // mean cross-entropy
	PerClass     []evalClass `json:"per_class"`
	// Predictions are the classes of the columns of Confusion, whose rows are
	// those of PerClass.
	Predictions []string `json:"predictions"`
	Confusion   [][]int  `json:"confusion"`
}

// evalClass is one class of the data.
type evalClass struct {
	Class    string   `json:"class"`
	Images   int      `json:"images"`
	Correct  int      `json:"correct"`
	Accuracy *float64 `json:"accuracy"` // null without images
	own      int      // its column of the confusion matrix
	row      []int    // its row
}

func (t *evalTally) report() *evalReport {
	r := &evalReport{Images: t.images, Loss: t.loss / float64(t.images), Predictions: t.names}
	for i, row := range t.confusion {
		c := evalClass{Class: t.classes[i], Correct: row[t.labels[i]], own: t.labels[i], row: row}
		for _, n := range row {
			c.Images += n
		}
		if c.Images > 0 {
			a := float64(c.Correct) / float64(c.Images)
			c.Accuracy = &a
		}
		r.Correct += c.Correct
		r.PerClass = append(r.PerClass, c)
	}
	// In the order of the columns, so that what is right lies on a diagonal.
	slices.SortFunc(r.PerClass, func(a, b evalClass) int { return cmp.Compare(a.own, b.own) })
	for _, c := range r.PerClass {
		r.Confusion = append(r.Confusion, c.row)
	}
	r.Top1 = float64(r.Correct) / float64(r.Images)
	r.Top1Interval[0], r.Top1Interval[1] = wilson(r.Correct, r.Images)
	if len(t.names) > 5 {
		top5 := float64(t.top5) / float64(t.images)
		r.Top5 = &top5
	}
	return r
}

// wilson is the 95 % confidence interval of a proportion, k of n.
func wilson(k, n int) (lo, hi float64) {
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, centre-half), min(1, centre+half)
}

// What is too large to read as a table is cut to its worst part.
const (
	maxTableClasses  = 50
	maxMatrixClasses = 20
)

// print writes r for people.
func (r *evalReport) print(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "model   %s (%s, %dx%d pixels)\n", r.Model, r.Network, r.Resolution, r.Resolution)
	fmt.Fprintf(b, "data    %s, %s part: %s images, %d classes\n\n", r.Data, r.Split, thousands(int64(r.Images)), len(r.PerClass))
	fmt.Fprintf(b, "top-1   %6.2f %%   95 %% interval %.2f to %.2f\n", 100*r.Top1, 100*r.Top1Interval[0], 100*r.Top1Interval[1])
	if r.Mirror {
		fmt.Fprintf(b, "        by the means of the logits of each image and its mirror image\n")
	}
	if r.Top5 != nil {
		fmt.Fprintf(b, "top-5   %6.2f %%\n", 100**r.Top5)
	}
	fmt.Fprintf(b, "loss    %6.4f\n\n", r.Loss)
	r.printClasses(b)
	if len(r.PerClass) <= maxMatrixClasses && len(r.Predictions) <= maxMatrixClasses {
		r.printMatrix(b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *evalReport) printClasses(b *strings.Builder) {
	classes := slices.Clone(r.PerClass)
	if len(classes) > maxTableClasses {
		classes = slices.DeleteFunc(classes, func(c evalClass) bool { return c.Images == 0 })
		slices.SortStableFunc(classes, func(x, y evalClass) int { return cmp.Compare(*x.Accuracy, *y.Accuracy) })
		fmt.Fprintf(b, "the %d lowest of %d classes; --json has all\n", min(maxTableClasses, len(classes)), len(r.PerClass))
		classes = classes[:min(maxTableClasses, len(classes))]
	}
	t := newTable("class", ">images", ">correct", ">accuracy", "most often taken for")
	for _, c := range classes {
		accuracy := "-"
		if c.Accuracy != nil {
			accuracy = fmt.Sprintf("%.2f %%", 100**c.Accuracy)
		}
		t.add(printable(c.Class), fmt.Sprint(c.Images), fmt.Sprint(c.Correct), accuracy, r.takenFor(c))
	}
	b.WriteString(t.String())
}

// takenFor names the wrong class that most images of c were taken for.
func (r *evalReport) takenFor(c evalClass) string {
	best := -1
	for j, n := range c.row {
		if j != c.own && n > 0 && (best < 0 || n > c.row[best]) {
			best = j
		}
	}
	if best < 0 {
		return ""
	}
	return fmt.Sprintf("%s (%d)", printable(r.Predictions[best]), c.row[best])
}

// printMatrix writes the confusion matrix. A column is headed by the number
// that its class has in front of its row.
func (r *evalReport) printMatrix(b *strings.Builder) {
	b.WriteString("\nconfusion (rows: true class, columns: predicted class)\n")
	head := []string{">", ""}
	for j := range r.Predictions {
		head = append(head, fmt.Sprintf(">%d", j))
	}
	t := newTable(head...)
	for _, c := range r.PerClass {
		line := []string{fmt.Sprint(c.own), printable(c.Class)}
		for _, n := range c.row {
			if n == 0 {
				line = append(line, ".")
			} else {
				line = append(line, fmt.Sprint(n))
			}
		}
		t.add(line...)
	}
	b.WriteString(t.String())
}

// printable replaces what would upset a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
