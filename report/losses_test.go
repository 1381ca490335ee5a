package report

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// losses is a figure of so many panels and steps.
func losses(panels, steps int) *Losses {
	l := &Losses{Title: "the same training twice", Machine: "a machine"}
	for p := range panels {
		ref, own, other := LossCurve{Name: "reference"}, LossCurve{Name: "effnet"}, LossCurve{Name: "another"}
		var bound []float64
		for i := range steps {
			loss := 2 / float64(1+i)
			ref.Loss = append(ref.Loss, loss)
			own.Loss, own.Apart = append(own.Loss, loss*(1+1e-7)), append(own.Apart, 1e-7)
			other.Loss, other.Apart = append(other.Loss, loss*(1+1e-4)), append(other.Apart, 1e-4)
			bound = append(bound, 2e-4)
		}
		l.Panels = append(l.Panels, LossPanel{Title: fmt.Sprintf("network %d", p), Reference: ref, Engines: []LossCurve{own, other}, Bound: bound})
	}
	return l
}

// TestLosses holds that every curve is there, and where it has to be: equal
// losses at one height, distances on a logarithmic axis.
func TestLosses(t *testing.T) {
	s, err := losses(3, 5).draw()
	if err != nil {
		t.Fatal(err)
	}
	fits(t, "losses", s)
	lines := map[string][]item{}
	for _, it := range s.items {
		if it.kind == shapeLine && it.tip != "" && len(it.pts) == 5 {
			lines[it.tip] = append(lines[it.tip], it)
		}
	}
	for name, want := range map[string]int{"reference": 3, "effnet": 6, "another": 6, "tolerance of effnet": 3} {
		if len(lines[name]) != want {
			t.Fatalf("%d lines of %s, want %d", len(lines[name]), name, want)
		}
	}
	// Of each panel the distances come first.
	for k, ref := range lines["reference"] {
		apart, loss := lines["effnet"][2*k], lines["effnet"][2*k+1]
		for i := range ref.pts {
			if math.Abs(ref.pts[i].y-loss.pts[i].y) > 0.01 || ref.pts[i].x != loss.pts[i].x {
				t.Errorf("panel %d: effnet's loss at %v, the reference's at %v", k, loss.pts[i], ref.pts[i])
			}
		}
		bound, other := lines["tolerance of effnet"][k], lines["another"][2*k]
		// 1e-7, 1e-4 and 2e-4 are three decades and log10(2) of one apart.
		decade := (apart.pts[0].y - other.pts[0].y) / 3
		if got := (other.pts[0].y - bound.pts[0].y) / decade; !(decade > 5) || math.Abs(got-math.Log10(2)) > 1e-6 {
			t.Errorf("panel %d: a decade is %g high, a factor of 2 %g of it", k, decade, got)
		}
	}
}

func TestLossesFiles(t *testing.T) {
	dir := t.TempDir()
	for ext, start := range map[string]string{".svg": "<svg ", ".png": "\x89PNG"} {
		path := filepath.Join(dir, "losses"+ext)
		if err := losses(1, 4).Write(path); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); !strings.HasPrefix(got, start) {
			t.Errorf("%s starts with %.8q", path, got)
		}
	}
	if err := losses(1, 4).Write(filepath.Join(dir, "losses.gif")); err == nil || !strings.Contains(err.Error(), `no format for the ending ".gif"`) {
		t.Errorf("gif: %v", err)
	}
	short := losses(1, 4)
	short.Panels[0].Engines[1].Apart = short.Panels[0].Engines[1].Apart[:2]
	for want, l := range map[string]*Losses{
		"no losses to draw": {},
		"network 0: 4 losses and 2 distances of another, the reference has 4": short,
		"network 0: 0 losses": losses(1, 0),
	} {
		if err := l.Write(filepath.Join(dir, "none.svg")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestLossesAny draws curves of any size.
func TestLossesAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := losses(rapid.IntRange(1, 5).Draw(t, "panels"), rapid.IntRange(1, 300).Draw(t, "steps"))
		factor := math.Pow(10, rapid.Float64Range(-12, 6).Draw(t, "factor"))
		for i := range l.Panels {
			for _, c := range l.Panels[i].Engines {
				for k := range c.Apart {
					c.Apart[k] *= factor
				}
			}
		}
		s, err := l.draw()
		if err != nil {
			t.Fatal(err)
		}
		fits(t, "losses", s)
		if svg := s.svg(false); bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
			t.Fatal("coordinates are no numbers")
		}
	})
}
