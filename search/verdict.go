package search

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// pairedSeeds is the number of common seeds from which on a comparison uses
// the spread of the differences between networks trained with the same seed.
// With fewer, no sign-flip test can reach 5 % (2/2^5 is 6 %) and a spread has
// hardly any degrees of freedom; the noise pooled over all networks is used
// instead.
const pairedSeeds = 6

const (
	level     = 0.95
	bootDraws = 4000
)

// compareTests compares two networks by their trials with common seeds. noise
// is the pooled spread of an accuracy over seeds.
func compareTests(r *Result, first, second string, noise Noise) (Comparison, bool) {
	c := Comparison{First: first, Second: second, SignFlip: math.NaN(), BootLo: math.NaN(), BootHi: math.NaN()}
	var diffs []float64
	var hitsA, hitsB [][]byte
	var pa, pb float64
	images := 0
	for _, a := range r.TrialsOf(first, PhaseFinal) {
		b := r.Trials[TrialID(second, a.Epochs, a.Seed)]
		if b == nil || b.Outcome == nil {
			continue
		}
		x, y := a.Outcome.Test.Accuracy(), b.Outcome.Test.Accuracy()
		diffs = append(diffs, x-y)
		pa += x
		pb += y
		images = a.Outcome.Test.Total
		if a.Outcome.TestHits != nil && b.Outcome.TestHits != nil {
			hitsA = append(hitsA, a.Outcome.TestHits)
			hitsB = append(hitsB, b.Outcome.TestHits)
		}
	}
	n := len(diffs)
	if n == 0 || images == 0 {
		return c, false
	}
	c.Seeds = n
	var sd float64
	c.Diff, sd = meanSD(diffs)
	if len(hitsA) == n {
		_, c.ImageSE = hitDifference(hitsA, hitsB, images)
	} else {
		c.ImageSE = math.Hypot(samplingError(pa/float64(n), images), samplingError(pb/float64(n), images))
	}
	seedVar, seedDF := 2*noise.SD*noise.SD/float64(n), float64(noise.DF)
	if n >= pairedSeeds {
		seedVar, seedDF = sd*sd/float64(n), float64(n-1)
		c.SignFlip = signFlip(diffs, bootDraws, 1)
		c.BootLo, c.BootHi = pairedBootstrap(diffs, level, bootDraws, 1)
	} else if noise.DF == 0 {
		return c, false
	}
	imageVar := c.ImageSE * c.ImageSE
	c.SE = math.Sqrt(seedVar + imageVar)
	c.DF = math.Inf(1)
	if seedVar > 0 {
		// Welch and Satterthwaite; the images are so many that their part
		// counts as known.
		c.DF = seedDF * (seedVar + imageVar) * (seedVar + imageVar) / (seedVar * seedVar)
	}
	half := tQuantile(1-(1-level)/2, c.DF) * c.SE
	c.Lo, c.Hi = c.Diff-half, c.Diff+half
	c.P = twoSided(c.Diff, c.SE, c.DF)
	return c, true
}

func twoSided(diff, se, df float64) float64 {
	if se == 0 {
		if diff == 0 {
			return 1
		}
		return 0
	}
	t := math.Abs(diff / se)
	if math.IsInf(df, 1) || df > 1e6 {
		return 2 * distuv.UnitNormal.Survival(t)
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}

// differs reports whether the comparison shows a difference at 5 % shared
// among tests.
func (c *Comparison) differs(tests int) bool {
	limit := (1 - level) / float64(tests)
	return c.P <= limit && (math.IsNaN(c.SignFlip) || c.SignFlip <= 1-level)
}

// compare compares the chosen ratio's network with each rule, and with the
// base.
func (a *Analysis) compare() {
	if a.Choice == nil {
		return
	}
	for i := range a.Plan.Finals {
		f := &a.Plan.Finals[i]
		comp := a.Choice.Compounds[i].ID
		for k := range f.Networks {
			a.compareWith(comp, f.Networks[k].ID, f.Factor)
		}
		a.compareWith(comp, a.Plan.BaseNet.ID, f.Factor)
	}
}

func (a *Analysis) compareWith(compound, other string, factor float64) {
	if compound == other {
		return
	}
	if c, ok := compareTests(a.Result, compound, other, a.Pooled); ok {
		c.Factor = factor
		a.Compare = append(a.Compare, c)
	}
}

// VerdictKind is the answer in one word.
type VerdictKind string

const (
	CompoundWins VerdictKind = "compound wins"
	SingleWins   VerdictKind = "single dimension wins"
	Undecided    VerdictKind = "undecided"
	NotValidated VerdictKind = "not validated"
	Unfinished   VerdictKind = "unfinished"
)

// Verdict is what a search found.
type Verdict struct {
	Kind   VerdictKind `json:"kind"`
	Text   string      `json:"text"`             // one sentence
	Detail string      `json:"detail,omitempty"` // the numbers behind it
	// Single is the best single dimension, which Against compares the chosen
	// ratio with.
	Single  string      `json:"single,omitempty"`
	Against *Comparison `json:"-"`
	// SeedsNeeded would show a difference as large as the one seen; 0 where no
	// number of seeds would, on so few test images, or where it was seen.
	SeedsNeeded int `json:"seeds_needed,omitempty"`
}

// Points writes a share of one as percentage points.
func Points(x float64) string { return fmt.Sprintf("%.2f", 100*x) }

// verdict decides. "Compound wins" is claimed when it beats every single
// dimension, each at the 5 % level: to be wrong about all at once is no more
// likely than to be wrong about one. "A single dimension wins" is claimed for
// the best of them, which was picked for being best, so at 5 % shared among
// all of them.
func (a *Analysis) verdict() Verdict {
	ended, all := a.Ended()
	if !a.Done {
		return Verdict{Kind: Unfinished, Text: fmt.Sprintf("Unfinished: %d of %d trials have ended.", ended, all)}
	}
	if len(a.Plan.Finals) == 0 {
		return Verdict{Kind: NotValidated, Text: fmt.Sprintf("Not validated: of %d networks at %v times the base's cost, %s was best on the validation images; nothing was compared on test images.",
			len(a.Plan.Networks), a.Config.Factor, a.Best)}
	}
	factor := a.Plan.Finals[len(a.Plan.Finals)-1].Factor
	comp := a.Net(a.Choice.Compound(factor))
	singles, beaten := 0, 0
	var best *Comparison
	for i := range a.Compare {
		c := &a.Compare[i]
		n := a.Net(c.Second)
		if c.Factor != factor || n.Stage != StageFinal || n.mixed() {
			continue
		}
		singles++
		if c.Diff > 0 && c.differs(1) {
			beaten++
		}
		if best == nil || n.Test.Mean > a.Net(best.Second).Test.Mean {
			best = c
		}
	}
	if best == nil {
		return Verdict{Kind: Undecided, Text: "Undecided: no single-dimension network can be compared with the chosen ratio.", Detail: "More seeds are needed."}
	}
	rule := a.Net(best.Second)
	v := Verdict{Kind: Undecided, Single: string(rule.Role), Against: best}
	at := fmt.Sprintf("at %.3g times the base's cost", factor)
	gap := fmt.Sprintf("%s ± %s points of test accuracy", Points(math.Abs(best.Diff)), Points(best.Half()))
	v.Detail = fmt.Sprintf("Compound %s %%, %s %s %%; %s each.", Points(comp.Test.Mean), rule.Role, Points(rule.Test.Mean), plural(best.Seeds, "seed"))
	switch {
	case beaten == singles:
		v.Kind = CompoundWins
		v.Text = fmt.Sprintf("Compound scaling wins: %s it is %s above %s, the best single dimension.", at, gap, rule.Role)
	case best.Diff < 0 && best.differs(singles):
		v.Kind = SingleWins
		v.Text = fmt.Sprintf("%s alone wins: %s it is %s above the best compound ratio found.", title(string(rule.Role)), at, gap)
	case best.Diff > 0 && best.differs(1):
		v.Text = fmt.Sprintf("Undecided: %s compound is %s above %s, the best single dimension, but not clearly above every one of them.", at, gap, rule.Role)
	default:
		side := "above"
		if best.Diff < 0 {
			side = "below"
		}
		v.Text = fmt.Sprintf("Undecided: %s compound is %s %s %s, the best single dimension.", at, gap, side, rule.Role)
		if best.Diff < 0 && best.differs(1) {
			v.Detail += " The best of three may be so far ahead by chance."
		}
		v.SeedsNeeded = seedsNeeded(best.Diff, a.Pooled.SD, best.ImageSE)
		switch {
		case v.SeedsNeeded > best.Seeds && v.SeedsNeeded <= maxSeeds:
			v.Detail += fmt.Sprintf(" About %d seeds would show a difference of this size.", v.SeedsNeeded)
		case v.SeedsNeeded == 0 || v.SeedsNeeded > maxSeeds:
			v.Detail += fmt.Sprintf(" %d test images are too few to show so small a difference.", a.Plan.Test)
		}
	}
	return v
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// title makes the first letter a capital one.
func title(s string) string { return string(s[0]-'a'+'A') + s[1:] }
