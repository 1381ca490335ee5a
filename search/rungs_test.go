package search

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rungPlan is a plan of mixed networks and singles alone.
func rungPlan(mixed, singles, rungs, eta, finalists, seeds int) *Plan {
	p := &Plan{Finalists: finalists, Validation: 100}
	for i := range mixed + singles {
		n := Network{ID: fmt.Sprintf("n%02d", i), Realised: Centre}
		if i >= mixed {
			n.Realised = WidthCorner
		}
		p.Networks = append(p.Networks, n)
	}
	enter, epochs := mixed, 1
	for k := range rungs {
		r := Rung{Epochs: epochs, Networks: enter, Seeds: seedsFrom(1, seeds)}
		if k == 0 {
			r.Networks += singles
		}
		p.Rungs = append(p.Rungs, r)
		enter, epochs = max(finalists, (enter+eta-1)/eta), epochs*eta
	}
	p.Epochs = p.Rungs[rungs-1].Epochs
	return p
}

// TestPromotion ends the trials that are certain to be needed in a random
// order: what is promoted never is taken back, is the best there were, and is
// the same whatever the order.
func TestPromotion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mixed := rapid.IntRange(2, 14).Draw(t, "mixed")
		p := rungPlan(mixed, rapid.IntRange(0, 3).Draw(t, "singles"), rapid.IntRange(1, 3).Draw(t, "rungs"),
			rapid.IntRange(2, 4).Draw(t, "eta"), rapid.IntRange(1, min(3, mixed)).Draw(t, "finalists"), rapid.IntRange(1, 2).Draw(t, "seeds"))
		// Few values, so that there are ties.
		fate := map[string]int{}
		outcome := func(j *job) int {
			id := j.id()
			if _, ok := fate[id]; !ok {
				fate[id] = rapid.IntRange(-2, 5).Draw(t, id)
			}
			return fate[id]
		}
		end := func(r *Result, j *job) {
			tr := r.trial(j.id())
			switch v := outcome(j); v {
			case -2:
				tr.Error = "diverged"
			case -1:
				tr.Outcome = &Outcome{Validation: Score{99, 100}, Stopped: 1}
			default:
				tr.Outcome = &Outcome{Validation: Score{90 + v, 100}}
			}
		}
		open := func(r *Result) (jobs []job) {
			stands := r.standings()
			for k := range stands {
				for _, j := range p.rungJobs(k, stands[k].entered) {
					if !r.Trials[j.id()].Ended() {
						jobs = append(jobs, j)
					}
				}
			}
			return jobs
		}
		run := func(pick func(n int) int) []Cut {
			r := &Result{Plan: p, Trials: map[string]*TrialResult{}}
			said := make([]Cut, len(p.Rungs))
			for jobs := open(r); len(jobs) > 0; jobs = open(r) {
				end(r, &jobs[pick(len(jobs))])
				for k, s := range r.standings() {
					for _, id := range said[k].Promoted {
						if !slices.Contains(s.cut.Promoted, id) {
							t.Fatalf("rung %d promoted %s, then no more", k, id)
						}
					}
					for _, id := range said[k].Dropped {
						if !slices.Contains(s.cut.Dropped, id) {
							t.Fatalf("rung %d dropped %s, then no more", k, id)
						}
					}
					said[k] = s.cut
				}
			}
			var cuts []Cut
			for k, s := range r.standings() {
				if !s.settled {
					t.Fatalf("nothing is left to do, but rung %d is open", k)
				}
				cuts = append(cuts, s.cut)
			}
			return cuts
		}
		first := run(func(int) int { return 0 })
		if diff := cmp.Diff(first, run(func(n int) int { return n - 1 })); diff != "" {
			t.Fatalf("the last first:\n%s", diff)
		}
		if diff := cmp.Diff(first, run(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") })); diff != "" {
			t.Fatalf("in a random order:\n%s", diff)
		}
		// The plain way: sort the whole rung.
		entered := p.Networks[:mixed]
		for k, c := range first {
			type score struct {
				id  string
				sum int
			}
			var scores []score
			for i := range entered {
				s := score{entered[i].ID, 0}
				for _, j := range p.rungJobs(k, []*Network{&entered[i]}) {
					if v := outcome(&j); v < 0 {
						s.sum = -1000
					} else {
						s.sum += v
					}
				}
				if s.sum >= 0 {
					scores = append(scores, s)
				}
			}
			slices.SortStableFunc(scores, func(a, b score) int { return b.sum - a.sum })
			quota := p.Finalists
			if k+1 < len(p.Rungs) {
				quota = p.Rungs[k+1].Networks
			}
			want := []string{}
			for _, s := range scores[:min(quota, len(scores))] {
				want = append(want, s.id)
			}
			if !slices.Equal(want, c.Promoted) {
				t.Fatalf("rung %d promotes %v, want %v", k, c.Promoted, want)
			}
			if n := len(c.Promoted) + len(c.Dropped); n != len(entered) {
				t.Fatalf("rung %d: %d promoted and dropped of %d", k, n, len(entered))
			}
			var next []Network
			for i := range entered {
				if slices.Contains(c.Promoted, entered[i].ID) {
					next = append(next, entered[i])
				}
			}
			entered = next
		}
	})
}

// TestPromotionEarly: who is certain goes on before the rung has ended.
func TestPromotionEarly(t *testing.T) {
	p := rungPlan(6, 0, 2, 3, 2, 1) // two of six go on
	r := &Result{Plan: p, Trials: map[string]*TrialResult{}}
	for i, correct := range []int{80, 90, 70, 95, 60} {
		r.trial(TrialID(p.Networks[i].ID, 1, 1)).Outcome = &Outcome{Validation: Score{correct, 100}}
	}
	s := r.standings()
	// The one that is open may pass all, but then there is a second place.
	if want := []string{"n03"}; !slices.Equal(s[0].cut.Promoted, want) || s[0].settled {
		t.Errorf("promoted %v, settled %v, want %v and not", s[0].cut.Promoted, s[0].settled, want)
	}
	if want := []string{"n00", "n02", "n04"}; !slices.Equal(s[0].cut.Dropped, want) {
		t.Errorf("dropped %v, want %v", s[0].cut.Dropped, want)
	}
	if len(s[1].entered) != 1 || s[1].entered[0].ID != "n03" {
		t.Errorf("rung 1 is entered by %v", s[1].entered)
	}
}

// TestFloor: for the second half of the epochs, below the worst scout by three
// standard deviations of the noise, once all of it has ended.
func TestFloor(t *testing.T) {
	p := rungPlan(4, 1, 1, 3, 2, 1)
	p.Rungs[0].Epochs, p.Epochs = 6, 6
	p.BaseNet.ID, p.NoiseSeeds = "base", []uint64{1, 2}
	r := &Result{Plan: p, Config: Config{Factor: 2}, Trials: map[string]*TrialResult{}}
	curve := func(id string, seed uint64, accs ...float64) {
		o := &Outcome{Validation: Score{1, 100}}
		for e, a := range accs {
			o.Curve = append(o.Curve, Point{Epoch: e + 1, Accuracy: a})
		}
		r.trial(TrialID(id, 6, seed)).Outcome = o
	}
	curve("base", 1, 0.1, 0.2, 0.3, 0.50, 0.60, 0.7)
	curve("n04", 1, 0.1, 0.2, 0.3, 0.55, 0.65, 0.7)
	if f, settled := r.floor(); f != nil || settled {
		t.Errorf("before the noise has ended: floor %v, settled %v", f, settled)
	}
	curve("base", 2, 0.1, 0.2, 0.3, 0.52, 0.62, 0.7)
	sd := 0.02 / 1.4142135623730951
	floor, settled := r.floor()
	if !settled || len(floor) != 5 {
		t.Fatalf("floor %v, settled %v", floor, settled)
	}
	for e, want := range []float64{0, 0, 0, 0.55 - 3*sd, 0.65 - 3*sd} {
		near(t, fmt.Sprintf("floor after epoch %d", e+1), floor[e], want, 1e-12)
	}
	// A scout that diverged says nothing; without any there is no floor.
	tr := r.trial(TrialID("n04", 6, 1))
	tr.Outcome, tr.Error = nil, "diverged"
	if f, settled := r.floor(); f != nil || !settled {
		t.Errorf("without a scout: floor %v, settled %v", f, settled)
	}
}
