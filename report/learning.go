package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Learning is the learning curves of one run, or of several that are compared.
type Learning struct {
	Title string
	Runs  []LearningRun
}

// LearningRun is how one run went.
type LearningRun struct {
	Name   string // for the legend
	Steps  []LearningPoint
	Epochs []LearningPoint
}

// LearningPoint is a mean over some steps or an epoch. Accuracies are 0 to 1;
// Val is nil where nothing was validated.
type LearningPoint struct {
	Epoch    float64      `json:"epoch"` // at its end: 1.5 is half way through the second
	LR       float64      `json:"lr"`
	Loss     float64      `json:"loss"`
	Accuracy float64      `json:"accuracy"`
	Val      *LearningVal `json:"validation,omitempty"`
}

// LearningVal is what a network does on validation images.
type LearningVal struct {
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
}

// Best is the epoch with the highest validation accuracy, the earliest of
// equals; nil without validation.
func (r *LearningRun) Best() *LearningPoint {
	var best *LearningPoint
	for i := range r.Epochs {
		if e := &r.Epochs[i]; e.Val != nil && (best == nil || e.Val.Accuracy > best.Val.Accuracy) {
			best = e
		}
	}
	return best
}

// Write draws l into a file, in the format that its name ends in.
func (l *Learning) Write(path string) error {
	s, err := l.draw()
	if err != nil {
		return err
	}
	return s.write(path)
}

// series takes the curve of one value; points without it are left out.
func series(points []LearningPoint, value func(p *LearningPoint) (float64, bool)) []point {
	var list []point
	for i := range points {
		if y, ok := value(&points[i]); ok && !math.IsNaN(y) && !math.IsInf(y, 0) {
			list = append(list, point{points[i].Epoch, y})
		}
	}
	return list
}

func trainLoss(p *LearningPoint) (float64, bool)     { return p.Loss, true }
func trainAccuracy(p *LearningPoint) (float64, bool) { return p.Accuracy, true }
func learningRate(p *LearningPoint) (float64, bool)  { return p.LR, true }
func valLoss(p *LearningPoint) (float64, bool) {
	if p.Val == nil {
		return 0, false
	}
	return p.Val.Loss, true
}
func valAccuracy(p *LearningPoint) (float64, bool) {
	if p.Val == nil {
		return 0, false
	}
	return p.Val.Accuracy, true
}

// runInks are the colours of runs; with more of them, the line's dashes tell
// runs of one colour apart.
var (
	runInks   = kindInks
	runDashes = [][]float64{nil, {7, 4}, {2, 3}, {10, 3, 2, 3}}
)

const maxRuns = 20 // colours times dashes

// learningDrawing is a figure under way.
type learningDrawing struct {
	*Learning
	*scene
	last float64 // epoch
}

func (l *Learning) draw() (*scene, error) {
	d := &learningDrawing{Learning: l, scene: &scene{w: 1000, title: "Learning curves: " + l.Title}}
	if len(l.Runs) == 0 || len(l.Runs) > maxRuns {
		return nil, fmt.Errorf("report: learning curves of %d runs, want 1 to %d", len(l.Runs), maxRuns)
	}
	points := 0
	for i := range l.Runs {
		for _, list := range [][]LearningPoint{l.Runs[i].Steps, l.Runs[i].Epochs} {
			points += len(list)
			for _, p := range list {
				d.last = max(d.last, p.Epoch)
			}
		}
	}
	if points == 0 {
		return nil, fmt.Errorf("report: no learning curve yet: nothing of the run is in its metrics")
	}
	d.boldLabel(8, 22, clipText(l.Title, 15, true, d.w-16), 15, anchorStart, inkText)
	top := d.legend(44)
	d.panel("loss", top, 60, 470, 260, trainLoss, valLoss, false)
	d.panel("accuracy", top, 566, 470-60+566, 260, trainAccuracy, valAccuracy, true)
	d.rates(top+260+84, 60, 976, 90)
	return d.scene, nil
}

// style is how a run is drawn.
func (d *learningDrawing) style(i int) item {
	return item{stroke: runInks[i%len(runInks)], width: 2, dash: runDashes[i/len(runInks)%len(runDashes)], tip: d.Runs[i].Name}
}

// legend explains the lines and returns where it ends.
func (d *learningDrawing) legend(y float64) float64 {
	if len(d.Runs) == 1 {
		x := 8.0
		for _, e := range []struct {
			text  string
			style item
		}{{"validation", valStyle}, {"training, mean over an epoch", trainStyle}, {"training, mean over some steps", stepStyle}} {
			x = d.key(x, y, e.text, e.style, inkText)
		}
		if b := d.Runs[0].Best(); b != nil {
			text := fmt.Sprintf("best epoch: %.0f, %s", b.Epoch, percent(b.Val.Accuracy))
			d.ring(x+6, y-4, 4, inkText, 1.5)
			d.label(x+18, y, text, 12, anchorStart, inkText)
		}
		return y + 44
	}
	for i := range d.Runs {
		r := &d.Runs[i]
		d.swatch(8, y, d.style(i))
		best := ""
		if b := r.Best(); b != nil {
			best = fmt.Sprintf("best %s, epoch %.0f", percent(b.Val.Accuracy), b.Epoch)
		}
		width := textWidth(best, 12, false)
		d.label(8+swatchWidth, y, clipText(r.Name, 12, false, d.w-8-swatchWidth-8-width-20), 12, anchorStart, inkText)
		d.label(d.w-24, y, best, 12, anchorEnd, inkMuted)
		y += 18
	}
	d.label(8, y, "Strong lines are validation, faint ones training (mean over an epoch).", 12, anchorStart, inkMuted)
	return y + 44
}

var (
	valStyle   = item{stroke: inkWidth, width: 2}
	trainStyle = item{stroke: inkDepth, width: 2}
	stepStyle  = item{stroke: inkDepth, width: 1, alpha: 0.35}
)

func percent(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// panel draws one quantity of all runs between left and right.
func (d *learningDrawing) panel(name string, top, left, right, height float64, training, validation func(*LearningPoint) (float64, bool), isAccuracy bool) {
	p := &panel{d.scene, frame{x: scale{lo: 0, hi: d.last, a: left, b: right}, y: scale{a: top + height, b: top}}}
	// The first epochs, far away, would flatten what is to be seen: the scale is
	// that of all but the first fifth.
	var ys []float64
	for i := range d.Runs {
		for _, c := range [][]point{series(d.Runs[i].Epochs, training), series(d.Runs[i].Epochs, validation), series(d.Runs[i].Steps, training)} {
			for k, q := range c {
				if q.x >= d.last/5 || k == len(c)-1 {
					ys = append(ys, q.y)
				}
			}
		}
	}
	p.y.lo, p.y.hi = pad(slices.Min(ys), slices.Max(ys), 0.05)
	if isAccuracy {
		p.y.lo, p.y.hi = max(0, p.y.lo), min(1, p.y.hi)
	} else {
		p.y.lo = max(0, p.y.lo)
	}
	if p.y.hi <= p.y.lo { // one level
		p.y.lo, p.y.hi = p.y.lo-0.5, p.y.lo+0.5
	}
	unit, suffix := 1.0, ""
	if isAccuracy {
		unit, suffix = 100, " %"
	}
	ys, decimals := linearTicks(p.y.lo*unit, p.y.hi*unit, 6)
	for i := range ys {
		ys[i] /= unit
	}
	p.axes(name, "epoch", d.epochs(), ys, trim, func(v float64) string { return tick(unit*v, decimals) + suffix })
	if len(d.Runs) == 1 {
		r := &d.Runs[0]
		p.curve(series(r.Steps, training), stepStyle)
		p.curve(series(r.Epochs, training), trainStyle)
		p.curve(series(r.Epochs, validation), valStyle)
		if b := r.Best(); b != nil {
			if v, _ := validation(b); v >= p.y.lo && v <= p.y.hi {
				d.ring(p.x.at(b.Epoch), p.y.at(v), 4, inkText, 1.5)
			}
		}
		return
	}
	for i := range d.Runs {
		faint := d.style(i)
		faint.width, faint.alpha = 1.25, 0.4
		points := d.Runs[i].Epochs
		if len(points) == 0 { // in its first
			points = d.Runs[i].Steps
		}
		p.curve(series(points, training), faint)
	}
	for i := range d.Runs {
		p.curve(series(d.Runs[i].Epochs, validation), d.style(i))
	}
}

// rates draws the learning rates.
func (d *learningDrawing) rates(top, left, right, height float64) {
	p := &panel{d.scene, frame{x: scale{lo: 0, hi: d.last, a: left, b: right}, y: scale{a: top + height, b: top}}}
	var ys []float64
	curves := make([][]point, len(d.Runs))
	for i := range d.Runs {
		r := &d.Runs[i]
		points := slices.Concat(r.Steps, r.Epochs)
		slices.SortStableFunc(points, func(a, b LearningPoint) int { return cmp.Compare(a.Epoch, b.Epoch) })
		curves[i] = series(points, learningRate)
		for _, q := range curves[i] {
			ys = append(ys, q.y)
		}
	}
	p.y.hi = 1.05 * slices.Max(ys)
	if p.y.hi <= 0 {
		p.y.hi = 1
	}
	ticks, _ := linearTicks(0, p.y.hi, 4)
	p.axes("learning rate", "epoch", d.epochs(), ticks, trim, short)
	for i, c := range curves {
		style := d.style(i)
		if len(d.Runs) == 1 {
			style.stroke = inkResolution
		}
		p.curve(c, style)
	}
	d.h = top + height + 50
}

// epochs are the ticks of the lower axes.
func (d *learningDrawing) epochs() []float64 {
	ticks, _ := linearTicks(0, d.last, 8)
	if d.last < 1 {
		return ticks
	}
	return slices.DeleteFunc(ticks, func(x float64) bool { return x != math.Trunc(x) })
}

// tick writes a number with decimals where there is room, else with few digits.
func tick(x float64, decimals int) string {
	s := fmt.Sprintf("%.*f", decimals, x)
	if len(s) > 6 {
		s = fmt.Sprintf("%.2g", x)
	}
	return s
}

// short writes a small number without useless digits, powers of ten from 0.001
// down.
func short(x float64) string {
	if x != 0 && math.Abs(x) < 1e-3 {
		mantissa, exponent, _ := strings.Cut(fmt.Sprintf("%.1e", x), "e")
		return strings.TrimSuffix(mantissa, ".0") + "e" + strings.Replace(exponent, "-0", "-", 1)
	}
	if math.Abs(x) >= 1e5 {
		return fmt.Sprintf("%.2g", x)
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.4f", x), "0"), ".")
}
