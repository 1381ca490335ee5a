package report

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"effnet/search"
)

// tiles are the search in a few numbers.
func tiles(a *search.Analysis) []fact {
	p := a.Plan
	out := []fact{
		{count(float64(p.BaseNet.MACs)), fmt.Sprintf("multiply-accumulates of the base, which has %s parameters at %d px", count(float64(p.BaseNet.Params)), p.BaseNet.Resolution)},
		{thousands(p.TrainImages), fmt.Sprintf("training images of %s; %s to choose by, %s to test", a.Config.Data, thousands(p.Validation), thousands(p.Test))},
		{thousands(len(p.Networks)), fmt.Sprintf("candidates out of %s that cost %s the base's within %.3g %%", several(p.Enumerated, "distinct network"), factor(a.Config.Factor), 100*a.Config.Tolerance)},
		trainingsTile(a), timeTile(a), computeTile(a),
	}
	if a.Validation.DF > 0 {
		out = append(out, fact{"± " + search.Points(a.Validation.SD), fmt.Sprintf("points of validation accuracy: standard deviation between seeds of one network, from %d degrees of freedom", a.Validation.DF)})
	}
	if s := sums(a); len(p.Rungs) > 1 && s.exploring > 0 && a.Choice != nil {
		out = append(out, fact{fmt.Sprintf("%.0f %%", 100*s.exploring/s.exhaustive), fmt.Sprintf("of the compute of a grid (%s against %s), which trains every candidate in full length on %s, thanks to rungs", flopsText(s.exploring), flopsText(s.exhaustive), several(s.seeds, "seed"))})
	}
	return out
}

func trainingsTile(a *search.Analysis) fact {
	ended, all := a.Ended()
	failed, stopped := 0, 0
	for _, t := range a.Trials {
		switch {
		case t.Error != "":
			failed++
		case t.Outcome != nil && t.Outcome.Stopped > 0:
			stopped++
		}
	}
	f := fact{thousands(ended), fmt.Sprintf("trainings of up to %s", several(a.Plan.Epochs, "epoch"))}
	if !a.Done {
		f.Text = fmt.Sprintf("of about %s so far, of up to %s", several(all, "training"), several(a.Plan.Epochs, "epoch"))
	}
	if stopped > 0 {
		f.Text += fmt.Sprintf("; %s stopped early", thousands(stopped))
	}
	if failed > 0 {
		f.Text += fmt.Sprintf("; %s failed", thousands(failed))
	}
	return f
}

func timeTile(a *search.Analysis) fact {
	hoped := time.Duration(a.Plan.Forecast.Seconds * float64(time.Second))
	at := ""
	if n := len(a.Sessions); n > 0 {
		at = fmt.Sprintf(", %d at a time", a.Sessions[n-1].Workers)
	}
	if len(a.Sessions) > 1 || !a.Done {
		return fact{duration(a.Compute()), fmt.Sprintf("of training%s; the search was forecast to take %s", at, duration(hoped))}
	}
	return fact{duration(a.Finished.Sub(a.Started)), fmt.Sprintf("from start to end, forecast %s; %s of training%s", duration(hoped), duration(a.Compute()), at)}
}

func computeTile(a *search.Analysis) fact {
	return fact{flopsText(sums(a).all), fmt.Sprintf("of training, forecast %s: 6 operations a MAC and image", flopsText(a.Plan.Forecast.FLOPs))}
}

// compute is what trainings took, in floating-point operations at six a MAC
// and image.
type compute struct {
	all       float64 // of every trial that ended
	exploring float64 // of what finds the ratio: noise, rungs and re-runs
	// exhaustive would have been every candidate in full length, with so many
	// seeds: those of the re-runs.
	exhaustive float64
	seeds      int
}

// trained is how many epochs a trial ran.
func trained(t *search.TrialResult) int {
	if t.Outcome != nil && t.Outcome.Stopped > 0 {
		return t.Outcome.Stopped
	}
	return t.Epochs
}

// trainingFLOPs are the operations of so many epochs.
func trainingFLOPs(a *search.Analysis, macs int64, epochs int) float64 {
	return 6 * float64(a.Plan.TrainImages) * float64(macs) * float64(epochs)
}

func sums(a *search.Analysis) compute {
	s := compute{seeds: max(1, len(a.Plan.FreshSeeds))}
	for i := range a.Nets {
		n := &a.Nets[i]
		var all, exploring int // epochs: whole numbers, whose sum is the same in any order
		for _, t := range a.Trials {
			if t.Network != n.ID || t.Outcome == nil {
				continue
			}
			all += trained(t)
			if t.Phase == search.PhaseNoise || t.Phase == search.PhaseRung || t.Phase == search.PhaseRerun {
				exploring += trained(t)
			}
		}
		s.all += trainingFLOPs(a, n.MACs, all)
		s.exploring += trainingFLOPs(a, n.MACs, exploring)
		if n.Stage == search.StageExplore {
			s.exhaustive += trainingFLOPs(a, n.MACs, a.Plan.Epochs*s.seeds)
		}
	}
	return s
}

// growCommand grows the base as the search found best; "" before there is a
// ratio. The ratio's file is there when the search has ended.
func growCommand(a *search.Analysis) string {
	shares, role := a.Growth()
	if shares == nil {
		return ""
	}
	ratio := search.RatioName
	switch {
	case role != search.RoleCompound:
		ratio = fmt.Sprintf("%g:%g:%g", shares.D, shares.W, shares.R)
	case !a.Done:
		ratio = fmt.Sprintf("%.3f:%.3f:%.3f", shares.D, shares.W, shares.R)
	}
	factor := "6"
	if a.Config.Factor < 1 {
		factor = "0.5"
	}
	return fmt.Sprintf("effnet scale %s --ratio %s --factor %s", baseName(a), ratio, factor)
}

// method says how the numbers came about.
func method(a *search.Analysis) []fact {
	p := a.Plan
	facts := []fact{
		{"Candidates", "Every distinct network behind the triangle of shares is enumerated, rounding included; those whose realised cost lies within the tolerance are candidates, and a well-spread few of them are trained. Single dimensions are always among them."},
	}
	if a.Config.Candidates != "" {
		facts[0].Text = "The candidates were given (" + firstLine(a.Config.Candidates) + "); each is known by its realised cost and shares, after rounding."
	}
	if len(p.Rungs) > 1 {
		var lengths []string
		for _, r := range p.Rungs {
			lengths = append(lengths, strconv.Itoa(r.Epochs))
		}
		facts = append(facts, fact{"Rungs", fmt.Sprintf("Candidates are trained for %s epochs, each time from the start with a finished schedule; the best of each rung go on to the next. A training that can no longer reach the field is stopped.", list(lengths))})
	}
	facts = append(facts, fact{"Seeds", "All networks of a rung train with the same seeds, which fix initial weights, the order of images and augmentation. The split into training and validation images is the same for all."})
	if n := len(p.FreshSeeds); n > 0 && p.Finalists > 0 {
		facts = append(facts, fact{"Choice", fmt.Sprintf("The best of many looks better than it is: the last rung's best %d are trained again on %s, and the ratio is chosen by those. Test images take no part.", p.Finalists, several(n, "fresh seed"))})
	} else {
		facts = append(facts, fact{"Choice", "The ratio is chosen on validation images. Test images take no part."})
	}
	most := 0
	for _, f := range p.Finals {
		most = max(most, len(f.Seeds))
	}
	switch {
	case most >= 6:
		facts = append(facts, fact{"Comparison", "The difference of two networks is judged by its spread over common seeds and by the draw of test images together, with Student's t; a claim also needs a sign-flip test to agree."})
	case most > 0:
		facts = append(facts, fact{"Comparison", fmt.Sprintf("With up to %s, the spread over seeds is pooled over all networks (%d degrees of freedom) and joined with the error of drawing these test images, taken image by image; intervals are Student's t.", several(most, "seed"), a.Pooled.DF)})
	}
	return append(facts, fact{"Verdict", "Compound is said to win when it is ahead of every single dimension at the 5 % level; a single dimension is said to win when it is ahead at 5 % shared among the three. Otherwise the search is undecided."})
}

func firstLine(s string) string {
	line, _, more := strings.Cut(s, "\n")
	if more {
		line += " …"
	}
	return line
}

// origin says what the report was made from.
func origin(a *search.Analysis) []fact {
	c := a.Config
	facts := []fact{
		{"Ledger", fmt.Sprintf("%s, begun %s", search.LedgerName, a.Started.UTC().Format("2006-01-02 15:04 UTC"))},
		{"Data", c.Data + ", " + c.DataChecksum},
		{"Recipe", c.Recipe},
	}
	facts = append(facts, trainerFacts(a)...)
	if n := len(a.Sessions); n > 0 {
		s := a.Sessions[n-1]
		facts = append(facts, fact{"Machine", fmt.Sprintf("%d CPUs, %s at a time with %s each, %s on %s", s.CPUs, several(s.Workers, "trial"), several(s.Threads, "thread"), s.Go, runtime.GOARCH)})
	}
	if n := len(a.Sessions); n > 1 {
		facts = append(facts, fact{"Sessions", fmt.Sprintf("%d: the search was stopped and taken up again", n)})
	}
	return facts
}
