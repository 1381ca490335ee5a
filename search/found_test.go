package search

import (
	"testing"

	"effnet/arch"
)

func TestExtent(t *testing.T) {
	if x := extent(nil); x != nil {
		t.Errorf("no outline has extent %v", x)
	}
	x := extent([][]arch.Shares{{{D: 0.2, W: 0.3, R: 0.5}, {D: 0.1, W: 0.4, R: 0.5}}, {{D: -1e-12, W: 0.9, R: 0.1}}})
	if want := (Extent{Depth: [2]float64{0, 0.2}, Width: [2]float64{0.3, 0.9}, Resolution: [2]float64{0.1, 0.5}}); *x != want {
		t.Errorf("got %v, want %v", *x, want)
	}
}

// A finished search's ratio is the chosen one, its points the networks that
// were trained; its file can be read, and what is found in it scales the base.
func TestFoundRatio(t *testing.T) {
	res := runFake(t, t.TempDir(), testFake(), nil)
	a := res.Analyse()
	r, err := a.Ratio()
	if err != nil {
		t.Fatal(err)
	}
	base := testBase()
	if r.Base != base.Name || r.Data != "fake" || r.Cost != MeasureMACs || r.Factor != 2 || r.Shares != res.Choice.Ratio || r.Compared != nil || r.Verdict != a.Verdict.Text {
		t.Errorf("%+v", r)
	}
	if len(r.Points) != 1+len(res.Choice.Compounds) {
		t.Errorf("%d points, want one for the winner and each of %d factors", len(r.Points), len(res.Choice.Compounds))
	}
	for _, p := range r.Points {
		if p.Accuracy < 0.5 || p.Realised < 1 || p.Factor < 2 {
			t.Errorf("point %+v", p)
		}
	}
	again, err := ParseRatio("f", r.YAML())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Along(&base, again.Shares, 6); err != nil {
		t.Error(err)
	}
	res.Choice = nil
	if r, err := res.Analyse().Ratio(); r != nil || err != nil {
		t.Errorf("without a choice: %v, %v", r, err)
	}
}
