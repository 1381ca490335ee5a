package search

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"effnet/internal/words"
)

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
	// ratio with, at the factor that Text is about.
	Single  string      `json:"single,omitempty"`
	Against *Comparison `json:"-"`
	// SeedsNeeded would show a difference as large as the one seen; 0 where no
	// number of seeds would, on so few test images, or where it was seen.
	SeedsNeeded int             `json:"seeds_needed,omitempty"`
	Factors     []FactorVerdict `json:"factors,omitempty"` // in the order of the plan
}

// FactorVerdict is what was found at one cost.
type FactorVerdict struct {
	Factor      float64     `json:"factor"`
	Kind        VerdictKind `json:"kind"`
	Text        string      `json:"text"`             // a sentence
	Single      string      `json:"single,omitempty"` // the best single dimension
	P           float64     `json:"p"`                // of the claim that is nearest to being made
	Adjusted    float64     `json:"p_adjusted"`       // for the number of factors (Holm)
	SeedsNeeded int         `json:"seeds_needed,omitempty"`
	Against     *Comparison `json:"-"` // the chosen ratio with that single dimension

	claim VerdictKind
}

// Points writes a share of one as percentage points.
func Points(x float64) string { return fmt.Sprintf("%.2f", 100*x) }

// verdict decides, factor by factor. "Compound wins" there when it beats every
// single dimension: to be wrong about all at once is no more likely than to be
// wrong about one, so the p-value of the claim is the largest of theirs
// (Berger 1982). "A single dimension wins" is claimed for the best of them,
// which was picked for being best, so its p-value counts as many times as
// there are. The claims of the factors are adjusted for their number.
//
// Of the whole search is said what was found at the largest cost with a claim,
// unless another cost says the opposite.
func (a *Analysis) verdict() Verdict {
	ended, all := a.Ended()
	if !a.Done {
		return Verdict{Kind: Unfinished, Text: fmt.Sprintf("Unfinished: %d of %d trials have ended.", ended, all)}
	}
	if len(a.Plan.Finals) == 0 {
		return Verdict{Kind: NotValidated, Text: fmt.Sprintf("Not validated: of %d networks at %v times the base's cost, %s was best on the validation images; nothing was compared on test images.",
			len(a.Plan.Networks), a.Config.Factor, a.Best)}
	}
	var fs []FactorVerdict
	var ps []float64
	for i := range a.Plan.Finals {
		if f, ok := a.claim(a.Plan.Finals[i].Factor); ok {
			fs, ps = append(fs, f), append(ps, f.P)
		}
	}
	if len(fs) == 0 {
		return Verdict{Kind: Undecided, Text: "Undecided: no single-dimension network can be compared with the chosen ratio.", Detail: "More seeds are needed."}
	}
	for i, p := range holm(ps) {
		f := &fs[i]
		f.Adjusted = p
		if f.Kind = Undecided; p <= 1-level {
			f.Kind = f.claim
		}
		a.word(f)
	}
	said := &fs[len(fs)-1]
	found := map[VerdictKind]bool{}
	for i := range fs {
		found[fs[i].Kind] = true
		if fs[i].Kind != Undecided {
			said = &fs[i]
		}
	}
	v := Verdict{Kind: said.Kind, Text: said.Text, Single: said.Single, Against: said.Against, SeedsNeeded: said.SeedsNeeded, Factors: fs}
	v.Detail = a.detail(said)
	if text := said.Against.MixedText(); text != "" {
		v.Detail += " " + text
	}
	if found[CompoundWins] && found[SingleWins] {
		v.Kind = Undecided
		v.Text = "Undecided, as it depends on the cost: "
		for i := range fs {
			if fs[i].Kind != Undecided {
				v.Text += strings.ToLower(fs[i].Text[:1]) + strings.TrimSuffix(fs[i].Text[1:], ".") + "; "
			}
		}
		v.Text = strings.TrimSuffix(v.Text, "; ") + "."
	}
	for i := range fs {
		if f := &fs[i]; f != said {
			v.Detail += f.short()
		}
	}
	return v
}

// short is what was found at a factor that the verdict is not about.
func (f *FactorVerdict) short() string {
	gap := fmt.Sprintf("%s ± %s", Points(math.Abs(f.Against.Diff)), Points(f.Against.Half()))
	switch {
	case f.Kind == CompoundWins:
		return fmt.Sprintf(" At %.3g times compound wins by %s over %s.", f.Factor, gap, f.Single)
	case f.Kind == SingleWins:
		return fmt.Sprintf(" At %.3g times %s alone wins by %s.", f.Factor, f.Single, gap)
	case f.Against.Diff < 0:
		return fmt.Sprintf(" At %.3g times undecided: compound is %s below %s.", f.Factor, gap, f.Single)
	}
	return fmt.Sprintf(" At %.3g times undecided: compound is %s above %s.", f.Factor, gap, f.Single)
}

// claim finds the claim nearest to being made at a factor, and its p-value.
func (a *Analysis) claim(factor float64) (f FactorVerdict, ok bool) {
	f = FactorVerdict{Factor: factor, claim: CompoundWins}
	var ps []float64
	for i := range a.Compare {
		c := &a.Compare[i]
		n := a.Net(c.Second)
		if c.Factor != factor || n.Stage != StageFinal || !n.Role.single() {
			continue
		}
		if f.Against == nil || n.Test.Mean > a.Net(f.Against.Second).Test.Mean {
			f.Against, f.Single = c, string(n.Role)
		}
		if c.Diff > 0 {
			ps = append(ps, c.p())
		} else {
			ps = append(ps, 1)
		}
	}
	if f.Against == nil {
		return f, false
	}
	f.P = slices.Max(ps)
	if c := f.Against; c.Diff < 0 {
		f.claim, f.P = SingleWins, min(1, c.p()*float64(len(ps)))
	}
	return f, true
}

// word writes the sentence of a factor, and the seeds it would take.
func (a *Analysis) word(f *FactorVerdict) {
	c := f.Against
	at := fmt.Sprintf("at %.3g times the base's cost", f.Factor)
	gap := fmt.Sprintf("%s ± %s points of test accuracy", Points(math.Abs(c.Diff)), Points(c.Half()))
	switch {
	case f.Kind == CompoundWins:
		f.Text = fmt.Sprintf("Compound scaling wins: %s it is %s above %s, the best single dimension.", at, gap, f.Single)
		return
	case f.Kind == SingleWins:
		f.Text = fmt.Sprintf("%s alone wins: %s it is %s above the best compound ratio found.", title(f.Single), at, gap)
		return
	}
	side := "above"
	if c.Diff < 0 {
		side = "below"
	}
	f.Text = fmt.Sprintf("Undecided between compound and %s: %s compound is %s %s %s, the best single dimension.", f.Single, at, gap, side, f.Single)
	if c.Diff > 0 && c.p() <= 1-level {
		f.Text = fmt.Sprintf("Undecided: %s compound is %s above %s, the best single dimension, but not clearly above every one of them.", at, gap, f.Single)
	}
	if c.p() > 1-level {
		f.SeedsNeeded = seedsNeeded(c.Diff, a.Pooled.SD, c.ImageSE)
	}
}

// detail has the numbers behind a factor's sentence.
func (a *Analysis) detail(f *FactorVerdict) string {
	c := f.Against
	text := fmt.Sprintf("Compound %s %%, %s %s %%; %s each.", Points(a.Net(c.First).Test.Mean), f.Single, Points(a.Net(c.Second).Test.Mean), words.Plural(c.Seeds, "seed"))
	if f.Kind != Undecided {
		return text
	}
	switch {
	case c.p() <= 1-level && c.Diff < 0:
		return text + " The best of several may be so far ahead by chance."
	case c.p() <= 1-level:
		return text
	case f.SeedsNeeded > c.Seeds && f.SeedsNeeded <= maxSeeds:
		return text + fmt.Sprintf(" About %d seeds would show a difference of this size.", f.SeedsNeeded)
	case f.SeedsNeeded == 0 || f.SeedsNeeded > maxSeeds:
		return text + fmt.Sprintf(" %d test images are too few to show so small a difference.", a.Plan.Test)
	}
	return text
}

// title makes the first letter a capital one.
func title(s string) string { return string(s[0]-'a'+'A') + s[1:] }
