package report

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"effnet/arch"
	"effnet/search"
)

// TestEveryPhase draws a search that went through all of its phases, with few
// candidates and with hundreds, among them some that diverged and some that
// were stopped.
func TestEveryPhase(t *testing.T) {
	for _, nets := range []int{30, 144} {
		t.Run(fmt.Sprint(nets), func(t *testing.T) {
			a := everyPhase(t, nets)
			dir := t.TempDir()
			if look := os.Getenv("EFFNET_LOOK"); look != "" {
				dir = filepath.Join(look, t.Name())
				if err := os.MkdirAll(dir, 0o777); err != nil {
					t.Fatal(err)
				}
				if _, err := Write(dir, a); err != nil {
					t.Fatal(err)
				}
			}
			var names []string
			for _, f := range figures(a) {
				names = append(names, f.name)
				for _, p := range f.panels {
					fits(t, f.name, p)
				}
			}
			want := []string{"compound", "family", "lead", "triangle", "sweeps", "saturation", "pareto", "flow", "finalists", "curves", "compute", "time"}
			if diff := gocmp.Diff(want, names); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
			page, err := Page(dir, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"NaN", "Inf", "%!"} {
				if i := bytes.Index(page, []byte(bad)); i >= 0 {
					t.Errorf("the page shows %q: %s", bad, page[max(0, i-80):i+20])
				}
			}
			if again, err := Page(dir, a.Result.Analyse()); err != nil || !bytes.Equal(page, again) {
				t.Errorf("the page is another the second time (%v)", err)
			}
		})
	}
}

// everyPhase makes up a search with every phase, without running one.
func everyPhase(t testing.TB, nets int) *search.Analysis {
	t.Helper()
	base := testBase()
	eng := madeUp(base)
	a := fixture(t, t.TempDir(), func(c *search.Config) { c.Networks, c.Epochs = nets, 18 })
	r := a.Result
	p := r.Plan
	for id, tr := range r.Trials {
		if tr.Phase == search.PhaseRung {
			delete(r.Trials, id)
		}
	}
	train := func(n *search.Network, phase search.Phase, rung, epochs int, seed uint64) float64 {
		spec, err := n.Spec(&base)
		if err != nil {
			t.Fatal(err)
		}
		id := search.TrialID(n.ID, epochs, seed)
		tr := &search.Trial{ID: id, Phase: phase, Rung: rung, Spec: spec, Seed: seed, Epochs: epochs}
		o, err := eng.Train(t.Context(), tr, nil)
		if err != nil {
			t.Fatal(err)
		}
		sec := float64(epochs) * float64(p.TrainImages) * float64(n.MACs) * 2e-10 * (1 + 0.1*float64(seed%3))
		r.Trials[id] = &search.TrialResult{ID: id, Network: n.ID, Phase: phase, Rung: rung, Epochs: epochs, Seed: seed, Attempts: 1, Outcome: o, Seconds: sec}
		if h := int(n.MACs/97) % 11; phase == search.PhaseRung && rung == 0 && h == 0 {
			o.Stopped = 1
			o.Curve = o.Curve[:1]
			o.Curve[0].Accuracy -= 0.1
			o.Validation.Correct -= 600
		} else if phase == search.PhaseRung && h == 1 && rung == 0 {
			r.Trials[id].Outcome, r.Trials[id].Error = nil, "training diverged"
		}
		return o.Validation.Accuracy()
	}
	for _, s := range []uint64{1, 2, 3} {
		train(&p.BaseNet, search.PhaseNoise, 0, 2, s)
	}
	in := p.Networks
	p.Rungs = nil
	r.Cuts = nil
	for k, e := range []int{2, 6, 18} {
		seeds := []uint64{1}
		p.Rungs = append(p.Rungs, search.Rung{Epochs: e, Networks: len(in), Seeds: seeds})
		type sc struct {
			n search.Network
			a float64
		}
		var scores []sc
		cut := search.Cut{Rung: k}
		for i := range in {
			scores = append(scores, sc{in[i], train(&in[i], search.PhaseRung, k, e, 1)})
		}
		slices.SortFunc(scores, func(x, y sc) int { return cmp.Compare(y.a, x.a) })
		in = nil
		for i, s := range scores {
			if i < max(3, (len(scores)+2)/3) {
				cut.Promoted = append(cut.Promoted, s.n.ID)
				in = append(in, s.n)
			} else if s.n.Realised.D == 1 || s.n.Realised.W == 1 || s.n.Realised.R == 1 {
				cut.Singles = append(cut.Singles, s.n.ID)
			} else {
				cut.Dropped = append(cut.Dropped, s.n.ID)
			}
		}
		r.Cuts = append(r.Cuts, cut)
	}
	p.Finalists, p.FreshSeeds = len(in), []uint64{101, 102, 103}
	for i := range in {
		for _, s := range p.FreshSeeds {
			train(&in[i], search.PhaseRerun, 0, 18, s)
		}
	}
	for _, d := range []arch.Factors{{Depth: 1, Resolution: 28}, {Depth: 1, Resolution: 36}, {Depth: 2, Resolution: 28}, {Depth: 2, Resolution: 36}} {
		for i, w := range []float64{1, 1.25, 1.5, 2} {
			n := search.Network{ID: fmt.Sprintf("sweep-d%v-r%d-w%d", d.Depth, d.Resolution, i), Depth: d.Depth, Width: w, Resolution: d.Resolution}
			sp, err := base.Scale(arch.Factors{Depth: d.Depth, Width: w, Resolution: d.Resolution})
			if err != nil {
				t.Fatal(err)
			}
			c, err := sp.CostAt(d.Resolution)
			if err != nil {
				t.Fatal(err)
			}
			n.MACs, n.Params, n.Activations, n.CostRatio = c.MACs, c.Params, c.Activations, float64(c.MACs)/float64(p.BaseNet.MACs)
			n.Realised = arch.Shares{D: .4, W: .3, R: .3}
			n.Stem, n.Head = sp.Stem.Width, sp.Head
			for _, st := range sp.Stages {
				n.Stages = append(n.Stages, st.String())
			}
			p.Sweep = append(p.Sweep, n)
		}
	}
	for i := range p.Sweep {
		train(&p.Sweep[i], search.PhaseSweep, 0, 18, 1)
	}
	return r.Analyse()
}
