package report

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// learning has n runs of some epochs, in each a step's mean twice.
func learning(n, epochs int) *Learning {
	l := &Learning{Title: "a network on data"}
	for i := range n {
		r := LearningRun{Name: fmt.Sprintf("run%d: lr %.3g", i, 0.01*float64(i+1))}
		for k := 1; k <= 2*epochs; k++ {
			e := float64(k) / 2
			p := LearningPoint{Epoch: e, LR: 0.01 * float64(i+1) / e, Loss: 2/e + 0.1*float64(i), Accuracy: 1 - 0.5/e}
			r.Steps = append(r.Steps, p)
			if k%2 == 0 {
				p.Val = &LearningVal{Loss: p.Loss + 0.1, Accuracy: min(0.8, p.Accuracy-0.01*float64(i))}
				r.Epochs = append(r.Epochs, p)
			}
		}
		l.Runs = append(l.Runs, r)
	}
	return l
}

func texts(s *scene) string {
	var list []string
	for _, it := range s.items {
		if it.kind == shapeText {
			list = append(list, it.text)
		}
	}
	return strings.Join(list, "\n")
}

func TestLearning(t *testing.T) {
	for _, c := range []struct {
		runs int
		want []string
	}{
		{1, []string{"a network on data", "validation", "training, mean over an epoch", "best epoch: 3, 80.00 %", "loss", "accuracy", "learning rate"}},
		{3, []string{"run0: lr 0.01", "best 80.00 %, epoch 3", "run2: lr 0.03", "best 80.00 %, epoch 3", "Strong lines are validation, faint ones training (mean over an epoch)."}},
		{maxRuns, []string{"run19: lr 0.2"}},
	} {
		s, err := learning(c.runs, 12).draw()
		if err != nil {
			t.Fatal(err)
		}
		fits(t, fmt.Sprintf("%d runs", c.runs), s)
		for _, want := range c.want {
			if !strings.Contains("\n"+texts(s)+"\n", "\n"+want+"\n") {
				t.Errorf("%d runs: no text %q in\n%s", c.runs, want, texts(s))
			}
		}
		// Every run has a line of its own.
		looks := map[string]bool{}
		for _, it := range s.items {
			if it.kind == shapeLine && it.tip != "" && it.width == 2 {
				looks[fmt.Sprint(it.stroke, it.dash)] = true
			}
		}
		if c.runs > 1 && len(looks) != c.runs {
			t.Errorf("%d runs look like %d", c.runs, len(looks))
		}
	}
	for _, c := range []struct {
		l    *Learning
		want string
	}{
		{&Learning{}, "learning curves of 0 runs, want 1 to 20"},
		{learning(maxRuns+1, 1), "learning curves of 21 runs"},
		{&Learning{Runs: []LearningRun{{Name: "new"}}}, "no learning curve yet"},
	} {
		if _, err := c.l.draw(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

func TestFigureFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.svg", "a.png"} {
		if err := learning(2, 3).Write(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	wellFormed(t, "a.svg", read(t, dir, "a.svg"))
	if err := learning(2, 3).Write(filepath.Join(dir, "a.gif")); err == nil || !strings.Contains(err.Error(), `no format for the ending ".gif"`) {
		t.Errorf("gif: %v", err)
	}
}

// TestLearningRoom: whatever the values, all that is drawn lies within the figure.
func TestLearningRoom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.Float64Range(0, math.Exp(rapid.Float64Range(-20, 20).Draw(rt, "size")))
		l := &Learning{Title: strings.Repeat("title ", rapid.IntRange(1, 60).Draw(rt, "title"))}
		for range rapid.IntRange(1, 3).Draw(rt, "runs") {
			r := LearningRun{Name: strings.Repeat("name ", rapid.IntRange(1, 60).Draw(rt, "name"))}
			for e := range rapid.IntRange(1, 6).Draw(rt, "epochs") {
				p := LearningPoint{Epoch: float64(e + 1), LR: value.Draw(rt, "lr"), Loss: value.Draw(rt, "loss"), Accuracy: rapid.Float64Range(0, 1).Draw(rt, "accuracy")}
				if rapid.Bool().Draw(rt, "validated") {
					p.Val = &LearningVal{value.Draw(rt, "val loss"), rapid.Float64Range(0, 1).Draw(rt, "val accuracy")}
				}
				r.Epochs = append(r.Epochs, p)
			}
			l.Runs = append(l.Runs, r)
		}
		s, err := l.draw()
		if err != nil {
			rt.Fatal(err)
		}
		fits(rt, "learning", s)
	})
}

func TestLRCurve(t *testing.T) {
	c := &LRCurve{Title: "a network", Marks: []LRMark{{"steepest", 0.01}, {"lowest / 10", 0.02}, {"lowest", 0.2}}}
	for k := range 60 {
		lr := math.Pow(10, -6+0.1*float64(k))
		loss := 2.3 - 1/(1+0.01/lr) + 100*lr*lr
		c.Points = append(c.Points, LRCurvePoint{lr, loss + 0.1*math.Sin(float64(k)), loss})
	}
	s, err := c.draw()
	if err != nil {
		t.Fatal(err)
	}
	fits(t, "lr", s)
	for _, want := range []string{"steepest: 0.01", "lowest / 10: 0.02", "lowest: 0.2", "1e-6", "0.1"} {
		if !strings.Contains("\n"+texts(s)+"\n", "\n"+want+"\n") {
			t.Errorf("no text %q in\n%s", want, texts(s))
		}
	}
	if _, err := (&LRCurve{Points: c.Points[:1]}).draw(); err == nil {
		t.Error("one point is drawn")
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		name string
		line []point
		want [][]point
	}{
		{"inside", []point{{0, 1}, {1, 2}, {2, 1}}, [][]point{{{0, 1}, {1, 2}, {2, 1}}}},
		{"one point", []point{{0, 1}}, [][]point{{{0, 1}}}},
		{"outside", []point{{0, 11}, {1, 12}}, nil},
		{"comes in", []point{{0, 20}, {1, 0}, {2, 1}}, [][]point{{{0.5, 10}, {1, 0}, {2, 1}}}},
		{"out and in", []point{{0, 0}, {1, 20}, {2, 0}}, [][]point{{{0, 0}, {0.5, 10}}, {{1.5, 10}, {2, 0}}}},
		{"through", []point{{0, -10}, {1, 20}}, [][]point{{{1. / 3, 0}, {2. / 3, 10}}}},
		{"level at the edge", []point{{0, 10}, {1, 10}}, [][]point{{{0, 10}, {1, 10}}}},
	} {
		got := clip(c.line, 0, 10)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(point{}), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 1e-6: "1e-6", 1.2e-4: "1.2e-4", 0.001: "0.001", 0.0035: "0.0035", 0.5: "0.5", 10: "10", 2: "2"} {
		if got := short(x); got != want {
			t.Errorf("%g is %q, want %q", x, got, want)
		}
	}
}
